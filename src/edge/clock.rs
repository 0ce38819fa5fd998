//! The time as a worker knows it: read by its sweep, so that a request reads no clock.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::time::{Instant, SystemTime};

/// Milliseconds since the start and the `date` line, both as of the last tick.
pub(super) struct Clock {
    wall: fn() -> SystemTime,
    start: Instant,
    now: Cell<u64>,
    date_line: RefCell<Vec<u8>>,
}

impl Clock {
    pub(super) fn new(wall: fn() -> SystemTime) -> Clock {
        let clock = Clock {
            wall,
            start: Instant::now(),
            now: Cell::new(0),
            date_line: RefCell::new(Vec::new()),
        };
        clock.tick();
        clock
    }

    /// Looks at the time.
    pub(super) fn tick(&self) {
        let elapsed = self.start.elapsed().as_millis();
        self.now.set(u64::try_from(elapsed).unwrap_or(u64::MAX));
        let mut line = self.date_line.borrow_mut();
        line.clear();
        // Writing into a vector cannot fail.
        let _ = write!(line, "date: {}\r\n", httpdate::HttpDate::from((self.wall)()));
    }

    /// Milliseconds since the start.
    pub(super) fn now(&self) -> u64 {
        self.now.get()
    }

    /// Hands out the `date` header with its line end (RFC 9110 §6.6.1).
    pub(super) fn with_date_line<T>(&self, action: impl FnOnce(&[u8]) -> T) -> T {
        action(&self.date_line.borrow())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_date_is_an_imf_fixdate() {
        let clock = Clock::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
        // The example of RFC 9110 §5.6.7.
        clock.with_date_line(|line| assert_eq!(line, b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    }
}
