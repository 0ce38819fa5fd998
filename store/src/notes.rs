//! What a loader keeps in the tree beside the features.

use rustix::fs::RenameFlags;

use crate::directory::Directory;
use crate::file::replace_in;
use crate::{FeatureDir, Store, StoreError};

/// A directory of small files that is no feature's, held open: no link on the way to it is followed, or in it.
#[derive(Debug)]
pub struct Notes {
    dir: Directory,
}

impl Store {
    /// The directory `name`, made where it is missing. No feature id starts with a dot, so it should.
    ///
    /// # Errors
    /// [`StoreError`]; code `store-not-a-directory` where a link or a file has its name.
    pub fn notes(&self, name: &str) -> Result<Notes, StoreError> {
        Ok(Notes { dir: self.root().make(name)? })
    }
}

impl Notes {
    /// The directory `name` in this one, made where it is missing.
    ///
    /// # Errors
    /// As of [`Store::notes`].
    pub fn below(&self, name: &str) -> Result<Self, StoreError> {
        Ok(Self { dir: self.dir.make(name)? })
    }

    /// The names in it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        self.dir.names()
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(&self) -> Result<FeatureDir, StoreError> {
        FeatureDir::of(&self.dir)
    }

    /// Replaces the file `name`, or makes it, by one rename: a reader sees the old bytes or the new ones.
    ///
    /// # Errors
    /// [`StoreError`]; the old file is still there.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        replace_in(&self.dir, name, bytes)
    }

    /// Lets what has this name have `other`, so that the name is free.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_aside(&self, name: &str, other: &str) -> Result<(), StoreError> {
        self.dir.rename(name, &self.dir, other, RenameFlags::empty())
    }

    /// Removes what has this name; where that fails, it is logged.
    pub fn clear(&self, name: &str) {
        self.dir.clear(name);
    }
}
