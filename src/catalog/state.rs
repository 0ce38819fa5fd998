//! What is known of a feature: which version serves, and why.

use std::sync::Arc;

use pilar_artifact::manifest::Mount;
use pilar_artifact::select::Attempt;
use pilar_artifact::verify::{Report, Step};
use pilar_artifact::{FeatureId, Rejection};
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
}

impl FeatureState {
    /// The version that serves.
    pub fn serving(&self) -> Option<&Arc<LoadedVersion>> {
        self.picked.as_ref().filter(|_| self.conflict.is_none())
    }
}

/// What a verified index says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFacts {
    /// Its sequence.
    pub sequence: u64,
    /// The version that should serve.
    pub desired: Version,
    /// The key that signed it.
    pub key_id: String,
}

/// Why there is no verified index.
#[derive(Debug, Clone)]
pub enum IndexTrouble {
    /// A check failed.
    Rejected(Rejection),
    /// The directory could not be opened.
    Directory(String),
}

impl IndexTrouble {
    /// The refusal as operators see it. That the directory could not be opened counts as step 1: its index
    /// could not be read.
    pub fn report(&self, feature: &FeatureId) -> Report {
        match self {
            Self::Rejected(rejection) => rejection.report(),
            Self::Directory(message) => Report {
                code: "directory-unreadable".to_owned(),
                step: Step::IndexRead.number(),
                check: Step::IndexRead.name().to_owned(),
                file: feature.to_string(),
                message: format!("the directory could not be opened: {message}"),
                remedy: "let the user of this process read the artifacts directory".to_owned(),
            },
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
