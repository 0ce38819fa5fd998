//! Versions that do not serve and stay reachable, for pages that were loaded with them (contract §6, skew
//! protection): those that served a while ago in this process, and those that the index lists, since another
//! replica may have served them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use pilar_artifact::FeatureId;

use super::Now;
use super::load::LoadedVersion;
use crate::config::Retain;

/// Versions in memory that do not serve: those that served the latest first, then those that are only listed,
/// the nearest to what serves first.
#[derive(Debug, Default)]
pub(super) struct Retained {
    versions: Vec<RetainedVersion>,
    /// Bytes and places that were left when it was pruned, less what was added since.
    room: (u64, usize),
}

/// A version that does not serve and stays reachable.
#[derive(Debug, Clone)]
pub struct RetainedVersion {
    /// The version.
    pub version: Arc<LoadedVersion>,
    /// When it stopped serving, if it served in this process.
    pub served_until: Option<Now>,
}

/// Versions in memory.
pub(super) type ByFeature<'a> = BTreeMap<&'a FeatureId, Vec<&'a Arc<LoadedVersion>>>;

/// What the index of a version's feature has to say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// It must not be served to anybody.
    Forbidden,
    /// Nothing.
    Unlisted,
    /// It is listed, this many places from the released one.
    Listed(usize),
}

impl Retained {
    /// Takes a version that has just stopped serving.
    pub(super) fn retire(&mut self, version: Arc<LoadedVersion>, now: Now) {
        self.forget(|kept| is_same(kept, &version));
        self.versions.push(RetainedVersion { version, served_until: Some(now) });
    }

    /// Takes a version that is only listed.
    pub(super) fn add_listed(&mut self, version: Arc<LoadedVersion>) {
        let (bytes, places) = self.room;
        self.room = (bytes.saturating_sub(version.bytes), places.saturating_sub(1));
        self.versions.push(RetainedVersion { version, served_until: None });
    }

    /// Forgets versions, because they serve again.
    pub(super) fn forget(&mut self, is_meant: impl Fn(&LoadedVersion) -> bool) {
        self.versions.retain(|kept| !is_meant(&kept.version));
    }

    /// Drops what must not be served, what is neither young nor listed, and what has no room beside those that
    /// come before it.
    pub(super) fn prune(
        &mut self,
        policy: Retain,
        now: Instant,
        listing: impl Fn(&LoadedVersion) -> Listing,
    ) {
        let mut ranked: Vec<(Rank, RetainedVersion)> = self
            .versions
            .drain(..)
            .filter_map(|kept| {
                let listing = listing(&kept.version);
                let since = kept.served_until.map(|since| since.monotonic);
                let age = since.map(|since| now.saturating_duration_since(since));
                let rank = match (listing, age) {
                    (Listing::Forbidden, _) => return None,
                    (_, Some(age)) if !policy.time.is_zero() && age <= policy.time => {
                        Rank::Served(Reverse(since))
                    }
                    (Listing::Listed(place), _) => Rank::Listed(place),
                    (Listing::Unlisted, _) => return None,
                };
                Some((rank, kept))
            })
            .collect();
        // Stable, so that among equals the order of ids and versions stays.
        ranked.sort_by_key(|(rank, _)| *rank);
        let (mut bytes, mut listed) = (policy.bytes, policy.listed);
        for (rank, kept) in ranked {
            let has_place = matches!(rank, Rank::Served(_)) || listed > 0;
            if kept.version.bytes > bytes || !has_place {
                continue;
            }
            bytes -= kept.version.bytes;
            listed -= usize::from(matches!(rank, Rank::Listed(_)));
            self.versions.push(kept);
        }
        self.room = (bytes, listed);
    }

    /// The versions of each feature.
    pub(super) fn by_feature(&self) -> ByFeature<'_> {
        let mut found = ByFeature::new();
        for kept in &self.versions {
            found.entry(&kept.version.manifest.id).or_default().push(&kept.version);
        }
        found
    }

    /// The versions, in their order.
    pub(super) fn versions(&self) -> &[RetainedVersion] {
        &self.versions
    }

    /// Bytes and places that listed versions can still have. A version that served and whose time is over has a
    /// place like any other that is only listed.
    pub(super) fn room(&self) -> (u64, usize) {
        self.room
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Served(Reverse<Option<Instant>>),
    Listed(usize),
}

fn is_same(one: &LoadedVersion, other: &LoadedVersion) -> bool {
    one.manifest.id == other.manifest.id && one.manifest_sha256 == other.manifest_sha256
}
