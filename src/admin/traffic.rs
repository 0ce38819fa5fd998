//! Plain figures of what was asked for and how it was answered.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pilar_artifact::FeatureId;

/// How many minutes are remembered one by one.
pub const MINUTES: usize = 60;

/// The traffic since the process started, and of the last hour by the minute.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// When the last of the [`MINUTES`] ends; all series share it.
    pub until: Timestamp,
    /// Everything that was answered.
    pub total: Series,
    /// What belongs to a feature: its pages and its assets, those of retained versions included.
    pub features: BTreeMap<FeatureId, Series>,
}

/// The traffic of a feature, or of all.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// Requests since the process started.
    pub requests: u64,
    /// Bytes of replies since the process started.
    pub bytes: u64,
    /// Replies by the class of their status, from 2xx to 5xx.
    pub by_class: [u64; 4],
    /// Replies of status 304: the client had it already.
    pub cache_hits: u64,
    /// Time from a request to its reply that half of the replies of the last hour stayed below.
    pub p50: Option<Duration>,
    /// The same for 99 of 100.
    pub p99: Option<Duration>,
    /// The last [`MINUTES`], the oldest first; fewer where the process is younger.
    pub minutes: Vec<Minute>,
}

/// One minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minute {
    /// Requests.
    pub requests: u64,
    /// Bytes of replies.
    pub bytes: u64,
    /// Replies of status 500 and above.
    pub errors: u64,
    /// Time that half of the replies stayed below; none where there was no request.
    pub p50: Option<Duration>,
    /// Time that 99 of 100 replies stayed below.
    pub p99: Option<Duration>,
}

impl Series {
    /// Requests of the last hour.
    pub fn requests_of_hour(&self) -> u64 {
        self.minutes.iter().map(|minute| minute.requests).sum()
    }

    /// Bytes of the last hour.
    pub fn bytes_of_hour(&self) -> u64 {
        self.minutes.iter().map(|minute| minute.bytes).sum()
    }
}
