//! What is known of the registrations of one namespace.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;

use crate::registration::{Registration, RegistrationError};
use crate::source::Object;

/// Registrations by the names of their ConfigMaps.
#[derive(Debug)]
pub(super) struct Known {
    namespace: String,
    objects: BTreeMap<String, Object>,
    /// Registrations that nobody deleted, and that the cluster does not know any more.
    forgotten: BTreeMap<String, Object>,
    /// The highest number of the cluster's store that was seen on any of them. They only grow, over all objects and
    /// for as long as the store lives.
    highest: u64,
}

impl Known {
    /// Nothing, of this namespace.
    pub(super) fn of(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            objects: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            highest: 0,
        }
    }

    /// Takes what this ConfigMap says now.
    pub(super) fn put(&mut self, map: ConfigMap) {
        self.see(&map);
        let name = map.name_any();
        let object = Object {
            place: format!("{}/{name}", self.namespace),
            since: map.metadata.creation_timestamp.map(|time| time.0),
            content: Registration::from_data(&map.data.unwrap_or_default()),
        };
        self.forgotten.remove(&name);
        self.objects.insert(name, object);
    }

    /// Lets go of one that was deleted, or that is no registration any more.
    pub(super) fn remove(&mut self, map: &ConfigMap) {
        self.see(map);
        let name = map.name_any();
        self.objects.remove(&name);
        self.forgotten.remove(&name);
    }

    /// Whether it has seen a higher number than is on anything in `listed`: something was deleted, or the store counts
    /// from an earlier number.
    pub(super) fn is_ahead_of(&self, listed: &Self) -> bool {
        listed.highest < self.highest
    }

    /// Takes a complete list in place of all that was known, where the cluster's store is at `now`. That is
    /// asked for only where [`Known::is_ahead_of`] says so.
    ///
    /// What the list lacks was deleted, and is let go. But where the store is at a lower number than before, it was
    /// wiped or restored from a backup. Then what it lacks was deleted by nobody: it is kept and reported, until it is
    /// there again.
    pub(super) fn replace(&mut self, listed: Self, now: Option<u64>) {
        if let Some(now) = now.filter(|now| *now < self.highest) {
            for (name, object) in std::mem::take(&mut self.objects) {
                let feature = match &object.content {
                    Ok(registration) => Some(&registration.feature),
                    Err(error) => error.feature(),
                };
                let content = Err(RegistrationError::forgotten(feature.cloned()));
                self.forgotten.insert(name, Object { content, ..object });
            }
            self.highest = now;
        }
        self.forgotten.retain(|name, _| !listed.objects.contains_key(name));
        self.highest = self.highest.max(listed.highest);
        self.objects = listed.objects;
    }

    /// All of them.
    pub(super) fn objects(&self) -> Vec<Object> {
        self.objects.values().chain(self.forgotten.values()).cloned().collect()
    }

    fn see(&mut self, map: &ConfigMap) {
        let version = map.metadata.resource_version.as_deref();
        let version = version.and_then(|version| version.parse().ok()).unwrap_or(0);
        self.highest = self.highest.max(version);
    }
}
