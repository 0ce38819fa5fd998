//! What happened, in words: each change is logged once and remembered, so that whoever comes later finds it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use pilar_artifact::FeatureId;
use serde::Serialize;

/// Events of one feature, or of the host as a whole, that are remembered: one that changes all the time must
/// not push the others out.
const MOST_OF_ONE: usize = 100;

/// Events that are remembered in all.
const MOST: usize = 2000;

/// The latest events of this process.
#[derive(Debug, Default)]
pub struct History {
    events: Mutex<VecDeque<Event>>,
}

/// Something that happened to a feature or to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The feature; none where it concerns the host as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature_id: Option<FeatureId>,
    /// How much it matters.
    pub severity: Severity,
    /// Its stable code.
    pub code: String,
    /// The version that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What happened, in a sentence.
    pub message: String,
}

/// How much an event matters to whoever is on call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Info,
    /// Something to look at.
    Warning,
    /// Somebody misses something.
    Error,
}

impl History {
    /// Logs an event and remembers it.
    pub fn record(&self, event: Event) {
        event.log();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let of_same = |other: &Event| other.feature_id == event.feature_id;
        if events.iter().filter(|other| of_same(other)).count() >= MOST_OF_ONE
            && let Some(oldest) = events.iter().position(of_same)
        {
            events.remove(oldest);
        }
        if events.len() >= MOST {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// The events of a feature, or all, the latest first.
    pub fn latest(&self, feature: Option<&FeatureId>) -> Vec<Event> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted =
            |event: &&Event| feature.is_none_or(|id| event.feature_id.as_ref() == Some(id));
        events.iter().rev().filter(wanted).cloned().collect()
    }
}

impl Event {
    fn log(&self) {
        let Event { feature_id, code, version, message, .. } = self;
        let feature = feature_id.as_ref().map(tracing::field::display);
        let version = version.as_deref();
        match self.severity {
            Severity::Info => tracing::info!(feature, version, code, "{message}"),
            Severity::Warning => tracing::warn!(feature, version, code, "{message}"),
            Severity::Error => tracing::error!(feature, version, code, "{message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(feature: Option<&str>, message: String) -> Event {
        Event {
            at: Timestamp::UNIX_EPOCH,
            feature_id: feature.map(|id| id.parse().unwrap()),
            severity: Severity::Info,
            code: "test".to_owned(),
            version: None,
            message,
        }
    }

    #[test]
    fn a_feature_that_changes_all_the_time_pushes_no_other_out() {
        let history = History::default();
        history.record(event(Some("quiet"), "once".to_owned()));
        history.record(event(None, "of the host".to_owned()));
        for number in 0..5000 {
            history.record(event(Some("busy"), number.to_string()));
        }
        let busy = history.latest(Some(&"busy".parse().unwrap()));
        assert_eq!((busy.len(), busy[0].message.as_str()), (MOST_OF_ONE, "4999"));
        assert_eq!(history.latest(None).len(), MOST_OF_ONE + 2);
        assert_eq!(history.latest(Some(&"quiet".parse().unwrap()))[0].message, "once");
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let history = History::default();
        for number in 0..5000 {
            history.record(event(Some(&format!("f{number}")), number.to_string()));
        }
        let all = history.latest(None);
        assert_eq!((all.len(), all[0].message.as_str()), (MOST, "4999"));
    }
}
