//! What the loader says of its work in `<ARTIFACTS_DIR>/.loader/status.json` (contract §12).
//!
//! Another program writes it, maybe of another version. So what is missing or of another type is left out, and
//! nothing of it decides what serves.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pilar_artifact::Limits;
use pilar_artifact::json::parse_object;
use pilar_artifact::loader_status::LoaderError;
use pilar_artifact::verify::{ReadArtifact as _, ReadError};
use pilar_store::FeatureDir;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// Where it is, in the artifacts directory.
const DIRECTORY: &str = ".loader";
const FILE: &str = "status.json";

/// So many bytes of the file are looked at; a larger one is none.
const MOST_BYTES: u64 = 1 << 20;

/// So many features are taken from it.
const MOST_FEATURES: usize = 1000;

/// Longer texts are cut.
const MOST_CHARACTERS: usize = 400;

/// What the loader last wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoaderStatus {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Each feature that it looks after, by id.
    #[serde(serialize_with = "by_id")]
    pub features: Vec<LoaderFeature>,
    /// Why the file could not be read, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A feature that the loader looks after.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoaderFeature {
    /// The feature.
    #[serde(skip)]
    pub feature_id: String,
    /// The digest that is registered.
    pub desired: Option<String>,
    /// The digest that is in place.
    pub actual: Option<String>,
    /// Where it comes from: `image` or `cdn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// How often it was tried since it last succeeded.
    pub attempts: u64,
    /// Why it did not succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LoaderError>,
    /// When it was last tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempt_at: Option<Timestamp>,
    /// When it last succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Timestamp>,
    /// How long that took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// As the file has them: an object by id.
fn by_id<S: Serializer>(features: &[LoaderFeature], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(features.iter().map(|feature| (&feature.feature_id, feature)))
}

impl LoaderStatus {
    /// Where the file is.
    pub fn path(artifacts_dir: &Path) -> PathBuf {
        artifacts_dir.join(DIRECTORY).join(FILE)
    }

    /// Reads the file, if there is one. No link leads elsewhere.
    pub fn read(artifacts_dir: &Path) -> Option<Self> {
        let directory = match FeatureDir::open(&artifacts_dir.join(DIRECTORY)) {
            Ok(directory) => directory,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => return Some(Self::unreadable(error.to_string())),
        };
        match directory.read(FILE, MOST_BYTES) {
            Ok(bytes) => Some(Self::parse(&bytes)),
            Err(ReadError::Missing) => None,
            Err(error) => Some(Self::unreadable(error.to_string())),
        }
    }

    /// Reads the content of the file.
    pub fn parse(bytes: &[u8]) -> Self {
        // Larger than MOST_BYTES is refused here too.
        match parse_object(bytes, &Limits::default()) {
            Ok(document) => Self::of(&document),
            Err(error) => Self::unreadable(error.to_string()),
        }
    }

    /// A file that could not be read.
    fn unreadable(problem: String) -> Self {
        Self { problem: Some(problem), ..Self::default() }
    }

    /// What it says of a feature.
    pub fn feature(&self, id: &str) -> Option<&LoaderFeature> {
        self.features.iter().find(|feature| feature.feature_id == id)
    }

    fn of(document: &Map<String, Value>) -> Self {
        let listed = document.get("features").and_then(Value::as_object);
        let mut features: Vec<LoaderFeature> = listed
            .into_iter()
            .flatten()
            .take(MOST_FEATURES)
            .filter_map(|(id, value)| Some(LoaderFeature::of(id, value.as_object()?)))
            .collect();
        features.sort_by(|one, other| one.feature_id.cmp(&other.feature_id));
        Self { updated_at: time(document, "updatedAt"), features, problem: None }
    }
}

impl LoaderFeature {
    /// Whether an image is registered: then the registered digest says which index is the right one, and an older
    /// one is a rollback (contract §4).
    pub fn is_image(&self) -> bool {
        self.origin.as_deref() == Some("image")
    }

    /// Whether what is registered is in place.
    pub fn has_converged(&self) -> bool {
        self.desired == self.actual && self.last_error.is_none()
    }

    fn of(id: &str, fields: &Map<String, Value>) -> Self {
        let number = |name: &str| fields.get(name).and_then(Value::as_u64);
        Self {
            feature_id: cut(id),
            desired: text(fields, "desired"),
            actual: text(fields, "actual"),
            origin: text(fields, "origin"),
            attempts: number("attempts").unwrap_or(0),
            last_error: fields.get("lastError").and_then(Value::as_object).and_then(error),
            last_attempt_at: time(fields, "lastAttemptAt"),
            last_success_at: time(fields, "lastSuccessAt"),
            duration_ms: number("durationMs"),
        }
    }
}

fn error(fields: &Map<String, Value>) -> Option<LoaderError> {
    let text = |name| text(fields, name);
    Some(LoaderError {
        code: text("code").unwrap_or_default(),
        message: text("message")?,
        remedy: text("remedy").unwrap_or_default(),
    })
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(cut)
}

fn time(fields: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    fields.get(name)?.as_str()?.parse().ok()
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_strange_is_left_out() {
        let status = LoaderStatus::parse(
            br#"{ "updatedAt": 7, "more": [], "features": {
                "notes": { "desired": "sha256:aa", "actual": "sha256:aa", "attempts": -1, "durationMs": 12 },
                "broken": [], "alpha": { "desired": "sha256:bb", "lastError": { "code": "unreachable", "message": "no route" } } } }"#,
        );
        let ids: Vec<&str> = status.features.iter().map(|one| one.feature_id.as_str()).collect();
        assert_eq!(
            (ids, status.updated_at, &status.problem),
            (vec!["alpha", "notes"], None, &None)
        );
        let notes = status.feature("notes").unwrap();
        assert!(notes.has_converged() && notes.attempts == 0 && notes.duration_ms == Some(12));
        assert!(!status.feature("alpha").unwrap().has_converged());
    }

    #[test]
    fn no_file_is_too_bad_or_too_large_to_be_shown_as_such() {
        for bytes in [&b"[]"[..], b"{", b"\xff", &vec![b'['; 200_000], &vec![b' '; 2 << 20]] {
            let status = LoaderStatus::parse(bytes);
            assert!(status.problem.is_some() && status.features.is_empty());
        }
        let long = format!(
            r#"{{"features":{{"a":{{"lastError":{{"message":"{}\n"}}}}}}}}"#,
            "é".repeat(5000)
        );
        let status = LoaderStatus::parse(long.as_bytes());
        let error = &status.feature("a").unwrap().last_error.as_ref().unwrap().message;
        assert_eq!(error.chars().count(), MOST_CHARACTERS);
    }
}
