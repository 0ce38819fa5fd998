//! What the loader says of its work: kept here, written to `<ARTIFACTS_DIR>/.loader/status.json`, and read by
//! `/metrics` and `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pilar_artifact::FeatureId;
use pilar_artifact::loader_status::{
    LOADER_DIRECTORY, LOADER_STATUS_FILE, LoaderError, LoaderFeature, LoaderStatus,
    RefusedRegistration, SourceStatus,
};
use pilar_store::Store;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::problem::Problem;
use crate::source::{Desired, Feed, Refused};

/// Changes within this time of one another are written once.
const GATHER: Duration = Duration::from_millis(50);
/// How often it is written where nothing changed, so that readers see that somebody still writes it.
const RENEW: Duration = Duration::from_secs(30);

/// The state of everything, shared by those who change it.
#[derive(Debug)]
pub struct Board {
    kind: &'static str,
    feed: Feed,
    clock: fn() -> Timestamp,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    /// Held by who writes it: what is written last is what was said last.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    features: BTreeMap<FeatureId, LoaderFeature>,
    desired: Option<Desired>,
    counts: Counts,
    trouble: Option<Problem>,
}

/// What is counted since the start.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Features that were put in place anew.
    pub placed: u64,
    /// Features that were taken out.
    pub taken_out: u64,
    /// Attempts that failed, by code.
    pub failures: BTreeMap<&'static str, u64>,
    /// Bytes that came over the network.
    pub transferred: u64,
    /// Requests that were sent again.
    pub retries: u64,
}

/// How far what is registered has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether the whole of it was seen once.
    pub is_known: bool,
    /// Registrations that are not acceptable, and namespaces that nobody has seen yet.
    pub refused: usize,
    /// Features that were not tried yet, or not yet taken out.
    pub pending: usize,
    /// Features whose last attempt failed, with the number of attempts.
    pub failing: Vec<(FeatureId, u64)>,
    /// Features that are in place.
    pub in_place: usize,
}

impl Progress {
    fn add(&mut self, id: &FeatureId, said: Option<&LoaderFeature>) {
        match said.filter(|said| said.last_error.is_some()) {
            Some(said) => self.failing.push((id.clone(), said.attempts)),
            None => self.pending += 1,
        }
    }
}

impl Board {
    /// An empty one, for registrations of this kind of source.
    pub fn new(kind: &'static str, feed: Feed, clock: fn() -> Timestamp) -> Self {
        Self {
            kind,
            feed,
            clock,
            state: Mutex::default(),
            changed: watch::Sender::new(()),
            writing: Mutex::default(),
        }
    }

    /// Changes what is said of a feature.
    pub fn update(&self, feature: &FeatureId, change: impl FnOnce(&mut LoaderFeature)) {
        change(self.lock().features.entry(feature.clone()).or_default());
        self.changed.send_replace(());
    }

    /// Says that a feature is to be taken out.
    pub fn leaving(&self, feature: &FeatureId) {
        self.update(feature, |said| {
            (said.desired, said.origin, said.registered_in) = (None, None, None);
            (said.attempts, said.last_error) = (0, None);
        });
    }

    /// Says nothing more of a feature.
    pub fn forget(&self, feature: &FeatureId) {
        self.lock().features.remove(feature);
        self.changed.send_replace(());
    }

    /// Says what is registered, and which registrations are not acceptable.
    pub fn wanted(&self, desired: Desired) {
        self.lock().desired = Some(desired);
        self.changed.send_replace(());
    }

    /// Tells of each change.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Counts something.
    pub fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.lock().counts);
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// Where the registrations come from.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// All of it, as of now.
    pub fn status(&self) -> LoaderStatus {
        let now = (self.clock)();
        let contact = self.feed.contact();
        let last = contact.last.map(|last| last.elapsed());
        let state = self.lock();
        LoaderStatus {
            updated_at: Some(now),
            source: SourceStatus {
                kind: self.kind.to_owned(),
                last_contact_at: last.and_then(|age| now.checked_sub(age).ok()),
                error: contact.trouble.as_ref().map(error),
            },
            features: state.features.clone(),
            refused: state
                .desired
                .iter()
                .flat_map(|desired| &desired.refused)
                .map(refused)
                .collect(),
            left_out: 0,
        }
    }

    /// How far what is registered has come.
    pub fn progress(&self) -> Progress {
        let state = self.lock();
        let Some(desired) = &state.desired else { return Progress::default() };
        let refused = desired.refused.len() + desired.unseen.len();
        let mut progress = Progress { is_known: true, refused, ..Progress::default() };
        for (id, registered) in &desired.registrations {
            let origin = registered.registration.origin.identity();
            let said = state.features.get(id);
            match said.filter(|said| said.desired.as_ref() == Some(&origin)) {
                Some(said) if said.attempts == 0 && said.last_success_at.is_some() => {
                    progress.in_place += 1;
                }
                said => progress.add(id, said),
            }
        }
        let leaving = state.features.iter().filter(|(_, said)| said.registered_in.is_none());
        leaving.for_each(|(id, said)| progress.add(id, Some(said)));
        progress
    }

    /// Says why nothing can be done in the tree, or that it can.
    pub fn stuck(&self, trouble: Option<Problem>) {
        self.lock().trouble = trouble;
    }

    /// Why nothing can be done in the tree.
    pub fn trouble(&self) -> Option<Problem> {
        self.lock().trouble.clone()
    }

    /// Writes it into `store` whenever it changed, for ever.
    pub async fn keep_written(self: Arc<Self>, store: Store) {
        let mut trouble = None;
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            let (board, store) = (Arc::clone(&self), store.clone());
            let written = spawn_blocking(move || board.write(&store)).await;
            if let Ok(written) = written {
                report(written.err(), &mut trouble);
            }
            tokio::select! {
                _ = changes.changed() => sleep(GATHER).await,
                () = sleep(RENEW) => {}
            }
        }
    }

    /// Writes it into `store`.
    ///
    /// # Errors
    /// A [`Problem`] of the disk; the old file is still there.
    pub fn write(&self, store: &Store) -> Result<(), Problem> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let name = LOADER_STATUS_FILE.rsplit('/').next().unwrap_or_default();
        Ok(store.notes(LOADER_DIRECTORY)?.replace(name, &self.status().to_bytes())?)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No change of it can be left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A problem as the file has it.
pub fn error(problem: &Problem) -> LoaderError {
    LoaderError {
        code: problem.code.to_owned(),
        message: problem.message.clone(),
        remedy: problem.remedy.clone(),
    }
}

fn refused(refused: &Refused) -> RefusedRegistration {
    RefusedRegistration {
        place: refused.place.clone(),
        feature_id: refused.feature.clone(),
        error: error(&refused.problem),
    }
}

/// A full disk is no reason to stop, and no reason to say so each minute.
fn report(now: Option<Problem>, before: &mut Option<Problem>) {
    if let Some(problem) = now.as_ref().filter(|_| now != *before) {
        let Problem { code, message, remedy } = problem;
        tracing::error!(code, remedy, "the status cannot be written: {message}");
    }
    *before = now;
}
