//! A place for what is on its way from the network, out of sight.

use std::fs::File;

use pilar_artifact::FeatureId;

use crate::directory::Directory;
use crate::writer::STAGING;
use crate::{FeatureDir, Store, StoreError};

/// How its name starts. No feature id starts with a dot, so it is no feature's staging directory.
pub(crate) const INCOMING: &str = ".incoming-";

/// One download of one feature, on the file system of the tree. Dropping it takes it away again.
///
/// It has the shape of a feature's directory: `releases.json` and version directories. Every name is resolved
/// beneath it by the kernel, and no link is followed.
#[derive(Debug)]
pub struct Incoming {
    all: Directory,
    name: String,
    dir: Directory,
}

impl Store {
    /// An empty place for a download of `feature`. `unique` is a word that no other download of this tree has
    /// at the same time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn incoming(&self, feature: &FeatureId, unique: &str) -> Result<Incoming, StoreError> {
        let all = self.root().make(STAGING)?;
        let name = format!("{INCOMING}{feature}-{unique}");
        let (name, dir) = all.make_empty(&name)?;
        Ok(Incoming { dir, all, name })
    }
}

impl Incoming {
    /// Makes the file at `path`, such as `1.0.0/app.js`, and the directories on the way to it. What is there
    /// already is replaced: a later layer of an image stands above an earlier one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn create(&self, path: &str) -> Result<File, StoreError> {
        let (parents, leaf) = path.rsplit_once('/').unwrap_or(("", path));
        let mut dir = self.dir.clone();
        for parent in parents.split('/').filter(|parent| !parent.is_empty()) {
            dir = dir.make(parent)?;
        }
        dir.replace_open(leaf)
    }

    /// The directory itself.
    pub(crate) fn dir(&self) -> &Directory {
        &self.dir
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(&self) -> Result<FeatureDir, StoreError> {
        FeatureDir::of(&self.dir)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // At the next start it is tried again.
        self.all.clear(&self.name);
    }
}
