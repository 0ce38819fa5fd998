//! Single files, written so that they are there whole or not at all.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::fs::RenameFlags;

use crate::StoreError;
use crate::directory::Directory;

/// How many temporary files of one process and one name may lie about before that is an error. A process
/// id comes again, in a container soon, and with it the name that a killed process has used.
const TEMPORARY_NAMES: usize = 16;

/// Makes the file at `path`, complete and durable, with the permissions `mode`. A file that is there
/// already stays as it is.
///
/// # Errors
/// [`StoreError`]; code `file-exists` where there is one.
pub fn create_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    put(path, bytes, mode, RenameFlags::NOREPLACE)
}

/// Replaces the file at `path`, or makes it, by one rename: a reader sees the old bytes or the new ones.
///
/// # Errors
/// [`StoreError`]; the old file is still there.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    put(path, bytes, 0o644, RenameFlags::empty())
}

/// Makes a directory and those above it; one that is there already is fine.
pub(crate) fn make_dirs(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(|error| {
        if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotADirectory) {
            StoreError::NotADirectory { path: path.to_owned() }
        } else {
            StoreError::io("make the directory", path)(error)
        }
    })
}

fn put(path: &Path, bytes: &[u8], mode: u32, flags: RenameFlags) -> Result<(), StoreError> {
    let name = path.file_name().unwrap_or_default();
    put_in(&Directory::open(parent(path))?, name, bytes, mode, flags)
}

/// [`replace_file`] in a directory that is held open.
pub(crate) fn replace_in(dir: &Directory, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    put_in(dir, OsStr::new(name), bytes, 0o644, RenameFlags::empty())
}

fn put_in(
    dir: &Directory,
    name: &OsStr,
    bytes: &[u8],
    mode: u32,
    flags: RenameFlags,
) -> Result<(), StoreError> {
    let temporary = write_beside(dir, &name.to_string_lossy(), bytes, mode)?;
    dir.place_file(temporary, dir, name, flags)
}

/// Writes a file that nobody looks for, and returns its name. One that is there is another writer's.
fn write_beside(
    dir: &Directory,
    name: &str,
    bytes: &[u8],
    mode: u32,
) -> Result<String, StoreError> {
    let mut attempt = 0;
    loop {
        let temporary = format!(".{name}.{}-{attempt}.tmp", std::process::id());
        attempt += 1;
        match dir.create_file(&temporary, bytes, mode) {
            Err(error) if error.code() == "file-exists" && attempt < TEMPORARY_NAMES => {}
            written => return written.map(|()| temporary),
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
