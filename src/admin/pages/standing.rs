//! The state of a feature in one badge and one sentence.

use maud::{Markup, html};
use pilar_artifact::select::Outcome;

use super::super::View;
use super::parts::{Tone, badge};
use crate::catalog::{FeatureState, Standing};

/// Where a feature's page is.
pub(super) fn path(id: &str) -> String {
    format!("/_admin/features/{id}")
}

/// A link to a feature's page.
pub(super) fn link(id: &str) -> Markup {
    html! { a href=(path(id)) { (id) } }
}

/// How a standing is to be felt.
pub(super) fn tone(standing: Standing) -> Tone {
    match standing {
        Standing::AsReleased => Tone::Good,
        Standing::Fallback | Standing::LastGood => Tone::Warn,
        Standing::NothingToServe | Standing::Conflict => Tone::Bad,
    }
}

/// The badge of a standing.
pub(super) fn state(standing: Standing) -> Markup {
    let word = match standing {
        Standing::AsReleased => "As released",
        Standing::Fallback => "Fell back",
        Standing::LastGood => "Last good",
        Standing::NothingToServe => "Nothing to serve",
        Standing::Conflict => "Prefix taken",
    };
    badge(tone(standing), word)
}

/// What differs from what was asked for, each in a sentence; empty where nothing does.
pub(super) fn reasons(view: &View<'_>, state: &FeatureState) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Err(trouble) = &state.index {
        let report = trouble.report(&state.id);
        reasons.push(format!("Check {}, {}: {}", report.step, report.check, report.message));
    }
    if let Some(owner) = &state.conflict {
        let prefix = state.mount.as_ref().map_or("", |mount| mount.path_prefix.as_str());
        reasons.push(format!("The feature {owner} has {prefix}"));
    }
    let released = state.index.as_ref().ok().map(|facts| &facts.index.active_version);
    let of_released = state.attempts.iter().find(|attempt| Some(&attempt.version) == released);
    match of_released.map(|attempt| &attempt.outcome) {
        Some(Outcome::Rejected(rejection)) => reasons.push(format!(
            "Check {}, {}, refused {}: {}",
            rejection.step().number(),
            rejection.step().name(),
            rejection.file(),
            rejection.message()
        )),
        Some(Outcome::Revoked { reason, .. }) => {
            reasons.push(format!("The released version is revoked: {reason}"));
        }
        _ => {}
    }
    if let Some(from) = state.sequence_went_down_from() {
        reasons.push(format!("An older release index is in place than that of sequence {from}"));
    }
    if let Some(key) = &state.key_expired {
        reasons.push(format!(
            "The key {} has ended; what serves will not load after a restart",
            key.key_id
        ));
    }
    let missing = view.snapshot.health().missing_shared(&state.id);
    if !missing.is_empty() {
        reasons.push(format!("Nobody provides the shared packages {}", missing.join(", ")));
    }
    let loader = view.loader.as_ref().and_then(|report| report.feature(state.id.as_str()));
    if let Some(loader) = loader.filter(|loader| !loader.has_converged()) {
        let error = loader.last_error.as_ref();
        let why = error.map_or("it is on its way", |error| error.message.as_str());
        reasons.push(format!("The loader has not put what is registered in place: {why}"));
    }
    reasons
}

/// The version that serves.
pub(super) fn serving(state: &FeatureState) -> Option<String> {
    state.serving().map(|loaded| loaded.manifest.version.to_string())
}

/// The version that the index asks for.
pub(super) fn released(state: &FeatureState) -> Option<String> {
    state.index.as_ref().ok().map(|facts| facts.index.active_version.to_string())
}

/// What people call a feature.
pub(super) fn name(state: &FeatureState) -> &str {
    let manifest = state.picked.as_ref().map(|loaded| &loaded.manifest);
    manifest.map_or(state.id.as_str(), |manifest| manifest.display_name.as_str())
}
