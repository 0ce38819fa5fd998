//! Signatures on documents: their forms and their verification (contract §5).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature as Ed25519Signature, VerifyingKey};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::canonical::signed_bytes;
use crate::codes::codes;
use crate::keys::TrustedKey;
use crate::{FeatureId, Limits, TrustedKeys};

/// The only algorithm.
pub const ALGORITHM: &str = "ed25519";

/// One signature as written. It is the one part of a document that no signature covers, so it holds these
/// three fields and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignatureObject {
    /// `ed25519`.
    pub algorithm: String,
    /// Which trusted key made it.
    pub key_id: String,
    /// Base64 of the 64 bytes.
    pub value: String,
}

/// The forms that the `signature` field takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SignatureField {
    /// One signature.
    One(SignatureObject),
    /// Several, by different keys: one good one is enough, which is how keys are rotated.
    Many(Vec<SignatureObject>),
    /// Read-only older form: base64, tried against every trusted key.
    Bare(String),
}

/// Verifies the `signature` of `document` and returns the id of the key that made it.
///
/// `feature` is the feature the document speaks for, `None` for the remote index. `now` decides about
/// `notAfter`.
///
/// # Errors
/// [`SignatureError`]. With several signatures one good one suffices; the error is that of the first one.
pub fn verify(
    document: &Map<String, Value>,
    feature: Option<&FeatureId>,
    keys: &TrustedKeys,
    now: Timestamp,
    limits: &Limits,
) -> Result<String, SignatureError> {
    let field = document.get("signature").ok_or(SignatureError::Missing)?;
    let field = SignatureField::deserialize(field).map_err(|_| SignatureError::Malformed {
        problem: "it is neither an object of algorithm, keyId and value alone, nor a list of these, nor base64",
    })?;
    let message = signed_bytes(document);
    let check = Check { message: &message, feature, keys, now };
    match field {
        SignatureField::One(one) => check.object(&one),
        SignatureField::Many(many) if many.is_empty() => Err(SignatureError::Missing),
        SignatureField::Many(many) if many.len() > limits.signatures => {
            Err(SignatureError::Malformed {
                problem: "there are more signatures than are ever needed",
            })
        }
        SignatureField::Many(many) => {
            let mut first_error = None;
            for one in &many {
                match check.object(one) {
                    Ok(key_id) => return Ok(key_id),
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
            Err(first_error.unwrap_or(SignatureError::Missing))
        }
        SignatureField::Bare(text) => check.bare(&text),
    }
}

/// Whether `signature` is what `key` says about `message`: strict Ed25519, under which neither malleable
/// signatures nor small-order points pass (RFC 8032 §5.1.7 with the stricter choices that all verifiers
/// agree on). Anything but 64 bytes is no signature.
pub fn verify_bytes(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    Ed25519Signature::from_slice(signature)
        .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
}

struct Check<'a> {
    message: &'a [u8],
    feature: Option<&'a FeatureId>,
    keys: &'a TrustedKeys,
    now: Timestamp,
}

impl Check<'_> {
    fn object(&self, signature: &SignatureObject) -> Result<String, SignatureError> {
        if signature.algorithm != ALGORITHM {
            return Err(SignatureError::Algorithm { found: signature.algorithm.clone() });
        }
        let id = &signature.key_id;
        let key = self.keys.get(id).ok_or_else(|| SignatureError::UnknownKey { id: id.clone() })?;
        self.may_sign(id, key)?;
        if self.holds(key, &decode(&signature.value)?) {
            Ok(id.clone())
        } else {
            Err(SignatureError::Invalid { id: id.clone() })
        }
    }

    fn bare(&self, text: &str) -> Result<String, SignatureError> {
        let signature = decode(text)?;
        // One public key may be trusted under several ids with different bounds, so the first that made the
        // signature is not yet the answer.
        let mut first_error = None;
        for (id, key) in self.keys.iter().filter(|(_, key)| self.holds(key, &signature)) {
            match self.may_sign(id, key) {
                Ok(()) => return Ok(id.to_owned()),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(SignatureError::NoKeyMatches))
    }

    fn may_sign(&self, id: &str, key: &TrustedKey) -> Result<(), SignatureError> {
        if let Some(not_after) = key.not_after().filter(|end| self.now > *end) {
            return Err(SignatureError::ExpiredKey { id: id.to_owned(), not_after });
        }
        if !key.may_sign_for(self.feature) {
            return Err(SignatureError::KeyNotAllowed {
                id: id.to_owned(),
                feature: self
                    .feature
                    .map_or_else(|| "the remote index".to_owned(), ToString::to_string),
            });
        }
        Ok(())
    }

    fn holds(&self, key: &TrustedKey, signature: &[u8]) -> bool {
        verify_bytes(key.key(), self.message, signature)
    }
}

/// The decoder takes one spelling only: padding is required and the bits behind the last byte are zero.
fn decode(value: &str) -> Result<Vec<u8>, SignatureError> {
    STANDARD
        .decode(value)
        .ok()
        .filter(|bytes| bytes.len() == ed25519_dalek::SIGNATURE_LENGTH)
        .ok_or(SignatureError::Malformed { problem: "its value is not base64 of 64 bytes" })
}

/// Why no signature of a document counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No signature at all.
    #[error("the document is not signed")]
    Missing,
    /// A signature field of no known form.
    #[error("the signature is malformed: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An algorithm other than Ed25519.
    #[error("the signature algorithm is \"{found}\", not \"ed25519\"")]
    Algorithm {
        /// The algorithm found.
        found: String,
    },
    /// Signed by a key that is not trusted.
    #[error("the signing key \"{id}\" is not trusted")]
    UnknownKey {
        /// The key id.
        id: String,
    },
    /// Signed by a key whose time is over.
    #[error("the signing key \"{id}\" ended at {not_after}")]
    ExpiredKey {
        /// The key id.
        id: String,
        /// When it ended.
        not_after: Timestamp,
    },
    /// Signed by a key that is bound to other features.
    #[error("the signing key \"{id}\" may not sign for {feature}")]
    KeyNotAllowed {
        /// The key id.
        id: String,
        /// The feature, or the remote index.
        feature: String,
    },
    /// The signature does not belong to these bytes.
    #[error("the signature by key \"{id}\" does not match the document")]
    Invalid {
        /// The key id.
        id: String,
    },
    /// A bare signature that no trusted key made.
    #[error("no trusted key made the signature")]
    NoKeyMatches,
}

codes!(SignatureError {
    Self::Missing => "signature-missing",
    Self::Malformed { .. } => "signature-malformed",
    Self::Algorithm { .. } => "signature-algorithm",
    Self::UnknownKey { .. } => "key-unknown",
    Self::ExpiredKey { .. } => "key-expired",
    Self::KeyNotAllowed { .. } => "key-not-allowed",
    Self::Invalid { .. } | Self::NoKeyMatches => "signature-invalid",
});

impl SignatureError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Missing => "publish it with a signing key (FEATURE_SIGNING_KEY_PATH)",
            Self::Malformed { .. } | Self::Algorithm { .. } => "publish it again with pilar",
            Self::UnknownKey { .. } => {
                "add the public key to the trusted keys, or sign with a trusted one"
            }
            Self::ExpiredKey { .. } => "sign with a current key, or extend notAfter of this one",
            Self::KeyNotAllowed { .. } => {
                "sign with a key for this feature, or extend \"features\" of the trusted key"
            }
            Self::Invalid { .. } | Self::NoKeyMatches => {
                "the document changed after it was signed: publish it again from its source"
            }
        }
    }
}
