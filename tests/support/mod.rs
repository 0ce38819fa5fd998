//! A real host process in front of a real artifact tree.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of this")]

mod client;
mod host;
pub(crate) mod inside;
pub(crate) mod load;
pub(crate) mod metrics;
pub(crate) mod operating;
mod process;
pub(crate) mod programs;
pub(crate) mod prometheus;
pub(crate) mod spoil;
pub(crate) mod tree;

pub(crate) use client::{Client, Reply};
pub(crate) use host::{Host, Setup};
pub(crate) use process::Process;

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. No test succeeds or fails by time otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "gave up waiting: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
