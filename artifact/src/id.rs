//! Feature identifiers.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The id of a feature: `^[a-z][a-z0-9-]{0,62}$` (contract §3), or the reserved [`FeatureId::SHARED`].
///
/// It is a directory name, a URL segment and an element of log lines, so nothing outside this alphabet is
/// ever constructed.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^([a-z][a-z0-9-]{0,62}|_shared)$"))]
pub struct FeatureId(String);

impl FeatureId {
    /// The id under which the set of shared packages is released. It cannot clash with a feature: those
    /// start with a letter.
    pub const SHARED: &'static str = "_shared";

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the set of shared packages and not a feature.
    pub fn is_shared_set(&self) -> bool {
        self.0 == Self::SHARED
    }
}

impl FromStr for FeatureId {
    type Err = FeatureIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = text.bytes();
        let head = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        let tail = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if (head && tail && text.len() <= 63) || text == Self::SHARED {
            Ok(Self(text.to_owned()))
        } else {
            Err(FeatureIdError { found: text.chars().take(80).collect() })
        }
    }
}

impl TryFrom<String> for FeatureId {
    type Error = FeatureIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<FeatureId> for String {
    fn from(id: FeatureId) -> Self {
        id.0
    }
}

impl fmt::Display for FeatureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that is not a feature id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{found}\" is not a feature id: use a lower-case letter, then up to 62 lower-case letters, digits or hyphens"
)]
pub struct FeatureIdError {
    found: String,
}
