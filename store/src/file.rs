//! Single files and directories, written so that they are there whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::StoreError;

/// Makes the file at `path`, complete and durable, with the permissions `mode`. A file that is there
/// already stays as it is.
///
/// # Errors
/// [`StoreError`]; code `file-exists` where there is one.
pub fn create_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let temporary = write_beside(path, bytes, mode)?;
    place(&temporary, path, RenameFlags::NOREPLACE)
}

/// Replaces the file at `path`, or makes it, by one rename: a reader sees the old bytes or the new ones.
///
/// # Errors
/// [`StoreError`]; the old file is still there.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = write_beside(path, bytes, 0o644)?;
    place(&temporary, path, RenameFlags::empty())
}

/// Writes a new file and waits until it is on the disk.
pub(crate) fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let mut file = options.open(path).map_err(StoreError::io("create the file", path))?;
    file.write_all(bytes).map_err(StoreError::io("write the file", path))?;
    file.sync_all().map_err(StoreError::io("write the file to disk", path))
}

/// Waits until the entries of a directory are on the disk.
pub(crate) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(StoreError::io("write the directory to disk", path))
}

/// Makes a directory; one that is there already is fine.
pub(crate) fn make_dir(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(|error| {
        if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory) {
            StoreError::NotADirectory { path: path.to_owned() }
        } else {
            StoreError::io("make the directory", path)(error)
        }
    })
}

/// Removes a directory with everything in it; that it is not there is fine.
pub(crate) fn remove_dir(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(StoreError::io("remove the directory", path)),
    }
}

/// One rename, durable.
pub(crate) fn rename(from: &Path, to: &Path, flags: RenameFlags) -> Result<(), StoreError> {
    renameat_with(CWD, from, CWD, to, flags)
        .map_err(|error| StoreError::io("rename into place", to)(error.into()))?;
    sync_dir(parent(to))
}

fn write_beside(path: &Path, bytes: &[u8], mode: u32) -> Result<PathBuf, StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = parent(path).join(format!(".{name}.{}.tmp", std::process::id()));
    let written = write_synced(&temporary, bytes, mode);
    if written.is_err() {
        discard(&temporary);
    }
    written.map(|()| temporary)
}

fn place(temporary: &Path, path: &Path, flags: RenameFlags) -> Result<(), StoreError> {
    let renamed = rename(temporary, path, flags);
    if renamed.is_err() {
        discard(temporary);
    }
    renamed
}

/// The write has failed and says so; what is left of it is taken away as far as that goes.
fn discard(temporary: &Path) {
    let _ = std::fs::remove_file(temporary);
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
