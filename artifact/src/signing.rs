//! Making signatures (contract §5).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _};
use serde_json::{Map, Value, json};

use crate::canonical::{canonical_bytes, signed_bytes};
use crate::signature::ALGORITHM;

/// A private key and the id under which others trust its public half.
pub struct SigningKey {
    id: String,
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// Makes a key from 32 bytes of randomness.
    pub fn from_seed(id: &str, seed: &[u8; 32]) -> Self {
        Self { id: id.to_owned(), key: ed25519_dalek::SigningKey::from_bytes(seed) }
    }

    /// Reads a PKCS#8 PEM (`BEGIN PRIVATE KEY`), as `FEATURE_SIGNING_KEY_PATH` has it.
    ///
    /// # Errors
    /// [`SigningKeyError`]; it never shows any of the text.
    pub fn from_pkcs8_pem(id: &str, pem: &str) -> Result<Self, SigningKeyError> {
        let key =
            ed25519_dalek::SigningKey::from_pkcs8_pem(pem.trim()).map_err(|_| SigningKeyError)?;
        Ok(Self { id: id.to_owned(), key })
    }

    /// The id of the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The private key as PKCS#8 PEM.
    ///
    /// # Errors
    /// [`SigningKeyError`] should the encoder refuse, which it does for no Ed25519 key.
    pub fn to_pkcs8_pem(&self) -> Result<String, SigningKeyError> {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF).map_err(|_| SigningKeyError)?;
        Ok(pem.as_str().to_owned())
    }

    /// The public half as SPKI PEM, one of the forms in which hosts trust it.
    ///
    /// # Errors
    /// [`SigningKeyError`] should the encoder refuse, which it does for no Ed25519 key.
    pub fn public_key_pem(&self) -> Result<String, SigningKeyError> {
        self.key.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|_| SigningKeyError)
    }

    /// The public half as base64 of the raw 32 bytes.
    pub fn public_key_base64(&self) -> String {
        STANDARD.encode(self.key.verifying_key().as_bytes())
    }

    /// Puts the signature into `document`, in place of any that is there.
    pub fn sign(&self, document: &mut Map<String, Value>) {
        let signature = self.key.sign(&signed_bytes(document));
        document.insert(
            "signature".to_owned(),
            json!({
                "algorithm": ALGORITHM,
                "keyId": self.id,
                "value": STANDARD.encode(signature.to_bytes()),
            }),
        );
    }

    /// The signed document as it is written to a file: its RFC 8785 form. A signature does not cover white
    /// space, so the file has none that somebody could change.
    pub fn sign_to_bytes(&self, mut document: Map<String, Value>) -> Vec<u8> {
        self.sign(&mut document);
        canonical_bytes(&Value::Object(document))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Text that is not an Ed25519 private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signing key is not an Ed25519 private key in PKCS#8 PEM (\"BEGIN PRIVATE KEY\")")]
pub struct SigningKeyError;
