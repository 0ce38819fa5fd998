//! How a large body leaves: whole and from where it lies, in as few calls as the kernel needs.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use rustix::fs::sendfile;
use socket2::SockRef;

use super::socket::SEND_NOW;
use crate::http::Body;

/// Which way of sending large bodies is in use (`HOST_BODY_SENDER`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodySender {
    /// sendfile(2) for bodies of [`COPY_COSTS_MORE`] bytes and up, send(2) for smaller ones.
    #[default]
    Auto,
    /// send(2) from the mapping.
    Send,
    /// sendfile(2) from the sealed memory file, for bodies that have one. Copies nothing where the network card
    /// gathers pages itself; over loopback it wakes the receiver more often, which small bodies pay for.
    Sendfile,
}

/// From here on copying a body costs more than handing its pages over: it no longer fits the caches of a core.
/// Measured over loopback: equal at 2 MiB, less than half at 4 MiB.
pub const COPY_COSTS_MORE: usize = 2 * 1024 * 1024;

impl BodySender {
    /// Its name as in `HOST_BODY_SENDER`.
    pub fn name(self) -> &'static str {
        match self {
            BodySender::Auto => "auto",
            BodySender::Send => "send",
            BodySender::Sendfile => "sendfile",
        }
    }

    pub(super) fn sender(self) -> &'static dyn Sender {
        match self {
            BodySender::Auto => &Auto,
            BodySender::Send => &Send,
            BodySender::Sendfile => &Sendfile,
        }
    }
}

/// One way of giving the kernel the next bytes.
pub(super) trait Sender {
    /// Whether it needs a non-blocking socket to send this body without waiting.
    fn needs_nonblocking(&self, body: &Body) -> bool;

    /// Gives the kernel as much as it takes at once of `first` and then `body`, of which `sent` bytes in all are gone.
    /// `WouldBlock` says that it takes nothing now.
    fn send(
        &self,
        socket: BorrowedFd<'_>,
        first: &[u8],
        body: &Body,
        sent: usize,
    ) -> io::Result<usize>;
}

struct Auto;

impl Auto {
    fn choose(body: &Body) -> &'static dyn Sender {
        if body.len() < COPY_COSTS_MORE { &Send } else { &Sendfile }
    }
}

impl Sender for Auto {
    fn needs_nonblocking(&self, body: &Body) -> bool {
        Auto::choose(body).needs_nonblocking(body)
    }

    fn send(
        &self,
        socket: BorrowedFd<'_>,
        first: &[u8],
        body: &Body,
        sent: usize,
    ) -> io::Result<usize> {
        Auto::choose(body).send(socket, first, body, sent)
    }
}

struct Send;

impl Sender for Send {
    fn needs_nonblocking(&self, _: &Body) -> bool {
        false
    }

    fn send(
        &self,
        socket: BorrowedFd<'_>,
        first: &[u8],
        body: &Body,
        sent: usize,
    ) -> io::Result<usize> {
        let from_first = first.get(sent..).unwrap_or_default();
        let from_body = body.get(sent.saturating_sub(first.len())..).unwrap_or_default();
        let pieces = [IoSlice::new(from_first), IoSlice::new(from_body)];
        SockRef::from(&socket).send_vectored_with_flags(&pieces, SEND_NOW)
    }
}

struct Sendfile;

impl Sender for Sendfile {
    fn needs_nonblocking(&self, body: &Body) -> bool {
        body.file().is_some()
    }

    fn send(
        &self,
        socket: BorrowedFd<'_>,
        first: &[u8],
        body: &Body,
        sent: usize,
    ) -> io::Result<usize> {
        let Some((file, start)) = body.file() else { return Send.send(socket, first, body, sent) };
        if let Some(head) = first.get(sent..)
            && !head.is_empty()
        {
            // The head leaves with the beginning of the body.
            return SockRef::from(&socket).send_with_flags(head, SEND_NOW | libc::MSG_MORE);
        }
        let gone = sent - first.len();
        let mut offset = start + gone as u64;
        // A broken connection is an error and no signal: the runtime of Rust ignores SIGPIPE.
        Ok(sendfile(socket, file, Some(&mut offset), body.len() - gone)?)
    }
}
