//! Picking the version that serves (contract §6, step 6), with the reason for each that does not.

use jiff::Timestamp;
use semver::Version;

use crate::index::IndexEntry;
use crate::{Rejection, ReleaseIndex};

/// What was picked and why: the reason tree.
#[derive(Debug, Clone)]
pub struct Selection<T> {
    /// The version that should serve.
    pub desired: Version,
    /// The version that does, with what `load` made of it.
    pub serving: Option<(Version, T)>,
    /// Every version of the index, highest first, with its outcome.
    pub attempts: Vec<Attempt>,
}

impl<T> Selection<T> {
    /// Whether a lower version serves because the desired one cannot.
    pub fn is_fallback(&self) -> bool {
        self.serving.as_ref().is_some_and(|(version, _)| *version != self.desired)
    }
}

/// What came of one version.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The version.
    pub version: Version,
    /// What came of it.
    pub outcome: Outcome,
}

/// Why a version serves or does not.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It serves.
    Serving,
    /// It failed a check.
    Rejected(Rejection),
    /// It was taken back.
    Revoked {
        /// Why.
        reason: String,
        /// Since when.
        at: Timestamp,
    },
    /// Automatic fallback does not go below the floor.
    BelowFloor {
        /// The floor.
        floor: Version,
    },
    /// It is higher than the released version.
    AboveActive,
    /// It was not needed.
    Standby,
}

/// Tries the active version, then each next lower one that is neither revoked nor below the floor, until
/// `load` accepts one.
pub fn select<T>(
    index: &ReleaseIndex,
    mut load: impl FnMut(&IndexEntry) -> Result<T, Rejection>,
) -> Selection<T> {
    let desired = index.active_version.clone();
    let mut serving = None;
    let mut attempts = Vec::with_capacity(index.versions.len());
    for entry in &index.versions {
        // Revoked comes first: a version that is taken back while active lies above the one that takes over.
        let outcome = if let Some(revoked) = &entry.revoked {
            Outcome::Revoked { reason: revoked.reason.clone(), at: revoked.at }
        } else if entry.version > desired {
            Outcome::AboveActive
        } else if serving.is_some() {
            Outcome::Standby
        } else if let Some(floor) = floor_above(index, entry) {
            Outcome::BelowFloor { floor }
        } else {
            match load(entry) {
                Ok(loaded) => {
                    serving = Some((entry.version.clone(), loaded));
                    Outcome::Serving
                }
                Err(rejection) => Outcome::Rejected(rejection),
            }
        };
        attempts.push(Attempt { version: entry.version.clone(), outcome });
    }
    Selection { desired, serving, attempts }
}

/// The floor, where `entry` is an automatic fallback below it. The active version was asked for by a
/// signature, so the floor does not apply to it.
fn floor_above(index: &ReleaseIndex, entry: &IndexEntry) -> Option<Version> {
    let fallback = entry.version != index.active_version;
    index.minimum_version.clone().filter(|_| fallback && index.is_below_floor(&entry.version))
}
