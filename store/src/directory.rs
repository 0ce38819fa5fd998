//! Directories that are held open. Everything in them is reached from the open directory by one plain name,
//! so that a link that somebody puts on the way leads nowhere.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, fstat, fsync, mkdirat,
    openat, openat2, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::StoreError;

/// How often an open is tried that the kernel put off. A rename at the same moment is over by then; a file
/// lease is not, and whoever holds it may do so for as long as they like.
const OPEN_ATTEMPTS: usize = 16;

/// How many directories of one name may lie about that cannot be removed before that is an error.
const EMPTY_NAMES: usize = 16;

/// A directory, held open.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    fd: Arc<OwnedFd>,
    /// How it was reached, for messages.
    path: PathBuf,
}

impl Directory {
    /// Opens the directory that the caller named. Here alone links are followed: the name is the operator's.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(CWD, path, flags, Mode::empty());
        Self::of(opened, path.to_owned())
    }

    /// How it was reached.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory `name` in this one; `None` where there is nothing of that name.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Self>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match open_beneath(self.fd.as_fd(), name, flags, Mode::empty()) {
            Err(Errno::NOENT) => Ok(None),
            opened => Self::of(opened, self.path.join(name)).map(Some),
        }
    }

    /// The directory `name` in this one, which is there.
    pub(crate) fn get(&self, name: &str) -> Result<Self, StoreError> {
        let path = self.path.join(name);
        let gone = || StoreError::io("open the directory", &path)(Errno::NOENT.into());
        self.find(name)?.ok_or_else(gone)
    }

    /// The directory `name` in this one, made where it is missing.
    pub(crate) fn make(&self, name: &str) -> Result<Self, StoreError> {
        match mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => self.get(name),
            Err(error) => {
                Err(StoreError::io("make the directory", &self.path.join(name))(error.into()))
            }
        }
    }

    /// An empty directory `name` in this one. Where what has the name cannot be removed, such as what another user
    /// has put there, `name.1` and so on take its place.
    pub(crate) fn make_empty(&self, name: &str) -> Result<(String, Self), StoreError> {
        let mut attempt = 0;
        let mut chosen = name.to_owned();
        loop {
            attempt += 1;
            match self.remove(&chosen) {
                Err(_) if attempt < EMPTY_NAMES => chosen = format!("{name}.{attempt}"),
                removed => {
                    removed?;
                    let dir = self.make(&chosen)?;
                    return Ok((chosen, dir));
                }
            }
        }
    }

    /// Whether there is anything of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// The names in it.
    pub(crate) fn names(&self) -> Result<Vec<String>, StoreError> {
        let list = || -> rustix::io::Result<Vec<String>> {
            let entries = Dir::read_from(&self.fd)?;
            // What is not UTF-8 is nothing that this crate wrote.
            let name =
                |entry: rustix::fs::DirEntry| entry.file_name().to_str().ok().map(str::to_owned);
            entries.filter_map(|entry| entry.map(name).transpose()).collect()
        };
        list().map_err(|error| StoreError::io("list the directory", &self.path)(error.into()))
    }

    /// A new file, complete and on the disk. What is there already, were it a link, stays as it is; what
    /// could not be written whole is taken away again.
    pub(crate) fn create_file(
        &self,
        name: impl AsRef<Path>,
        bytes: &[u8],
        mode: u32,
    ) -> Result<(), StoreError> {
        let name = name.as_ref();
        let path = self.path.join(name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = open_beneath(self.fd.as_fd(), name, flags, Mode::from_raw_mode(mode))
            .map(File::from)
            .map_err(|error| StoreError::io("create the file", &path)(error.into()))?;
        let written =
            file.write_all(bytes).map_err(StoreError::io("write the file", &path)).and_then(|()| {
                file.sync_all().map_err(StoreError::io("write the file to disk", &path))
            });
        if written.is_err() {
            self.discard(name);
        }
        written
    }

    /// A new, empty file in place of whatever file has its name.
    pub(crate) fn replace_open(&self, name: &str) -> Result<File, StoreError> {
        let path = self.path.join(name);
        let failed = StoreError::io("create the file", &path);
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        open_beneath(self.fd.as_fd(), name, flags, Mode::from_raw_mode(0o644))
            .map(File::from)
            .map_err(|error| failed(error.into()))
    }

    /// The file `name` for use as a lock, made where it is missing. It is opened without waiting: a named
    /// pipe would keep its opener until somebody opens the other end.
    pub(crate) fn open_lock(&self, name: &str) -> Result<File, StoreError> {
        let path = self.path.join(name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match open_beneath(self.fd.as_fd(), name, flags, Mode::from_raw_mode(0o666)) {
            Ok(fd) => File::from(fd),
            Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => {
                return Err(StoreError::NotAFile { path });
            }
            Err(error) => return Err(StoreError::io("open the lock", &path)(error.into())),
        };
        let metadata = file.metadata().map_err(StoreError::io("open the lock", &path))?;
        if metadata.is_file() { Ok(file) } else { Err(StoreError::NotAFile { path }) }
    }

    /// One rename, durable.
    pub(crate) fn rename(
        &self,
        from: impl AsRef<Path>,
        to: &Self,
        name: impl AsRef<Path>,
        flags: RenameFlags,
    ) -> Result<(), StoreError> {
        let name = name.as_ref();
        renameat_with(&self.fd, from.as_ref(), &to.fd, name, flags).map_err(|error| {
            let path = to.path.join(name);
            if error == Errno::INVAL && flags.contains(RenameFlags::EXCHANGE) {
                StoreError::NoExchange { path }
            } else {
                StoreError::io("rename into place", &path)(error.into())
            }
        })?;
        to.sync()
    }

    /// The same for a file that is of no use where it could not be renamed.
    pub(crate) fn place_file(
        &self,
        from: impl AsRef<Path>,
        to: &Self,
        name: impl AsRef<Path>,
        flags: RenameFlags,
    ) -> Result<(), StoreError> {
        let renamed = self.rename(&from, to, name, flags);
        if renamed.is_err() {
            self.discard(from.as_ref());
        }
        renamed
    }

    /// Removes what has this name, with everything in it; that there is nothing is fine. A link is removed,
    /// never what it leads to.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StoreError> {
        remove_all(self.fd.as_fd(), name).map_err(|error| {
            StoreError::io("remove the directory", &self.path.join(name))(error.into())
        })
    }

    /// The same for what is out of sight: what cannot be removed only takes up room, and is left for the next time.
    pub(crate) fn clear(&self, name: &str) {
        if let Err(error) = self.remove(name) {
            tracing::warn!(
                code = error.code(),
                remedy =
                    "remove it, or let the user of this process do so; nothing else depends on it",
                "{}: {error}",
                error.path().display()
            );
        }
    }

    /// Waits until its entries are on the disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        fsync(&self.fd).map_err(|error| {
            StoreError::io("write the directory to disk", &self.path)(error.into())
        })
    }

    /// Waits until everything below it is on the disk, and then its own entries: no directory is there before what
    /// it holds.
    pub(crate) fn sync_all(&self) -> Result<(), StoreError> {
        for name in self.names()? {
            if matches!(name.as_str(), "." | "..") {
                continue;
            }
            let path = self.path.join(&name);
            let failed =
                |error: Errno| StoreError::io("write the file to disk", &path)(error.into());
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let entry =
                open_beneath(self.fd.as_fd(), &name, flags, Mode::empty()).map_err(failed)?;
            if FileType::from_raw_mode(fstat(&entry).map_err(failed)?.st_mode).is_dir() {
                Self { fd: Arc::new(entry), path }.sync_all()?;
            } else {
                fsync(&entry).map_err(failed)?;
            }
        }
        self.sync()
    }

    /// The same directory, renamed.
    pub(crate) fn moved_to(&self, path: PathBuf) -> Self {
        Self { fd: Arc::clone(&self.fd), path }
    }

    /// A second handle of the open directory, for reading.
    pub(crate) fn handle(&self) -> Result<OwnedFd, StoreError> {
        self.fd.try_clone().map_err(StoreError::io("open the directory", &self.path))
    }

    fn of(opened: rustix::io::Result<OwnedFd>, path: PathBuf) -> Result<Self, StoreError> {
        match opened {
            Ok(fd) => Ok(Self { fd: Arc::new(fd), path }),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(StoreError::NotADirectory { path }),
            Err(error) => Err(StoreError::io("open the directory", &path)(error.into())),
        }
    }

    /// The write has failed and says so; what is left of it is taken away as far as that goes.
    fn discard(&self, name: &Path) {
        let _ = unlinkat(&self.fd, name, AtFlags::empty());
    }
}

/// Opens what lies at `path` beneath `dir`; no link is followed anywhere on the way.
///
/// # Errors
/// What the kernel says; `EAGAIN` where it put the open off time and again.
pub(crate) fn open_beneath(
    dir: BorrowedFd<'_>,
    path: impl Arg + Copy,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut last = Errno::AGAIN;
    for _ in 0..OPEN_ATTEMPTS {
        match openat2(dir, path, flags, mode, resolve) {
            Err(error @ (Errno::AGAIN | Errno::INTR)) => last = error,
            settled => return settled,
        }
    }
    Err(last)
}

fn remove_all(parent: BorrowedFd<'_>, name: impl Arg + Copy) -> rustix::io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        other => return unless_missing(other),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let dir = openat(parent, name, flags, Mode::empty())?;
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            remove_all(dir.as_fd(), entry.file_name())?;
        }
    }
    unless_missing(unlinkat(parent, name, AtFlags::REMOVEDIR))
}

fn unless_missing(removed: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}
