//! Trying again: later each time, never at the same moment as everybody else, and not for ever.

use std::time::Duration;

use super::http::Http;
use super::{FetchError, Limits, Tally};
use crate::machine::Backoff;

/// How often something was tried.
#[derive(Debug)]
pub(super) struct Patience<'a> {
    http: &'a Http,
    tally: &'a Tally,
    /// Since anything came.
    failures: u32,
}

impl<'a> Patience<'a> {
    pub(super) fn new(http: &'a Http, tally: &'a Tally) -> Self {
        Self { http, tally, failures: 0 }
    }

    /// Something came, so the next failure is a first one.
    pub(super) fn progressed(&mut self) {
        self.failures = 0;
    }

    /// Waits until it is worth trying again; gives the error back where it is not.
    pub(super) async fn wait(&mut self, error: FetchError) -> Result<(), FetchError> {
        let limits = &self.http.limits;
        self.failures += 1;
        let asked = error.retry_after();
        let pause = pause(limits, self.failures, asked, (self.http.jitter)());
        // What lets in is looked for once for each fetch, so it would be the same here.
        let is_locked_out = matches!(error, FetchError::Credentials(_));
        let is_worth_it = !is_locked_out && error.may_pass() && self.failures < limits.tries;
        let Some(pause) = pause.filter(|_| is_worth_it) else { return Err(error) };
        tracing::debug!(code = error.code(), %error, ?pause, "trying again");
        tokio::time::sleep(pause).await;
        self.tally.sent_again();
        Ok(())
    }
}

/// The pause after the `failures`th failure in a row, where a server `asked` for one; `None` where that is longer than
/// anybody waits. It is between half and all of what it could be, but never less than what was asked for: the jitter comes
/// on top there, so that the others still do not come together.
fn pause(limits: &Limits, failures: u32, asked: Option<Duration>, jitter: f64) -> Option<Duration> {
    let jitter = jitter.clamp(0.0, 1.0);
    match asked {
        Some(asked) if asked > limits.longest_pause => None,
        Some(asked) => Some(asked + limits.first_pause.mul_f64(jitter)),
        None => {
            let backoff = Backoff { first: limits.first_pause, longest: limits.longest_pause };
            Some(backoff.pause(failures.into(), jitter))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(failures: u32, asked: Option<u64>) -> [Option<u128>; 3] {
        let asked = asked.map(Duration::from_millis);
        let pause = |jitter| pause(&Limits::default(), failures, asked, jitter);
        [0.0, 0.5, 1.0].map(|jitter| pause(jitter).map(|pause| pause.as_millis()))
    }

    #[test]
    fn a_pause_doubles_up_to_the_longest_and_chance_takes_up_to_half_of_it() {
        assert_eq!(milliseconds(1, None), [125, 187, 250].map(Some));
        assert_eq!(milliseconds(2, None), [250, 375, 500].map(Some));
        assert_eq!(milliseconds(4, None), [1_000, 1_500, 2_000].map(Some));
        for many in [7, 33, u32::MAX] {
            assert_eq!(milliseconds(many, None), [5_000, 7_500, 10_000].map(Some));
        }
    }

    #[test]
    fn a_server_that_asks_for_a_pause_gets_all_of_it() {
        for failures in [1, 4, u32::MAX] {
            assert_eq!(milliseconds(failures, Some(0)), [0, 125, 250].map(Some));
            assert_eq!(milliseconds(failures, Some(2_000)), [2_000, 2_125, 2_250].map(Some));
            assert_eq!(milliseconds(failures, Some(10_000)), [10_000, 10_125, 10_250].map(Some));
            assert_eq!(milliseconds(failures, Some(10_001)), [None; 3]);
        }
    }
}
