//! What the loader beside this host says of its work (contract §12), for whoever shows it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pilar_artifact::loader_status::{
    LOADER_STATUS_BYTES, LOADER_STATUS_FILE, LoaderFeature, LoaderStatus,
};
use pilar_artifact::verify::{ReadArtifact as _, ReadError};
use pilar_store::FeatureDir;
use serde::Serialize;

/// What the loader last wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LoaderReport {
    /// What it says; nothing where that could not be read.
    #[serde(flatten)]
    pub status: LoaderStatus,
    /// Why the file could not be read, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl LoaderReport {
    /// Where the file is.
    pub fn path(artifacts_dir: &Path) -> PathBuf {
        artifacts_dir.join(LOADER_STATUS_FILE)
    }

    /// Reads the file, if there is one. No link leads elsewhere.
    pub fn read(artifacts_dir: &Path) -> Option<Self> {
        let (directory, file) = LOADER_STATUS_FILE.split_once('/')?;
        let directory = match FeatureDir::open(&artifacts_dir.join(directory)) {
            Ok(directory) => directory,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => return Some(Self::unreadable(error.to_string())),
        };
        match directory.read(file, LOADER_STATUS_BYTES as u64) {
            Ok(bytes) => Some(Self::of(&bytes)),
            Err(ReadError::Missing) => None,
            Err(error) => Some(Self::unreadable(error.to_string())),
        }
    }

    /// Reads the content of the file.
    pub fn of(bytes: &[u8]) -> Self {
        match LoaderStatus::from_bytes(bytes) {
            Ok(status) => Self { status, problem: None },
            Err(error) => Self::unreadable(error.to_string()),
        }
    }

    fn unreadable(problem: String) -> Self {
        Self { status: LoaderStatus::default(), problem: Some(problem) }
    }

    /// What it says of a feature.
    pub fn feature(&self, id: &str) -> Option<&LoaderFeature> {
        self.status.features.get(&id.parse().ok()?)
    }

    /// How many seconds ago it wrote this; none where it does not say.
    pub fn age_seconds(&self, now: Timestamp) -> Option<u64> {
        self.status.updated_at.map(|written| age(written, now))
    }

    /// For how many seconds it has not heard from where registrations come from; none where it never did, or does
    /// not say.
    pub fn contact_age_seconds(&self, now: Timestamp) -> Option<u64> {
        self.status.source.last_contact_at.map(|heard| age(heard, now))
    }
}

/// A clock that was set back makes nothing younger than new.
fn age(at: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_second() - at.as_second()).unwrap_or(0)
}
