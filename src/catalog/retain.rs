//! Versions that no longer serve, for pages that were loaded before (contract §6, skew protection).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::load::LoadedVersion;
use crate::config::Retain;

/// Versions that stopped serving, the latest first.
#[derive(Debug, Default)]
pub(super) struct Retained {
    versions: Vec<(Arc<LoadedVersion>, Instant)>,
}

impl Retained {
    /// Takes a version that has just stopped serving.
    pub(super) fn push(&mut self, version: Arc<LoadedVersion>, now: Instant) {
        self.remove(&version);
        self.versions.insert(0, (version, now));
    }

    /// Forgets a version, because it serves again.
    pub(super) fn remove(&mut self, version: &LoadedVersion) {
        self.versions.retain(|(kept, _)| !is_same(kept, version));
    }

    /// Drops what is older than allowed, or did not fit beside younger ones, or must not be served.
    pub(super) fn prune(
        &mut self,
        policy: Retain,
        now: Instant,
        forbidden: impl Fn(&LoadedVersion) -> bool,
    ) {
        let mut left = policy.bytes;
        self.versions.retain(|(version, since)| {
            let young = now.saturating_duration_since(*since) <= policy.time;
            let fits = version.bytes <= left;
            let keep = policy.time > Duration::ZERO && young && fits && !forbidden(version);
            if keep {
                left -= version.bytes;
            }
            keep
        });
    }

    /// The versions, the latest first.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Arc<LoadedVersion>> {
        self.versions.iter().map(|(version, _)| version)
    }
}

fn is_same(one: &LoadedVersion, other: &LoadedVersion) -> bool {
    one.manifest.id == other.manifest.id && one.manifest_sha256 == other.manifest_sha256
}
