//! What changed between two looks at the artifacts, as events.

use jiff::Timestamp;
use pilar_artifact::select::Outcome;
use pilar_artifact::verify::Report;

use super::history::{Event, History, Severity};
use crate::catalog::{FeatureState, Standing};

/// What changed about a feature.
#[derive(Debug, Default)]
pub(super) struct Changes {
    refusals: Vec<Event>,
    others: Vec<Event>,
}

impl Changes {
    /// Remembers them.
    pub(super) fn record(self, history: &History) {
        self.refusals.into_iter().for_each(|event| history.record_refusal(event));
        self.others.into_iter().for_each(|event| history.record(event));
    }
}

/// What an operator would want to hear of a feature, given how it was before.
pub(super) fn of_feature(
    before: Option<&FeatureState>,
    state: &FeatureState,
    at: Timestamp,
) -> Changes {
    let event = |severity, code: &str, message| Event {
        at,
        feature_id: Some(state.id.clone()),
        severity,
        code: code.to_owned(),
        version: version(state),
        message,
    };
    let mut refused = Vec::new();
    let mut events = Vec::new();
    let refused_before: Vec<Refusal> = before.map(refusals).unwrap_or_default();
    for refusal in refusals(state) {
        if !refused_before.contains(&refusal) {
            let Refusal { version, code, message } = refusal;
            refused.push(Event { version, ..event(Severity::Warning, &code, message) });
        }
    }
    let from = state.sequence_went_down_from();
    if let Some(from) =
        from.filter(|_| before.and_then(FeatureState::sequence_went_down_from) != from)
    {
        events.push(event(
            Severity::Warning,
            "index-sequence-went-down",
            format!(
                "an older release index is in place than that of sequence {from}; what was revoked stays revoked"
            ),
        ));
    }
    if let Some(key) = &state.key_expired
        && before.is_none_or(|before| before.key_expired.as_ref() != Some(key))
    {
        events.push(event(
            Severity::Warning,
            "key-expired",
            format!(
                "what serves was signed by key {}, which ended {}; it will not load after a restart",
                key.key_id, key.not_after
            ),
        ));
    }
    if before.is_none_or(|before| standing_differs(before, state)) {
        let (severity, code, message) = standing(before, state);
        events.push(event(severity, code, message));
    }
    Changes { refusals: refused, others: events }
}

/// That a feature is gone.
pub(super) fn gone(before: &FeatureState, at: Timestamp) -> Event {
    Event {
        at,
        feature_id: Some(before.id.clone()),
        severity: Severity::Info,
        code: "removed".to_owned(),
        version: version(before),
        message: "the feature was taken out".to_owned(),
    }
}

fn standing_differs(before: &FeatureState, state: &FeatureState) -> bool {
    before.standing != state.standing
        || version(before) != version(state)
        || before.serving().map(|loaded| loaded.manifest_sha256)
            != state.serving().map(|loaded| loaded.manifest_sha256)
        || before.conflict != state.conflict
}

fn standing(
    before: Option<&FeatureState>,
    state: &FeatureState,
) -> (Severity, &'static str, String) {
    let serves = version(state).unwrap_or_else(|| "nothing".to_owned());
    let desired = state.index.as_ref().map(|facts| facts.index.active_version.to_string());
    let desired = desired.as_deref().unwrap_or("the released version");
    match state.standing {
        Standing::AsReleased => {
            let recovered = before.is_some_and(|before| {
                matches!(
                    before.standing,
                    Standing::Fallback | Standing::LastGood | Standing::NothingToServe
                )
            });
            let was = before.and_then(version).filter(|was| *was != serves);
            let was = was.map(|was| format!(" instead of {was}")).unwrap_or_default();
            if recovered {
                (Severity::Info, "recovered", format!("serving {serves} as released again{was}"))
            } else {
                (Severity::Info, "serving", format!("serving {serves} as released{was}"))
            }
        }
        Standing::Fallback => (
            Severity::Warning,
            "fell-back",
            format!("fell back to {serves}: {desired} cannot serve"),
        ),
        Standing::LastGood => (
            Severity::Warning,
            "last-good",
            format!("{serves} goes on serving: what is released now cannot be used"),
        ),
        Standing::NothingToServe => (
            Severity::Error,
            "nothing-to-serve",
            format!("nothing to serve: {desired} cannot serve"),
        ),
        Standing::Conflict => {
            let owner = state.conflict.as_ref().map(ToString::to_string).unwrap_or_default();
            let prefix = state.mount.as_ref().map(|mount| mount.path_prefix.as_str());
            let prefix = prefix.unwrap_or_default();
            (
                Severity::Error,
                "prefix-conflict",
                format!(
                    "feature {owner} has its URL prefix {prefix}; give one of them another pathPrefix"
                ),
            )
        }
    }
}

fn version(state: &FeatureState) -> Option<String> {
    state.serving().map(|loaded| loaded.manifest.version.to_string())
}

#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    version: Option<String>,
    code: String,
    message: String,
}

fn refusals(state: &FeatureState) -> Vec<Refusal> {
    let index = state.index.as_ref().err().map(|trouble| {
        let Report { code, step, check, file, message, .. } = trouble.report(&state.id);
        let message = format!("refused: {file}: {message} (step {step}, {check})");
        Refusal { version: None, code, message }
    });
    let versions = state.attempts.iter().filter_map(|attempt| match &attempt.outcome {
        Outcome::Rejected(rejection) => Some(Refusal {
            version: Some(attempt.version.to_string()),
            code: rejection.code().to_owned(),
            message: format!("refused: {rejection}"),
        }),
        _ => None,
    });
    index.into_iter().chain(versions).collect()
}
