//! One feature: fetched, placed, tried again, looked at again, taken out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pilar_artifact::FeatureId;
use pilar_artifact::loader_status::{LoaderFeature, OriginKind};
use semver::Version;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::{Fetch, Shared};
use crate::damage::Damage;
use crate::place::{Outcome, Placer, Present};
use crate::problem::Problem;
use crate::record::{Placement, Record};
use crate::registration::Origin;
use crate::source::Registered;
use crate::status;
use crate::transport::{FetchError, Tally, Trust, Wanted};

/// The longest sleep: the clock of the machine may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// How often the space is looked at where something could go that nobody names.
const SPACE_LOOK: Duration = Duration::from_secs(60);

/// What is to become of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Want {
    /// This.
    Have(Registered),
    /// What is there stays: nobody has said what is wanted yet, or not so that it could be done.
    Keep {
        /// The place that registered it.
        place: String,
    },
    /// It is not registered any more.
    Gone,
    /// Nothing: it was taken out before.
    Nothing,
}

/// One feature and what is known of it.
#[derive(Debug)]
pub(super) struct Feature<F> {
    shared: Arc<Shared<F>>,
    id: FeatureId,
    record: Record,
    /// Versions in the tree that are damaged, until they are put right, and how.
    damaged: BTreeMap<Version, Problem>,
    /// Versions that did not come last time, and why.
    left_out: BTreeMap<Version, Problem>,
    /// When what is in place is to be read again; `None` where this process has not read it yet.
    next_check: Option<Instant>,
    wanted: watch::Receiver<Want>,
}

/// Why an attempt ended without success.
enum Ended {
    /// Something else is wanted now, or more has to be fetched than was known.
    Overtaken,
    /// It failed.
    Failed {
        problem: Problem,
        /// A server asked for that much time.
        retry_after: Option<Duration>,
    },
}

impl<F: Fetch> Feature<F> {
    pub(super) fn new(
        shared: Arc<Shared<F>>,
        id: FeatureId,
        record: Record,
        wanted: watch::Receiver<Want>,
    ) -> Self {
        Self {
            shared,
            id,
            record,
            damaged: BTreeMap::new(),
            left_out: BTreeMap::new(),
            next_check: None,
            wanted,
        }
    }

    /// Does what is wanted, again and again, until nobody wants anything more.
    pub(super) async fn run(mut self) {
        let mut failures = 0;
        loop {
            let want = self.wanted.borrow_and_update().clone();
            let pause = match self.step(&want).await {
                Ok(pause) => {
                    failures = 0;
                    pause
                }
                Err(Ended::Overtaken) => {
                    failures = 0;
                    continue;
                }
                Err(Ended::Failed { problem, retry_after }) => {
                    failures += 1;
                    Some(self.failed(problem, failures, retry_after))
                }
            };
            let pause = pause.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
            tokio::select! {
                changed = self.wanted.changed() => match changed {
                    Ok(()) => failures = 0,
                    Err(_) => return,
                },
                () = sleep(pause) => {}
            }
        }
    }

    /// Does what is wanted once, and says when to look again.
    async fn step(&mut self, want: &Want) -> Result<Option<Duration>, Ended> {
        match want {
            Want::Have(registered) => {
                let origin = registered.registration.origin.identity();
                if self.record.placed.as_ref().is_some_and(|placed| placed.origin == origin) {
                    self.check().await?;
                    self.converge(registered).await?;
                } else {
                    // Who registers something else does not wait until what is there has been read.
                    let converged = self.converge(registered).await;
                    if self.check().await? {
                        return Err(Ended::Overtaken);
                    }
                    converged?;
                }
                Ok(self.next_look(registered))
            }
            Want::Keep { place } => {
                self.shared.board.update(&self.id, |said| {
                    said.registered_in = Some(place.clone());
                    self.say_placed(said);
                });
                self.collect().await?;
                Ok(self.next_collection())
            }
            Want::Gone => {
                self.take_out().await?;
                Ok(None)
            }
            Want::Nothing => Ok(None),
        }
    }

    /// Reads everything that was put in place, where it is time to: at first, before anybody serves it, and now and
    /// then. Each version has a turn of its own, so that many bytes of one feature keep no other waiting. Says whether
    /// something is damaged that was not known to be.
    async fn check(&mut self) -> Result<bool, Ended> {
        if self.next_check.is_some_and(|at| Instant::now() < at) {
            return Ok(false);
        }
        let known = self.damaged.len();
        let placed = self.record.placed.clone().map(Arc::new);
        for version in placed.iter().flat_map(|placed| placed.versions.clone()) {
            let (id, placed) = (self.id.clone(), placed.clone());
            let damage = self
                .blocking(move |placer| {
                    Ok(placed.and_then(|placed| placer.damage(&id, &placed, &version)))
                })
                .await?;
            damage.into_iter().for_each(|damage| self.note_damage(damage));
            if self.wanted.has_changed().is_ok_and(|has_changed| has_changed) {
                return Err(Ended::Overtaken);
            }
        }
        let Shared { machine, pace, .. } = &*self.shared;
        // Up to twice as long, so that those that were read together at first are not for ever.
        self.next_check = Some(Instant::now() + pace.check.mul_f64(1.0 + (machine.chance)()));
        Ok(self.damaged.len() > known)
    }

    /// From now on it counts as not being there, so that it is fetched.
    fn note_damage(&mut self, damage: Damage) {
        let Damage { version, problem } = damage;
        let Problem { code, message, remedy } = &problem;
        tracing::warn!(code, remedy, feature = self.id.as_str(), %version, "{message}");
        self.shared.board.count(|counts| *counts.failures.entry(problem.code).or_default() += 1);
        self.damaged.insert(version, problem);
        self.shared.board.update(&self.id, |said| self.say_placed(said));
    }

    /// A CDN is asked again and again; that the same is missing is said once.
    fn note_left_out(&mut self, left_out: BTreeMap<Version, Problem>) {
        let is_new = |(version, problem): &(&Version, &Problem)| {
            self.left_out.get(*version) != Some(*problem)
        };
        for (version, problem) in left_out.iter().filter(is_new) {
            let Problem { code, message, remedy } = problem;
            let feature = self.id.as_str();
            tracing::warn!(code, remedy, feature, %version, "a version is left out: {message}");
        }
        self.left_out = left_out;
    }

    async fn converge(&mut self, registered: &Registered) -> Result<(), Ended> {
        let start = Instant::now();
        self.say_begun(registered);
        // Before anything is fetched, which may need the space.
        self.collect().await?;
        let origin = &registered.registration.origin;
        let id = self.id.clone();
        let mut present = self.blocking(move |placer| placer.present(&id)).await?;
        present.versions.retain(|version, _| !self.damaged.contains_key(version));
        let in_place = self.record.placed.clone().filter(|placed| {
            placed.origin == origin.identity()
                && placed.is_of(present.index)
                && placed.versions.iter().all(|version| present.versions.contains_key(version))
        });
        let mut transferred = None;
        if in_place.is_none() || matches!(origin, Origin::Cdn(_)) {
            transferred = self.fetch_and_place(registered, present, in_place).await?;
        }
        self.remember_place(registered).await?;
        self.say_done(registered, transferred, start.elapsed());
        Ok(())
    }

    /// The bytes that came over the network; `None` where there was nothing new.
    async fn fetch_and_place(
        &mut self,
        registered: &Registered,
        present: Present,
        in_place: Option<Placement>,
    ) -> Result<Option<u64>, Ended> {
        let shared = Arc::clone(&self.shared);
        let unique = shared.downloads.fetch_add(1, Ordering::Relaxed).to_string();
        let id = self.id.clone();
        let incoming = Arc::new(self.blocking(move |placer| placer.incoming(&id, &unique)).await?);
        let tally = Tally::default();
        let wanted = Wanted {
            registration: &registered.registration,
            present: &present.versions,
            validator: in_place.as_ref().and_then(|placed| placed.validator.as_deref()),
            trust: Trust { keys: shared.placer.keys(), now: (shared.machine.clock)() },
            into: &incoming,
            tally: &tally,
        };
        let fetched = tokio::select! {
            fetched = shared.fetch.fetch(&wanted) => fetched.map_err(failed),
            _ = self.wanted.changed() => Err(Ended::Overtaken),
        };
        // However it ended.
        shared.board.count(|counts| {
            counts.transferred += tally.transferred();
            counts.retries += tally.retries();
        });
        let fetched = fetched?;
        if !fetched.changed {
            return Ok(None);
        }
        self.note_left_out(fetched.left_out);
        // A CDN that names no validator sends its index each time.
        if let Some(placed) = in_place.filter(|placed| placed.validator == fetched.validator) {
            let (id, arrived) = (self.id.clone(), Arc::clone(&incoming));
            let is_known = self
                .blocking(move |placer| placer.is_in_place_already(&id, &arrived, &placed))
                .await?;
            if is_known {
                return Ok(None);
            }
        }
        let (registered, record) = (registered.clone(), self.record.clone());
        let damaged: BTreeSet<Version> = self.damaged.keys().cloned().collect();
        let validator = fetched.validator;
        let outcome = self
            .blocking(move |placer| {
                placer.place(&registered, &incoming, &record, &damaged, validator)
            })
            .await?;
        match outcome {
            Outcome::Placed { record, notes } => {
                self.record = *record;
                let is_noted = |one: &Version| notes.iter().any(|note| note.version() == Some(one));
                self.damaged.retain(|version, _| is_noted(version));
                for note in notes {
                    let Problem { code, message, remedy } = note.into();
                    tracing::warn!(code, remedy, feature = self.id.as_str(), "{message}");
                }
                Ok(Some(tally.transferred()))
            }
            Outcome::Damaged(found) => {
                found.into_iter().for_each(|damage| self.note_damage(damage));
                Err(Ended::Overtaken)
            }
        }
    }

    async fn remember_place(&mut self, registered: &Registered) -> Result<(), Ended> {
        let (registered, mut record) = (registered.clone(), self.record.clone());
        self.record = self
            .blocking(move |placer| placer.moved(&registered, &mut record).map(|()| record))
            .await?;
        Ok(())
    }

    async fn take_out(&mut self) -> Result<(), Ended> {
        if self.record.placed.is_some() {
            self.shared.board.update(&self.id, |said| {
                said.next_attempt_at = None;
                said.attempts += 1;
                said.last_attempt_at = Some((self.shared.machine.clock)());
            });
            let (id, mut record) = (self.id.clone(), self.record.clone());
            let (record, was_ours) = self
                .blocking(move |placer| {
                    placer.take_out(&id, &mut record).map(|ours| (record, ours))
                })
                .await?;
            self.record = record;
            self.damaged.clear();
            let feature = self.id.as_str();
            if was_ours {
                self.shared.board.count(|counts| counts.taken_out += 1);
                tracing::info!(feature, "taken out: it is not registered any more");
            } else {
                tracing::info!(
                    feature,
                    "not registered any more; what others have published stays"
                );
            }
        }
        self.shared.board.forget(&self.id);
        Ok(())
    }

    /// Removes what the index has not named for long enough, or what there is no space for.
    async fn collect(&mut self) -> Result<(), Ended> {
        if !self.record.left.is_empty() {
            let (id, mut record) = (self.id.clone(), self.record.clone());
            self.record = self
                .blocking(move |placer| placer.collect(&id, &mut record).map(|()| record))
                .await?;
        }
        Ok(())
    }

    fn next_look(&self, registered: &Registered) -> Option<Duration> {
        let chance = (self.shared.machine.chance)();
        let poll = matches!(registered.registration.origin, Origin::Cdn(_))
            .then(|| self.shared.pace.poll.mul_f64(1.0 - chance / 10.0));
        let check = self.next_check.map(|at| at.saturating_duration_since(Instant::now()));
        poll.into_iter().chain(self.next_collection()).chain(check).min()
    }

    /// When there may be something to remove.
    fn next_collection(&self) -> Option<Duration> {
        let at = self.shared.placer.next_collection(&self.record)?;
        let wait = at.duration_since((self.shared.machine.clock)());
        // Over by then, and not just about to be.
        let wait = Duration::try_from(wait).unwrap_or_default() + Duration::from_secs(1);
        Some(wait.min(SPACE_LOOK))
    }

    /// Work that waits for the disk or hashes, on a thread of its own; it goes on to its end even where this task
    /// does not.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Placer) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Ended> {
        // Never closed: whoever could close it is this task as well.
        let _turn = self.shared.working.acquire().await;
        let placer = Arc::clone(&self.shared.placer);
        match spawn_blocking(move || work(&placer)).await {
            Ok(done) => done.map_err(|problem| Ended::Failed { problem, retry_after: None }),
            Err(error) => {
                let problem = Problem::new(
                    "internal",
                    format!("a thread of the loader ended early: {error}"),
                    "it is tried again; please report it",
                );
                Err(Ended::Failed { problem, retry_after: None })
            }
        }
    }

    fn say_begun(&self, registered: &Registered) {
        let now = (self.shared.machine.clock)();
        self.shared.board.update(&self.id, |said| {
            let origin = &registered.registration.origin;
            said.desired = Some(origin.identity());
            said.origin = Some(match origin {
                Origin::Image(_) => OriginKind::Image,
                Origin::Cdn(_) => OriginKind::Cdn,
            });
            said.registered_in = Some(registered.place.clone());
            said.attempts += 1;
            said.last_attempt_at = Some(now);
            said.next_attempt_at = None;
            self.say_placed(said);
        });
    }

    fn say_done(&self, registered: &Registered, transferred: Option<u64>, took: Duration) {
        let now = (self.shared.machine.clock)();
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if let (Some(bytes), Some(placed)) = (transferred, &self.record.placed) {
            self.shared.board.count(|counts| counts.placed += 1);
            tracing::info!(
                feature = self.id.as_str(),
                version = %placed.active_version,
                sequence = placed.sequence,
                origin = %registered.registration.origin,
                bytes,
                milliseconds,
                "in place"
            );
        }
        self.shared.board.update(&self.id, |said| {
            said.attempts = 0;
            said.last_error = None;
            said.last_success_at = Some(now);
            said.duration_ms = Some(milliseconds);
            said.transferred_bytes = transferred.or(said.transferred_bytes);
            self.say_placed(said);
        });
    }

    /// Says that it failed, and returns how long to wait.
    fn failed(&self, problem: Problem, failures: u64, asked: Option<Duration>) -> Duration {
        let Shared { machine, pace, board, .. } = &*self.shared;
        let pause = pace.backoff.pause(failures, (machine.chance)());
        let pause = pause.max(asked.unwrap_or_default()).min(LONGEST_SLEEP);
        let Problem { code, message, remedy } = &problem;
        let (feature, seconds) = (self.id.as_str(), pause.as_secs_f64());
        tracing::warn!(code, remedy, feature, failures, retry_in_seconds = seconds, "{message}");
        board.count(|counts| *counts.failures.entry(problem.code).or_default() += 1);
        board.update(&self.id, |said| {
            said.last_error = Some(status::error(&problem));
            said.next_attempt_at = (machine.clock)().checked_add(pause).ok();
        });
        pause
    }

    /// Says what is in place, and whether something is wrong with it.
    fn say_placed(&self, said: &mut LoaderFeature) {
        let Some(placed) = &self.record.placed else { return };
        said.actual = Some(placed.origin.clone());
        said.index_sha256 = Some(placed.index_sha256.clone());
        said.sequence = Some(placed.sequence);
        said.active_version = Some(placed.active_version.clone());
        let stale = placed.stale((self.shared.machine.clock)());
        let was_said = |code| said.warnings.iter().any(|warning| warning.code == code);
        if let Some(Problem { code, message, remedy }) =
            stale.as_ref().filter(|stale| !was_said(stale.code))
        {
            tracing::warn!(code, remedy, feature = self.id.as_str(), "{message}");
        }
        let damage = self.damaged.values().next();
        said.warnings = damage.into_iter().chain(&stale).map(status::error).collect();
    }
}

fn failed(error: FetchError) -> Ended {
    let retry_after = error.retry_after();
    Ended::Failed { problem: error.into(), retry_after }
}
