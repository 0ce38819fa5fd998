//! Reading files of a feature's directory without ever leaving it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use pilar_artifact::verify::{ReadArtifact, ReadError};
use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::Errno;
use semver::Version;

use crate::StoreError;
use crate::directory::{Directory, open_beneath};

/// As much is reserved at once; what is longer grows as it is read. The length of a file is a claim: a
/// sparse one of many gigabytes takes no room on the disk.
const RESERVED_BYTES: u64 = 64 << 20;

/// One feature's directory, held open: every read is resolved beneath it by the kernel, and no link is
/// followed anywhere on the way, so neither a path nor a race can lead outside.
#[derive(Debug)]
pub struct FeatureDir {
    dir: OwnedFd,
}

impl FeatureDir {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// What the operating system says: missing, not a directory, no permission.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(Self { dir: openat(CWD, path, flags, Mode::empty())? })
    }

    /// The directory that is held for writing.
    pub(crate) fn of(held: &Directory) -> Result<Self, StoreError> {
        Ok(Self { dir: held.handle()? })
    }

    /// The names in it that are those of versions, ascending.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn versions(&self) -> io::Result<Vec<Version>> {
        let mut versions = Vec::new();
        for entry in Dir::read_from(&self.dir)? {
            let name = entry?.file_name().to_str().ok().and_then(|name| name.parse().ok());
            versions.extend(name);
        }
        versions.sort();
        Ok(versions)
    }

    fn open_file(&self, path: &str) -> Result<File, ReadError> {
        // NONBLOCK: opening a named pipe that nobody writes to would wait for ever.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        match open_beneath(self.dir.as_fd(), path, flags, Mode::empty()) {
            Ok(fd) => Ok(File::from(fd)),
            Err(Errno::NOENT) => Err(ReadError::Missing),
            Err(Errno::LOOP | Errno::XDEV | Errno::NOTDIR | Errno::NXIO) => {
                Err(ReadError::NotRegular)
            }
            Err(Errno::AGAIN) => Err(ReadError::Failed {
                message: "another program holds a lease on it (F_SETLEASE) or keeps renaming it; \
                          stop that program, then try again"
                    .to_owned(),
            }),
            Err(error) => Err(failed(&error.into())),
        }
    }
}

impl ReadArtifact for FeatureDir {
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        let file = self.open_file(path)?;
        let metadata = file.metadata().map_err(|error| failed(&error))?;
        if !metadata.is_file() {
            return Err(ReadError::NotRegular);
        }
        if metadata.len() > limit {
            return Err(ReadError::TooLarge { limit });
        }
        let mut bytes = Vec::new();
        let expected = metadata.len().min(RESERVED_BYTES);
        bytes
            .try_reserve_exact(usize::try_from(expected).unwrap_or(0))
            .map_err(|error| failed(&error.into()))?;
        // One byte more than allowed, so that a file that grows while it is read is noticed.
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| failed(&error))?;
        if bytes.len() as u64 > limit {
            return Err(ReadError::TooLarge { limit });
        }
        Ok(bytes)
    }
}

fn failed(error: &io::Error) -> ReadError {
    ReadError::Failed { message: error.to_string() }
}
