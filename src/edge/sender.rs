//! How a large body leaves: whole and from where it lies, in as few calls as the kernel needs.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use rustix::fs::sendfile;
use rustix::param::page_size;
use socket2::SockRef;

use super::socket::SEND_NOW;
use crate::http::Body;

/// Which way of sending large bodies is in use (`HOST_BODY_SENDER`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodySender {
    /// sendfile(2) from the sealed memory file, for bodies that have one: hands its pages over and copies nothing.
    #[default]
    Sendfile,
    /// send(2) from the mapping, which copies.
    Send,
}

impl BodySender {
    /// Its name as in `HOST_BODY_SENDER`.
    pub fn name(self) -> &'static str {
        match self {
            BodySender::Sendfile => "sendfile",
            BodySender::Send => "send",
        }
    }

    pub(super) fn sender(self) -> &'static dyn Sender {
        match self {
            BodySender::Sendfile => &Sendfile,
            BodySender::Send => &Send,
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
        let rest = body.pieces_from(sent.saturating_sub(first.len()));
        send_all(socket, first.get(sent..).unwrap_or_default(), rest, SEND_NOW)
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
        // What comes from a file lies in one piece.
        let rest = body.pieces_from(sent.saturating_sub(first.len())).next().unwrap_or_default();
        let mut position = start + (body.len() - rest.len()) as u64;
        let head = first.get(sent..).unwrap_or_default();
        // The kernel takes 16 pages at a time, and parts of segments where these are not whole pages: twice the cost of
        // a body. So the part of a range before its first whole page is copied behind the head.
        let to_page = (position.next_multiple_of(page_size() as u64) - position) as usize;
        let copied = rest.get(..to_page).unwrap_or(rest);
        if !head.is_empty() || !copied.is_empty() {
            // What follows at once joins it.
            let more = if copied.len() < rest.len() { libc::MSG_MORE } else { 0 };
            return send_all(socket, head, [copied], SEND_NOW | more);
        }
        // A broken connection is an error and no signal: the runtime of Rust ignores SIGPIPE.
        Ok(sendfile(socket, file, Some(&mut position), rest.len())?)
    }
}

/// Pieces that one call takes: a head and those of a page, of which the start page has the most, seven.
const MOST_PIECES: usize = 8;

/// Gives the kernel as much as it takes at once of `first` and the pieces behind it.
fn send_all<'a>(
    socket: BorrowedFd<'_>,
    first: &'a [u8],
    rest: impl IntoIterator<Item = &'a [u8]>,
    flags: i32,
) -> io::Result<usize> {
    let mut pieces = [IoSlice::new(&[]); MOST_PIECES];
    let mut count = 0;
    for (slot, piece) in pieces.iter_mut().zip(std::iter::once(first).chain(rest)) {
        *slot = IoSlice::new(piece);
        count += 1;
    }
    let pieces = pieces.get(..count).unwrap_or_default();
    SockRef::from(&socket).send_vectored_with_flags(pieces, flags)
}
