//! The port that `/_admin` may have for itself: all that arrives there, apart from the files of its pages, is for the
//! service plane.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::catalog::Asset;
use crate::edge::{Answer, Limits, Lookup, Owner};
use crate::snapshot::Snapshot;

/// Open connections, and requests that are at the service plane.
const MOST_CONNECTIONS: usize = 256;
const MOST_CALLS: usize = 64;

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

    /// What operators and their programs may cost: no more than the world, and never many at a time.
    pub fn limits(of_world: &Limits) -> Limits {
        Limits {
            connections_per_worker: of_world.connections_per_worker.min(MOST_CONNECTIONS),
            service_calls: of_world.service_calls.min(MOST_CALLS),
            ..of_world.clone()
        }
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
