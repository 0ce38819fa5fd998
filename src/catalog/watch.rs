//! Notices that the artifacts directory changed.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use inotify::{EventStream, Inotify, WatchDescriptor, WatchMask, Watches};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

/// Changes that come within this time of one another are one change.
const QUIET: Duration = Duration::from_millis(50);
/// A directory that never comes to rest is looked at all the same after this time.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long until the next look for a root that is gone: no event tells that it is back.
const GONE: Duration = Duration::from_secs(1);

/// Sends on `changed` whenever something below `root` changed and came to rest. Returns when `changed` is
/// closed.
///
/// The tree is three levels deep (features, versions, files), and a directory can appear with content
/// already inside, so the watches are laid anew after each change, before the change is reported.
///
/// # Errors
/// What the kernel says, such as that `fs.inotify.max_user_instances` is used up.
pub async fn watch(root: PathBuf, changed: mpsc::Sender<()>) -> io::Result<()> {
    let inotify = Inotify::init()?;
    let mut watches = inotify.watches();
    let mut is_there = lay(&mut watches, &root);
    // What changed before there was a watch on it.
    let _ = changed.try_send(());
    let mut events = inotify.into_event_stream(vec![0; 16 * 1024])?;
    loop {
        let next = tokio::select! {
            event = next_event(&mut events) => event,
            () = sleep(GONE), if !is_there => Ok(()),
            () = changed.closed() => return Ok(()),
        };
        next?;
        let start = Instant::now();
        loop {
            let quiet = (Instant::now() + QUIET).min(start + LONGEST_WAIT);
            match timeout_at(quiet, next_event(&mut events)).await {
                Ok(event) if Instant::now() < start + LONGEST_WAIT => event?,
                _ => break,
            }
        }
        let was_there = std::mem::replace(&mut is_there, lay(&mut watches, &root));
        if !was_there && !is_there {
            continue;
        }
        // A full queue holds a change that nobody has looked at yet: that look sees this one as well.
        if let Err(mpsc::error::TrySendError::Closed(())) = changed.try_send(()) {
            return Ok(());
        }
    }
}

async fn next_event(events: &mut EventStream<Vec<u8>>) -> io::Result<()> {
    match events.next().await {
        Some(event) => event.map(drop),
        // The stream of an open inotify never ends; should it, do not spin.
        None => std::future::pending().await,
    }
}

/// Watches the root, each feature and each version; says whether the root is there. Directories that vanish
/// take their watch with them.
fn lay(watches: &mut Watches, root: &Path) -> bool {
    let mut seen: HashSet<WatchDescriptor> = HashSet::new();
    let mut pending = vec![(root.to_path_buf(), 0)];
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
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if depth == 0 {
                    return false;
                }
                continue;
            }
            Err(error) => {
                tracing::warn!(code = "watch-failed", dir = %dir.display(), %error,
                    "this directory is not watched; changes in it show at the next refresh");
                continue;
            }
        }
        if depth < 2 {
            let children = fs::read_dir(&dir).into_iter().flatten().flatten();
            for child in children.filter(|child| child.file_type().is_ok_and(|kind| kind.is_dir()))
            {
                if !child.file_name().as_encoded_bytes().starts_with(b".") {
                    pending.push((child.path(), depth + 1));
                }
            }
        }
    }
    true
}
