//! The transport: all that the edge plane asks of monoio's streams, in one narrow place.

use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use monoio::buf::{IoBuf, IoBufMut};
use monoio::io::{AsyncWriteRent, CancelHandle, CancelableAsyncReadRent};
use monoio::net::UnixStream;
use rustix::io::ioctl_fionbio;
use socket2::{SockRef, Socket as SystemSocket};

use super::sender::Sender;
use super::watch::Watch;
use crate::http::Body;

/// One accepted connection, over TCP or a unix socket.
pub(super) struct Socket {
    /// monoio's stream for unix sockets, because it is a bare descriptor: what it does is what any stream
    /// socket can, while its stream for TCP carries 72 bytes of addresses that nobody asks for.
    stream: UnixStream,
    on_ring: bool,
}

impl Socket {
    /// Takes over a blocking stream. A ring needs it like that (on a non-blocking one it reports
    /// `EAGAIN` instead of waiting); epoll needs the opposite.
    pub(super) fn new(socket: SystemSocket, on_ring: bool) -> io::Result<Socket> {
        if !on_ring {
            socket.set_nonblocking(true)?;
        }
        Ok(Socket { stream: UnixStream::from_std(OwnedFd::from(socket).into())?, on_ring })
    }

    pub(super) fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Waits for bytes or the end without owning a buffer.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.stream.readable(false).await
    }

    /// Reads into the spare capacity of `buffer`. The handle lets the wait be called off: the read
    /// then ends with `ECANCELED`, or with the bytes that came first. A read is never dropped while
    /// it waits, since on a ring that could lose bytes.
    pub(super) async fn read(
        &mut self,
        buffer: Vec<u8>,
        handle: CancelHandle,
    ) -> (io::Result<usize>, Vec<u8>) {
        let (filled, capacity) = (buffer.len(), buffer.capacity());
        let spare = buffer.slice_mut(filled..capacity);
        let (result, spare) = self.stream.cancelable_read(spare, handle).await;
        (result, spare.into_inner())
    }

    /// Sends a buffer of small replies and gives it back.
    pub(super) async fn send(
        &mut self,
        buffer: Vec<u8>,
        watch: &Watch,
    ) -> (io::Result<()>, Vec<u8>) {
        let mut rest = buffer.slice(..);
        loop {
            let (result, unsent) = self.stream.write(rest).await;
            let (begin, end) = (unsent.begin(), unsent.end());
            let buffer = unsent.into_inner();
            match result {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buffer),
                Ok(sent) => {
                    watch.sent(sent);
                    if begin + sent >= end {
                        return (Ok(()), buffer);
                    }
                    rest = buffer.slice(begin + sent..);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    rest = buffer.slice(begin..);
                }
                Err(error) => return (Err(error), buffer),
            }
        }
    }

    /// Sends what is ready in `first` and then a large body, whole and from where it lies: the
    /// kernel takes as much as fits, then is waited for. Cheaper than handing a ring the same body,
    /// and far cheaper than pieces.
    pub(super) async fn send_body(
        &self,
        sender: &dyn Sender,
        first: &[u8],
        body: &Body,
        watch: &Watch,
    ) -> io::Result<()> {
        let toggles = self.on_ring && sender.needs_nonblocking(body);
        // One call each, where fcntl(2) takes two.
        if toggles {
            with_fd(self, |socket| ioctl_fionbio(socket, true))?;
        }
        let mut sent = 0;
        while sent < first.len() + body.len() {
            match with_fd(self, |socket| sender.send(socket, first, body, sent)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    sent += count;
                    watch.sent(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stream.writable(false).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if toggles {
            with_fd(self, |socket| ioctl_fionbio(socket, false))?;
        }
        Ok(())
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd()
    }
}

/// Sends once without waiting, for a client that gets one reply and is let go.
pub(super) fn send_once(socket: &SystemSocket, bytes: &[u8]) {
    // Best effort: whether or not it arrives, the connection is closed next.
    let _ = socket.send_with_flags(bytes, SEND_NOW);
}

/// Takes some of what has arrived and forgets it. Returns whether the client may still send more.
pub(super) fn swallow(socket: &SystemSocket) -> bool {
    let mut scratch = [MaybeUninit::uninit(); 4096];
    // So much at a time, since whoever goes on sending is not waited for.
    for _ in 0..4 {
        match socket.recv_with_flags(&mut scratch, libc::MSG_DONTWAIT) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => {
                return matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                );
            }
        }
    }
    true
}

/// Bytes given to the kernel that the client's kernel has not acknowledged yet (`SIOCOUTQ` of tcp(7)).
pub(super) fn untaken(socket: &impl AsRawFd) -> u64 {
    let mut count: libc::c_int = 0;
    // SAFETY: the call writes one int, to where one is. `TIOCOUTQ` is the same request by its older name.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    // A connection that has failed has nothing outstanding; its operations end by themselves.
    if result == 0 { u64::try_from(count).unwrap_or(0) } else { 0 }
}

/// Ends one or both directions, which also ends whatever waits on them.
pub(super) fn shut_down(socket: &impl AsRawFd, how: Shutdown) {
    // An error says that the client ended it first.
    let _ = with_socket(socket, |socket| socket.shutdown(how));
}

/// Ends the connection and lets the kernel forget what was not sent.
pub(super) fn reset(socket: &impl AsRawFd) {
    with_socket(socket, |socket| {
        let _ = socket.set_linger(Some(Duration::ZERO));
        let _ = socket.shutdown(Shutdown::Both);
    });
}

pub(super) const SEND_NOW: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

fn with_socket<T>(socket: &impl AsRawFd, action: impl FnOnce(SockRef<'_>) -> T) -> T {
    with_fd(socket, |fd| action(SockRef::from(&fd)))
}

fn with_fd<T>(socket: &impl AsRawFd, action: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    // SAFETY: whoever gives out the descriptor keeps it open while it is borrowed: a `Socket` owns
    // its stream, and a `Watch` is deregistered before the socket that it names is dropped.
    action(unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) })
}
