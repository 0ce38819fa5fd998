//! What the loader says of its work, in `<ARTIFACTS_DIR>/.loader/status.json` (contract §12).
//!
//! It is for people and dashboards: it is not signed, and nothing of it decides what serves.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::FeatureId;

/// Where it is, in the artifacts directory.
pub const LOADER_STATUS_FILE: &str = ".loader/status.json";

/// Everything that the loader says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoaderStatus {
    /// When it was written.
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    /// Where registrations come from.
    pub source: SourceStatus,
    /// Each feature that the loader looks after.
    pub features: BTreeMap<FeatureId, LoaderFeature>,
    /// Registrations that are not acceptable. What was taken from such a place before stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedRegistration>,
}

/// Where registrations come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// `kubernetes`, `directory` or `command`.
    pub kind: String,
    /// When it was last heard from, as of `updatedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_contact_at: Option<Timestamp>,
    /// Why it is not heard from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<LoaderError>,
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoaderFeature {
    /// The image digest or CDN base URL that is registered; absent while the feature is being taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
    /// The one that is in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// Who says which release index is the right one: `image`, the registered digest, so that an older index is a
    /// rollback; `cdn`, the sequence of the index itself, which never goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginKind>,
    /// The ConfigMap or file that registers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_in: Option<String>,
    /// The digest of the release index that is in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_sha256: Option<String>,
    /// The sequence of that index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The active version of that index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub active_version: Option<Version>,
    /// How often it was tried since it last succeeded.
    pub attempts: u64,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LoaderError>,
    /// When it was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_attempt_at: Option<Timestamp>,
    /// When it last succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_success_at: Option<Timestamp>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub next_attempt_at: Option<Timestamp>,
    /// How long the last success took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How many bytes came over the network for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transferred_bytes: Option<u64>,
}

/// What kind of place an artifact comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OriginKind {
    /// An image at a digest.
    Image,
    /// A CDN base URL.
    Cdn,
}

/// A registration that is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedRegistration {
    /// The ConfigMap or file.
    pub place: String,
    /// The feature that it names, where that much could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_id: Option<FeatureId>,
    /// Why.
    pub error: LoaderError,
}

/// What went wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoaderError {
    /// The stable code.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl LoaderStatus {
    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Maps with text as keys, text and numbers: nothing in it can fail to be written.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}
