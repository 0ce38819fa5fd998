//! Every bound on what a client can make the edge plane hold, do or wait for.
//!
//! What one connection costs in memory, with the default limits:
//!
//! - idle: its task, its place in the registry and its entry in the driver, less than 1 KiB in all and no buffer. It is
//!   idle when nothing was asked from one sweep to the next, within a second.
//! - reading, at most 208 KiB: an input buffer of 4 KiB, which grows to twice the [`HeadLimits`] for a long head and to
//!   head and body for a body, 80 KiB. A chunked body is gathered beside it in 128 KiB, what a buffer for
//!   [`Limits::service_body_bytes`] can have to spare included.
//! - replying, at most 256 KiB: an output buffer, which is sent before anything is added once it holds 64 KiB, and to which no
//!   body over 16 KiB is copied; the rest is what a growing buffer has to spare. Larger bodies are sent from where they lie.
//! - at the service plane: a copy of the request and one part of the reply, for at most [`Limits::service_calls`]
//!   connections of a worker.
//! - turned away over a limit on connections: a descriptor, for at most 256 of them at a time and
//!   [`Limits::linger_timeout`] each.
//! - with an access log: the records of 32 replies under way, 20 KiB.
//! - in the kernel, outside this process: the socket's buffers, up to the last numbers of `net.ipv4.tcp_rmem`
//!   and `net.ipv4.tcp_wmem`.
//!
//! So [`Limits::connections_per_worker`] × 464 KiB is more than clients can make a worker hold, however slowly they read or
//! write; it is 7.3 GiB for 16384. Where clients are not trusted and memory is short, that number is what to lower.

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
    /// Open connections of one client address, over all workers; one more is answered with 429 and
    /// closed. An IPv6 client is known by the first 64 bits of its address, which is what one subscriber has. `None`
    /// counts nothing; so it has to be behind a proxy, where all clients have one address.
    pub connections_per_ip: Option<u32>,
    /// Requests answered on one connection; the last reply says `connection: close`.
    pub requests_per_connection: u32,
    /// Requests that may wait for the service plane, and that one worker may have there at a time; one more
    /// is 503 with `retry-after`. Probes have a few places of their own beyond these.
    pub service_calls: usize,
    /// From the first byte of a request to the end of its head; later is 408. A new connection has as long until its
    /// first byte, and then is closed.
    pub head_timeout: Duration,
    /// From the end of a head to the end of its body; later is 408. Both are for the whole and not for a
    /// byte, so with the bounds on their lengths they are a minimum rate of receiving as well.
    pub body_timeout: Duration,
    /// Without any byte of a next request; then the connection is closed.
    pub idle_timeout: Duration,
    /// Bytes per second that a client has to take of a reply, on average over each
    /// [`Limits::send_window`]; a slower one is reset. What counts is what its kernel acknowledged, not what
    /// went into a buffer on this side. 0 asks for one byte in each window.
    pub min_send_rate: u32,
    /// The time over which [`Limits::min_send_rate`] is averaged, and the longest that a client may pause.
    pub send_window: Duration,
    /// Until the service plane begins its reply; later is 504. A reply that has begun may take as
    /// long as it wants between parts, because streams of events are meant to be quiet.
    pub service_timeout: Duration,
    /// How long a client that has its last reply may leave the connection open, and go on sending, before it is closed. Closing
    /// at once would take the reply out of its hands unread (RFC 9112 §9.6).
    pub linger_timeout: Duration,
    /// After draining: how long requests that are in flight may still take.
    pub finish_timeout: Duration,
}

/// What of the [`Limits`] a client came up against, for counting. `finish_timeout` is none of them: what it cuts off is
/// what [`Edge::drain`](super::Edge::drain) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`HeadLimits::request_line_bytes`]
    RequestLineBytes,
    /// [`HeadLimits::head_bytes`]
    HeadBytes,
    /// [`HeadLimits::headers`]
    Headers,
    /// [`Limits::service_body_bytes`]
    BodyBytes,
    /// [`Limits::unwanted_body_bytes`]
    UnwantedBodyBytes,
    /// [`Limits::connections_per_worker`]
    Connections,
    /// [`Limits::connections_per_ip`]
    ConnectionsPerClient,
    /// [`Limits::requests_per_connection`]
    RequestsPerConnection,
    /// [`Limits::service_calls`]
    ServiceCalls,
    /// [`Limits::head_timeout`]
    HeadTime,
    /// [`Limits::body_timeout`]
    BodyTime,
    /// [`Limits::idle_timeout`]
    IdleTime,
    /// [`Limits::min_send_rate`]
    SendRate,
    /// [`Limits::service_timeout`]
    ServiceTime,
    /// [`Limits::linger_timeout`], or more bytes meanwhile than are swallowed.
    Linger,
}

impl Limit {
    /// All of them, each at the place of its number.
    pub const ALL: [Limit; 15] = [
        Limit::RequestLineBytes,
        Limit::HeadBytes,
        Limit::Headers,
        Limit::BodyBytes,
        Limit::UnwantedBodyBytes,
        Limit::Connections,
        Limit::ConnectionsPerClient,
        Limit::RequestsPerConnection,
        Limit::ServiceCalls,
        Limit::HeadTime,
        Limit::BodyTime,
        Limit::IdleTime,
        Limit::SendRate,
        Limit::ServiceTime,
        Limit::Linger,
    ];

    /// Its name among the metrics (`docs/operations.md`).
    pub fn name(self) -> &'static str {
        match self {
            Limit::RequestLineBytes => "request_line_bytes",
            Limit::HeadBytes => "head_bytes",
            Limit::Headers => "headers",
            Limit::BodyBytes => "body_bytes",
            Limit::UnwantedBodyBytes => "unwanted_body_bytes",
            Limit::Connections => "connections",
            Limit::ConnectionsPerClient => "connections_per_client",
            Limit::RequestsPerConnection => "requests_per_connection",
            Limit::ServiceCalls => "service_calls",
            Limit::HeadTime => "head_time",
            Limit::BodyTime => "body_time",
            Limit::IdleTime => "idle_time",
            Limit::SendRate => "send_rate",
            Limit::ServiceTime => "service_time",
            Limit::Linger => "linger",
        }
    }
}

impl Limits {
    /// Places at the service plane that only [`Answer::Probe`](super::Answer::Probe) can take.
    const PROBES: usize = 8;

    /// The depth of the channel to the service plane.
    pub fn service_depth(&self) -> usize {
        self.service_calls + Self::PROBES
    }

    /// Whether a worker that waits for so many calls may make one more, into a channel with this much room.
    pub(super) fn may_call(&self, waiting: usize, room: usize, is_probe: bool) -> bool {
        let kept = if is_probe { 0 } else { Self::PROBES };
        waiting < self.service_depth() - kept && room > kept
    }

    /// Bytes that a client has to take in one window of sending.
    pub(super) fn least_in_window(&self) -> u64 {
        let millis = u64::try_from(self.send_window.as_millis()).unwrap_or(u64::MAX);
        (u64::from(self.min_send_rate).saturating_mul(millis) / 1000).max(1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head: HeadLimits::default(),
            service_body_bytes: 64 * 1024,
            unwanted_body_bytes: 64 * 1024,
            connections_per_worker: 16 * 1024,
            connections_per_ip: None,
            requests_per_connection: 100_000,
            service_calls: 256,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            min_send_rate: 240,
            send_window: Duration::from_secs(30),
            service_timeout: Duration::from_secs(60),
            linger_timeout: Duration::from_secs(2),
            finish_timeout: Duration::from_secs(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_its_place_and_its_line_in_the_docs() {
        let docs = include_str!("../../docs/operations.md");
        for (place, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, place);
            let rows = docs.lines().filter(|line| line.starts_with("| `"));
            let named = rows.filter(|line| line.contains(&format!("`{}`", limit.name()))).count();
            assert_eq!(named, 1, "{}", limit.name());
        }
    }
}
