//! Makes the tree what is wanted: one task for each feature, so that none waits for another.

mod feature;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use pilar_artifact::FeatureId;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::machine::{Backoff, Machine};
use crate::place::Placer;
use crate::record::Record;
use crate::source::{Desired, Feed, Refused, Registered};
use crate::status::Board;
use crate::transport::{FetchError, Fetched, Transports, Wanted};

use feature::{Feature, Want};

/// Brings what is wanted.
pub trait Fetch: Send + Sync + 'static {
    /// See [`Transports::fetch`].
    fn fetch(
        &self,
        wanted: &Wanted<'_>,
    ) -> impl Future<Output = Result<Fetched, FetchError>> + Send;
}

impl Fetch for Transports {
    async fn fetch(&self, wanted: &Wanted<'_>) -> Result<Fetched, FetchError> {
        Self::fetch(self, wanted).await
    }
}

/// How often and how much at once.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between what failed and its next try.
    pub backoff: Backoff,
    /// Between two looks at a CDN.
    pub poll: std::time::Duration,
    /// Between two times that all bytes in place are read, at the least; up to twice as long.
    pub check: std::time::Duration,
    /// Features that are worked on at the same time on the disk, verification included: each holds one file in memory.
    pub working: usize,
}

/// What all features share.
#[derive(Debug)]
pub struct Shared<F> {
    fetch: F,
    placer: Arc<Placer>,
    board: Arc<Board>,
    pace: Pace,
    machine: Machine,
    working: Semaphore,
    /// Makes names of downloads unique in this process; whoever has the claim is the only one.
    downloads: AtomicU64,
}

/// Everything that is looked after.
#[derive(Debug)]
pub struct Reconciler<F> {
    shared: Arc<Shared<F>>,
    features: BTreeMap<FeatureId, watch::Sender<Want>>,
    tasks: JoinSet<()>,
    /// What was refused before, so that it is said once.
    refused: Vec<Refused>,
}

impl<F: Fetch> Reconciler<F> {
    /// Begins with what is remembered from before: it stays until a source says that it is not wanted.
    pub fn new(
        fetch: F,
        placer: Arc<Placer>,
        board: Arc<Board>,
        pace: Pace,
        machine: Machine,
        remembered: BTreeMap<FeatureId, Record>,
    ) -> Self {
        let shared = Arc::new(Shared {
            fetch,
            placer,
            board,
            pace,
            machine,
            working: Semaphore::new(pace.working),
            downloads: AtomicU64::new(0),
        });
        let mut reconciler =
            Self { shared, features: BTreeMap::new(), tasks: JoinSet::new(), refused: Vec::new() };
        for (id, record) in remembered {
            reconciler.look_after(id, record, Want::Nothing);
        }
        reconciler
    }

    /// Follows what the source says. It ends only where the task of a feature has, which none does but by a defect: the
    /// feature would be left alone from then on, without a word.
    pub async fn run(mut self, mut feed: Feed) {
        loop {
            if let Some(desired) = feed.desired() {
                self.want(self.settled(&desired));
            }
            tokio::select! {
                () = feed.changed() => {}
                Some(ended) = self.tasks.join_next() => {
                    let reason = ended.err().map(|error| error.to_string());
                    tracing::error!(code = "internal", reason, "the task of a feature has ended");
                    return;
                }
            }
        }
    }

    /// What a place registered is not handed to another one while the first cannot be understood, or not be seen: that
    /// it registers nothing any more is not known.
    fn settled(&self, desired: &Desired) -> Desired {
        let mut settled = desired.clone();
        let is_mute = |place: &str| {
            let mut refused = desired.refused.iter();
            refused.any(|one| one.place == place && one.feature.is_none())
        };
        for (id, feature) in &self.features {
            let want = feature.borrow();
            let Some(first) = want.place() else { continue };
            if !is_mute(first) && !desired.is_unseen(first) {
                continue;
            }
            if let Some(other) = settled.registrations.remove(id) {
                settled.refused.push(Refused::second(other, first));
            }
        }
        settled
    }

    fn want(&mut self, desired: Desired) {
        for refused in desired.refused.iter().filter(|refused| !self.refused.contains(refused)) {
            let problem = &refused.problem;
            tracing::warn!(code = problem.code, remedy = problem.remedy, "{}", problem.message);
        }
        self.refused.clone_from(&desired.refused);
        for (id, registered) in &desired.registrations {
            let want = Want::Have(registered.clone());
            match self.features.get(id) {
                Some(feature) => send(feature, want),
                None => self.look_after(id.clone(), Record::default(), want),
            }
        }
        // What a place said before stays while it says nothing that could be done. Its place alone counts: whoever
        // writes a broken registration elsewhere keeps nothing that was deleted.
        let unclear: BTreeSet<_> = desired.refused.iter().map(|one| one.place.as_str()).collect();
        for (id, feature) in &self.features {
            let is_gone = matches!(*feature.borrow(), Want::Gone | Want::Nothing);
            let is_unclear = feature
                .borrow()
                .place()
                .is_some_and(|place| unclear.contains(place) || desired.is_unseen(place));
            let is_wanted = desired.registrations.contains_key(id);
            if !is_wanted && !is_gone && !is_unclear {
                self.shared.board.leaving(id);
                send(feature, Want::Gone);
            }
        }
        self.shared.board.wanted(desired);
    }

    fn look_after(&mut self, id: FeatureId, record: Record, want: Want) {
        let want = match (want, &record.placed) {
            (Want::Nothing, Some(placed)) => Want::Keep { place: placed.registered_in.clone() },
            (want, _) => want,
        };
        let (sender, wanted) = watch::channel(want);
        let feature = Feature::new(Arc::clone(&self.shared), id.clone(), record, wanted);
        self.tasks.spawn(feature.run());
        self.features.insert(id, sender);
    }
}

/// A registration that says what it said is no change.
fn send(feature: &watch::Sender<Want>, want: Want) {
    feature.send_if_modified(|before| {
        let is_new = *before != want;
        *before = want;
        is_new
    });
}

impl Want {
    /// Where it comes from.
    fn place(&self) -> Option<&str> {
        match self {
            Self::Have(Registered { place, .. }) | Self::Keep { place } => Some(place),
            Self::Gone | Self::Nothing => None,
        }
    }
}
