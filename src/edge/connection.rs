//! One connection: read, answer what has arrived, send, until either side has enough.

use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Instant;

use super::access::Unrecorded;
use super::answer::{After, ChunkedBody, Next};
use super::buffers::Buffers;
use super::limits::Limit;
use super::refusal::Refusal;
use super::socket::{self, Socket};
use super::watch::Watch;
use super::worker::Worker;
use super::{Lookup, Owner, Peer};
use crate::http::Body;

/// What there is of a connection while nothing is asked of it; the rest is made when something is.
pub(super) struct Open<S> {
    worker: Rc<Worker<S>>,
    watch: Rc<Watch>,
    peer: Peer,
    slot: usize,
    /// Requests answered so far.
    requests: u32,
    socket: Socket,
}

impl<S> Drop for Open<S> {
    fn drop(&mut self) {
        // Before the fields are dropped, the socket among them.
        self.worker.registry.remove(self.slot);
        self.worker.counters.connections_open.subtract(1);
        if let Some(clients) = &self.worker.clients {
            clients.leave(self.peer);
        }
    }
}

impl<S: Lookup> Open<S> {
    /// Takes over a connection of a client that was admitted.
    pub(super) fn new(worker: Rc<Worker<S>>, socket: Socket, peer: Peer) -> Self {
        let watch = Rc::new(Watch::new(socket.fd(), Rc::clone(&worker.clock)));
        let slot = worker.registry.insert(Rc::clone(&watch));
        worker.counters.connections_open.add(1);
        Open { worker, watch, peer, slot, requests: 0, socket }
    }

    /// Serves until the connection ends. Not an `async fn`, which would have room for `self` twice.
    pub(super) fn run(self) -> impl Future<Output = ()> {
        let mut next = Some(self);
        async move {
            while let Some(open) = next.take() {
                // In a box, so that the task of an idle connection has no room for all that a busy one does.
                next = Box::pin(Connection::of(open).run()).await;
                let Some(idle) = &next else { return };
                // With epoll the cancellation that ended the read can come up here once more.
                if let Err(error) = idle.socket.readable().await
                    && error.raw_os_error() != Some(libc::ECANCELED)
                {
                    return;
                }
            }
        }
    }
}

/// A connection with something to do, and its part of the input that is not answered yet.
pub(super) struct Connection<S> {
    pub(super) worker: Rc<Worker<S>>,
    pub(super) watch: Rc<Watch>,
    pub(super) peer: Peer,
    open: Open<S>,
    /// What was read.
    pub(super) input: Vec<u8>,
    /// How much of the input is answered.
    pub(super) answered: usize,
    /// How much of the unanswered input is known not to hold the end of a head.
    pub(super) seen: usize,
    /// How long the unanswered input must be for a request with its body to be whole.
    pub(super) wanted: usize,
    /// How much is still to come of a body that nobody wants.
    pub(super) unwanted: usize,
    /// The chunked body of the request that the unanswered input begins with.
    pub(super) chunks: Option<Box<ChunkedBody>>,
    /// Whether the client was told to send the body that it asked about.
    pub(super) continued: bool,
    /// Replies that are not sent yet; without capacity when there are none.
    pub(super) out: Vec<u8>,
    pub(super) after: After,
    /// The status of the last reply, and whose its resource was.
    pub(super) status: u16,
    pub(super) owner: Owner,
    /// When what is being answered arrived, if its time is taken.
    pub(super) sample: Option<Instant>,
    /// What is still to be recorded, where requests are.
    pub(super) unrecorded: Option<Box<Unrecorded>>,
    /// Bytes sent so far.
    sent: u64,
}

/// Why a connection is no longer served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// Nothing more is to be answered on it.
    All,
    /// Nothing has been asked for a while.
    Idle,
}

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    More,
    /// The client sends no more.
    End,
    /// It was called off because there was nothing to read for long.
    Idle,
}

impl<S: Lookup> Connection<S> {
    fn of(open: Open<S>) -> Self {
        Connection {
            worker: Rc::clone(&open.worker),
            watch: Rc::clone(&open.watch),
            peer: open.peer,
            unrecorded: open.worker.recorder.as_ref().map(Unrecorded::new),
            sent: 0,
            open,
            input: Vec::new(),
            answered: 0,
            seen: 0,
            wanted: 0,
            unwanted: 0,
            chunks: None,
            continued: false,
            out: Vec::new(),
            after: After::Continue,
            status: 0,
            owner: Owner::NOBODY,
            sample: None,
        }
    }

    /// Serves until the connection ends, or is idle and handed back.
    async fn run(mut self) -> Option<Open<S>> {
        let served = self.serve().await;
        self.record(served.is_err());
        // A body that nobody wants may still be on its way, and would meet a closed socket.
        let unread = self.answered < self.input.len() || self.unwanted > 0;
        if matches!(served, Ok(Served::All)) && (self.after == After::Linger || unread) {
            self.linger().await;
        }
        self.worker.inputs.give_back(self.input);
        self.worker.outputs.give_back(self.out);
        matches!(served, Ok(Served::Idle)).then_some(self.open)
    }

    /// An error is the client going away; there is nobody left to tell.
    async fn serve(&mut self) -> io::Result<Served> {
        let mut turns = 0u32;
        while self.after == After::Continue {
            match self.answer() {
                Next::Read => {
                    self.flush().await?;
                    self.record(false);
                    if let Some(arrived) = self.sample.take() {
                        self.worker.counters.owners.took(self.owner, arrived.elapsed());
                    }
                    let is_idle = self.sent > 0 && self.answered >= self.input.len();
                    if is_idle && self.worker.finishing.get() {
                        // Its last reply was under way when idle connections were ended. One that was idle then may
                        // have a request to be read.
                        self.after = After::Linger;
                    }
                    if self.after == After::Continue {
                        match self.read().await? {
                            Read::More => self.note_arrival(),
                            Read::End => self.answer_to_the_end(),
                            Read::Idle => return Ok(Served::Idle),
                        }
                    }
                }
                Next::Send => self.flush().await?,
                Next::SendBody(body) => self.send_body(&body).await?,
                Next::SendParts(parts, end) => self.send_parts(parts, &end).await?,
                Next::Call(call) => {
                    let before = self.written();
                    let relayed = Box::pin(self.relay(*call)).await;
                    self.note_call_answered(before);
                    relayed?;
                }
            }
            if self.out.is_empty() {
                self.record(false);
            }
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(Self::TURNS_IN_A_ROW) {
                self.worker.let_others_run().await;
            }
        }
        self.flush().await?;
        Ok(Served::All)
    }

    /// With epoll a client that always has something ready could otherwise keep its worker.
    const TURNS_IN_A_ROW: u32 = 16;

    fn note_arrival(&mut self) {
        self.sample = self.worker.sample();
        if let Some(unrecorded) = &mut self.unrecorded {
            unrecorded.arrived = Instant::now();
        }
    }

    /// Notes that the service plane's reply was written behind `before`.
    fn note_call_answered(&mut self, before: u64) {
        let bytes = self.written() - before;
        if let Some(unrecorded) = &mut self.unrecorded {
            unrecorded.call_answered(self.status, bytes);
        }
    }

    /// Records the requests whose replies are sent, or will not be.
    fn record(&mut self, is_cut_off: bool) {
        if let Some(unrecorded) = &mut self.unrecorded {
            unrecorded.hand_over(&self.worker.counters, is_cut_off);
        }
    }

    /// Bytes of all replies so far, those included that are still to be sent.
    pub(super) fn written(&self) -> u64 {
        self.sent + self.out.len() as u64
    }

    /// Sends what is ready.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.watch.sending();
        let out = std::mem::take(&mut self.out);
        self.count_sent(out.len());
        let (result, out) = self.open.socket.send(out, &self.watch).await;
        self.worker.outputs.give_back(out);
        result
    }

    /// Sends what is ready and a large body behind it. The caller keeps the body alive until the
    /// kernel has taken all of it.
    pub(super) async fn send_body(&mut self, body: &Body) -> io::Result<()> {
        self.watch.sending();
        let out = std::mem::take(&mut self.out);
        self.count_sent(out.len() + body.len());
        let result = self.open.socket.send_body(self.worker.sender, &out, body, &self.watch).await;
        self.worker.outputs.give_back(out);
        result
    }

    fn count_sent(&mut self, bytes: usize) {
        self.worker.counters.bytes_out.add(bytes as u64);
        self.sent += bytes as u64;
    }

    async fn send_parts(&mut self, parts: Vec<(Vec<u8>, Body)>, end: &[u8]) -> io::Result<()> {
        for (delimiter, body) in parts {
            self.reserve_out();
            self.out.extend_from_slice(&delimiter);
            self.send_body(&body).await?;
        }
        self.reserve_out();
        self.out.extend_from_slice(end);
        Ok(())
    }

    /// Notes one more request; the last that the connection may have is answered with `connection: close`.
    pub(super) fn count_request(&mut self) {
        self.worker.counters.requests.add(1);
        self.open.requests = self.open.requests.saturating_add(1);
        if self.open.requests >= self.worker.limits.requests_per_connection
            && self.after == After::Continue
        {
            self.worker.counters.reached(Limit::RequestsPerConnection);
            // The client may be sending another request already, so it is let finish.
            self.after = After::Linger;
        }
    }

    async fn read(&mut self) -> io::Result<Read> {
        self.input.drain(..self.answered);
        self.answered = 0;
        if self.wanted > 0 || self.unwanted > 0 || self.chunks.is_some() {
            self.watch.reading_body();
        } else if self.input.is_empty() {
            self.watch.idle();
        } else {
            self.watch.reading_head();
        }
        loop {
            match self.receive().await {
                Ok(0) => return Ok(Read::End),
                Ok(_) => return Ok(Read::More),
                // The sweep found the connection idle: wait on without a buffer.
                Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {
                    if self.watch.is_idle() {
                        return Ok(Read::Idle);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for bytes and puts them behind the input.
    async fn receive(&mut self) -> io::Result<usize> {
        self.make_room();
        let handle = self.watch.read_handle();
        let input = std::mem::take(&mut self.input);
        let (result, input) = self.open.socket.read(input, handle).await;
        self.input = input;
        result
    }

    fn make_room(&mut self) {
        if self.input.capacity() == 0 {
            self.input = self.worker.inputs.take();
        }
        if self.wanted > self.input.capacity() {
            self.input.reserve_exact(self.wanted - self.input.len());
        } else if self.input.len() == self.input.capacity() {
            // A longer head: doubling is bounded by `head_bytes`, over which it is refused.
            self.input.reserve_exact(self.input.len().max(Buffers::CAPACITY));
        }
    }

    /// The client sends no more, of its own will or because it took too long.
    fn answer_to_the_end(&mut self) {
        self.after = After::Close;
        // Whose body nobody wanted has its reply already.
        if self.watch.is_late() && self.unwanted == 0 {
            let body = self.watch.is_reading_body();
            let refusal = if body { Refusal::BodyTimeout } else { Refusal::HeadTimeout };
            self.refuse_unread(refusal);
        }
    }

    /// Closes so that the last reply arrives: a close with unread input would make the kernel reset
    /// the connection and take the reply with it.
    async fn linger(&mut self) {
        self.watch.delivering();
        socket::shut_down(&self.open.socket, Shutdown::Write);
        let mut swallowed = 0;
        while swallowed < Self::MOST_SWALLOWED {
            self.input.clear();
            match self.receive().await {
                Ok(count) if count > 0 => swallowed += count,
                _ => return,
            }
        }
        self.worker.counters.reached(Limit::Linger);
    }

    /// Bytes that a refused client may still send before it is cut off.
    const MOST_SWALLOWED: usize = 256 * 1024;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    fn size<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_task_of_an_idle_connection_is_small() {
        let task = size(Open::<Snapshot>::run);
        assert!(task <= 320, "{task} bytes, of the 1 KiB that an idle connection may cost in all");
    }
}
