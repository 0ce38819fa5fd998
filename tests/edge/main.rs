//! The edge plane over real sockets, on both drivers, with one worker and with two.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected is to fail"
)]

mod answers;
mod client;
mod connections;
mod drain;
mod framing;
mod limits;
mod listeners;
mod seccomp;
mod semantics;
mod senders;
mod server;
mod service;
mod start;
mod timeouts;
