//! One feature's directory, held for writing.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use pilar_artifact::verify::{ReadArtifact as _, ReadError};
use pilar_artifact::{FeatureId, Limits, RELEASES_FILE, Sha256Digest};
use rustix::fs::{FlockOperation, RenameFlags, flock};
use rustix::io::Errno;
use semver::Version;

use crate::claim::try_lock;
use crate::directory::Directory;
use crate::file::make_dirs;
use crate::{FeatureDir, StagedVersion, StoreError};

/// Everything unfinished lives here, on the same file system as what it becomes. No feature id starts
/// with a dot.
pub(crate) const STAGING: &str = ".staging";

/// The feature's directory before its first index, within its staging directory.
const NEW: &str = "new";

/// The feature's directory when nobody is to see it any more, within its staging directory.
const GONE: &str = "gone";

/// An artifacts directory, for writing.
#[derive(Debug, Clone)]
pub struct Store {
    root: Directory,
}

impl Store {
    /// The artifacts directory at `root`, which exists.
    ///
    /// # Errors
    /// [`StoreError`] where it does not or is no directory.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        Ok(Self { root: Directory::open(root)? })
    }

    /// The artifacts directory at `root`, made where it is missing.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be made.
    pub fn open_or_create(root: &Path) -> Result<Self, StoreError> {
        make_dirs(root)?;
        Self::open(root)
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Directory {
        &self.root
    }

    /// Waits until nobody else writes to `feature`, and removes what an interrupted writer left behind.
    ///
    /// The lock is advisory (`flock`): it holds between the programs that write through this crate, and ends
    /// with the process, however that ends.
    ///
    /// # Errors
    /// [`StoreError`]; codes `store-not-a-directory` and `store-not-a-file` where somebody put a link or
    /// something else in the way.
    pub fn lock(&self, feature: &FeatureId) -> Result<FeatureWriter, StoreError> {
        let all = self.root.make(STAGING)?;
        let lock_name = lock_name(feature);
        let lock = all.open_lock(&lock_name)?;
        take(&lock).map_err(StoreError::io("take the lock", &all.path().join(lock_name)))?;
        self.locked(feature, all, lock)
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// As of [`Store::lock`]; code `store-locked` where somebody else writes to `feature`.
    pub fn try_lock(&self, feature: &FeatureId) -> Result<FeatureWriter, StoreError> {
        let all = self.root.make(STAGING)?;
        let lock_name = lock_name(feature);
        match try_lock(&all, &lock_name)? {
            Some(lock) => self.locked(feature, all, lock),
            None => Err(StoreError::Locked { path: all.path().join(lock_name) }),
        }
    }

    fn locked(
        &self,
        feature: &FeatureId,
        all: Directory,
        lock: File,
    ) -> Result<FeatureWriter, StoreError> {
        let visible = self.root.find(feature.as_str())?;
        let (name, dir) = all.make_empty(feature.as_str())?;
        let staging = Staging { all, name, dir };
        let home = match visible {
            Some(visible) => Home::Visible(visible),
            None => Home::New(staging.dir.make(NEW)?),
        };
        Ok(FeatureWriter {
            feature: feature.clone(),
            root: self.root.clone(),
            home,
            staging,
            _lock: lock,
        })
    }
}

/// One feature's directory, held for writing until this is dropped.
#[derive(Debug)]
pub struct FeatureWriter {
    feature: FeatureId,
    /// Where readers look for the feature's directory.
    root: Directory,
    home: Home,
    staging: Staging,
    // The last field: it is let go when the staging directory is gone.
    _lock: File,
}

/// Where writes go.
#[derive(Debug)]
enum Home {
    /// The directory that readers see.
    Visible(Directory),
    /// Before the first index, a place from where it becomes visible whole.
    New(Directory),
}

/// The feature's staging directory, until this is dropped.
#[derive(Debug)]
struct Staging {
    all: Directory,
    name: String,
    dir: Directory,
}

impl FeatureWriter {
    /// The feature.
    pub fn feature(&self) -> &FeatureId {
        &self.feature
    }

    /// The directory that readers see.
    pub fn path(&self) -> PathBuf {
        self.root.path().join(self.feature.as_str())
    }

    /// Opens the directory for reading; `None` before the first index.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(&self) -> Result<Option<FeatureDir>, StoreError> {
        match &self.home {
            Home::Visible(visible) => FeatureDir::of(visible).map(Some),
            Home::New(_) => Ok(None),
        }
    }

    /// Begins a version, out of sight.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn stage(&mut self, version: &Version) -> Result<StagedVersion<'_>, StoreError> {
        StagedVersion::begin(self, version)
    }

    /// Puts the next `releases.json` into place, as the last step of every change. `previous` is the digest of
    /// the one it was made from; `None` where there was none, or something else in its place.
    ///
    /// # Errors
    /// [`StoreError`]; the old index is still there. Code `index-changed` where the index is not `previous`.
    pub fn replace_index(
        &mut self,
        previous: Option<Sha256Digest>,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let path = self.path().join(RELEASES_FILE);
        if self.readable_index()? != previous {
            return Err(StoreError::IndexChanged { feature: self.feature.clone(), path });
        }
        let staging = self.staging();
        staging.create_file(RELEASES_FILE, bytes, 0o644)?;
        // No file takes the place of a directory but by an exchange; what was there goes with the staging directory.
        let is_other = previous.is_none() && self.home().has(RELEASES_FILE);
        let flags = if is_other { RenameFlags::EXCHANGE } else { RenameFlags::empty() };
        staging.place_file(RELEASES_FILE, self.home(), RELEASES_FILE, flags)?;
        self.show()
    }

    /// Removes the version directories that `keep` says no to, and returns their versions. What is not named
    /// like a version stays.
    ///
    /// # Errors
    /// [`StoreError`]; each directory is there whole or gone.
    pub fn retain_versions(
        &mut self,
        keep: impl Fn(&Version) -> bool,
    ) -> Result<Vec<Version>, StoreError> {
        let Home::Visible(visible) = &self.home else { return Ok(Vec::new()) };
        let mut removed = Vec::new();
        for name in visible.names()? {
            let Ok(version) = name.parse() else { continue };
            if keep(&version) {
                continue;
            }
            // Out of sight first: a kill in the middle must not leave half a version.
            let aside = format!("removed-{version}");
            visible.rename(&name, self.staging(), &aside, RenameFlags::NOREPLACE)?;
            self.staging().clear(&aside);
            removed.push(version);
        }
        if !removed.is_empty() {
            visible.sync()?;
        }
        removed.sort();
        Ok(removed)
    }

    /// Where writes go.
    pub(crate) fn home(&self) -> &Directory {
        match &self.home {
            Home::Visible(dir) | Home::New(dir) => dir,
        }
    }

    /// Where unfinished things are.
    pub(crate) fn staging(&self) -> &Directory {
        &self.staging.dir
    }

    /// Lets readers see what was written before the feature had a directory.
    pub(crate) fn show(&mut self) -> Result<(), StoreError> {
        if let Home::New(dir) = &self.home {
            let name = self.feature.as_str();
            self.staging().rename(NEW, &self.root, name, RenameFlags::NOREPLACE)?;
            self.home = Home::Visible(dir.moved_to(self.path()));
        }
        Ok(())
    }

    /// Takes the feature out: readers see all of it, or nothing.
    ///
    /// # Errors
    /// [`StoreError`]; the feature is there whole, or gone.
    pub fn take_out(self) -> Result<(), StoreError> {
        if matches!(self.home, Home::Visible(_)) {
            let name = self.feature.as_str();
            self.root.rename(name, self.staging(), GONE, RenameFlags::NOREPLACE)?;
            self.root.sync()?;
            self.staging().clear(GONE);
        }
        Ok(())
    }

    /// The digest of the index that readers see.
    ///
    /// # Errors
    /// [`StoreError`]; code `index-unreadable` where something has its name of which nobody can say what it is.
    pub fn index_digest(&self) -> Result<Option<Sha256Digest>, StoreError> {
        let Some(dir) = self.read()? else { return Ok(None) };
        match dir.read(RELEASES_FILE, Limits::default().json_bytes) {
            Ok(bytes) => Ok(Some(Sha256Digest::of(&bytes))),
            // Nobody publishes a link or a directory: it is damage.
            Err(ReadError::Missing | ReadError::NotRegular) => Ok(None),
            Err(source) => {
                let path = self.path().join(RELEASES_FILE);
                Err(StoreError::IndexUnreadable { path, source })
            }
        }
    }

    /// The same for who is about to replace it by one that was verified: one that cannot be read is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn readable_index(&self) -> Result<Option<Sha256Digest>, StoreError> {
        match self.index_digest() {
            Err(StoreError::IndexUnreadable { .. }) => Ok(None),
            known => known,
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Whoever takes the lock next tries again.
        self.all.clear(&self.name);
    }
}

/// The name of the file whose lock stands for `feature`.
pub(crate) fn lock_name(feature: &FeatureId) -> String {
    format!("{feature}.lock")
}

fn take(lock: &File) -> io::Result<()> {
    loop {
        match flock(lock, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => {}
            other => return other.map_err(Into::into),
        }
    }
}
