//! What happened, in words: each change is logged once and remembered, so that whoever comes later finds it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pilar_artifact::FeatureId;

use crate::catalog::IndexTrouble;

/// Events of one feature, or of the host as a whole, that are remembered: one that changes all the time must
/// not push the others out.
const MOST_OF_ONE: usize = 100;

/// Events that are remembered in all.
const MOST: usize = 2000;

/// The codes of events that are no refusals. What can happen is counted from zero, so that the first time shows.
const CODES: [&str; 12] = [
    "serving",
    "recovered",
    "fell-back",
    "last-good",
    "nothing-to-serve",
    "prefix-conflict",
    "removed",
    "index-sequence-went-down",
    "key-expired",
    "snapshot-in-place",
    "artifacts-dir-unreadable",
    "refreshed-again",
];

/// The latest events of this process.
#[derive(Debug, Default)]
pub struct History {
    events: Mutex<VecDeque<Event>>,
    tally: Mutex<Tally>,
}

/// How often things happened, those included that are no longer remembered.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Events that are no refusals, by code.
    pub events: BTreeMap<String, u64>,
    /// Indexes and versions that were refused, by code; each counts once until something else is wrong with it.
    pub refusals: BTreeMap<String, u64>,
    /// Refreshes that took at most so many seconds and longer than the step before.
    pub refreshes: [(f64, u64); REFRESH_STEPS.len()],
    /// How long all refreshes took.
    pub refresh_time: Duration,
    /// Refreshes that failed as a whole.
    pub failed_refreshes: u64,
    /// When the last one began that did not.
    pub last_success: Option<Timestamp>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            events: none_yet(CODES),
            refusals: none_yet(IndexTrouble::codes()),
            refreshes: REFRESH_STEPS.map(|end| (end, 0)),
            refresh_time: Duration::ZERO,
            failed_refreshes: 0,
            last_success: None,
        }
    }
}

fn none_yet<'a>(codes: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, u64> {
    codes.into_iter().map(|code| (code.to_owned(), 0)).collect()
}

/// Steps in which the time of a refresh is counted, in seconds.
const REFRESH_STEPS: [f64; 7] = [0.01, 0.1, 0.5, 1.0, 5.0, 30.0, f64::INFINITY];

/// Something that happened to a feature or to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The feature; none where it concerns the host as a whole.
    pub feature_id: Option<FeatureId>,
    /// How much it matters.
    pub severity: Severity,
    /// Its stable code.
    pub code: String,
    /// The version that it is about.
    pub version: Option<String>,
    /// What happened, in a sentence.
    pub message: String,
}

/// How much an event matters to whoever is on call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
        *self.tallied().events.entry(event.code.clone()).or_default() += 1;
        self.remember(event);
    }

    fn remember(&self, event: Event) {
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

    /// Records that an index or a version was refused.
    pub(super) fn record_refusal(&self, event: Event) {
        *self.tallied().refusals.entry(event.code.clone()).or_default() += 1;
        self.remember(event);
    }

    /// Counts a refresh that began `at` this time.
    pub(super) fn refreshed(&self, at: Timestamp, took: Duration, failed: bool) {
        let mut tally = self.tallied();
        let seconds = took.as_secs_f64();
        if let Some((_, count)) = tally.refreshes.iter_mut().find(|(end, _)| seconds <= *end) {
            *count += 1;
        }
        tally.refresh_time += took;
        tally.failed_refreshes += u64::from(failed);
        if !failed {
            tally.last_success = Some(at);
        }
    }

    /// How often things happened.
    pub fn tally(&self) -> Tally {
        self.tallied().clone()
    }

    fn tallied(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
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
