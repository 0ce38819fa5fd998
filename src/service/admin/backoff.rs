//! Guessing gets slower with each failure, and whoever has the right token is let in all the same.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::edge::Peer;

/// Failures of each client address. A wait is for the client and not for this host: whoever comes too early is
/// turned away at once.
///
/// Many clients can have one address, that of a proxy. So of an address that waits a few tokens a second are looked at
/// all the same, and the right one among them is let in; only a flood of guesses keeps it out, since the others are not
/// looked at. Letting the right one in forgets nothing: or else each scrape of a neighbour would give the guesser a
/// fresh start.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: Mutex<HashMap<Option<IpAddr>, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
    /// Tokens that were looked at while waiting, since this moment.
    looked: u32,
    since: Instant,
}

/// What is to be done with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Compare it.
    Free,
    /// Compare it; if it is wrong, the client is to wait so long.
    Waiting(Duration),
    /// Turn it away.
    TooMany(Duration),
}

/// So many failures are somebody's typing.
const FREE: u32 = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After so long without another failure all is forgotten.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// Tokens a second that are looked at of an address that waits. Of random tokens of 64 bits, half are tried in
/// 29 thousand million years.
const LOOKS: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);
/// Addresses that are remembered; then the one that failed longest ago is forgotten.
const MOST: usize = 1024;

impl Backoff {
    /// Whether a token of this client is looked at now. To be asked once for each token.
    pub(super) fn look(&self, peer: Peer, now: Instant) -> Look {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(one) = failures.get_mut(&peer.client()) else { return Look::Free };
        let wait = (one.last + delay(one.count)).saturating_duration_since(now);
        if wait.is_zero() {
            return Look::Free;
        }
        if now.saturating_duration_since(one.since) >= SECOND {
            (one.since, one.looked) = (now, 0);
        }
        one.looked = one.looked.saturating_add(1);
        if one.looked > LOOKS { Look::TooMany(wait) } else { Look::Waiting(wait) }
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
        let one = failures.entry(client).or_insert(Failures {
            count: 0,
            last: now,
            looked: 0,
            since: now,
        });
        if now.saturating_duration_since(one.last) >= MEMORY {
            one.count = 0;
        }
        *one = Failures { count: one.count.saturating_add(1), last: now, ..*one };
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

    fn wait(backoff: &Backoff, peer: Peer, now: Instant) -> Option<Duration> {
        match backoff.look(peer, now) {
            Look::Free => None,
            Look::Waiting(wait) | Look::TooMany(wait) => Some(wait),
        }
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_minute() {
        let (backoff, now, client) = (Backoff::default(), Instant::now(), peer(1));
        let mut waits = Vec::new();
        for _ in 0..13 {
            backoff.failed(client, now);
            waits.push(wait(&backoff, client, now).unwrap_or_default().as_secs());
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(wait(&backoff, client, now + LONGEST_WAIT), None);
        assert_eq!(wait(&backoff, peer(2), now), None, "another client does not wait");
    }

    #[test]
    fn of_a_client_that_waits_a_few_tokens_a_second_are_looked_at() {
        let (backoff, now, client) = (Backoff::default(), Instant::now(), peer(1));
        for _ in 0..20 {
            backoff.failed(client, now);
        }
        for second in 0..3 {
            let now = now + SECOND * second;
            let looks = (0..1000).filter(|_| matches!(backoff.look(client, now), Look::Waiting(_)));
            assert_eq!(looks.count(), LOOKS as usize);
        }
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let (backoff, now, client) = (Backoff::default(), Instant::now(), peer(1));
        for _ in 0..40 {
            backoff.failed(client, now);
        }
        backoff.failed(client, now + MEMORY);
        assert_eq!(wait(&backoff, client, now + MEMORY), None);
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
