//! Every bound on what a client can make the edge plane hold, do or wait for.

use std::time::Duration;

use crate::http::HeadLimits;

/// Limits of the edge plane. Over one of them the client gets the status named with it, a counter
/// moves, and the connection closes where its framing is no longer known.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bounds on a request head; over them is 414 or 431.
    pub head: HeadLimits,
    /// Bytes of a request body for the service plane; longer is 413.
    pub service_body_bytes: usize,
    /// Bytes of a request body that nobody wants and that is read all the same, so that the
    /// connection can go on; after a longer one it closes.
    pub unwanted_body_bytes: usize,
    /// Open connections of one worker; one more is answered with 503 and closed.
    pub connections_per_worker: usize,
    /// Depth of the channel to the service plane, and requests that one worker may have there at
    /// a time; one more is 503 with `retry-after`.
    pub service_calls: usize,
    /// From the first byte of a request to the end of its head; later is 408.
    pub head_timeout: Duration,
    /// From the end of a head to the end of its body; later is 408.
    pub body_timeout: Duration,
    /// Without any byte of a next request; then the connection is closed.
    pub idle_timeout: Duration,
    /// Without the client taking a single byte of a reply; then the connection is reset.
    pub write_stall_timeout: Duration,
    /// Until the service plane begins its reply; later is 504. A reply that has begun may take as
    /// long as it wants between parts, because streams of events are meant to be quiet.
    pub service_timeout: Duration,
    /// How long a refused client may go on sending before the connection is reset. Closing at
    /// once would take the refusal out of its hands unread (RFC 9112 §9.6).
    pub linger_timeout: Duration,
    /// After draining: how long requests that are in flight may still take.
    pub finish_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head: HeadLimits::default(),
            service_body_bytes: 64 * 1024,
            unwanted_body_bytes: 64 * 1024,
            connections_per_worker: 16 * 1024,
            service_calls: 256,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            write_stall_timeout: Duration::from_secs(30),
            service_timeout: Duration::from_secs(60),
            linger_timeout: Duration::from_secs(2),
            finish_timeout: Duration::from_secs(10),
        }
    }
}
