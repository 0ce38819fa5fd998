//! Trying again: later each time, never at the same moment as everybody else, and not for ever.

use std::sync::atomic::Ordering;

use super::FetchError;
use super::http::{Http, Tally};

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
        let too_long = asked.is_some_and(|asked| asked > limits.longest_pause);
        // What lets in is looked for once for each fetch, so it would be the same here.
        let is_locked_out = matches!(error, FetchError::Credentials(_));
        if is_locked_out || !error.may_pass() || self.failures >= limits.tries || too_long {
            return Err(error);
        }
        let doubled = 1_u32.checked_shl(self.failures - 1).unwrap_or(u32::MAX);
        let pause = limits.first_pause.saturating_mul(doubled).min(limits.longest_pause);
        let jitter = (self.http.jitter)().clamp(0.0, 1.0);
        // Between half and all of it; what a server asks for is kept, and the others still do not come together.
        let pause = match asked {
            Some(asked) => asked + limits.first_pause.mul_f64(jitter),
            None => pause.mul_f64(0.5 + jitter / 2.0),
        };
        tracing::debug!(code = error.code(), %error, ?pause, "trying again");
        self.tally.retries.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
