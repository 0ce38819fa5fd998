//! Comparing what is offered with what is published: a version directory is never rewritten (contract §2).

use pilar_artifact::verify::ReadArtifact as _;
use pilar_artifact::{FileName, Limits, MANIFEST_FILE, Sha256Digest};

use crate::directory::Directory;
use crate::{FeatureDir, StoreError};

/// A file, for comparison.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content {
    pub(crate) digest: Sha256Digest,
    pub(crate) bytes: u64,
}

impl Content {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { digest: Sha256Digest::of(bytes), bytes: bytes.len() as u64 }
    }
}

/// Makes sure that the version directory `name` of `home` holds this manifest and these files.
///
/// # Errors
/// Code `version-taken`, naming both digests, where the manifest is another one; `version-damaged` where a file
/// is not what the manifest of that digest stands for.
pub(crate) fn assert_same<'f>(
    home: &Directory,
    name: &str,
    manifest: Content,
    files: impl IntoIterator<Item = (&'f FileName, Content)>,
) -> Result<(), StoreError> {
    let target = home.get(name)?;
    let dir = FeatureDir::of(&target)?;
    let there = |name: &str, limit| dir.read(name, limit).map(|bytes| Sha256Digest::of(&bytes));
    let damaged = |name: &str, expected, found| {
        Err(StoreError::Damaged { path: target.path().join(name), expected, found })
    };
    // Another manifest may well be longer, and its digest is wanted.
    match there(MANIFEST_FILE, Limits::default().json_bytes.max(manifest.bytes)) {
        Ok(published) if published == manifest.digest => {}
        Ok(published) => {
            let path = target.path().to_owned();
            return Err(StoreError::ContentDiffers { path, published, offered: manifest.digest });
        }
        unread => return damaged(MANIFEST_FILE, manifest.digest, unread),
    }
    for (file, expected) in files {
        match there(file.as_str(), expected.bytes) {
            Ok(found) if found == expected.digest => {}
            found => return damaged(file.as_str(), expected.digest, found),
        }
    }
    Ok(())
}
