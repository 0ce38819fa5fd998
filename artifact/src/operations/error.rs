//! Why an operation is refused.

use semver::Version;

use crate::Sha256Digest;
use crate::index::IndexProblem;
use crate::manifest::ManifestProblem;

/// Why an operation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// There is no index yet.
    #[error("nothing was published for this feature yet")]
    NothingPublished,
    /// The index breaks a rule.
    #[error("the index is not valid: {0}")]
    BadIndex(#[source] IndexProblem),
    /// The index cannot be written as JSON.
    #[error("the index cannot be written: {0}")]
    NotWritable(#[source] ManifestProblem),
    /// The index would be too large for its readers.
    #[error("the index would be larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The version is listed, with the same content.
    #[error("{version} is already published, with the same content")]
    AlreadyPublished {
        /// The version.
        version: Version,
    },
    /// The version is listed, with other content.
    #[error(
        "{version} is already published with other content: manifest SHA-256 {published}, now {offered}"
    )]
    VersionTaken {
        /// The version.
        version: Version,
        /// What is listed.
        published: Sha256Digest,
        /// What was offered.
        offered: Sha256Digest,
    },
    /// The version is not listed.
    #[error("{version} is not listed in the index")]
    UnknownVersion {
        /// The version.
        version: Version,
    },
    /// The version was taken back.
    #[error("{version} was revoked: {reason}")]
    Revoked {
        /// The version.
        version: Version,
        /// Why.
        reason: String,
    },
    /// The version is below the floor.
    #[error("{version} is below the floor {floor}")]
    BelowFloor {
        /// The version.
        version: Version,
        /// The floor.
        floor: Version,
    },
    /// The version is not above the active one.
    #[error("{version} is not above the active version {active}")]
    NotAboveActive {
        /// The version.
        version: Version,
        /// The active version.
        active: Version,
    },
    /// The version is not below the active one.
    #[error("{version} is not below the active version {active}")]
    NotBelowActive {
        /// The version.
        version: Version,
        /// The active version.
        active: Version,
    },
    /// There is no canary.
    #[error("there is no canary")]
    NoCanary,
    /// No version is left that may serve.
    #[error("no version is left that may serve")]
    NothingLeft,
    /// The new floor is not above the old one.
    #[error("the floor is {floor} already; it only goes up")]
    FloorNotRaised {
        /// The floor.
        floor: Version,
    },
    /// The new floor is above the active version.
    #[error("the floor {version} would be above the active version {active}")]
    FloorAboveActive {
        /// The floor asked for.
        version: Version,
        /// The active version.
        active: Version,
    },
    /// An impossible part of the people.
    #[error("{percent} percent is not 0 to 100")]
    Percent {
        /// What was asked for.
        percent: u8,
    },
    /// A soak time that not every JSON reader represents exactly.
    #[error("{seconds} seconds of soak time are more than JSON can hold exactly")]
    Soak {
        /// What was asked for, in seconds.
        seconds: u64,
    },
    /// A text that people rely on is empty.
    #[error("the reason is empty")]
    NoReason,
    /// The sequence cannot grow any more.
    #[error("the sequence is at its end")]
    SequenceExhausted,
}

impl OperationError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NothingPublished => "nothing-published",
            Self::BadIndex(problem) => problem.code(),
            Self::NotWritable(_) => "index-not-writable",
            Self::TooLarge { .. } => "index-too-large",
            Self::AlreadyPublished { .. } => "already-published",
            Self::VersionTaken { .. } => "version-taken",
            Self::UnknownVersion { .. } => "unknown-version",
            Self::Revoked { .. } => "version-revoked",
            Self::BelowFloor { .. } => "below-floor",
            Self::NotAboveActive { .. } => "not-above-active",
            Self::NotBelowActive { .. } => "not-below-active",
            Self::NoCanary => "no-canary",
            Self::NothingLeft => "nothing-left",
            Self::FloorNotRaised { .. } => "floor-not-raised",
            Self::FloorAboveActive { .. } => "floor-above-active",
            Self::Percent { .. } => "percent-out-of-range",
            Self::Soak { .. } => "soak-out-of-range",
            Self::NoReason => "no-reason",
            Self::SequenceExhausted => "sequence-exhausted",
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NothingPublished => "publish a version first",
            Self::BadIndex(_) | Self::NotWritable(_) | Self::SequenceExhausted => {
                "restore releases.json from the last good one"
            }
            Self::TooLarge { .. } => "keep fewer versions, or shorten reasons",
            Self::AlreadyPublished { .. } => {
                "nothing is to do; to make a listed version active, use release promote or rollback"
            }
            Self::VersionTaken { .. } => "raise \"version\" in the source manifest and build again",
            Self::UnknownVersion { .. } => "see the listed versions with release status",
            Self::Revoked { .. } => "name another version, or publish a new one",
            Self::BelowFloor { .. } => "name a version that is not below the floor",
            Self::NotAboveActive { .. } => "to go back to a lower version, use release rollback",
            Self::NotBelowActive { .. } => "to go on to a higher version, use release promote",
            Self::NoCanary => "name the version, or start a canary first",
            Self::NothingLeft => {
                "publish a good version first; only revoke goes on all the same, with --even-if-nothing-serves"
            }
            Self::FloorNotRaised { .. } => "name a higher version",
            Self::FloorAboveActive { .. } => "promote the version first, then raise the floor",
            Self::Percent { .. } => "say how many of a hundred people get it",
            Self::Soak { .. } => "name a shorter time",
            Self::NoReason => "say why with --reason; people on call will read it",
        }
    }
}
