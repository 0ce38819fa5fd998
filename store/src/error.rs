//! Why the tree could not be written.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use pilar_artifact::verify::ReadError;
use pilar_artifact::{FeatureId, Sha256Digest};

/// Why the tree could not be written. What was visible before is still visible, unchanged.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A link, a file or a device where a directory belongs.
    #[error("it is not a directory (links are not followed)")]
    NotADirectory {
        /// What was found.
        path: PathBuf,
    },
    /// A link, a directory, a pipe or a device where a file belongs.
    #[error("it is not a regular file (links are not followed)")]
    NotAFile {
        /// What was found.
        path: PathBuf,
    },
    /// The version directory is there with other content.
    #[error(
        "the version directory is there with other content: manifest SHA-256 {published}, now {offered}"
    )]
    ContentDiffers {
        /// The version directory.
        path: PathBuf,
        /// The digest of the manifest that is there.
        published: Sha256Digest,
        /// The digest of the manifest that was offered.
        offered: Sha256Digest,
    },
    /// The version directory is there with the same manifest, but a file of it is not what it was.
    #[error("a published file is damaged: expected SHA-256 {expected}, {}",
        .found.as_ref().map_or_else(ToString::to_string, |found| format!("found {found}")))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the manifest says.
        expected: Sha256Digest,
        /// What the bytes are, or why they are not looked at.
        found: Result<Sha256Digest, ReadError>,
    },
    /// The file system does not know `RENAME_EXCHANGE` (renameat2(2)).
    #[error("the file system cannot let two directories change places by one rename")]
    NoExchange {
        /// What was to be replaced.
        path: PathBuf,
    },
    /// Another loader works in this tree.
    #[error("another loader works in this directory")]
    Busy {
        /// The artifacts directory.
        path: PathBuf,
    },
    /// Somebody else writes to the feature.
    #[error("somebody else writes to the feature, or holds its lock")]
    Locked {
        /// The file of the lock.
        path: PathBuf,
    },
    /// What has the name of the index cannot be read as one.
    #[error("the index cannot be read: {source}")]
    IndexUnreadable {
        /// The index file.
        path: PathBuf,
        /// Why not.
        source: ReadError,
    },
    /// Somebody wrote the index without taking the lock.
    #[error("the index of {feature} changed while the next one was made")]
    IndexChanged {
        /// The feature.
        feature: FeatureId,
        /// The index file.
        path: PathBuf,
    },
}

impl StoreError {
    /// The stable code of this problem.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { source, .. } => match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    "store-full"
                }
                ErrorKind::ReadOnlyFilesystem => "store-read-only",
                ErrorKind::PermissionDenied => "store-permission",
                ErrorKind::NotFound => "store-missing",
                ErrorKind::AlreadyExists => "file-exists",
                _ => "store-io",
            },
            Self::NotADirectory { .. } => "store-not-a-directory",
            Self::NotAFile { .. } => "store-not-a-file",
            Self::ContentDiffers { .. } => "version-taken",
            Self::Damaged { .. } => "version-damaged",
            Self::NoExchange { .. } => "store-no-exchange",
            Self::Busy { .. } => "store-busy",
            Self::Locked { .. } => "store-locked",
            Self::IndexUnreadable { .. } => "index-unreadable",
            Self::IndexChanged { .. } => "index-changed",
        }
    }

    /// The file or directory it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::NotADirectory { path }
            | Self::NotAFile { path }
            | Self::ContentDiffers { path, .. }
            | Self::Damaged { path, .. }
            | Self::NoExchange { path }
            | Self::Busy { path }
            | Self::Locked { path }
            | Self::IndexUnreadable { path, .. }
            | Self::IndexChanged { path, .. } => path,
        }
    }

    /// A write to a file that this crate opened, such as those of [`Incoming`](crate::Incoming).
    pub fn write(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::io("write the file", path.as_ref())(source)
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Io { .. } => match self.code() {
                "store-full" => {
                    "make room on that file system, then run it again; nothing was changed"
                }
                "store-read-only" => "mount the directory writable, or name another one",
                "store-permission" => "let the user of this process write to the directory",
                "store-missing" => "make the directory first, or correct its name",
                "file-exists" => "name another file, or move this one away",
                _ => "see what the operating system says about that file system, then run it again",
            },
            Self::NotADirectory { .. } => "put a real directory there, or name another one",
            Self::NotAFile { .. } => {
                "remove it, then run it again; the file is made where it is missing"
            }
            Self::ContentDiffers { .. } => {
                "raise \"version\" in the source manifest and build again"
            }
            Self::Damaged { .. } => {
                "see the disk and who writes there; put the directory back as it was published, as a loader does by \
                 itself, or publish the same sources under a new version number"
            }
            Self::NoExchange { .. } => {
                "move the artifacts directory to ext4, XFS, Btrfs or tmpfs; or remove that directory, and it is made \
                 anew"
            }
            Self::Busy { .. } => "end the other pilar-loader, or name another directory",
            Self::Locked { .. } => {
                "wait for whoever publishes there, such as `pilar publish`; `fuser` names the process that holds the \
                 file, and ending it lets the lock go"
            }
            Self::IndexUnreadable { .. } => {
                "let the user of this process read it, or remove it; while the feature is registered a loader puts it \
                 right by itself"
            }
            Self::IndexChanged { .. } => {
                "run it again, and let only pilar and pilar-loader write there"
            }
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
