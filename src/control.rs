//! Refreshing: from the artifacts directory to the snapshot that serves (contract §6, steps 3 to 8).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pilar_artifact::FeatureId;
use pilar_artifact::select::Outcome;
use pilar_artifact::verify::Report;
use tokio::sync::watch;

use crate::catalog::{Catalog, FeatureState, Now, Progress, Settings, Standing};
use crate::http::ResourceError;
use crate::shell::{Sdk, Site};
use crate::snapshot::Snapshot;

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
        let first = look(&mut catalog, &artifacts_dir, &sdk, &site, clock())?;
        for state in first.features().values() {
            log_state(state);
        }
        log_snapshot(&first);
        let (id, _) = watch::channel(first.id().to_owned());
        let current = Arc::new(ArcSwap::from_pointee(first));
        Ok(Self { catalog, artifacts_dir, sdk, site, clock, current, id })
    }

    /// Where the current snapshot is.
    pub fn current(&self) -> Arc<ArcSwap<Snapshot>> {
        self.current.clone()
    }

    /// The id of the current snapshot, as it changes.
    pub fn ids(&self) -> watch::Receiver<String> {
        self.id.subscribe()
    }

    /// Looks again, and swaps the new snapshot in. Blocks: files are read and hashed.
    ///
    /// # Errors
    /// [`RefreshError`]; the current snapshot stays.
    pub fn refresh(&mut self) -> Result<(), RefreshError> {
        let now = (self.clock)();
        let next = look(&mut self.catalog, &self.artifacts_dir, &self.sdk, &self.site, now)?;
        let before = self.current.load_full();
        for state in next.features().values() {
            if before.features().get(&state.id).is_none_or(|old| differs(old, state)) {
                log_state(state);
            }
        }
        for gone in before.features().keys().filter(|id| !next.features().contains_key(*id)) {
            tracing::info!(feature = %gone, "feature was taken out");
        }
        let id = next.id().to_owned();
        // Stored even where the id is the same: what `/_health` says of it may have changed.
        self.current.store(Arc::new(next));
        if id != before.id() {
            log_snapshot(&self.current.load());
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
    sdk: &Sdk,
    site: &Site,
    now: Now,
) -> Result<Snapshot, RefreshError> {
    let contents = catalog
        .refresh(now)
        .map_err(|source| RefreshError::Directory { path: artifacts_dir.to_path_buf(), source })?;
    for ignored in &contents.ignored {
        tracing::debug!(name = ignored.name, code = ignored.code, "{}", ignored.message);
    }
    Ok(Snapshot::build(contents, sdk, site, now.wall)?)
}

/// Whether an operator would want to hear of it.
fn differs(old: &FeatureState, new: &FeatureState) -> bool {
    let version = |state: &FeatureState| state.serving().map(|loaded| loaded.manifest_sha256);
    let refusals = |state: &FeatureState| -> Vec<String> { refusals(state).collect() };
    old.standing != new.standing
        || version(old) != version(new)
        || refusals(old) != refusals(new)
        || old.conflict != new.conflict
        || old.key_expired != new.key_expired
        || old.sequence_went_down_from() != new.sequence_went_down_from()
}

fn refusals(state: &FeatureState) -> impl Iterator<Item = String> + '_ {
    let index = state.index.as_ref().err().map(|trouble| {
        let Report { code, step, check, file, message, .. } = trouble.report(&state.id);
        format!("{file}: {message} (step {step}, {check}, code {code})")
    });
    let versions = state.attempts.iter().filter_map(|attempt| match &attempt.outcome {
        Outcome::Rejected(rejection) => Some(rejection.to_string()),
        _ => None,
    });
    index.into_iter().chain(versions)
}

fn log_state(state: &FeatureState) {
    for refusal in refusals(state) {
        tracing::warn!(feature = %state.id, "refused: {refusal}");
    }
    let id: &FeatureId = &state.id;
    let version = state.serving().map(|loaded| loaded.manifest.version.to_string());
    let version = version.as_deref().unwrap_or("none");
    if let Some(from) = state.sequence_went_down_from() {
        tracing::warn!(feature = %id, from, code = "index-sequence-went-down",
            "an older release index is in place; what was revoked stays revoked");
    }
    if let Some(key) = &state.key_expired {
        tracing::warn!(feature = %id, key = key.key_id, ended = %key.not_after, code = "key-expired",
            "what serves was signed by a key that has ended; it will not load after a restart");
    }
    let standing = state.standing.as_str();
    match state.standing {
        Standing::AsReleased => tracing::info!(feature = %id, version, standing, "serving"),
        Standing::Fallback | Standing::LastGood => {
            tracing::warn!(feature = %id, version, standing, "serving another version than released");
        }
        Standing::NothingToServe => tracing::error!(feature = %id, standing, "nothing to serve"),
        Standing::Conflict => {
            let owner = state.conflict.as_ref().map(ToString::to_string);
            let owner = owner.as_deref().unwrap_or_default();
            tracing::error!(feature = %id, standing, owner, code = "prefix-conflict",
                "another feature has this feature's URL prefix; give one of them another pathPrefix");
        }
    }
}

fn log_snapshot(snapshot: &Snapshot) {
    let serving = snapshot.features().values().filter(|state| state.serving().is_some()).count();
    tracing::info!(snapshot = snapshot.id(), features = serving, "snapshot in place");
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
