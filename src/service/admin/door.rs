//! The port that `/_admin` may have for itself: all that arrives there is for the service plane.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::edge::{Answer, Limits, Lookup};
use crate::snapshot::Snapshot;

/// What the edge of that port answers from.
#[derive(Debug)]
pub struct Door {
    current: Arc<ArcSwap<Snapshot>>,
}

impl Door {
    /// A door to this host.
    pub fn new(current: Arc<ArcSwap<Snapshot>>) -> Self {
        Self { current }
    }

    /// What serves now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// What operators and their programs may cost: much less than the world.
    pub fn limits() -> Limits {
        Limits { connections_per_worker: 256, service_calls: 64, ..Limits::default() }
    }
}

impl Lookup for Door {
    fn lookup(&self, _path: &str) -> Answer<'_> {
        Answer::Service
    }
}
