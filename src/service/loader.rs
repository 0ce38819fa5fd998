//! What the loader said last, for whoever asks, however often.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::loader_report::LoaderReport;

/// The status of the loader of an artifacts directory, read anew when its file is another.
#[derive(Debug)]
pub struct Loader {
    artifacts_dir: PathBuf,
    known: Mutex<Known>,
}

type Known = Option<(Identity, Option<Arc<LoaderReport>>)>;

/// What tells one file from the one that replaces it; none where there is no file.
type Identity = Option<(u64, u64, i64, i64)>;

impl Loader {
    /// The loader of this directory, if there is one at work.
    pub fn of(artifacts_dir: PathBuf) -> Arc<Self> {
        Arc::new(Self { artifacts_dir, known: Mutex::default() })
    }

    /// What it said last; none where no loader is at work.
    pub(super) async fn status(self: &Arc<Self>) -> Option<Arc<LoaderReport>> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.read()).await.ok().flatten()
    }

    fn read(&self) -> Option<Arc<LoaderReport>> {
        // Before the file is read: one that is replaced meanwhile is read once more the next time.
        let identity = identity(&self.artifacts_dir);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((same, status)) = &*known
            && *same == identity
        {
            return status.clone();
        }
        let status = LoaderReport::read(&self.artifacts_dir).map(Arc::new);
        *known = Some((identity, status.clone()));
        status
    }
}

fn identity(artifacts_dir: &Path) -> Identity {
    let metadata = LoaderReport::path(artifacts_dir).symlink_metadata().ok()?;
    Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}
