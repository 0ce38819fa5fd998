//! What each worker counts. A counter has one writer, so counting is a plain load and store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Totals over all workers since the start; `connections_open` is the present number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Requests whose head was read to its end.
    pub requests: u64,
    /// Replies by the first digit of their status, from 1xx to 5xx.
    pub responses: [u64; 5],
    /// Bytes handed to the kernel for sending, heads included.
    pub bytes_out: u64,
    /// Connections that are open now.
    pub connections_open: u64,
    /// Connections that were ever accepted.
    pub connections_accepted: u64,
    /// Connections that were closed at once, over the limit per worker.
    pub connections_refused: u64,
    /// Connections that were closed at once, over the limit per client address.
    pub clients_refused: u64,
    /// Connections that were closed after as many requests as one may have.
    pub connections_used_up: u64,
    /// Times that the kernel could give no connection, mostly for want of file descriptors.
    pub accept_failures: u64,
    /// Connections that were closed because something took too long, slow readers included.
    pub timeouts: u64,
    /// Connections that were reset because the client took its reply too slowly.
    pub slow_readers: u64,
    /// Requests that the service plane had no room for.
    pub service_refused: u64,
}

/// Whose resource something is, as far as it is counted. At most 255 owners are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner(u8);

impl Owner {
    /// Everybody who has no number.
    pub const OTHERS: Owner = Owner(0);

    /// The owner with this number, if there is one left for it.
    pub fn numbered(number: usize) -> Owner {
        Owner(u8::try_from(number).unwrap_or(0))
    }

    /// The number.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// What was answered for one owner since the start, over all workers; the service plane's replies are nobody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnerCounts {
    /// Replies by the first digit of their status, from 1xx to 5xx.
    pub responses: [u64; 5],
    /// Replies of status 304.
    pub not_modified: u64,
    /// Bytes of replies, heads included.
    pub bytes: u64,
    /// Samples of the time from the arrival of requests to when the kernel had taken the replies to all of them:
    /// how many took less than [`latency_bound`] of their place, and not less than that of the place before.
    pub latency: [u64; LATENCY_STEPS],
}

/// Steps in which times are counted.
pub const LATENCY_STEPS: usize = 20;

/// The end of a step: 16 µs for the first, and twice as much for each next one. The last has no end.
pub fn latency_bound(step: usize) -> Duration {
    Duration::from_micros(16 << step.min(LATENCY_STEPS - 1))
}

impl OwnerCounts {
    /// What came since `before`, which was read from the same counters earlier.
    pub fn since(&self, before: &OwnerCounts) -> OwnerCounts {
        let mut since = *self;
        since.subtract(before);
        since
    }

    /// Adds those of another owner.
    pub fn add(&mut self, other: &OwnerCounts) {
        self.combine(other, u64::wrapping_add);
    }

    fn subtract(&mut self, other: &OwnerCounts) {
        self.combine(other, u64::wrapping_sub);
    }

    fn combine(&mut self, other: &OwnerCounts, with: fn(u64, u64) -> u64) {
        let pairs = self.responses.iter_mut().zip(&other.responses);
        let pairs = pairs.chain(self.latency.iter_mut().zip(&other.latency));
        pairs.for_each(|(one, other)| *one = with(*one, *other));
        self.not_modified = with(self.not_modified, other.not_modified);
        self.bytes = with(self.bytes, other.bytes);
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

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one worker, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct WorkerCounters {
    pub(super) requests: Counter,
    responses: [Counter; 5],
    pub(super) bytes_out: Counter,
    pub(super) connections_open: Counter,
    pub(super) connections_accepted: Counter,
    pub(super) connections_refused: Counter,
    pub(super) clients_refused: Counter,
    pub(super) connections_used_up: Counter,
    pub(super) accept_failures: Counter,
    pub(super) timeouts: Counter,
    pub(super) slow_readers: Counter,
    pub(super) service_refused: Counter,
    owners: Owners,
}

/// The counters of each owner; as many as a number of theirs can say.
#[derive(Debug)]
struct Owners(Box<[OwnerCounters; 256]>);

impl Default for Owners {
    fn default() -> Owners {
        Owners(Box::new(std::array::from_fn(|_| OwnerCounters::default())))
    }
}

#[derive(Debug, Default)]
struct OwnerCounters {
    responses: [Counter; 5],
    not_modified: Counter,
    bytes: Counter,
    latency: [Counter; LATENCY_STEPS],
}

impl OwnerCounters {
    fn add_to(&self, total: &mut OwnerCounts) {
        let counters = self.responses.iter().chain(&self.latency);
        let sums = total.responses.iter_mut().chain(&mut total.latency);
        counters.zip(sums).for_each(|(counter, sum)| *sum += counter.get());
        total.not_modified += self.not_modified.get();
        total.bytes += self.bytes.get();
    }
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

    /// What was counted so far for each owner there could be.
    pub fn owners(&self) -> impl Iterator<Item = (Owner, OwnerCounts)> {
        (0..=u8::MAX).map(|number| {
            let mut total = OwnerCounts::default();
            let counters =
                self.workers.iter().filter_map(|worker| worker.owners.0.get(usize::from(number)));
            counters.for_each(|counters| counters.add_to(&mut total));
            (Owner(number), total)
        })
    }
}

impl WorkerCounters {
    /// Counts a reply from a resource of this owner.
    pub(super) fn answered(&self, owner: Owner, status: u16, bytes: usize) {
        // Cannot be out of bounds, and the compiler sees it.
        let Some(counters) = self.owners.0.get(usize::from(owner.0)) else { return };
        if let Some(counter) = counters.responses.get(usize::from(status / 100).wrapping_sub(1)) {
            counter.add(1);
        }
        if status == 304 {
            counters.not_modified.add(1);
        }
        counters.bytes.add(bytes as u64);
    }

    /// Counts how long a reply took that was chosen as a sample.
    pub(super) fn took(&self, owner: Owner, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let step = (u64::BITS - (micros >> 4).leading_zeros()) as usize;
        let counters = self.owners.0.get(usize::from(owner.0));
        let counter = counters.and_then(|one| one.latency.get(step.min(LATENCY_STEPS - 1)));
        if let Some(counter) = counter {
            counter.add(1);
        }
    }

    /// Counts a reply with this status.
    pub(super) fn response(&self, status: u16) {
        let class = usize::from(status / 100).wrapping_sub(1);
        if let Some(counter) = self.responses.get(class) {
            counter.add(1);
        }
    }

    /// Adds this worker's numbers to a total.
    fn add_to(&self, total: &mut Counts) {
        total.requests += self.requests.get();
        for (sum, counter) in total.responses.iter_mut().zip(&self.responses) {
            *sum += counter.get();
        }
        total.bytes_out += self.bytes_out.get();
        total.connections_open += self.connections_open.get();
        total.connections_accepted += self.connections_accepted.get();
        total.connections_refused += self.connections_refused.get();
        total.clients_refused += self.clients_refused.get();
        total.connections_used_up += self.connections_used_up.get();
        total.accept_failures += self.accept_failures.get();
        total.timeouts += self.timeouts.get();
        total.slow_readers += self.slow_readers.get();
        total.service_refused += self.service_refused.get();
    }
}
