//! One connection: read, answer what has arrived, send, until either side has enough.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;

use super::Lookup;
use super::answer::{After, Asked, ChunkedBody, Next};
use super::buffers::Buffers;
use super::refusal::Refusal;
use super::socket::{self, Socket};
use super::watch::Watch;
use super::worker::Worker;
use crate::http::Body;

/// A connection and its part of the input that is not answered yet.
pub(super) struct Connection<S> {
    pub(super) worker: Rc<Worker<S>>,
    pub(super) watch: Rc<Watch>,
    pub(super) peer: SocketAddr,
    slot: usize,
    socket: Socket,
    /// What was read; empty and without capacity while the connection is idle.
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
    /// Whether any request was answered.
    pub(super) served: bool,
    /// Replies that are not sent yet; without capacity when there are none.
    pub(super) out: Vec<u8>,
    pub(super) after: After,
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        // Before the fields are dropped, the socket among them.
        self.worker.registry.remove(self.slot);
        self.worker.counters.connections_open.subtract(1);
        self.worker.inputs.give_back(std::mem::take(&mut self.input));
        self.worker.outputs.give_back(std::mem::take(&mut self.out));
    }
}

impl<S: Lookup> Connection<S> {
    pub(super) fn new(worker: Rc<Worker<S>>, socket: Socket, peer: SocketAddr) -> Self {
        let watch =
            Rc::new(Watch::new(socket.fd(), Rc::clone(&worker.clock), Rc::clone(&worker.limits)));
        let slot = worker.registry.insert(Rc::clone(&watch));
        worker.counters.connections_open.add(1);
        Connection {
            worker,
            watch,
            peer,
            slot,
            socket,
            input: Vec::new(),
            answered: 0,
            seen: 0,
            wanted: 0,
            unwanted: 0,
            chunks: None,
            continued: false,
            served: false,
            out: Vec::new(),
            after: After::Continue,
        }
    }

    /// Serves until the connection ends. An error is the client going away; there is nobody left
    /// to tell.
    pub(super) async fn run(mut self) {
        let served = self.serve().await;
        if served.is_ok() && (self.after == After::Linger || self.answered < self.input.len()) {
            self.linger().await;
        }
    }

    async fn serve(&mut self) -> io::Result<()> {
        let mut turns = 0u32;
        while self.after == After::Continue {
            match self.answer() {
                Next::Read => {
                    self.flush().await?;
                    if self.served && self.answered >= self.input.len() {
                        // Its last reply may have been under way when draining began.
                        self.heed_draining();
                    }
                    if self.after == After::Continue && !self.read().await? {
                        self.answer_to_the_end();
                    }
                }
                Next::Send => self.flush().await?,
                Next::SendBody(body) => self.send_body(&body).await?,
                Next::SendParts(parts, end) => self.send_parts(parts, &end).await?,
                Next::Call(call) => Box::pin(self.relay(*call)).await?,
            }
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(Self::TURNS_IN_A_ROW) {
                self.worker.let_others_run().await;
            }
        }
        self.flush().await
    }

    /// With epoll a client that always has something ready could otherwise keep its worker.
    const TURNS_IN_A_ROW: u32 = 16;

    /// Sends what is ready.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.watch.sending();
        let out = std::mem::take(&mut self.out);
        self.worker.counters.bytes_out.add(out.len() as u64);
        let (result, out) = self.socket.send(out, &self.watch).await;
        self.worker.outputs.give_back(out);
        result
    }

    /// Sends what is ready and a large body behind it. The caller keeps the body alive until the
    /// kernel has taken all of it.
    pub(super) async fn send_body(&mut self, body: &[u8]) -> io::Result<()> {
        self.watch.sending();
        let out = std::mem::take(&mut self.out);
        self.worker.counters.bytes_out.add((out.len() + body.len()) as u64);
        let result = self.socket.send_body(&out, body, &self.watch).await;
        self.worker.outputs.give_back(out);
        result
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

    /// Reads more input; false at its end.
    async fn read(&mut self) -> io::Result<bool> {
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
            self.make_room();
            let handle = self.watch.read_handle();
            let input = std::mem::take(&mut self.input);
            let (result, input) = self.socket.read(input, handle).await;
            self.input = input;
            match result {
                Ok(count) => return Ok(count > 0),
                Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {
                    // The sweep found the connection idle: wait on without a buffer.
                    self.worker.inputs.give_back(std::mem::take(&mut self.input));
                    self.wait_without_buffer().await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn wait_without_buffer(&self) -> io::Result<()> {
        match self.socket.readable().await {
            // With epoll a cancellation can outlive the read that it was meant for.
            Err(error) if error.raw_os_error() != Some(libc::ECANCELED) => Err(error),
            _ => Ok(()),
        }
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
            self.refuse(refusal, Asked::default());
        }
    }

    /// Closes so that the last reply arrives: a close with unread input would make the kernel reset
    /// the connection and take the reply with it.
    async fn linger(&mut self) {
        self.watch.lingering();
        socket::shut_down(&self.socket, Shutdown::Write);
        let mut swallowed = 0;
        while swallowed < Self::MOST_SWALLOWED {
            self.input.clear();
            self.make_room();
            let handle = self.watch.read_handle();
            let input = std::mem::take(&mut self.input);
            let (result, input) = self.socket.read(input, handle).await;
            self.input = input;
            match result {
                Ok(count) if count > 0 => swallowed += count,
                _ => return,
            }
        }
    }

    /// Bytes that a refused client may still send before it is cut off.
    const MOST_SWALLOWED: usize = 256 * 1024;
}
