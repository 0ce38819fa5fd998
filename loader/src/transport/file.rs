//! Single files, written by a thread that may wait.

use std::io::{ErrorKind, Read, Write as _};
use std::sync::Arc;

use pilar_artifact::Sha256Digest;
use pilar_store::{Incoming, StoreError};
use sha2::{Digest as _, Sha256};

use super::FetchError;

/// How much is written at once.
const PIECE: usize = 64 * 1024;

/// What became of a file.
#[derive(Debug)]
pub(super) enum Written {
    /// It is there, with this digest.
    Whole(Sha256Digest),
    /// It has more bytes than it may have.
    TooLarge,
}

/// Writes a document that has been read.
pub(super) async fn write(
    into: &Arc<Incoming>,
    path: &str,
    bytes: Vec<u8>,
) -> Result<(), FetchError> {
    let (into, path) = (Arc::clone(into), path.to_owned());
    let write = move || {
        let mut file = into.create(&path)?;
        file.write_all(&bytes).map_err(|error| StoreError::write(&path, error))
    };
    let written = tokio::task::spawn_blocking(write).await.map_err(|_| FetchError::Lost)?;
    written.map_err(FetchError::Store)
}

/// Writes what comes from `source` and hashes it on the way.
pub(super) fn stream(
    mut source: impl Read,
    limit: u64,
    into: &Incoming,
    path: &str,
) -> Result<Written, StoreError> {
    let mut file = into.create(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut count = 0_u64;
    let failed = |error| StoreError::write(path, error);
    loop {
        let read = match source.read(&mut piece) {
            Ok(0) => return Ok(Written::Whole(<[u8; 32]>::from(hash.finalize()).into())),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        count = count.saturating_add(read as u64);
        if count > limit {
            return Ok(Written::TooLarge);
        }
        let bytes = piece.get(..read).unwrap_or_default();
        hash.update(bytes);
        file.write_all(bytes).map_err(failed)?;
    }
}
