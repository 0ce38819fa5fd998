//! What is different each time: passed in, so that tests can set it.

use std::time::Duration;

use jiff::Timestamp;

/// Clock and chance.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// The time.
    pub clock: fn() -> Timestamp,
    /// A number from 0 to 1.
    pub chance: fn() -> f64,
}

/// How long to wait before what failed is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// After the first failure, at the most.
    pub first: Duration,
    /// However often it failed, at the most.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after the `failures`th failure in a row: it doubles each time, and a random half of it is left
    /// out, so that many that failed together do not come back together.
    pub fn pause(&self, failures: u64, chance: f64) -> Duration {
        let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        whole.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_up_to_the_longest_and_no_two_are_alike() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(300) };
        let seconds = |failures, chance| backoff.pause(failures, chance).as_secs_f64();
        assert_eq!([seconds(1, 0.0), seconds(1, 1.0)], [0.5, 1.0]);
        assert_eq!([seconds(4, 0.0), seconds(4, 1.0)], [4.0, 8.0]);
        for many in [10, 100, u64::MAX] {
            assert_eq!([seconds(many, 0.0), seconds(many, 1.0)], [150.0, 300.0]);
        }
    }
}
