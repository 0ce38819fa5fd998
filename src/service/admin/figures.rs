//! What was asked for and how it was answered, by the minute: read off the edge's counters, which know only totals.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pilar_artifact::FeatureId;

use crate::admin::{MINUTES, Minute, Series, Traffic};
use crate::catalog::Now;
use crate::edge::{LATENCY_STEPS, Meter, Owner, OwnerCounts, latency_bound};

const MINUTE: Duration = Duration::from_secs(60);

/// The counters of the edge, and what they were at the end of each of the last minutes.
#[derive(Debug)]
pub struct Figures {
    meter: Meter,
    clock: fn() -> Now,
    minutes: Mutex<Minutes>,
}

#[derive(Debug)]
struct Minutes {
    /// When the minute began that is running.
    begun: Timestamp,
    /// What was counted until then.
    base: Reading,
    /// What was counted in each minute before, the oldest first.
    past: VecDeque<Reading>,
}

/// What was counted, in all or in a minute. Owners without any are left out.
#[derive(Debug, Clone, Default)]
struct Reading {
    total: OwnerCounts,
    owners: BTreeMap<Owner, OwnerCounts>,
}

impl Figures {
    /// Starts with the minute that begins now.
    pub fn new(meter: Meter, clock: fn() -> Now) -> Self {
        let minutes =
            Minutes { begun: clock().wall, base: Reading::of(&meter), past: VecDeque::new() };
        Self { meter, clock, minutes: Mutex::new(minutes) }
    }

    /// The counters.
    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Ends the minute that is running, and the next begins.
    fn end_minute(&self) {
        let reading = Reading::of(&self.meter);
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let past = reading.since(&minutes.base);
        minutes.past.push_back(past);
        if minutes.past.len() >= MINUTES {
            minutes.past.pop_front();
        }
        minutes.base = reading;
        minutes.begun = (self.clock)().wall;
    }

    /// The figures until now, of which the last minute is still running.
    pub(super) fn traffic(&self, owners: &BTreeMap<FeatureId, Owner>) -> Traffic {
        let now = Reading::of(&self.meter);
        let minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let running = now.since(&minutes.base);
        let each: Vec<&Reading> = minutes.past.iter().chain([&running]).collect();
        let series = |pick: &dyn Fn(&Reading) -> OwnerCounts| {
            let of_minutes: Vec<OwnerCounts> = each.iter().map(|reading| pick(reading)).collect();
            series(&pick(&now), &of_minutes)
        };
        let of_owner = |owner: Owner| {
            move |reading: &Reading| reading.owners.get(&owner).copied().unwrap_or_default()
        };
        Traffic {
            until: minutes.begun + SignedDuration::from_secs(60),
            total: series(&|reading| reading.total),
            features: owners
                .iter()
                .map(|(id, owner)| (id.clone(), series(&of_owner(*owner))))
                .collect(),
        }
    }
}

/// Ends a minute every minute.
pub async fn keep_minutes(figures: Arc<Figures>) {
    let mut minutes = tokio::time::interval(MINUTE);
    // The first is now.
    minutes.tick().await;
    loop {
        minutes.tick().await;
        figures.end_minute();
    }
}

impl Reading {
    fn of(meter: &Meter) -> Self {
        let mut owners = meter.owners();
        owners.retain(|_, counts| *counts != OwnerCounts::default());
        let mut total = OwnerCounts::default();
        owners.values().for_each(|counts| total.add(counts));
        // What the service plane answered has no owner.
        let counts = meter.counts();
        total.responses = counts.responses;
        total.bytes = counts.bytes_out;
        Self { total, owners }
    }

    fn since(&self, before: &Self) -> Self {
        let since = |(owner, counts): (&Owner, &OwnerCounts)| {
            (*owner, counts.since(&before.owners.get(owner).copied().unwrap_or_default()))
        };
        Self {
            total: self.total.since(&before.total),
            owners: self.owners.iter().map(since).collect(),
        }
    }
}

fn series(ever: &OwnerCounts, minutes: &[OwnerCounts]) -> Series {
    let mut hour = OwnerCounts::default();
    minutes.iter().for_each(|minute| hour.add(minute));
    Series {
        requests: ever.responses.iter().sum(),
        bytes: ever.bytes,
        by_class: ever.responses,
        cache_hits: ever.not_modified,
        p50: quantile(&hour.latency, 50),
        p99: quantile(&hour.latency, 99),
        minutes: minutes
            .iter()
            .map(|counts| Minute {
                requests: counts.responses.iter().sum(),
                bytes: counts.bytes,
                errors: counts.responses.last().copied().unwrap_or_default(),
                p50: quantile(&counts.latency, 50),
                p99: quantile(&counts.latency, 99),
            })
            .collect(),
    }
}

/// The time that `percent` of 100 samples stayed below, as near as the steps tell: within one it is taken to grow
/// evenly.
fn quantile(latency: &[u64; LATENCY_STEPS], percent: u64) -> Option<Duration> {
    let total: u64 = latency.iter().sum();
    if total == 0 {
        return None;
    }
    let rank = (total * percent).div_ceil(100).max(1);
    let mut below = 0;
    let mut start = Duration::ZERO;
    for (step, &count) in latency.iter().enumerate() {
        if below + count >= rank {
            if step == LATENCY_STEPS - 1 {
                break;
            }
            let part = (rank - below) as f64 / count as f64;
            return Some(start + (latency_bound(step) - start).mul_f64(part));
        }
        below += count;
        start = latency_bound(step);
    }
    Some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_in_the_step_of_their_sample() {
        let mut latency = [0; LATENCY_STEPS];
        assert_eq!(quantile(&latency, 50), None);
        latency[2] = 98;
        latency[7] = 2;
        let p50 = quantile(&latency, 50).unwrap();
        assert!(latency_bound(1) < p50 && p50 <= latency_bound(2), "{p50:?}");
        let p99 = quantile(&latency, 99).unwrap();
        assert!(latency_bound(6) < p99 && p99 <= latency_bound(7), "{p99:?}");
        latency[LATENCY_STEPS - 1] = 1_000_000;
        assert_eq!(quantile(&latency, 50), Some(latency_bound(LATENCY_STEPS - 2)));
    }
}
