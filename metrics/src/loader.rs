//! What the loader says of registrations and features (contract §12).

use std::collections::BTreeMap;
use std::fmt;

use pilar_artifact::loader_status::LoaderStatus;

use crate::{Page, flag, label};

/// More codes than a loader has.
const MOST_CODES: usize = 64;

/// The families `loader_refused_registrations`, `loader_feature_converged` and `loader_feature_index_stale`, with no
/// sample where nothing is known.
///
/// # Errors
/// What the encoder says.
pub fn loader(page: &mut Page<'_>, status: Option<&LoaderStatus>) -> fmt::Result {
    let mut refused = BTreeMap::<&str, f64>::new();
    for registration in status.iter().flat_map(|status| &status.refused) {
        let code = registration.error.code.as_str();
        // Any process that may write the status could otherwise fill the metrics with its words.
        let known = refused.contains_key(code) || refused.len() < MOST_CODES;
        let code = if known && is_code(code) { code } else { "other" };
        *refused.entry(code).or_default() += 1.0;
    }
    let refused = refused.into_iter().map(|(code, count)| (label("code", code), count));
    let help = "Registrations that the loader refuses now.";
    page.gauge("loader_refused_registrations", help, None, refused)?;
    let features = || status.iter().flat_map(|status| &status.features);
    // Where nobody knows what is registered, nobody can say whether it is in place; that is the source's trouble.
    let known = features().filter(|(_, said)| !said.is_kept());
    let converged =
        known.map(|(id, said)| (label("feature", id.as_str()), flag(said.has_converged())));
    let help = "1 where what is registered is in place.";
    page.gauge("loader_feature_converged", help, None, converged)?;
    let stale = features().map(|(id, said)| {
        let is_stale = said.warnings.iter().any(|one| one.code == "index-stale");
        (label("feature", id.as_str()), flag(is_stale))
    });
    let help = "1 where the time of a CDN's index is over; it goes on serving.";
    page.gauge("loader_feature_index_stale", help, None, stale)
}

/// Whether a text can be the code of a refusal.
fn is_code(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=40).contains(&text.len()) && text.bytes().all(plain)
}
