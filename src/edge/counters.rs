//! What each worker counts. A counter has one writer, so counting is a plain load and store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::limits::Limit;
use super::owners::{Owner, OwnerCounts, Owners};

/// Totals over all workers since the start; `connections_open` is the present number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Requests whose head was read to its end.
    pub requests: u64,
    /// Replies by the class of their status, from 2xx to 5xx. A 100 before the reply is none of them.
    pub responses: [u64; CLASSES],
    /// Bytes handed to the kernel for sending, heads included.
    pub bytes_out: u64,
    /// Connections that are open now.
    pub connections_open: u64,
    /// Connections that were ever accepted.
    pub connections_accepted: u64,
    /// Times that the kernel could give no connection, mostly for want of file descriptors.
    pub accept_failures: u64,
    limits: [u64; Limit::ALL.len()],
    /// Lines of the access log that found no room.
    pub access_dropped: u64,
}

impl Counts {
    /// How often clients came up against this limit.
    pub fn reached(&self, limit: Limit) -> u64 {
        self.limits.get(limit as usize).copied().unwrap_or_default()
    }
}

/// One counter of one worker.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, amount: u64) {
        // Only the worker's own thread writes, so nothing can come in between.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, amount: u64) {
        self.add(amount.wrapping_neg());
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Classes of status that a reply can have: 2xx to 5xx.
pub const CLASSES: usize = 4;

/// Replies by class of status.
#[derive(Debug, Default)]
pub(super) struct Classes([Counter; CLASSES]);

impl Classes {
    /// Counts a reply with this status.
    pub(super) fn count(&self, status: u16) {
        if let Some(counter) = self.0.get(usize::from(status / 100).wrapping_sub(2)) {
            counter.add(1);
        }
    }

    pub(super) fn add_to(&self, totals: &mut [u64; CLASSES]) {
        totals.iter_mut().zip(&self.0).for_each(|(total, counter)| *total += counter.get());
    }
}

/// The counters of one worker, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct WorkerCounters {
    pub(super) requests: Counter,
    pub(super) responses: Classes,
    pub(super) bytes_out: Counter,
    pub(super) connections_open: Counter,
    pub(super) connections_accepted: Counter,
    pub(super) accept_failures: Counter,
    limits: [Counter; Limit::ALL.len()],
    pub(super) access_dropped: Counter,
    pub(super) owners: Owners,
}

/// What all workers count, for whoever looks.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    workers: Vec<Arc<WorkerCounters>>,
}

impl Meter {
    /// Takes one more worker in.
    pub(super) fn add(&mut self, worker: Arc<WorkerCounters>) {
        self.workers.push(worker);
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let mut total = Counts::default();
        self.workers.iter().for_each(|worker| worker.add_to(&mut total));
        total
    }

    /// What was counted so far for each owner that has counters.
    pub fn owners(&self) -> BTreeMap<Owner, OwnerCounts> {
        let mut totals = BTreeMap::new();
        self.workers.iter().for_each(|worker| worker.owners.add_to(&mut totals));
        totals
    }
}

impl WorkerCounters {
    /// Counts that a client came up against this limit.
    pub(super) fn reached(&self, limit: Limit) {
        if let Some(counter) = self.limits.get(limit as usize) {
            counter.add(1);
        }
    }

    /// Adds this worker's numbers to a total.
    fn add_to(&self, total: &mut Counts) {
        total.requests += self.requests.get();
        self.responses.add_to(&mut total.responses);
        total.bytes_out += self.bytes_out.get();
        total.connections_open += self.connections_open.get();
        total.connections_accepted += self.connections_accepted.get();
        total.accept_failures += self.accept_failures.get();
        for (sum, counter) in total.limits.iter_mut().zip(&self.limits) {
            *sum += counter.get();
        }
        total.access_dropped += self.access_dropped.get();
    }
}
