//! What is known of a feature: which version serves, and why.

use std::sync::Arc;

use jiff::Timestamp;
use pilar_artifact::manifest::Mount;
use pilar_artifact::select::{Attempt, Outcome};
use pilar_artifact::verify::{Failure, Report, Step};
use pilar_artifact::{FeatureId, Rejection, ReleaseIndex, Sha256Digest};
use semver::Version;

use super::load::LoadedVersion;

/// A feature at one moment.
#[derive(Debug, Clone)]
pub struct FeatureState {
    /// The feature.
    pub id: FeatureId,
    /// Its release index, or why that was refused.
    pub index: Result<IndexFacts, IndexTrouble>,
    /// The version that was picked. It serves unless another feature has its prefix: see
    /// [`FeatureState::serving`].
    pub picked: Option<Arc<LoadedVersion>>,
    /// In one word, how that compares to what was released.
    pub standing: Standing,
    /// Every version of the index with what came of it; empty where the index was refused.
    pub attempts: Vec<Attempt>,
    /// Where a domain feature lives, as far as a signature vouches for it.
    pub mount: Option<Mount>,
    /// The feature that has its URL prefix.
    pub conflict: Option<FeatureId>,
    /// The key of the manifest that was picked, where its time has ended since and no other signature counts.
    pub key_expired: Option<KeyExpired>,
}

impl FeatureState {
    /// The version that serves.
    pub fn serving(&self) -> Option<&Arc<LoadedVersion>> {
        self.picked.as_ref().filter(|_| self.conflict.is_none())
    }

    /// Whether what serves would be refused after a restart, because a key has ended.
    pub fn serves_on_an_ended_key(&self) -> bool {
        let index_refused = matches!(&self.index, Err(IndexTrouble::Rejected(rejection))
            if rejection.code() == "key-expired");
        self.serving().is_some() && (self.key_expired.is_some() || index_refused)
    }

    /// What is refused now: the version, or none for the index, and the code of the check.
    pub fn refused(&self) -> impl Iterator<Item = (Option<&Version>, &'static str)> {
        let index = self.index.as_ref().err().map(|trouble| (None, trouble.code()));
        let versions = self.attempts.iter().filter_map(|attempt| match &attempt.outcome {
            Outcome::Rejected(rejection) => Some((Some(&attempt.version), rejection.code())),
            _ => None,
        });
        index.into_iter().chain(versions)
    }

    /// The highest sequence that an index of this feature had in this process, where that of now is lower.
    pub fn sequence_went_down_from(&self) -> Option<u64> {
        self.index.as_ref().ok()?.sequence_went_down_from
    }
}

/// A key whose time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyExpired {
    /// Its id.
    pub key_id: String,
    /// When it ended.
    pub not_after: Timestamp,
}

/// What a verified index says.
#[derive(Debug, Clone)]
pub struct IndexFacts {
    /// The index, in which stays revoked what was revoked before.
    pub index: Arc<ReleaseIndex>,
    /// The highest sequence so far, where this one is lower: an older index was put in place.
    pub sequence_went_down_from: Option<u64>,
    /// The key that signed it.
    pub key_id: String,
    /// When that key ends, if it does.
    pub key_not_after: Option<Timestamp>,
    /// The digest of its exact bytes.
    pub sha256: Sha256Digest,
}

/// Why there is no verified index.
#[derive(Debug, Clone)]
pub enum IndexTrouble {
    /// A check failed.
    Rejected(Rejection),
    /// The directory could not be opened.
    Directory(String),
    /// Something else took the place of the directory.
    NotADirectory,
}

impl IndexTrouble {
    const DIRECTORY: &str = "directory-unreadable";
    const NOT_A_DIRECTORY: &str = "not-a-directory";

    /// Every code that an index or a version can be refused with.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        Failure::codes().chain([Self::DIRECTORY, Self::NOT_A_DIRECTORY])
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.code(),
            Self::Directory(_) => Self::DIRECTORY,
            Self::NotADirectory => Self::NOT_A_DIRECTORY,
        }
    }

    /// The refusal as operators see it. Trouble with the directory counts as step 1: its index could not be
    /// read.
    pub fn report(&self, feature: &FeatureId) -> Report {
        let directory = |message: String, remedy: &str| Report {
            code: self.code().to_owned(),
            step: Step::IndexRead.number(),
            check: Step::IndexRead.name().to_owned(),
            file: feature.to_string(),
            message,
            remedy: remedy.to_owned(),
        };
        match self {
            Self::Rejected(rejection) => rejection.report(),
            Self::Directory(message) => directory(
                format!("the directory could not be opened: {message}"),
                "let the user of this process read the artifacts directory",
            ),
            Self::NotADirectory => directory(
                "a link or a file took the place of the directory".to_owned(),
                "put the directory itself back, or remove the name to take the feature out",
            ),
        }
    }
}

/// How what serves compares to what was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The released version serves.
    AsReleased,
    /// A lower version serves, because the released one cannot.
    Fallback,
    /// The refresh failed; the version from before goes on serving.
    LastGood,
    /// Nothing serves.
    NothingToServe,
    /// Another feature has its prefix.
    Conflict,
}

impl Standing {
    /// All there are, the good one first.
    pub const ALL: [Self; 5] =
        [Self::AsReleased, Self::Fallback, Self::LastGood, Self::NothingToServe, Self::Conflict];

    /// The word that operators see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsReleased => "as-released",
            Self::Fallback => "fallback",
            Self::LastGood => "last-good",
            Self::NothingToServe => "nothing-to-serve",
            Self::Conflict => "conflict",
        }
    }
}

/// Something in the artifacts directory that is no feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Its name.
    pub name: String,
    /// The stable code.
    pub code: &'static str,
    /// Why it is ignored and what to do.
    pub message: String,
}
