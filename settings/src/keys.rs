//! The trusted keys of a host or a loader (contract §5).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use pilar_artifact::keys::KeysError;
use pilar_artifact::{Limits, TrustedKeys};

use crate::{KeySource, is_dev_key};

/// Reads the trusted keys and leaves out dev keys unless they are allowed.
///
/// A dev key is one whose id is `dev` or starts with `dev-`: its private half lies on somebody's disk, so a
/// program that is not for development must not believe it even where a copied file lists it.
///
/// # Errors
/// [`TrustError`]; without a key nothing starts.
pub fn trusted(
    source: &KeySource,
    allow_dev_keys: bool,
    limits: &Limits,
) -> Result<TrustedKeys, TrustError> {
    let (origin, bytes) = match source {
        KeySource::Inline(text) => {
            ("FEATURE_TRUST_PUBLIC_KEYS_JSON".to_owned(), text.clone().into_bytes())
        }
        KeySource::File(path) => {
            let bytes = read(path, limits.json_bytes)
                .map_err(|source| TrustError::Unreadable { path: path.clone(), source })?;
            (path.display().to_string(), bytes)
        }
    };
    let mut keys = TrustedKeys::from_json(&bytes, limits)
        .map_err(|problem| TrustError::Keys { origin: origin.clone(), problem })?;
    if !allow_dev_keys {
        let dropped = keys.retain(|id| !is_dev_key(id));
        if keys.is_empty() {
            return Err(TrustError::OnlyDevKeys { origin });
        }
        for id in dropped {
            tracing::warn!(
                code = "dev-key-refused",
                key = id,
                "a dev key is listed and not trusted"
            );
        }
    }
    Ok(keys)
}

/// Reads a regular file, up to one byte more than `limit`: a longer one is refused as too large, and a pipe
/// would never end.
///
/// # Errors
/// What the operating system says.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why there are no trusted keys.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file could not be read.
    #[error("FEATURE_TRUST_PUBLIC_KEYS_PATH: {} could not be read: {source}; create it or allow reading it", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The keys are not acceptable.
    #[error("{origin}: {problem}")]
    Keys {
        /// The variable or file.
        origin: String,
        /// What is wrong.
        #[source]
        problem: KeysError,
    },
    /// Only dev keys are there, and they are not allowed.
    #[error(
        "{origin} lists only dev keys (\"dev\" or \"dev-…\"), which are not trusted here; add a release key, or for \
         development set FEATURE_ALLOW_INSECURE_DEV_KEYS=1 while NODE_ENV is not production"
    )]
    OnlyDevKeys {
        /// The variable or file.
        origin: String,
    },
}

impl TrustError {
    /// The stable code of this problem.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "keys-unreadable",
            Self::Keys { problem, .. } => problem.code(),
            Self::OnlyDevKeys { .. } => "keys-only-dev",
        }
    }
}
