//! Where registrations come from: a cluster or a directory.
//!
//! A source is level-triggered. It never says what changed, only what is wanted now, whole; so nothing can be
//! missed for good, and whoever listens may sleep through any number of changes. A source that cannot see
//! everything says that it cannot, and the set from before stays.

pub mod directory;
#[cfg(feature = "cluster")]
pub mod kubernetes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use pilar_artifact::FeatureId;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::problem::Problem;
use crate::registration::{Registration, RegistrationError};

/// One object of a source: a ConfigMap or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name, for people and as its identity: `namespace/name`, or the name of a file.
    pub place: String,
    /// Since when it is there, where the source knows. Of two for one feature the older wins; where their
    /// age is the same or unknown, the lower place.
    pub since: Option<Timestamp>,
    /// What it says.
    pub content: Result<Registration, RegistrationError>,
}

/// Everything that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// What to have, by feature.
    pub registrations: BTreeMap<FeatureId, Registered>,
    /// Places whose content is not acceptable, or came second. What was taken from such a place before is
    /// neither changed nor removed.
    pub refused: Vec<Refused>,
    /// How the names of places start that nobody has seen yet, such as `team-a/`. What was taken from such a place
    /// before is neither changed nor removed.
    pub unseen: Vec<String>,
}

/// A registration that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// What it says.
    pub registration: Registration,
    /// Where it is.
    pub place: String,
}

/// An object that says nothing that could be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Where it is.
    pub place: String,
    /// The feature that it names, where that much could be read.
    pub feature: Option<FeatureId>,
    /// Why.
    pub problem: Problem,
}

impl Desired {
    /// Settles which objects hold, whatever order they come in.
    pub fn of(objects: impl IntoIterator<Item = Object>) -> Self {
        let mut objects: Vec<Object> = objects.into_iter().collect();
        // An age that is not known comes after each that is.
        objects.sort_by(|one, other| {
            let rank = |object: &Object| object.since.unwrap_or(Timestamp::MAX);
            (rank(one), &one.place).cmp(&(rank(other), &other.place))
        });
        let mut desired = Self::default();
        // The oldest place that names each feature, acceptable or not: one that becomes malformed changes nothing, so
        // a younger one does not get its turn by that.
        let mut first: BTreeMap<FeatureId, String> = BTreeMap::new();
        for Object { place, content, .. } in objects {
            match content {
                Ok(registration) => {
                    let holds = first.entry(registration.feature.clone()).or_insert(place.clone());
                    let registered = Registered { registration, place };
                    if *holds == registered.place {
                        let feature = registered.registration.feature.clone();
                        desired.registrations.insert(feature, registered);
                    } else {
                        desired.refused.push(Refused::second(registered, holds));
                    }
                }
                Err(error) => {
                    if let Some(feature) = error.feature().filter(|_| !error.is_forgotten()) {
                        first.entry(feature.clone()).or_insert(place.clone());
                    }
                    desired.refused.push(Refused {
                        feature: error.feature().cloned(),
                        problem: error.problem(&place),
                        place,
                    });
                }
            }
        }
        desired
    }

    /// Whether nobody has seen yet what is at this place.
    pub fn is_unseen(&self, place: &str) -> bool {
        self.unseen.iter().any(|start| place.starts_with(start))
    }
}

impl Refused {
    /// A registration of a feature that `first` registers.
    pub fn second(registered: Registered, first: &str) -> Self {
        let Registered { registration: Registration { feature, .. }, place } = registered;
        let problem = Problem::new(
            "registration-duplicate",
            format!("{place} registers {feature}, which {first} registers already"),
            "delete one of the two; until then the older one holds",
        );
        Self { place, feature: Some(feature), problem }
    }
}

/// What a source says, for those who listen.
#[derive(Debug, Clone)]
pub struct Feed {
    desired: watch::Receiver<Option<Arc<Desired>>>,
    contact: watch::Receiver<Contact>,
    failures: Failures,
}

/// How often what is read could not be, or broke off, by code.
type Failures = Arc<Mutex<BTreeMap<&'static str, u64>>>;

/// How a source stands with what it reads.
#[derive(Debug, Clone, Default)]
pub struct Contact {
    /// When it last heard from it.
    pub last: Option<Instant>,
    /// Why it does not hear from it now.
    pub trouble: Option<Problem>,
}

/// What a source speaks through.
#[derive(Debug)]
pub struct Reporter {
    desired: watch::Sender<Option<Arc<Desired>>>,
    contact: watch::Sender<Contact>,
    failures: Failures,
}

/// The two ends between a source and those who listen.
pub fn channel() -> (Reporter, Feed) {
    let (desired, seen) = watch::channel(None);
    let (contact, heard) = watch::channel(Contact::default());
    let failures = Failures::default();
    let reporter = Reporter { desired, contact, failures: Arc::clone(&failures) };
    (reporter, Feed { desired: seen, contact: heard, failures })
}

impl Reporter {
    /// The whole set was seen, and it is this.
    pub fn wanted(&self, desired: Desired) {
        self.desired.send_if_modified(|before| {
            let is_new = before.as_deref() != Some(&desired);
            if is_new {
                *before = Some(Arc::new(desired));
            }
            is_new
        });
    }

    /// How it stands with what is read. Where there is trouble, the set stays.
    pub fn contact(&self, contact: Contact) {
        let before = self.contact.send_replace(contact.clone());
        if let Some(Problem { code, message, remedy }) =
            contact.trouble.filter(|problem| before.trouble.as_ref() != Some(problem))
        {
            tracing::error!(code, remedy, "registrations cannot be read: {message}");
        }
    }

    /// What is read has answered.
    pub fn heard(&self) {
        self.contact(Contact { last: Some(Instant::now()), trouble: None });
    }

    /// What is read does not answer, or not with everything.
    pub fn trouble(&self, problem: Problem) {
        self.failed(problem.code);
        let last = self.contact.borrow().last;
        self.contact(Contact { last, trouble: Some(problem) });
    }

    /// Counts that what is read could not be, or broke off.
    pub fn failed(&self, code: &'static str) {
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    /// Returns when nobody listens any more.
    pub async fn closed(&self) {
        self.desired.closed().await;
    }
}

impl Feed {
    /// The set of now; `None` until the whole of it was seen once.
    pub fn desired(&self) -> Option<Arc<Desired>> {
        self.desired.borrow().clone()
    }

    /// Returns when the set is another one than at the last call; never, where the source has ended.
    pub async fn changed(&mut self) {
        if self.desired.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// How often what is read could not be, or broke off, since the start, by code.
    pub fn failures(&self) -> BTreeMap<&'static str, u64> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the source stands with what it reads.
    pub fn contact(&self) -> Contact {
        self.contact.borrow().clone()
    }
}
