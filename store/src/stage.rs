//! A version on its way into the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pilar_artifact::verify::ReadArtifact as _;
use pilar_artifact::{FileName, MANIFEST_FILE, Sha256Digest};
use rustix::fs::RenameFlags;
use semver::Version;

use crate::file::{make_dir, remove_dir, rename, sync_dir, write_synced};
use crate::{FeatureDir, FeatureWriter, StoreError};

/// A version that is being written out of sight. Dropping it takes it away again.
#[derive(Debug)]
pub struct StagedVersion<'w> {
    writer: &'w mut FeatureWriter,
    version: Version,
    path: PathBuf,
    directories: BTreeSet<PathBuf>,
    files: BTreeMap<FileName, Sha256Digest>,
}

/// What came of placing a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It is there now.
    New,
    /// It was there already, with the same content.
    AlreadyThere,
}

impl<'w> StagedVersion<'w> {
    pub(crate) fn begin(
        writer: &'w mut FeatureWriter,
        version: &Version,
    ) -> Result<Self, StoreError> {
        let path = writer.staging.join("version");
        remove_dir(&path)?;
        make_dir(&path)?;
        Ok(Self {
            writer,
            version: version.clone(),
            directories: BTreeSet::from([path.clone()]),
            path,
            files: BTreeMap::new(),
        })
    }

    /// Writes one file.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of the version is visible.
    pub fn write(&mut self, name: &FileName, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path.join(name.as_str());
        let mut parent = path.parent();
        while let Some(directory) = parent.filter(|directory| *directory != self.path) {
            make_dir(directory)?;
            self.directories.insert(directory.to_owned());
            parent = directory.parent();
        }
        write_synced(&path, bytes, 0o644)?;
        self.files.insert(name.clone(), Sha256Digest::of(bytes));
        Ok(())
    }

    /// Makes the version directory appear, complete, under its own name. One that is there already is never
    /// rewritten (contract §2): with the same content there is nothing to do.
    ///
    /// # Errors
    /// [`StoreError`]; code `version-taken` names both digests where the content differs.
    pub fn publish(mut self, manifest: &[u8]) -> Result<Placed, StoreError> {
        let target = self.writer.home.join(self.version.to_string());
        if is_there(&target) {
            self.compare(&target, manifest)?;
            // It may have been renamed just before a crash, so that only its directory was not yet on disk.
            sync_dir(&self.writer.home)?;
            return Ok(Placed::AlreadyThere);
        }
        self.finish(manifest)?;
        make_dir(&self.writer.home)?;
        rename(&self.path, &target, RenameFlags::NOREPLACE)?;
        Ok(Placed::New)
    }

    /// Puts the version in place of whatever has its name, by one rename. This is for the output of a build,
    /// which nobody serves; a published version is never replaced.
    ///
    /// # Errors
    /// [`StoreError`]; what was there is still there.
    pub fn replace(mut self, manifest: &[u8]) -> Result<(), StoreError> {
        self.finish(manifest)?;
        make_dir(&self.writer.home)?;
        let target = self.writer.home.join(self.version.to_string());
        let flags = if is_there(&target) { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        rename(&self.path, &target, flags)?;
        self.writer.show()
    }

    fn finish(&mut self, manifest: &[u8]) -> Result<(), StoreError> {
        write_synced(&self.path.join(MANIFEST_FILE), manifest, 0o644)?;
        // Deepest first, so that no directory is on disk before what it holds.
        self.directories.iter().rev().try_for_each(|directory| sync_dir(directory))
    }

    fn compare(&self, target: &Path, manifest: &[u8]) -> Result<(), StoreError> {
        let directory = FeatureDir::open(target)
            .map_err(StoreError::io("open the version's directory", target))?;
        let there =
            |name: &str| directory.read(name, u64::MAX).ok().map(|bytes| Sha256Digest::of(&bytes));
        let offered = Sha256Digest::of(manifest);
        if let Some(published) = there(MANIFEST_FILE).filter(|published| *published != offered) {
            return Err(StoreError::ContentDiffers { path: target.to_owned(), published, offered });
        }
        let files = self.files.iter().map(|(file, digest)| (file.as_str(), *digest));
        for (file, expected) in std::iter::once((MANIFEST_FILE, offered)).chain(files) {
            let found = there(file);
            if found != Some(expected) {
                return Err(StoreError::Damaged { path: target.join(file), expected, found });
            }
        }
        Ok(())
    }
}

impl Drop for StagedVersion<'_> {
    fn drop(&mut self) {
        // What could not be removed is removed by whoever takes the lock next.
        let _ = remove_dir(&self.path);
    }
}

fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}
