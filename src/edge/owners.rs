//! What each worker counts for the features, whichever and however many they are.

use std::array;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use super::counters::{CLASSES, Classes, Counter};

/// Whose resource something is, for counting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner(u32);

impl Owner {
    /// Nobody in particular.
    pub const NOBODY: Owner = Owner(0);

    /// The owner with this number, from 1. Numbers should be given in sequence: the counters of a number bring those
    /// of all lower ones with them.
    pub fn numbered(number: u32) -> Owner {
        Owner(number)
    }
}

/// What was answered for one owner since the start, over all workers; the service plane's replies are nobody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnerCounts {
    /// Replies by the class of their status, from 2xx to 5xx.
    pub responses: [u64; CLASSES],
    /// Replies of status 304.
    pub not_modified: u64,
    /// Bytes of replies, heads included.
    pub bytes: u64,
    /// Samples of the time from the arrival of requests to when the kernel had taken the replies to all of them:
    /// how many took less than [`latency_bound`] of their place, and not less than that of the place before.
    pub latency: [u64; LATENCY_STEPS],
    /// How long these samples took together, in microseconds.
    pub latency_micros: u64,
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
        since.combine(before, u64::wrapping_sub);
        since
    }

    /// Adds those of another owner.
    pub fn add(&mut self, other: &OwnerCounts) {
        self.combine(other, u64::wrapping_add);
    }

    fn combine(&mut self, other: &OwnerCounts, with: fn(u64, u64) -> u64) {
        let pairs = self.responses.iter_mut().zip(&other.responses);
        let pairs = pairs.chain(self.latency.iter_mut().zip(&other.latency));
        pairs.for_each(|(one, other)| *one = with(*one, *other));
        self.not_modified = with(self.not_modified, other.not_modified);
        self.bytes = with(self.bytes, other.bytes);
        self.latency_micros = with(self.latency_micros, other.latency_micros);
    }
}

/// The counters of each owner of one worker: blocks that are made when the first number in them is counted for, and
/// never move, so that others can read while the worker counts. Each has twice the room of the one before; together
/// they have room for every number.
#[derive(Debug)]
pub(super) struct Owners([OnceLock<Box<[OwnerCounters]>>; BLOCKS]);

/// Room of the first block, which takes 14 KB for each worker.
const FIRST_ROOM: u64 = 1 << FIRST_BITS;

const FIRST_BITS: u32 = 6;

const BLOCKS: usize = (u32::BITS - FIRST_BITS) as usize + 1;

impl Default for Owners {
    fn default() -> Owners {
        Owners(array::from_fn(|_| OnceLock::new()))
    }
}

impl Owners {
    /// Counts a reply from a resource of this owner.
    pub(super) fn answered(&self, owner: Owner, status: u16, bytes: usize) {
        let Some(counters) = self.counters(owner) else { return };
        counters.responses.count(status);
        if status == 304 {
            counters.not_modified.add(1);
        }
        counters.bytes.add(bytes as u64);
    }

    /// Counts how long a reply took that was chosen as a sample.
    pub(super) fn took(&self, owner: Owner, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let step = (u64::BITS - (micros >> 4).leading_zeros()) as usize;
        let Some(counters) = self.counters(owner) else { return };
        if let Some(counter) = counters.latency.get(step.min(LATENCY_STEPS - 1)) {
            counter.add(1);
            counters.latency_micros.add(micros);
        }
    }

    /// Adds what was counted for each owner to its total.
    pub(super) fn add_to(&self, totals: &mut BTreeMap<Owner, OwnerCounts>) {
        let made = (0..).zip(&self.0).filter_map(|(block, made)| Some((block, made.get()?)));
        for (block, counters) in made {
            let first = (FIRST_ROOM << block) - FIRST_ROOM;
            for (number, counters) in
                (first..).map_while(|number| number.try_into().ok()).zip(counters)
            {
                counters.add_to(totals.entry(Owner(number)).or_default());
            }
        }
    }

    /// Those of one owner. There is a block for every number, so it is never nothing.
    fn counters(&self, owner: Owner) -> Option<&OwnerCounters> {
        // So the numbers of a block begin with a power of two, which is its room as well.
        let shifted = u64::from(owner.0) + FIRST_ROOM;
        let bits = shifted.ilog2();
        let room = 1 << bits;
        let make = || (0..room).map(|_| OwnerCounters::default()).collect();
        let block = self.0.get((bits - FIRST_BITS) as usize)?.get_or_init(make);
        block.get((shifted - room) as usize)
    }
}

#[derive(Debug, Default)]
struct OwnerCounters {
    responses: Classes,
    not_modified: Counter,
    bytes: Counter,
    latency: [Counter; LATENCY_STEPS],
    latency_micros: Counter,
}

impl OwnerCounters {
    fn add_to(&self, total: &mut OwnerCounts) {
        self.responses.add_to(&mut total.responses);
        for (sum, counter) in total.latency.iter_mut().zip(&self.latency) {
            *sum += counter.get();
        }
        total.not_modified += self.not_modified.get();
        total.bytes += self.bytes.get();
        total.latency_micros += self.latency_micros.get();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_counters_of_its_own() {
        let owners = Owners::default();
        // Around the ends of blocks, and not in order.
        let numbers = [300, 0, 1, 62, 63, 64, 65, 127, 128, 191, 192, 448, 100_000];
        for (times, number) in (1..).zip(numbers) {
            for _ in 0..times {
                owners.answered(Owner::numbered(number), 200, 10);
            }
            owners.took(Owner::numbered(number), Duration::ZERO);
        }
        let mut totals = BTreeMap::new();
        owners.add_to(&mut totals);
        for (times, number) in (1..).zip(numbers) {
            let counts = totals.remove(&Owner::numbered(number)).unwrap();
            assert_eq!((counts.responses[0], counts.bytes), (times, times * 10), "{number}");
            assert_eq!(counts.latency[0], 1, "{number}");
        }
        assert!(totals.values().all(|counts| *counts == OwnerCounts::default()));
    }

    #[test]
    fn the_last_number_has_a_block() {
        let last = u64::from(u32::MAX) + FIRST_ROOM;
        assert_eq!((last.ilog2() - FIRST_BITS) as usize, BLOCKS - 1);
    }
}
