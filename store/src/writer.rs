//! One feature's directory, held for writing.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use pilar_artifact::verify::{ReadArtifact as _, ReadError};
use pilar_artifact::{FeatureId, Limits, RELEASES_FILE, Sha256Digest};
use rustix::fs::{FlockOperation, RenameFlags, flock};
use rustix::io::Errno;
use semver::Version;

use crate::file::{make_dir, remove_dir, rename, sync_dir, write_synced};
use crate::{FeatureDir, StagedVersion, StoreError};

/// Everything unfinished lives here, on the same file system as what it becomes. No feature id starts
/// with a dot.
const STAGING: &str = ".staging";

/// An artifacts directory, for writing.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The artifacts directory at `root`, which exists.
    ///
    /// # Errors
    /// [`StoreError`] where it does not or is no directory.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let metadata = std::fs::metadata(root)
            .map_err(StoreError::io("open the artifacts directory", root))?;
        if !metadata.is_dir() {
            return Err(StoreError::NotADirectory { path: root.to_owned() });
        }
        Ok(Self { root: root.to_owned() })
    }

    /// The artifacts directory at `root`, made where it is missing.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be made.
    pub fn open_or_create(root: &Path) -> Result<Self, StoreError> {
        make_dir(root)?;
        Self::open(root)
    }

    /// Waits until nobody else writes to `feature`, and removes what an interrupted writer left behind.
    ///
    /// The lock is advisory (`flock`): it holds between the programs that write through this crate, and ends
    /// with the process, however that ends.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn lock(&self, feature: &FeatureId) -> Result<FeatureWriter, StoreError> {
        let staging_root = self.root.join(STAGING);
        make_dir(&staging_root)?;
        let lock_path = staging_root.join(format!("{feature}.lock"));
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(StoreError::io("open the lock", &lock_path))?;
        take(&lock).map_err(StoreError::io("take the lock", &lock_path))?;
        let staging = staging_root.join(feature.as_str());
        remove_dir(&staging)?;
        make_dir(&staging)?;
        let visible = self.root.join(feature.as_str());
        let home = if is_directory(&visible)? { visible.clone() } else { staging.join("new") };
        Ok(FeatureWriter { feature: feature.clone(), visible, home, staging, _lock: lock })
    }
}

/// One feature's directory, held for writing until this is dropped.
#[derive(Debug)]
pub struct FeatureWriter {
    feature: FeatureId,
    /// Where readers look.
    visible: PathBuf,
    /// Where writes go: `visible`, or before the first index a place from where it becomes visible whole.
    pub(crate) home: PathBuf,
    pub(crate) staging: PathBuf,
    _lock: File,
}

impl FeatureWriter {
    /// The feature.
    pub fn feature(&self) -> &FeatureId {
        &self.feature
    }

    /// The directory that readers see.
    pub fn path(&self) -> &Path {
        &self.visible
    }

    /// Opens the directory for reading; `None` before the first index.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read(&self) -> Result<Option<FeatureDir>, StoreError> {
        match FeatureDir::open(&self.visible) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("open the feature's directory", &self.visible)(error)),
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
    /// the one it was made from.
    ///
    /// # Errors
    /// [`StoreError`]; the old index is still there. Code `index-changed` where the index is not `previous`.
    pub fn replace_index(
        &mut self,
        previous: Option<Sha256Digest>,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let path = self.visible.join(RELEASES_FILE);
        if self.index_digest()? != previous {
            return Err(StoreError::IndexChanged { feature: self.feature.clone(), path });
        }
        make_dir(&self.home)?;
        let staged = self.staging.join(RELEASES_FILE);
        write_synced(&staged, bytes, 0o644)?;
        rename(&staged, &self.home.join(RELEASES_FILE), RenameFlags::empty())?;
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
        let list = StoreError::io("list the feature's directory", &self.visible);
        let entries = match std::fs::read_dir(&self.visible) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(list)?,
        };
        let mut removed = Vec::new();
        for entry in entries {
            let Some(version) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            else {
                continue;
            };
            if keep(&version) {
                continue;
            }
            // Out of sight first: a kill in the middle must not leave half a version.
            let aside = self.staging.join(format!("removed-{version}"));
            rename(&entry.path(), &aside, RenameFlags::NOREPLACE)?;
            remove_dir(&aside)?;
            removed.push(version);
        }
        if !removed.is_empty() {
            sync_dir(&self.visible)?;
        }
        removed.sort();
        Ok(removed)
    }

    /// Lets readers see what was written before the feature had a directory.
    pub(crate) fn show(&mut self) -> Result<(), StoreError> {
        if self.home != self.visible {
            rename(&self.home, &self.visible, RenameFlags::NOREPLACE)?;
            self.home = self.visible.clone();
        }
        Ok(())
    }

    fn index_digest(&self) -> Result<Option<Sha256Digest>, StoreError> {
        let Some(dir) = self.read()? else { return Ok(None) };
        match dir.read(RELEASES_FILE, Limits::default().json_bytes) {
            Ok(bytes) => Ok(Some(Sha256Digest::of(&bytes))),
            Err(ReadError::Missing) => Ok(None),
            Err(error) => {
                let path = self.visible.join(RELEASES_FILE);
                Err(StoreError::io("read the index", &path)(io::Error::other(error)))
            }
        }
    }
}

impl Drop for FeatureWriter {
    fn drop(&mut self) {
        // What could not be removed is removed by whoever takes the lock next.
        let _ = remove_dir(&self.staging);
    }
}

fn take(lock: &File) -> io::Result<()> {
    loop {
        match flock(lock, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => {}
            other => return other.map_err(Into::into),
        }
    }
}

fn is_directory(path: &Path) -> Result<bool, StoreError> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(true),
        Ok(_) => Err(StoreError::NotADirectory { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("open the feature's directory", path)(error)),
    }
}
