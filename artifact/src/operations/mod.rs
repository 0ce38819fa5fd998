//! Making the next release index: pure functions from one index to the next (contract §4).
//!
//! Each operation raises the sequence by one and writes a history entry. What would break a rule is
//! refused, and both the index that comes in and the one that goes out are checked.

mod apply;
mod error;

use jiff::Timestamp;
use semver::Version;

use crate::index::IndexEntry;
use crate::{FeatureId, Limits, ReleaseIndex, SigningKey};

pub use error::OperationError;

/// What to do to an index.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// List a new version and put it into a channel; on `stable` it becomes the active one. Makes the first
    /// index where there is none.
    Publish {
        /// The new version.
        entry: Box<IndexEntry>,
        /// Where it goes.
        channel: Channel,
    },
    /// Put a listed version into the canary channel.
    Canary {
        /// The version; above the active one.
        version: Version,
        /// Part of the people who get it, 0 to 100.
        percent: u8,
        /// How long to watch it, in seconds.
        soak_seconds: u64,
    },
    /// Make a higher version the active one.
    Promote {
        /// The version; `None`: that of the canary channel.
        version: Option<Version>,
    },
    /// Make a lower version the active one.
    Rollback {
        /// The version; `None`: the next lower one that may serve.
        version: Option<Version>,
    },
    /// Give up the canary: everybody gets the stable version.
    Fallback,
    /// Take a version back for good. Where it is active, the next lower one that may serve takes over.
    Revoke {
        /// The version.
        version: Version,
        /// Why; people read it.
        reason: String,
        /// Go on where nothing is left that may serve.
        even_if_nothing_serves: bool,
    },
    /// Raise the floor under which no automatic fallback goes.
    RaiseFloor {
        /// The new floor; listed, and not above the active version.
        version: Version,
    },
}

/// Where a version is published to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channel {
    /// For everybody.
    #[default]
    Stable,
    /// For a part of the people.
    Canary,
}

impl Channel {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => crate::index::STABLE,
            Self::Canary => crate::index::CANARY,
        }
    }
}

/// Who does it, why, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    /// When.
    pub at: Timestamp,
    /// Who or what.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The ticket that asked for it.
    pub ticket: Option<String>,
}

/// How much of the past an index keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Versions below the active one that stay listed as candidates for fallback and rollback.
    pub keep: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { keep: 5 }
    }
}

/// Makes the next index of `feature`. `current` is `None` where nothing was published yet.
///
/// # Errors
/// [`OperationError`]; the current index stays as it is.
pub fn apply(
    current: Option<&ReleaseIndex>,
    feature: &FeatureId,
    operation: &Operation,
    attribution: &Attribution,
    window: Window,
    limits: &Limits,
) -> Result<ReleaseIndex, OperationError> {
    if let Some(index) = current {
        index.check(feature, limits).map_err(OperationError::BadIndex)?;
    }
    let next = apply::apply(current, feature, operation, attribution, window, limits)?;
    next.check(feature, limits).map_err(OperationError::BadIndex)?;
    Ok(next)
}

/// Makes the next index as [`apply`] does, and signs it: the bytes of the new `releases.json`.
///
/// # Errors
/// [`OperationError`]; the current index stays as it is.
pub fn apply_and_sign(
    current: Option<&ReleaseIndex>,
    feature: &FeatureId,
    operation: &Operation,
    attribution: &Attribution,
    window: Window,
    limits: &Limits,
    key: &SigningKey,
) -> Result<(ReleaseIndex, Vec<u8>), OperationError> {
    let next = apply(current, feature, operation, attribution, window, limits)?;
    let bytes = next.sign(key).map_err(OperationError::NotWritable)?;
    if bytes.len() as u64 > limits.json_bytes {
        return Err(OperationError::TooLarge { limit: limits.json_bytes });
    }
    Ok((next, bytes))
}
