//! The port that `/_admin` may have for itself: all that arrives there, apart from the files of its pages, is for the
//! service plane.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::catalog::Asset;
use crate::edge::{Answer, Limits, Lookup, Owner};
use crate::snapshot::Snapshot;

/// What the edge of that port answers from.
#[derive(Debug)]
pub struct Door {
    current: Arc<ArcSwap<Snapshot>>,
    assets: [Asset; 2],
}

impl Door {
    /// A door to this host. `assets` are the files that its pages use.
    pub fn new(current: Arc<ArcSwap<Snapshot>>, assets: [Asset; 2]) -> Self {
        Self { current, assets }
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
    fn lookup(&self, path: &str) -> Answer<'_> {
        match self.assets.iter().find(|(url, _)| **url == *path) {
            Some((_, resource)) => Answer::Resource(resource, Owner::NOBODY),
            None => Answer::Service,
        }
    }
}
