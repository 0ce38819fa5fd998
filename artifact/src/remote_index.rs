//! The remote index `remote-index.json` (contract §4): the features of a CDN.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::json::{JsonError, parse_object};
use crate::manifest::{INDEX_MARK, MANIFEST_MARK, ManifestProblem, refuse_kind, typed};
use crate::signature::{SignatureError, SignatureField};
use crate::{FeatureId, Limits, TrustedKeys, signature};

/// The features of a CDN and where each of them lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoteIndex {
    /// `1`.
    pub schema_version: u32,
    /// Grows with every write; at least 1.
    pub sequence: u64,
    /// When it was made.
    #[schemars(with = "String")]
    pub generated_at: Timestamp,
    /// After it the index is stale: what serves goes on serving, with a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
    /// The features, each once.
    pub features: Vec<RemoteFeature>,
    /// The signature, verified over the document this was read from.
    pub signature: SignatureField,
}

/// One feature of a CDN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoteFeature {
    /// The feature.
    pub feature_id: FeatureId,
    /// Where its `releases.json` lives: relative to the remote index, or absolute.
    pub base_url: String,
}

impl RemoteIndex {
    /// Reads and verifies a remote index: strict JSON, signature, shape, rules, in this order.
    ///
    /// # Errors
    /// [`RemoteIndexError`].
    pub fn verify(
        bytes: &[u8],
        keys: &TrustedKeys,
        now: Timestamp,
        limits: &Limits,
    ) -> Result<Self, RemoteIndexError> {
        let document: Map<String, Value> = parse_object(bytes, limits)?;
        signature::verify(&document, None, keys, now, limits)?;
        refuse_kind(&document, &[MANIFEST_MARK, INDEX_MARK])?;
        let index: Self = typed(&document)?;
        index.check()?;
        Ok(index)
    }

    /// Whether its time is over at `now`.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now > end)
    }

    fn check(&self) -> Result<(), ManifestProblem> {
        if self.schema_version != 1 {
            let problem = format!("{} is not 1", self.schema_version);
            return Err(ManifestProblem::new("schemaVersion", problem));
        }
        if self.sequence == 0 {
            return Err(ManifestProblem::new("sequence", "it starts at 1"));
        }
        let mut seen = BTreeSet::new();
        for (position, feature) in self.features.iter().enumerate() {
            if !seen.insert(&feature.feature_id) {
                let problem = format!("{} is listed twice", feature.feature_id);
                return Err(ManifestProblem::new(
                    format!("features[{position}].featureId"),
                    problem,
                ));
            }
            if feature.base_url.trim().is_empty() {
                let field = format!("features[{position}].baseUrl");
                return Err(ManifestProblem::new(field, "it is empty"));
            }
        }
        Ok(())
    }
}

/// Why a remote index is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteIndexError {
    /// Not strict JSON.
    #[error("remote-index.json: {0}")]
    Json(#[from] JsonError),
    /// No signature that counts.
    #[error("remote-index.json: {0}")]
    Signature(#[from] SignatureError),
    /// A field of the wrong shape, or a broken rule.
    #[error("remote-index.json: {0}")]
    Schema(#[from] ManifestProblem),
}

impl RemoteIndexError {
    /// The stable code of this problem.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json(error) => error.code(),
            Self::Signature(error) => error.code(),
            Self::Schema(_) => "schema",
        }
    }
}
