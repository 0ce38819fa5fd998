//! Noticing changes in sources.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread;

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};

use crate::problem::Problem;

/// Written by tools, not by people.
const IGNORED_DIRECTORIES: [&str; 2] = ["node_modules", "dist"];

/// Watches the sources of features, on a thread of its own.
pub(super) struct Watcher {
    inotify: Inotify,
    /// Which feature a watch is for, by position, and where it is.
    watches: HashMap<WatchDescriptor, (usize, PathBuf)>,
    changes: Sender<usize>,
}

impl Watcher {
    /// Starts to watch `dirs` and everything below; `changes` gets the position of the one that changed.
    pub(super) fn start(dirs: &[PathBuf], changes: Sender<usize>) -> Result<(), Problem> {
        let failed = |error: io::Error| {
            let message = format!("changes cannot be watched: {error}");
            let remedy = "raise fs.inotify.max_user_watches and max_user_instances";
            Problem::new("watch-failed", message, remedy)
        };
        let inotify = Inotify::init().map_err(failed)?;
        let mut watcher = Self { inotify, watches: HashMap::new(), changes };
        for (position, dir) in dirs.iter().enumerate() {
            watcher.add(position, dir).map_err(|error| failed(error).file(dir))?;
        }
        let count = dirs.len();
        thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || watcher.run(count))
            .map(drop)
            .map_err(failed)
    }

    /// Ends when nobody listens any more, or when the kernel refuses; the other side notices either.
    fn run(mut self, count: usize) {
        let mut buffer = [0; 4096];
        loop {
            let Ok(events) = self.inotify.read_events_blocking(&mut buffer) else { return };
            let events: Vec<_> = events.map(|event| event.to_owned()).collect();
            for event in events {
                if event.mask.contains(EventMask::Q_OVERFLOW) {
                    // The kernel dropped events: anything may have changed.
                    if (0..count).any(|position| self.changes.send(position).is_err()) {
                        return;
                    }
                    continue;
                }
                let Some((position, dir)) = self.watches.get(&event.wd).cloned() else { continue };
                let name = event.name.unwrap_or_default();
                let is_dir = event.mask.contains(EventMask::ISDIR);
                if is_ignored(&name, is_dir) {
                    continue;
                }
                if is_dir && event.mask.intersects(EventMask::CREATE | EventMask::MOVED_TO) {
                    // One that is gone again needs no watch.
                    let _ = self.add(position, &dir.join(&name));
                }
                if event.mask.contains(EventMask::IGNORED) {
                    self.watches.remove(&event.wd);
                }
                if self.changes.send(position).is_err() {
                    return;
                }
            }
        }
    }

    fn add(&mut self, position: usize, dir: &Path) -> io::Result<()> {
        let mask = WatchMask::CREATE
            | WatchMask::CLOSE_WRITE
            | WatchMask::DELETE
            | WatchMask::MOVE
            | WatchMask::ONLYDIR
            | WatchMask::DONT_FOLLOW;
        let watch = self.inotify.watches().add(dir, mask)?;
        self.watches.insert(watch, (position, dir.to_owned()));
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let is_dir = entry.file_type()?.is_dir();
            if is_dir && !is_ignored(&entry.file_name(), true) {
                self.add(position, &entry.path())?;
            }
        }
        Ok(())
    }
}

/// Whether a file or directory of this name is no source: what tools write, and what editors leave behind.
pub(super) fn is_ignored(name: &OsStr, is_dir: bool) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.')
        || name.ends_with('~')
        || (is_dir && IGNORED_DIRECTORIES.contains(&name.as_ref()))
}
