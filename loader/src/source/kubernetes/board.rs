//! Where those who follow a namespace each put what they know, and from where it is reported as one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::problem::Problem;
use crate::source::{Contact, Desired, Object, Reporter};

/// All namespaces.
#[derive(Debug)]
pub(super) struct Board {
    views: Mutex<Views>,
    reporter: Reporter,
}

/// By namespace.
type Views = BTreeMap<String, View>;

/// One namespace.
#[derive(Debug, Default)]
struct View {
    /// `None` until it was listed once.
    objects: Option<Vec<Object>>,
    contact: Contact,
}

impl Board {
    pub(super) fn new(namespaces: &[String], reporter: Reporter) -> Self {
        let views = namespaces.iter().map(|name| (name.clone(), View::default())).collect();
        Self { views: Mutex::new(views), reporter }
    }

    /// Everything of a namespace was seen, and it is this.
    pub(super) fn listed(&self, namespace: &str, objects: Vec<Object>) {
        let contact = Contact { last: Some(Instant::now()), trouble: None };
        let view = View { objects: Some(objects), contact };
        self.say(&self.update(namespace, |before| *before = view));
    }

    /// Something changed since a namespace was listed, and everything is this now.
    pub(super) fn changed(&self, namespace: &str, objects: Vec<Object>) {
        self.say(&self.update(namespace, |view| view.objects = Some(objects)));
    }

    /// A namespace cannot be read. What it held stays.
    pub(super) fn trouble(&self, namespace: &str, problem: Problem) {
        self.reporter.failed(problem.code);
        self.say(&self.update(namespace, |view| view.contact.trouble = Some(problem)));
    }

    /// The API server has sent something for a namespace.
    pub(super) fn heard(&self, namespace: &str) {
        drop(self.update(namespace, |view| view.contact.last = Some(Instant::now())));
    }

    /// A reply of the API server broke off. Where it was that of a watch, a new watch goes on without a word.
    pub(super) fn interrupted(&self) {
        self.reporter.failed("cluster-interrupted");
    }

    /// Returns when nobody listens any more.
    pub(super) async fn closed(&self) {
        self.reporter.closed().await;
    }

    /// Changes what is known of a namespace, and says how it stands with all.
    fn update(&self, namespace: &str, change: impl FnOnce(&mut View)) -> MutexGuard<'_, Views> {
        // Views are whole after every change, so that a panic in between harms nobody.
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = views.get_mut(namespace) {
            change(view);
        }
        self.reporter.contact(Contact {
            // Of the one that was not heard from for longest.
            last: views.values().map(|view| view.contact.last).min().flatten(),
            trouble: views.values().find_map(|view| view.contact.trouble.clone()),
        });
        views
    }

    /// Says what all of them register.
    fn say(&self, views: &Views) {
        // At the start each is waited for until it has come or failed, so that little is built on a part.
        let is_pending = |view: &View| view.objects.is_none() && view.contact.trouble.is_none();
        let is_blind = views.values().all(|view| view.objects.is_none());
        if is_blind || views.values().any(is_pending) {
            return;
        }
        let objects = views.values().filter_map(|view| view.objects.as_ref());
        let unseen = views.iter().filter(|(_, view)| view.objects.is_none());
        let unseen = unseen.map(|(name, _)| format!("{name}/")).collect();
        self.reporter.wanted(Desired { unseen, ..Desired::of(objects.flatten().cloned()) });
    }
}
