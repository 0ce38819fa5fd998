//! A version on its way into the tree.

use std::collections::{BTreeMap, BTreeSet};

use pilar_artifact::{FileName, MANIFEST_FILE};
use rustix::fs::RenameFlags;
use semver::Version;

use crate::content::{Content, assert_same};
use crate::directory::Directory;
use crate::{FeatureWriter, StoreError};

/// Its name while it is out of sight.
const STAGED: &str = "version";

/// A version that is being written out of sight. Dropping it takes it away again.
#[derive(Debug)]
pub struct StagedVersion<'w> {
    writer: &'w mut FeatureWriter,
    version: Version,
    dir: Directory,
    /// Those within it.
    directories: BTreeSet<String>,
    files: BTreeMap<FileName, Content>,
}

/// What came of placing a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It is there now.
    New,
    /// It was there already, with the same content.
    AlreadyThere,
    /// It was there and damaged, and is whole now.
    Mended,
}

impl<'w> StagedVersion<'w> {
    pub(crate) fn begin(
        writer: &'w mut FeatureWriter,
        version: &Version,
    ) -> Result<Self, StoreError> {
        writer.staging().remove(STAGED)?;
        let dir = writer.staging().make(STAGED)?;
        Ok(Self {
            writer,
            version: version.clone(),
            dir,
            directories: BTreeSet::new(),
            files: BTreeMap::new(),
        })
    }

    /// Writes one file.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of the version is visible.
    pub fn write(&mut self, name: &FileName, bytes: &[u8]) -> Result<(), StoreError> {
        let (parent, leaf) = name.as_str().rsplit_once('/').unwrap_or(("", name.as_str()));
        let mut dir = self.dir.clone();
        let mut below = String::new();
        for directory in parent.split('/').filter(|directory| !directory.is_empty()) {
            dir = dir.make(directory)?;
            below = if below.is_empty() { directory.to_owned() } else { below + "/" + directory };
            self.directories.insert(below.clone());
        }
        dir.create_file(leaf, bytes, 0o644)?;
        self.files.insert(name.clone(), Content::of(bytes));
        Ok(())
    }

    /// Makes the version directory appear, complete, under its own name. One that is there already is never
    /// rewritten (contract §2): with the same content there is nothing to do.
    ///
    /// # Errors
    /// [`StoreError`]; code `version-taken` names both digests where the content differs.
    pub fn publish(self, manifest: &[u8]) -> Result<Placed, StoreError> {
        let name = self.version.to_string();
        let home = self.writer.home();
        if home.has(&name) {
            let files = self.files.iter().map(|(name, content)| (name, *content));
            assert_same(home, &name, Content::of(manifest), files)?;
            // It may have been renamed just before a crash, so that only its directory was not yet on disk.
            home.sync()?;
            return Ok(Placed::AlreadyThere);
        }
        self.finish(manifest)?;
        self.writer.staging().rename(STAGED, home, &name, RenameFlags::NOREPLACE)?;
        Ok(Placed::New)
    }

    /// Puts the version in place of whatever has its name, by one rename. This is for the output of a build,
    /// which nobody serves; a published version is never replaced.
    ///
    /// # Errors
    /// [`StoreError`]; what was there is still there.
    pub fn replace(self, manifest: &[u8]) -> Result<(), StoreError> {
        self.finish(manifest)?;
        let name = self.version.to_string();
        let home = self.writer.home();
        let flags = if home.has(&name) { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        self.writer.staging().rename(STAGED, home, &name, flags)?;
        self.writer.show()
    }

    fn finish(&self, manifest: &[u8]) -> Result<(), StoreError> {
        self.dir.create_file(MANIFEST_FILE, manifest, 0o644)?;
        // Deepest first, so that no directory is on disk before what it holds.
        for directory in self.directories.iter().rev() {
            self.dir.get(directory)?.sync()?;
        }
        self.dir.sync()
    }
}

impl Drop for StagedVersion<'_> {
    fn drop(&mut self) {
        // Whoever takes the lock next tries again.
        self.writer.staging().clear(STAGED);
    }
}
