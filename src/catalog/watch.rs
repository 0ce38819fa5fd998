//! Notices that the artifacts directory changed.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use inotify::{EventStream, Inotify, WatchDescriptor, WatchMask, Watches};
use tokio::sync::{mpsc, watch as state};
use tokio::time::{Instant, sleep, timeout_at};

/// Changes that come within this time of one another are one change.
const QUIET: Duration = Duration::from_millis(50);
/// A directory that never comes to rest is looked at all the same after this time.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long until the next look for a root that is gone: no event tells that it is back.
const GONE: Duration = Duration::from_secs(1);
/// How long until the kernel is asked again for watches that it refused: doubled each time, up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// Features, versions, and as many levels of files as a [file name](pilar_artifact::FileName) may have.
const DEEPEST: usize = 2 + 16;

/// Whether changes are noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watching {
    /// Nobody asked for it.
    Off,
    /// They are.
    Working,
    /// Some are not, for this reason.
    Failed(String),
}

/// Sends on `changed` whenever something below `root` changed and came to rest, and every `rescan` whatever
/// happened: events get lost, and none tells that a link which names the root leads elsewhere. Says on
/// `watching` how it goes. Returns when `changed` is closed.
///
/// What the kernel refuses, such as because `fs.inotify.max_user_instances` is used up, is tried again; each
/// time counts as a change, because nobody saw whether there was one.
pub async fn watch(
    root: PathBuf,
    changed: mpsc::Sender<()>,
    watching: state::Sender<Watching>,
    rescan: Duration,
) {
    let mut retry = FIRST_RETRY;
    while !changed.is_closed() {
        let result = watch_once(&root, &changed, &watching, rescan).await;
        let Err(error) = result else { return };
        if *watching.borrow() == Watching::Working {
            retry = FIRST_RETRY;
        }
        report(&watching, Watching::Failed(error.to_string()));
        tokio::select! {
            () = sleep(retry) => {}
            () = changed.closed() => return,
        }
        retry = (retry * 2).min(LONGEST_RETRY);
        let _ = changed.try_send(());
    }
}

/// Watches until the kernel refuses something.
///
/// A directory can appear with content already inside, so the watches are laid anew after each change,
/// before the change is reported.
async fn watch_once(
    root: &Path,
    changed: &mpsc::Sender<()>,
    watching: &state::Sender<Watching>,
    rescan: Duration,
) -> io::Result<()> {
    let inotify = Inotify::init()?;
    let watches = inotify.watches();
    let mut events = inotify.into_event_stream(vec![0; 16 * 1024])?;
    let mut is_there = lay(&watches, root, watching).await?;
    // What changed before there was a watch on it.
    let _ = changed.try_send(());
    loop {
        tokio::select! {
            event = next_event(&mut events) => event?,
            () = sleep(GONE), if !is_there => {}
            () = sleep(rescan) => {}
            () = changed.closed() => return Ok(()),
        }
        let start = Instant::now();
        loop {
            let quiet = (Instant::now() + QUIET).min(start + LONGEST_WAIT);
            match timeout_at(quiet, next_event(&mut events)).await {
                Ok(event) if Instant::now() < start + LONGEST_WAIT => event?,
                _ => break,
            }
        }
        let was_there = std::mem::replace(&mut is_there, lay(&watches, root, watching).await?);
        if !was_there && !is_there {
            continue;
        }
        // A full queue holds a change that nobody has looked at yet: that look sees this one as well.
        if let Err(mpsc::error::TrySendError::Closed(())) = changed.try_send(()) {
            return Ok(());
        }
    }
}

/// Says how it goes, and logs it where that is new.
fn report(watching: &state::Sender<Watching>, now: Watching) {
    let is_new = watching.send_if_modified(|before| {
        let is_new = *before != now;
        before.clone_from(&now);
        is_new
    });
    match now {
        Watching::Failed(reason) if is_new => {
            tracing::error!(
                code = "watch-failed",
                reason,
                "changes are not all noticed at once; they are looked for again, and SIGHUP refreshes now"
            );
        }
        Watching::Working if is_new => tracing::info!("changes are noticed"),
        _ => {}
    }
}

async fn next_event(events: &mut EventStream<Vec<u8>>) -> io::Result<()> {
    match events.next().await {
        Some(event) => event.map(drop),
        // The stream of an open inotify never ends; should it, do not spin.
        None => std::future::pending().await,
    }
}

/// Watches the root and all below it; says whether the root is there.
async fn lay(
    watches: &Watches,
    root: &Path,
    watching: &state::Sender<Watching>,
) -> io::Result<bool> {
    let (watches, root) = (watches.clone(), root.to_path_buf());
    // A tree can be large, and this runs on the thread that answers dynamic requests.
    let laid = tokio::task::spawn_blocking(move || lay_all(watches, root)).await;
    let laid = laid.map_err(io::Error::other)?;
    report(watching, laid.refused.map_or(Watching::Working, Watching::Failed));
    Ok(laid.is_there)
}

struct Laid {
    is_there: bool,
    /// The first directory that could not be watched, and why.
    refused: Option<String>,
}

/// Directories that vanish take their watch with them.
fn lay_all(mut watches: Watches, root: PathBuf) -> Laid {
    let mut seen: HashSet<WatchDescriptor> = HashSet::new();
    let mut refused = None;
    let mut pending = vec![(root, 0)];
    while let Some((dir, depth)) = pending.pop() {
        let mut mask = WatchMask::CLOSE_WRITE
            | WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVE
            | WatchMask::ATTRIB
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        if depth > 0 {
            // Whoever configured the root may have named it by a link; what lies below comes from anywhere.
            mask |= WatchMask::DONT_FOLLOW;
        }
        match watches.add(&dir, mask) {
            Ok(descriptor) => {
                if !seen.insert(descriptor) {
                    continue;
                }
            }
            Err(error) if depth == 0 && error.kind() == io::ErrorKind::NotFound => {
                return Laid { is_there: false, refused };
            }
            // Taken away or replaced since it was listed; its parent's watch tells of that.
            Err(error) if depth > 0 && is_gone(&error) => continue,
            Err(error) => {
                let why = || format!("{} is not watched: {error}", dir.display());
                refused.get_or_insert_with(why);
                continue;
            }
        }
        if depth < DEEPEST {
            let children = fs::read_dir(&dir).into_iter().flatten().flatten();
            for child in children.filter(|child| child.file_type().is_ok_and(|kind| kind.is_dir()))
            {
                // Beside features and versions they belong to tools; inside a version they are part of it.
                let hidden = child.file_name().as_encoded_bytes().starts_with(b".");
                if depth >= 2 || !hidden {
                    pending.push((child.path(), depth + 1));
                }
            }
        }
    }
    Laid { is_there: true, refused }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
