//! What the service plane answered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use http::StatusCode;

use crate::edge::CLASSES;

/// Replies by route and class of status. Routes are patterns of the host, so there is an end to them.
#[derive(Debug, Default)]
pub struct Replies(Mutex<BTreeMap<String, [u64; CLASSES]>>);

impl Replies {
    /// Counts one.
    pub(super) fn count(&self, route: &str, status: StatusCode) {
        let mut routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !routes.contains_key(route) {
            routes.insert(route.to_owned(), [0; CLASSES]);
        }
        let class = usize::from(status.as_u16() / 100).wrapping_sub(2);
        if let Some(count) = routes.get_mut(route).and_then(|counts| counts.get_mut(class)) {
            *count += 1;
        }
    }

    /// How many there were of each route that was ever asked for, from 2xx to 5xx.
    pub(super) fn counts(&self) -> BTreeMap<String, [u64; CLASSES]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
