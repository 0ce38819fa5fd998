//! What `/metrics` has; docs/loader.md lists it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use pilar_metrics::{BYTES, Labels, Page, SECONDS, flag, label, one};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::status::{Board, Counts};

/// All of it, in the OpenMetrics text format.
///
/// # Errors
/// None that can occur: what is written is a string.
pub fn text(board: Arc<Board>) -> Result<String, fmt::Error> {
    pilar_metrics::text([("pilar", Box::new(Scrape(board)))])
}

#[derive(Debug)]
struct Scrape(Arc<Board>);

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(board) = self;
        let mut page = Page(encoder);
        let contact = board.feed().contact();
        if let Some(last) = contact.last {
            let help = "Since the source of registrations was last heard from.";
            page.gauge("loader_contact_age", help, SECONDS, one(last.elapsed().as_secs_f64()))?;
        }
        let trouble = one(flag(contact.trouble.is_some()));
        page.gauge("loader_source_trouble", "1 while the source cannot be read.", None, trouble)?;
        let failures = by_code(board.feed().failures());
        let help = "Times that the source could not be read or a reply of it broke off, by code.";
        page.counter("loader_source_failures", help, None, failures)?;
        let progress = board.progress();
        let states = [
            ("in_place", progress.in_place),
            ("pending", progress.pending),
            ("failing", progress.failing.len()),
        ];
        let states = states.map(|(state, count)| (label("state", state), count as f64));
        page.gauge("loader_registered", "Features that are registered.", None, states)?;
        let status = board.status();
        pilar_metrics::loader(&mut page, Some(&status))?;
        let features = || status.features.iter();
        let attempts =
            features().map(|(id, said)| (label("feature", id.as_str()), said.attempts as f64));
        let help = "Attempts since the last one that succeeded.";
        page.gauge("loader_feature_attempts", help, None, attempts)?;
        let successes = features().filter_map(|(id, said)| {
            Some((label("feature", id.as_str()), said.last_success_at?.as_second() as f64))
        });
        let help = "When what is registered was last found or put in place.";
        page.gauge("loader_feature_success_time", help, SECONDS, successes)?;
        counts(&mut page, &board.counts())
    }
}

/// Samples by code.
fn by_code(counts: BTreeMap<&'static str, u64>) -> impl Iterator<Item = (Labels, u64)> {
    counts.into_iter().map(|(code, count)| (label("code", code), count))
}

fn counts(page: &mut Page<'_>, counts: &Counts) -> fmt::Result {
    let help = "Times that a feature was put in place.";
    page.counter("loader_placed", help, None, one(counts.placed))?;
    let help = "Features that were taken out.";
    page.counter("loader_taken_out", help, None, one(counts.taken_out))?;
    let failures = by_code(counts.failures.clone());
    page.counter("loader_failures", "Attempts that failed, by code.", None, failures)?;
    let help = "What came over the network.";
    page.counter("loader_transferred", help, BYTES, one(counts.transferred))?;
    let help = "Requests that were sent again.";
    page.counter("loader_retries", help, None, one(counts.retries))
}
