//! Trusted public keys (contract §5).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey as _;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wildmatch::WildMatch;

use crate::json::{JsonError, parse_object};
use crate::{FeatureId, Limits};

/// The keys whose signatures count, by key id.
#[derive(Debug, Clone, Default)]
pub struct TrustedKeys {
    keys: BTreeMap<String, TrustedKey>,
}

/// One trusted key and what it may sign.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    key: VerifyingKey,
    features: Option<Vec<WildMatch>>,
    not_after: Option<Timestamp>,
}

impl TrustedKeys {
    /// Reads the map of `FEATURE_TRUST_PUBLIC_KEYS_JSON` or the file of `FEATURE_TRUST_PUBLIC_KEYS_PATH`.
    ///
    /// # Errors
    /// [`KeysError`] naming the key id and what is wrong with it. One bad key refuses the whole map: a typo
    /// must not silently drop a key that somebody relies on.
    pub fn from_json(bytes: &[u8], limits: &Limits) -> Result<Self, KeysError> {
        let map = parse_object(bytes, limits).map_err(KeysError::Json)?;
        if map.is_empty() {
            return Err(KeysError::Empty);
        }
        let mut keys = BTreeMap::new();
        for (id, value) in map {
            let key = TrustedKey::from_json(value)
                .map_err(|problem| KeysError::Key { id: id.clone(), problem })?;
            keys.insert(id, key);
        }
        Ok(Self { keys })
    }

    /// The key with this id.
    pub fn get(&self, id: &str) -> Option<&TrustedKey> {
        self.keys.get(id)
    }

    /// All keys, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &TrustedKey)> {
        self.keys.iter().map(|(id, key)| (id.as_str(), key))
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Keeps the keys that `keep` says yes to and returns the ids of the others.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) -> Vec<String> {
        let (kept, dropped): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.keys).into_iter().partition(|(id, _)| keep(id));
        self.keys = kept;
        dropped.into_keys().collect()
    }
}

impl TrustedKey {
    /// The Ed25519 key.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// When the key ends, if it does.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.not_after
    }

    /// Whether the key may sign for `feature`. `None` stands for a document that is about no single feature
    /// (the remote index): only a key without a feature list signs it.
    pub fn may_sign_for(&self, feature: Option<&FeatureId>) -> bool {
        match (&self.features, feature) {
            (None, _) => true,
            (Some(globs), Some(id)) => globs.iter().any(|glob| glob.matches(id.as_str())),
            (Some(_), None) => false,
        }
    }

    fn from_json(value: Value) -> Result<Self, KeyProblem> {
        match serde_json::from_value(value) {
            Ok(KeyDocument::Text(text)) => {
                Ok(Self { key: parse_public_key(&text)?, features: None, not_after: None })
            }
            Ok(KeyDocument::Bound(bound)) => {
                let features = bound
                    .features
                    .map(|globs| globs.iter().map(|glob| WildMatch::new(glob)).collect::<Vec<_>>());
                if features.as_ref().is_some_and(Vec::is_empty) {
                    return Err(KeyProblem::NoFeature);
                }
                let key = parse_public_key(&bound.public_key)?;
                Ok(Self { key, features, not_after: bound.not_after })
            }
            Err(_) => Err(KeyProblem::Shape),
        }
    }
}

/// The file of trusted keys: key id → key.
pub type KeysDocument = BTreeMap<String, KeyDocument>;

/// One key as written: text, or an object that binds it to features and a time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum KeyDocument {
    /// SPKI PEM, base64 of SPKI DER, or base64 of the raw 32 bytes.
    Text(String),
    /// A key with bounds.
    Bound(BoundKey),
}

/// A key with bounds on what it may sign and until when.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BoundKey {
    /// SPKI PEM, base64 of SPKI DER, or base64 of the raw 32 bytes.
    pub public_key: String,
    /// Globs (`*`, `?`) over feature ids; absent: every feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    /// RFC 3339; the key verifies nothing after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub not_after: Option<Timestamp>,
}

/// The DER of an Ed25519 SubjectPublicKeyInfo is this prefix and the 32 bytes of the key (RFC 8410 §4).
const SPKI_BYTES: usize = 44;

fn parse_public_key(text: &str) -> Result<VerifyingKey, KeyProblem> {
    let text = text.trim();
    let key = if text.starts_with("-----BEGIN") {
        VerifyingKey::from_public_key_pem(text).map_err(|_| KeyProblem::Pem)?
    } else {
        let compact: String = text.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(compact).map_err(|_| KeyProblem::Base64)?;
        if let Ok(raw) = <[u8; 32]>::try_from(bytes.as_slice()) {
            VerifyingKey::from_bytes(&raw).map_err(|_| KeyProblem::Point)?
        } else if bytes.len() == SPKI_BYTES {
            VerifyingKey::from_public_key_der(&bytes).map_err(|_| KeyProblem::Der)?
        } else {
            return Err(KeyProblem::Length { found: bytes.len() });
        }
    };
    // Under a small-order key every message has a signature that anyone can write down.
    if key.is_weak() { Err(KeyProblem::Weak) } else { Ok(key) }
}

/// Why a map of trusted keys is refused.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The map is not strict JSON.
    #[error("the trusted keys are not acceptable: {0}")]
    Json(#[source] JsonError),
    /// There is no key in the map.
    #[error("there is no trusted key: add at least one \"keyId\": \"<public key>\"")]
    Empty,
    /// One key is unusable.
    #[error("trusted key \"{id}\": {problem}")]
    Key {
        /// The key id.
        id: String,
        /// What is wrong with it.
        #[source]
        problem: KeyProblem,
    },
}

impl KeysError {
    /// The stable code of this problem.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json(error) => error.code(),
            Self::Empty => "keys-empty",
            Self::Key { problem: KeyProblem::Weak, .. } => "key-weak",
            Self::Key { .. } => "key-malformed",
        }
    }
}

/// What is wrong with one key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// Neither text nor a known object.
    #[error(
        "write a string, or an object with \"publicKey\", \"features\" (list of globs) and \"notAfter\" (RFC 3339)"
    )]
    Shape,
    /// An empty feature list allows nothing, which nobody means.
    #[error(
        "\"features\" is empty, so the key could sign nothing: name at least one glob or leave the field out"
    )]
    NoFeature,
    /// A PEM that is not an Ed25519 SPKI.
    #[error("the PEM is not an Ed25519 public key (SPKI, \"BEGIN PUBLIC KEY\")")]
    Pem,
    /// Not base64.
    #[error("the text is neither PEM nor base64")]
    Base64,
    /// DER that is not an Ed25519 SPKI.
    #[error("the DER is not an Ed25519 public key (SPKI)")]
    Der,
    /// Neither a raw key nor an SPKI.
    #[error("the base64 holds {found} bytes: 32 (raw) or 44 (SPKI DER) are expected")]
    Length {
        /// Decoded length, in bytes.
        found: usize,
    },
    /// 32 bytes that are no point of the curve.
    #[error("the 32 bytes are not a point of the curve")]
    Point,
    /// A small-order point.
    #[error("the key is a small-order point, under which signatures prove nothing")]
    Weak,
}
