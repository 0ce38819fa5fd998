//! Guessing gets slower with each failure.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::edge::Peer;

/// Failures of each client address. A wait is for the client and not for this host: whoever comes too early is
/// turned away at once and not looked at.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: Mutex<HashMap<Option<IpAddr>, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// So many failures are somebody's typing.
const FREE: u32 = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After so long without another failure all is forgotten.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// Addresses that are remembered; then the one that failed longest ago is forgotten.
const MOST: usize = 1024;

impl Backoff {
    /// How long a client still has to wait.
    pub(super) fn wait(&self, peer: Peer, now: Instant) -> Option<Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = failures.get(&peer.client())?;
        let end = failures.last.checked_add(delay(failures.count))?;
        Some(end.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Counts a failure.
    pub(super) fn failed(&self, peer: Peer, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let client = peer.client();
        if failures.len() >= MOST && !failures.contains_key(&client) {
            failures.retain(|_, one| now.saturating_duration_since(one.last) < MEMORY);
            let oldest = failures.iter().min_by_key(|(_, one)| one.last).map(|(client, _)| *client);
            if let Some(oldest) = oldest.filter(|_| failures.len() >= MOST) {
                failures.remove(&oldest);
            }
        }
        let one = failures.entry(client).or_insert(Failures { count: 0, last: now });
        if now.saturating_duration_since(one.last) >= MEMORY {
            one.count = 0;
        }
        *one = Failures { count: one.count.saturating_add(1), last: now };
    }

    /// Forgets the failures of a client that knows better by now.
    pub(super) fn succeeded(&self, peer: Peer) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer.client());
    }
}

fn delay(failures: u32) -> Duration {
    match failures.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(doublings) => {
            let seconds = 1u64.checked_shl(doublings).unwrap_or(u64::MAX);
            Duration::from_secs(seconds).min(LONGEST_WAIT)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> Peer {
        Peer::Network((IpAddr::V4(number.into()), 1).into())
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_minute_and_success_ends_it() {
        let (backoff, now, client) = (Backoff::default(), Instant::now(), peer(1));
        let mut waits = Vec::new();
        for _ in 0..13 {
            backoff.failed(client, now);
            waits.push(backoff.wait(client, now).unwrap_or_default().as_secs());
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff.wait(client, now + LONGEST_WAIT), None);
        assert_eq!(backoff.wait(peer(2), now), None, "another client does not wait");
        backoff.succeeded(client);
        assert_eq!(backoff.wait(client, now), None);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let (backoff, now, client) = (Backoff::default(), Instant::now(), peer(1));
        for _ in 0..40 {
            backoff.failed(client, now);
        }
        backoff.failed(client, now + MEMORY);
        assert_eq!(backoff.wait(client, now + MEMORY), None);
    }

    #[test]
    fn clients_that_fail_once_push_out_the_oldest_and_take_no_more_room() {
        let (backoff, now) = (Backoff::default(), Instant::now());
        for number in 0..5000 {
            backoff.failed(peer(number), now + Duration::from_millis(number.into()));
        }
        let failures = backoff.failures.lock().unwrap();
        assert_eq!(failures.len(), MOST);
        assert!(failures.contains_key(&peer(4999).client()));
        assert!(!failures.contains_key(&peer(0).client()));
    }
}
