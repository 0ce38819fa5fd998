//! Registrations as files of a directory: for machines without a cluster (contract §12).
//!
//! A file has no age that outlives being edited or copied, so of two for one feature the one with the lower name
//! holds.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use inotify::{EventStream, Inotify, WatchMask};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Desired, Object, Reporter};
use crate::problem::Problem;
use crate::registration::{MOST_FILE_BYTES, Registration, RegistrationError};

/// Endings of registration files; others are left alone, and so is a name that starts with a dot.
const ENDINGS: [&str; 3] = [".json", ".yaml", ".yml"];
/// More files than that are no directory of registrations.
const MOST_FILES: usize = 10_000;
/// Changes that come within this time of one another are looked at once.
const QUIET: Duration = Duration::from_millis(50);
/// A directory that never comes to rest is looked at all the same after this time.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How often it is looked at where no change was noticed: events get lost, and none tells that a link leads
/// elsewhere.
const RESCAN: Duration = Duration::from_secs(10);
/// How often one is looked for that cannot be read: no event tells that it is back.
const GONE: Duration = Duration::from_secs(1);

/// Says what the files of `directory` register, whenever that changed, until nobody listens.
pub async fn follow(directory: PathBuf, reporter: Reporter) {
    loop {
        // Laid before the look, so that what changes meanwhile is noticed. Where the kernel refuses a watch, the
        // rescan is left.
        let mut events = watch(&directory).ok();
        let looked = directory.clone();
        let again = match spawn_blocking(move || read(&looked)).await {
            Ok(Ok(desired)) => {
                reporter.heard();
                reporter.wanted(desired);
                RESCAN
            }
            Ok(Err(error)) => {
                reporter.trouble(unreadable(&directory, &error));
                GONE
            }
            // Only where it panicked or this program is ending.
            Err(_) => return,
        };
        tokio::select! {
            () = next_change(&mut events) => {}
            () = sleep(again) => {}
            () = reporter.closed() => return,
        }
        settle(&mut events).await;
    }
}

/// Everything that the files register.
fn read(directory: &Path) -> io::Result<Desired> {
    let mut objects = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| is_registration(name)) else { continue };
        let content = read_file(&directory.join(name));
        let content = match content {
            Ok(bytes) => Registration::from_file(name, &bytes),
            // It went away since the directory was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => Err(RegistrationError::unreadable(&error)),
        };
        objects.push(Object { place: name.to_owned(), since: None, content });
        if objects.len() > MOST_FILES {
            return Err(io::Error::other(format!("it has more than {MOST_FILES} files")));
        }
    }
    Ok(Desired::of(objects))
}

fn is_registration(name: &str) -> bool {
    !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// One byte more than allowed, so that a larger one is noticed. Links are followed: a mounted ConfigMap consists of
/// them, and the directory is the operator's.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(directory: &Path, error: &io::Error) -> Problem {
    Problem::new(
        "registrations-unreadable",
        format!("LOADER_REGISTRATIONS_DIR: {}: {error}", directory.display()),
        "make the directory and let this user read it; until then everything stays as it is",
    )
}

type Events = EventStream<Vec<u8>>;

fn watch(directory: &Path) -> io::Result<Events> {
    let inotify = Inotify::init()?;
    let changes = WatchMask::ATTRIB
        | WatchMask::CLOSE_WRITE
        | WatchMask::CREATE
        | WatchMask::DELETE
        | WatchMask::DELETE_SELF
        | WatchMask::MODIFY
        | WatchMask::MOVE
        | WatchMask::MOVE_SELF;
    inotify.watches().add(directory, changes)?;
    inotify.into_event_stream(vec![0; 4096])
}

async fn next_change(events: &mut Option<Events>) {
    match events {
        Some(stream) => {
            if !matches!(stream.next().await, Some(Ok(_))) {
                *events = None;
                std::future::pending::<()>().await;
            }
        }
        None => std::future::pending().await,
    }
}

/// Waits until nothing changes any more.
async fn settle(events: &mut Option<Events>) {
    let start = Instant::now();
    loop {
        let quiet = (Instant::now() + QUIET).min(start + LONGEST_WAIT);
        let is_quiet = timeout_at(quiet, next_change(events)).await.is_err();
        if is_quiet || Instant::now() >= start + LONGEST_WAIT {
            return;
        }
    }
}
