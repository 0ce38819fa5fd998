//! The release index `releases.json` (contract §4).

mod rules;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::digest::EntryDigest;
use crate::manifest::{MANIFEST_MARK, ManifestProblem, refuse_kind, typed};
use crate::{FeatureId, Limits, SigningKey};

pub use rules::IndexProblem;

/// The channel that `activeVersion` follows.
pub const STABLE: &str = "stable";
/// The channel of a version that is tried on a part of the people.
pub const CANARY: &str = "canary";

/// Which versions of a feature exist and which one serves. Unknown fields are kept when the next index is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseIndex {
    /// `1`; taken as 1 where absent.
    #[serde(default = "schema_version")]
    pub schema_version: u32,
    /// Equals the directory.
    pub feature_id: FeatureId,
    /// Grows with every write; at least 1.
    pub sequence: u64,
    /// The version that serves; listed in `versions`.
    #[schemars(with = "String")]
    pub active_version: Version,
    /// Every version that may serve, unique and descending.
    pub versions: Vec<IndexEntry>,
    /// No automatic fallback goes below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub minimum_version: Option<Version>,
    /// Channel → version; `stable` equals `activeVersion`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub channels: BTreeMap<String, Version>,
    /// A version on its way to everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// What was done, newest first, bounded.
    #[serde(default)]
    pub history: Vec<HistoryEntry>,
    /// After it a remote index is stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
    /// Fields that this version of the library does not know.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: Map<String, Value>,
}

/// One version of the index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IndexEntry {
    /// The version.
    #[schemars(with = "String")]
    pub version: Version,
    /// SHA-256 over the exact bytes of its `manifest.json`.
    pub manifest_sha256: EntryDigest,
    /// SHA-256 over its server module, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_functions_sha256: Option<EntryDigest>,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// Set when it must never serve again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revocation>,
    /// Fields that this version of the library does not know.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: Map<String, Value>,
}

/// Where a version came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// When it was built.
    #[schemars(with = "String")]
    pub built_at: Timestamp,
    /// The commit it was built from; empty where unknown.
    #[serde(default)]
    pub git_sha: String,
    /// Who or what published it; empty where unknown.
    #[serde(default)]
    pub actor: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The ticket that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

/// Why and since when a version must not serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revocation {
    /// Why.
    pub reason: String,
    /// Since when.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// A version on its way to everybody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The version.
    #[schemars(with = "String")]
    pub version: Version,
    /// Part of the people who get it, 0 to 100.
    #[schemars(range(min = 0, max = 100))]
    pub percent: u8,
    /// Since when.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// How long to watch it before it is promoted, in seconds.
    pub soak_seconds: u64,
}

/// What was done to the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// The sequence that this made.
    pub sequence: u64,
    /// `publish`, `canary`, `promote`, `rollback`, `fallback`, `revoke` or `raise-floor`.
    pub action: String,
    /// The version it was about.
    #[schemars(with = "String")]
    pub version: Version,
    /// The version that was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub from: Option<Version>,
    /// Who or what did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The ticket that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

impl ReleaseIndex {
    /// Reads the shape of an index; its rules are checked by [`ReleaseIndex::check`].
    ///
    /// # Errors
    /// [`ManifestProblem`] naming the field.
    pub fn from_document(document: &Map<String, Value>) -> Result<Self, ManifestProblem> {
        refuse_kind(document, &[MANIFEST_MARK])?;
        let mut index: Self = typed(document)?;
        // The signature belongs to the bytes it was read from, not to the next index.
        index.unknown.shift_remove("signature");
        index.channels.entry(STABLE.to_owned()).or_insert_with(|| index.active_version.clone());
        Ok(index)
    }

    /// Checks every rule of contract §4 that needs no other file.
    ///
    /// # Errors
    /// [`IndexProblem`] naming the field.
    pub fn check(&self, directory: &FeatureId, limits: &Limits) -> Result<(), IndexProblem> {
        rules::check(self, directory, limits)
    }

    /// The entry of a version.
    pub fn entry(&self, version: &Version) -> Option<&IndexEntry> {
        self.versions.iter().find(|entry| entry.version == *version)
    }

    /// The version of the canary channel.
    pub fn canary(&self) -> Option<&Version> {
        self.channels.get(CANARY)
    }

    /// Whether `version` is below the floor for automatic fallback.
    pub fn is_below_floor(&self, version: &Version) -> bool {
        self.minimum_version.as_ref().is_some_and(|floor| version.cmp_precedence(floor).is_lt())
    }

    /// The signed index as it is written to `releases.json`.
    ///
    /// # Errors
    /// [`ManifestProblem`] should a field not be representable in JSON, which none of these types is.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, ManifestProblem> {
        match serde_json::to_value(self) {
            Ok(Value::Object(document)) => Ok(key.sign_to_bytes(document)),
            Ok(_) => Err(ManifestProblem::new("(document)", "it is not an object")),
            Err(error) => Err(ManifestProblem::new("(document)", error.to_string())),
        }
    }
}

fn schema_version() -> u32 {
    1
}
