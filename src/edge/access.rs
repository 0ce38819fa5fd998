//! What the access log is told of each request: records of a fixed size, over a ring that never makes a worker wait.
//!
//! Where there is no access log, a connection has an empty box for it and nothing else is done.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use super::counters::WorkerCounters;
use super::{Owner, Peer};
use crate::http::{Encoding, RequestHead};

/// Records that a worker can have waiting for whoever writes them down: two megabytes.
const RING: usize = 4096;

/// Requests of one connection whose replies are under way together; with more, sending comes first.
const MOST_WAITING: usize = 32;

/// What was asked and how it was answered.
#[derive(Clone, Debug)]
pub struct AccessRecord {
    /// When the request had arrived.
    pub arrived: Instant,
    /// From then until the kernel had taken the reply; with the reply of the service plane, its last byte.
    pub took: Duration,
    /// The method; empty where no request could be made out.
    pub method: &'static str,
    path: Short<256>,
    /// Whether the path was longer.
    pub is_path_cut: bool,
    /// The status of the reply.
    pub status: u16,
    /// Bytes of the reply, its head included.
    pub bytes: u64,
    /// How the body is encoded; none where that is not the edge's part.
    pub encoding: Option<Encoding>,
    /// Whose the resource is.
    pub owner: Owner,
    request_id: Short<LONGEST_REQUEST_ID>,
    /// The client, as far as it is known.
    pub client: Option<IpAddr>,
    /// Whether the client went before it had all of the reply.
    pub is_cut_off: bool,
}

impl AccessRecord {
    /// The path, decoded and without the query; as it came, where it could not be decoded.
    pub fn path(&self) -> &str {
        self.path.text()
    }

    /// The id that the request brought or was given; empty where there is none.
    pub fn request_id(&self) -> &str {
        self.request_id.text()
    }
}

/// Text in a place of a fixed size.
#[derive(Clone, Debug)]
struct Short<const SIZE: usize> {
    bytes: [u8; SIZE],
    length: u16,
}

impl<const SIZE: usize> Short<SIZE> {
    /// As much of the text as there is room for.
    fn new(text: &str) -> Self {
        let mut length = text.len().min(SIZE);
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        let mut bytes = [0; SIZE];
        if let (Some(to), Some(from)) = (bytes.get_mut(..length), text.as_bytes().get(..length)) {
            to.copy_from_slice(from);
        }
        Self { bytes, length: length as u16 }
    }

    fn text(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Whether requests are recorded ([`EdgeOptions`](super::EdgeOptions)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// No, which costs nothing.
    #[default]
    Off,
    /// Each.
    On {
        /// Whether the last address of `x-forwarded-for` is believed to be the client's.
        trust_proxy: bool,
    },
}

/// The records of all workers, for the one who writes them down.
#[derive(Debug, Default)]
pub struct AccessRecords {
    rings: Vec<Receiver<AccessRecord>>,
    counters: Vec<Arc<WorkerCounters>>,
}

impl AccessRecords {
    /// Takes what is waiting, for each worker as much as its ring holds. Returns false once nothing can come any more.
    pub fn take(&mut self, mut with: impl FnMut(AccessRecord)) -> bool {
        self.rings.retain(|ring| {
            for _ in 0..RING {
                match ring.try_recv() {
                    Ok(record) => with(record),
                    Err(TryRecvError::Empty) => return true,
                    Err(TryRecvError::Disconnected) => return false,
                }
            }
            true
        });
        !self.rings.is_empty()
    }

    /// Records that found no room since the start.
    pub fn dropped(&self) -> u64 {
        self.counters.iter().map(|counters| counters.access_dropped.get()).sum()
    }

    /// Adds those of another edge.
    pub fn join(&mut self, other: AccessRecords) {
        self.rings.extend(other.rings);
        self.counters.extend(other.counters);
    }

    /// Takes one more worker in; returns its end of the ring.
    pub(super) fn add(
        &mut self,
        log: AccessLog,
        counters: &Arc<WorkerCounters>,
    ) -> Option<Recorder> {
        let AccessLog::On { trust_proxy } = log else { return None };
        let (ring, records) = sync_channel(RING);
        self.rings.push(records);
        self.counters.push(Arc::clone(counters));
        Some(Recorder { ring, trust_proxy })
    }
}

/// A worker's end of its ring.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    ring: SyncSender<AccessRecord>,
    trust_proxy: bool,
}

/// The requests of a connection whose replies are under way.
pub(super) struct Unrecorded {
    recorder: Recorder,
    /// When what is being answered arrived.
    pub(super) arrived: Instant,
    /// How the reply is encoded that is being written.
    pub(super) encoding: Option<Encoding>,
    /// Answered, but not sent yet.
    waiting: Vec<AccessRecord>,
    /// The request that is at the service plane.
    called: Option<AccessRecord>,
}

impl Unrecorded {
    pub(super) fn new(recorder: &Recorder) -> Box<Self> {
        Box::new(Self {
            recorder: recorder.clone(),
            arrived: Instant::now(),
            encoding: None,
            waiting: Vec::new(),
            called: None,
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MOST_WAITING
    }

    /// Notes a request that is answered.
    pub(super) fn answered(&mut self, request: AccessRecord, status: u16, bytes: u64) {
        let encoding = self.encoding.take();
        self.waiting.push(AccessRecord { status, bytes, encoding, ..request });
    }

    /// Notes a request that the service plane is to answer.
    pub(super) fn called(&mut self, request: AccessRecord) {
        self.called = Some(request);
    }

    /// The id that the service plane gave the request.
    pub(super) fn name_call(&mut self, id: &str) {
        if let Some(call) = &mut self.called {
            call.request_id = Short::new(id);
        }
    }

    /// Notes that the service plane has answered.
    pub(super) fn call_answered(&mut self, status: u16, bytes: u64) {
        if let Some(call) = self.called.take() {
            self.answered(call, status, bytes);
        }
    }

    /// What is known of a request before it is answered; of one that could not be read, nothing but when and from whom.
    pub(super) fn request(
        &self,
        head: Option<&RequestHead<'_, '_>>,
        path: &str,
        peer: Peer,
        owner: Owner,
    ) -> AccessRecord {
        let line = |name: &str| {
            let headers = head?.headers.iter().rev();
            let mut values = headers.filter(|line| line.name.eq_ignore_ascii_case(name));
            std::str::from_utf8(values.next()?.value).ok()
        };
        let forwarded = || forwarded_for(line("x-forwarded-for")?);
        let connected = match peer {
            Peer::Network(address) => Some(address.ip().to_canonical()),
            Peer::Unix => None,
        };
        let client = if self.recorder.trust_proxy { forwarded().or(connected) } else { connected };
        let path = path.split('?').next().unwrap_or_default();
        let short = Short::new(path);
        AccessRecord {
            arrived: self.arrived,
            took: Duration::ZERO,
            method: head.map_or("", |head| known_method(head.method)),
            is_path_cut: short.text().len() < path.len(),
            path: short,
            status: 0,
            bytes: 0,
            encoding: None,
            owner,
            request_id: Short::new(
                line("x-request-id").filter(|id| is_harmless_id(id)).unwrap_or_default(),
            ),
            client,
            is_cut_off: false,
        }
    }

    /// Hands over what is answered and sent, or will not be sent any more. Never waits.
    pub(super) fn hand_over(&mut self, counters: &WorkerCounters, is_cut_off: bool) {
        for mut record in self.waiting.drain(..) {
            record.took = record.arrived.elapsed();
            record.is_cut_off = is_cut_off;
            if self.recorder.ring.try_send(record).is_err() {
                counters.access_dropped.add(1);
            }
        }
    }
}

/// The client, as the proxy in front wrote it: last, behind what the client may have written itself.
pub(super) fn forwarded_for(line: &str) -> Option<IpAddr> {
    line.rsplit(',').next()?.trim().parse().ok()
}

/// The longest request id that is taken from a client.
const LONGEST_REQUEST_ID: usize = 128;

/// Whether an id that a client sent may stand in a log line.
pub fn is_harmless_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.bytes().all(is_plain)
}

/// Other methods are not worth the room: nothing here takes them.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 8] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(Short::<4>::new("café").text(), "caf");
        assert_eq!(Short::<5>::new("café").text(), "café");
        assert_eq!(Short::<4>::new("").text(), "");
    }
}
