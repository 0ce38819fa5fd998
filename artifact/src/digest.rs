//! SHA-256 digests in the forms of the contract.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Lower-case hex, 64 characters.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The Subresource Integrity form, `sha256-<base64>`.
    pub fn sri(&self) -> String {
        format!("sha256-{}", STANDARD.encode(self.0))
    }
}

impl From<[u8; 32]> for Sha256Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Reads lower- or upper-case hex, `sha256:<hex>`, and the Subresource Integrity form (contract §4).
impl FromStr for Sha256Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = match text.strip_prefix("sha256-") {
            Some(encoded) => STANDARD.decode(encoded).ok(),
            None => from_hex(text.strip_prefix("sha256:").unwrap_or(text)),
        };
        bytes
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .map(Self)
            .ok_or_else(|| DigestError { found: text.chars().take(80).collect() })
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            // `from_str_radix` alone would take "+f".
            if pair.starts_with('+') { None } else { u8::from_str_radix(pair, 16).ok() }
        })
        .collect()
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

/// Text that is none of the digest forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{found}\" is not a SHA-256 digest: use 64 hex digits, \"sha256:<hex>\" or \"sha256-<base64>\""
)]
pub struct DigestError {
    found: String,
}

/// A digest that is written as Subresource Integrity, as the `integrity` map of a manifest has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^sha256-[A-Za-z0-9+/]{43}=$"))]
pub struct Integrity(pub Sha256Digest);

impl TryFrom<String> for Integrity {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.starts_with("sha256-") {
            text.parse().map(Self)
        } else {
            Err(DigestError { found: text.chars().take(80).collect() })
        }
    }
}

impl From<Integrity> for String {
    fn from(value: Integrity) -> Self {
        value.0.sri()
    }
}

/// A digest that is written as lower-case hex and read in every form, as index entries have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    with = "String",
    extend("pattern" = "^((sha256:)?[0-9a-fA-F]{64}|sha256-[A-Za-z0-9+/]{43}=)$")
)]
pub struct EntryDigest(pub Sha256Digest);

impl TryFrom<String> for EntryDigest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<EntryDigest> for String {
    fn from(value: EntryDigest) -> Self {
        value.0.hex()
    }
}
