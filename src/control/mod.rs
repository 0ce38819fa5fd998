//! Refreshing: from the artifacts directory to the snapshot that serves (contract §6, steps 3 to 8).

mod changes;
mod history;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::catalog::{Catalog, Contents, FeatureState, Now, Progress, Settings};
use crate::http::ResourceError;
use crate::shell::{Sdk, Site};
use crate::snapshot::Snapshot;
pub use history::{Event, History, Severity, Tally};

/// Makes snapshots and swaps them in.
#[derive(Debug)]
pub struct Control {
    catalog: Catalog,
    artifacts_dir: PathBuf,
    sdk: Sdk,
    site: Site,
    clock: fn() -> Now,
    current: Arc<ArcSwap<Snapshot>>,
    id: watch::Sender<String>,
    history: Arc<History>,
    /// Why the last refresh failed, if it did.
    failure: Option<String>,
}

impl Control {
    /// Looks at the artifacts for the first time.
    ///
    /// # Errors
    /// [`RefreshError`]; without a first snapshot there is nothing to serve from.
    pub fn start(
        settings: Settings,
        sdk: Sdk,
        site: Site,
        clock: fn() -> Now,
    ) -> Result<Self, RefreshError> {
        let artifacts_dir = settings.artifacts_dir.clone();
        let mut catalog = Catalog::new(settings);
        let now = clock();
        let contents = look(&mut catalog, &artifacts_dir, now)?;
        let first = Snapshot::build(contents, &sdk, &site, now.wall)?;
        let history = Arc::new(History::default());
        let took = clock().monotonic.saturating_duration_since(now.monotonic);
        history.refreshed(now.wall, took, false);
        for state in first.features().values() {
            changes::of_feature(None, state, now.wall).record(&history);
        }
        history.record(in_place(&first, now.wall));
        let (id, _) = watch::channel(first.id().to_owned());
        let current = Arc::new(ArcSwap::from_pointee(first));
        Ok(Self { catalog, artifacts_dir, sdk, site, clock, current, id, history, failure: None })
    }

    /// Where the current snapshot is.
    pub fn current(&self) -> Arc<ArcSwap<Snapshot>> {
        self.current.clone()
    }

    /// The id of the current snapshot, as it changes.
    pub fn ids(&self) -> watch::Receiver<String> {
        self.id.subscribe()
    }

    /// What happened so far.
    pub fn history(&self) -> Arc<History> {
        self.history.clone()
    }

    /// Looks again, and swaps a new snapshot in if anything is not as it was. Blocks: files are read and hashed.
    ///
    /// # Errors
    /// [`RefreshError`]; the current snapshot stays.
    pub fn refresh(&mut self) -> Result<(), RefreshError> {
        let now = (self.clock)();
        let outcome = self.refresh_at(now);
        let took = (self.clock)().monotonic.saturating_duration_since(now.monotonic);
        self.history.refreshed(now.wall, took, outcome.is_err());
        let failure = outcome.as_ref().err().map(ToString::to_string);
        if failure != self.failure {
            self.history.record(refresh_ended(outcome.as_ref().err(), now.wall));
            self.failure = failure;
        }
        outcome
    }

    fn refresh_at(&mut self, now: Now) -> Result<(), RefreshError> {
        let contents = look(&mut self.catalog, &self.artifacts_dir, now)?;
        let before = self.current.load_full();
        if before.is_of(&contents, &self.sdk, &self.site) {
            return Ok(());
        }
        let next = Snapshot::build(contents, &self.sdk, &self.site, now.wall)?;
        for state in next.features().values() {
            changes::of_feature(before.features().get(&state.id), state, now.wall)
                .record(&self.history);
        }
        let is_gone = |state: &&FeatureState| !next.features().contains_key(&state.id);
        for state in before.features().values().filter(is_gone) {
            self.history.record(changes::gone(state, now.wall));
        }
        let id = next.id().to_owned();
        let placed = (id != before.id()).then(|| in_place(&next, now.wall));
        // Stored even where the id is the same: what `/_health` says of it has changed.
        self.current.store(Arc::new(next));
        if let Some(placed) = placed {
            self.history.record(placed);
            self.id.send_replace(id);
        }
        Ok(())
    }

    /// Loads a few listed versions for pages that are still open, and swaps in a snapshot that has them once
    /// there are no more. Comes after a refresh, so that what serves does not wait for it. Returns whether there
    /// is more to do; blocks like a refresh.
    ///
    /// # Errors
    /// [`RefreshError`]; the current snapshot stays.
    pub fn keep_listed(&mut self) -> Result<bool, RefreshError> {
        let now = (self.clock)();
        match self.catalog.load_listed(now) {
            Progress::More => return Ok(true),
            Progress::Done(None) => {}
            Progress::Done(Some(contents)) => {
                let count = contents.retained.len();
                let next = Snapshot::build(contents, &self.sdk, &self.site, now.wall)?;
                self.current.store(Arc::new(next));
                tracing::info!(count, "versions that do not serve stay reachable");
            }
        }
        Ok(false)
    }
}

fn look(
    catalog: &mut Catalog,
    artifacts_dir: &std::path::Path,
    now: Now,
) -> Result<Contents, RefreshError> {
    let contents = catalog
        .refresh(now)
        .map_err(|source| RefreshError::Directory { path: artifacts_dir.to_path_buf(), source })?;
    for ignored in &contents.ignored {
        tracing::debug!(name = ignored.name, code = ignored.code, "{}", ignored.message);
    }
    Ok(contents)
}

/// That refreshing fails, or does so no longer.
fn refresh_ended(error: Option<&RefreshError>, at: Timestamp) -> Event {
    let (severity, code, message) = match error {
        Some(error) => {
            (Severity::Error, error.code(), format!("refresh failed; what serves goes on: {error}"))
        }
        None => (Severity::Info, "refreshed-again", "refreshing works again".to_owned()),
    };
    Event { at, feature_id: None, severity, code: code.to_owned(), version: None, message }
}

/// That a snapshot took over.
fn in_place(snapshot: &Snapshot, at: Timestamp) -> Event {
    let serving = snapshot.features().values().filter(|state| state.serving().is_some()).count();
    let features = if serving == 1 { "feature serves" } else { "features serve" };
    Event {
        at,
        feature_id: None,
        severity: Severity::Info,
        code: "snapshot-in-place".to_owned(),
        version: None,
        message: format!("snapshot {} is in place; {serving} {features}", snapshot.id()),
    }
}

/// Why a refresh failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The artifacts directory itself could not be read.
    #[error("ARTIFACTS_DIR {} could not be read: {source}; create it, or let this user read it", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A reply could not be made.
    #[error("a reply could not be made ready: {0}")]
    Resource(#[from] ResourceError),
}

impl RefreshError {
    /// The stable code of this problem.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Directory { .. } => "artifacts-dir-unreadable",
            Self::Resource(error) => error.code(),
        }
    }
}
