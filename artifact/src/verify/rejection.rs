//! Why something was refused.

use std::fmt;

use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::{ReadError, Step};
use crate::codes::codes;
use crate::index::{IndexProblem, Revocation};
use crate::json::JsonError;
use crate::manifest::ManifestProblem;
use crate::signature::SignatureError;
use crate::{FeatureId, RELEASES_FILE, Sha256Digest, text};

/// A refusal: which check failed, on which file, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection(Box<Details>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    step: Step,
    feature: FeatureId,
    version: Option<Version>,
    file: String,
    failure: Failure,
}

impl Rejection {
    pub(super) fn new(
        step: Step,
        feature: &FeatureId,
        version: Option<&Version>,
        file: &str,
        failure: Failure,
    ) -> Self {
        Self(Box::new(Details {
            step,
            feature: feature.clone(),
            version: version.cloned(),
            file: file.to_owned(),
            failure,
        }))
    }

    /// Step 13, for those who hold the bytes: a verified version that could not be kept.
    pub fn not_stored(feature: &FeatureId, version: &Version, message: String) -> Self {
        let file = format!("{version}/{}", crate::MANIFEST_FILE);
        Self::new(Step::Files, feature, Some(version), &file, Failure::NotStored { message })
    }

    /// The check that failed.
    pub fn step(&self) -> Step {
        self.0.step
    }

    /// The feature it is about.
    pub fn feature(&self) -> &FeatureId {
        &self.0.feature
    }

    /// The version it is about; `None` where the index itself was refused.
    pub fn version(&self) -> Option<&Version> {
        self.0.version.as_ref()
    }

    /// The file it is about, relative to the feature's directory.
    pub fn file(&self) -> &str {
        &self.0.file
    }

    /// What went wrong.
    pub fn failure(&self) -> &Failure {
        &self.0.failure
    }

    /// What went wrong, in words that are fit for a log line.
    pub fn message(&self) -> String {
        text::for_people(&self.0.failure.to_string())
    }

    /// The stable code, for machines and search engines.
    pub fn code(&self) -> &'static str {
        self.0.failure.code()
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self.0.failure {
            // An index has no number, and is made by the tool: it has no source to correct.
            Failure::Read(ReadError::Missing | ReadError::NotRegular)
            | Failure::Json(_)
            | Failure::Schema(_)
                if self.0.file == RELEASES_FILE =>
            {
                unless_mended(INDEX_AGAIN)
            }
            _ => self.0.failure.remedy(),
        }
    }

    /// The refusal as JSON shows it.
    pub fn report(&self) -> Report {
        Report {
            code: self.code().to_owned(),
            step: self.0.step.number(),
            check: self.0.step.name().to_owned(),
            file: format!("{}/{}", self.0.feature, self.0.file),
            message: self.message(),
            remedy: self.remedy(),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}: {} (step {}, {}, code {})",
            self.0.feature,
            self.0.file,
            self.message(),
            self.0.step.number(),
            self.0.step.name(),
            self.code()
        )
    }
}

impl std::error::Error for Rejection {}

/// A refusal in the words of `/_health`, `pilar inspect --json` and the logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The stable code.
    pub code: String,
    /// The number of the check in `docs/verification.md`.
    pub step: u8,
    /// The name of the check.
    pub check: String,
    /// The file, relative to the artifacts directory.
    pub file: String,
    /// What went wrong, with what was expected and found.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// What went wrong in a check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Steps 1, 7 and 13: a file could not be read.
    #[error("{0}")]
    Read(ReadError),
    /// Steps 2 and 8: not strict JSON.
    #[error("{0}")]
    Json(JsonError),
    /// Steps 3 and 9: no signature that counts.
    #[error("{0}")]
    Signature(SignatureError),
    /// Steps 4 and 10: a field of the wrong shape.
    #[error("{0}")]
    Schema(ManifestProblem),
    /// Step 5: a rule of contract §4 is broken.
    #[error("{0}")]
    Index(IndexProblem),
    /// Step 6: not in the index.
    #[error("the version is not listed in the index")]
    NotListed,
    /// Step 6: taken back.
    #[error("the version was revoked at {}: {}", .0.at, .0.reason)]
    Revoked(Revocation),
    /// Step 7: other bytes than the index names.
    #[error("its SHA-256 is {found}, the index says {expected}")]
    ManifestHash {
        /// What the index says.
        expected: Sha256Digest,
        /// What the bytes are.
        found: Sha256Digest,
    },
    /// Step 11: a manifest of another feature.
    #[error("field id: it says \"{found}\", the index says \"{expected}\"")]
    IdMismatch {
        /// What the index says.
        expected: FeatureId,
        /// What the manifest says.
        found: FeatureId,
    },
    /// Step 11: a manifest of another version.
    #[error("field version: it says {found}, the directory and the index say {expected}")]
    VersionMismatch {
        /// What directory and index say.
        expected: Version,
        /// What the manifest says.
        found: Version,
    },
    /// Step 11: another server module than the index names.
    #[error("field serverFunctions.module: {}, the index says {expected}",
        .found.map_or_else(|| "there is none".to_owned(), |digest| format!("its SHA-256 is {digest}")))]
    ServerFunctionsHash {
        /// What the index says.
        expected: Sha256Digest,
        /// What the manifest says, if it has a module.
        found: Option<Sha256Digest>,
    },
    /// Step 12: made for a newer host.
    #[error("field requirements.minHostVersion: it needs host {needs}, this is {host}")]
    HostTooOld {
        /// What the manifest needs.
        needs: Version,
        /// What the host is.
        host: Version,
    },
    /// Step 13: other bytes than the manifest names.
    #[error("its SHA-256 is {found}, the manifest says {expected}")]
    FileHash {
        /// What the manifest says.
        expected: Sha256Digest,
        /// What the bytes are.
        found: Sha256Digest,
    },
    /// Step 13: more bytes than allowed in one version.
    #[error("the files of the version are larger than {limit} bytes together")]
    VersionTooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Step 13: the verified bytes could not be kept.
    #[error("the verified bytes could not be stored: {message}")]
    NotStored {
        /// What the operating system said.
        message: String,
    },
}

codes!(Failure {
    Self::Schema(_) => "schema",
    Self::NotListed => "version-not-listed",
    Self::Revoked(_) => "version-revoked",
    Self::ManifestHash { .. } => "manifest-hash",
    Self::IdMismatch { .. } => "id-mismatch",
    Self::VersionMismatch { .. } => "version-mismatch",
    Self::ServerFunctionsHash { .. } => "server-functions-hash",
    Self::HostTooOld { .. } => "host-too-old",
    Self::FileHash { .. } => "file-hash",
    Self::VersionTooLarge { .. } => "version-too-large",
    Self::NotStored { .. } => "not-stored",
} nested {
    Read: ReadError,
    Json: JsonError,
    Signature: SignatureError,
    Index: IndexProblem,
});

/// A version directory is never rewritten by those who publish.
const VERSION_AGAIN: &str = "publish the version again under a new number";
const INDEX_AGAIN: &str = "restore the last good releases.json, or publish again with pilar";

/// What to do about bytes that a loader puts right where they were good when it placed them.
fn unless_mended(otherwise: &str) -> String {
    format!(
        "a loader mends what was damaged in its tree, at once if restarted; otherwise {otherwise}"
    )
}

impl Failure {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Read(ReadError::Missing) | Self::ManifestHash { .. } | Self::FileHash { .. } => {
                unless_mended(VERSION_AGAIN)
            }
            Self::Read(ReadError::NotRegular) => {
                unless_mended("publish regular files instead of links, under a new number")
            }
            Self::Read(ReadError::TooLarge { .. }) | Self::VersionTooLarge { .. } => {
                "make the artifact smaller, or raise the limit of this program".into()
            }
            Self::Read(ReadError::Failed { .. }) => {
                "let the user of this process read the artifacts directory; behind a URL, see why the server refuses".into()
            }
            Self::Signature(error) => error.remedy().into(),
            Self::Json(_) | Self::Schema(_) => {
                "correct the source manifest and publish it again with pilar".into()
            }
            Self::Index(_) => unless_mended(INDEX_AGAIN),
            Self::NotListed => "publish the version, or name one that the index lists".into(),
            Self::Revoked(_) => "publish a new version; a revoked one never serves again".into(),
            Self::ServerFunctionsHash { .. } => VERSION_AGAIN.into(),
            Self::IdMismatch { .. } | Self::VersionMismatch { .. } => {
                "put the version into its own directory with pilar publish".into()
            }
            Self::HostTooOld { needs, .. } => format!("upgrade the host to {needs} or later"),
            Self::NotStored { .. } => "give the process more memory, then refresh".into(),
        }
    }
}
