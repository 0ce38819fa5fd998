//! Taking connections from one listener.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use monoio::net::UnixStream as Readiness;
use socket2::{SockAddr, Socket};
use tokio::sync::watch as tokio_watch;

use super::listen::Listener;
use super::socket;
use super::worker::{First, Phase, Worker, first};
use super::{Lookup, Peer};

/// Accepts until the worker has to finish.
///
/// Waits for readiness and then accepts itself: an accept that is pending in a ring can leak a
/// descriptor when it is called off, a pending wait cannot.
pub(super) async fn run<S: Lookup>(
    worker: Rc<Worker<S>>,
    Listener { socket: listener, is_own }: Listener,
    mut phases: tokio_watch::Receiver<Phase>,
) -> io::Result<()> {
    let readiness = Readiness::from_std(OwnedFd::from(listener.try_clone()?).into())?;
    loop {
        let finish = phases.wait_for(|phase| matches!(phase, Phase::Finish | Phase::Abort));
        let pause = match first(finish, readiness.readable(false)).await {
            First::Left(_) => break,
            First::Right(Err(_)) => true,
            // The connection stays in the queue; trying at once would fail at once.
            First::Right(Ok(())) => matches!(accept_batch(&worker, &listener), Batch::Stuck),
        };
        if pause {
            monoio::time::sleep(PAUSE).await;
        }
        worker.let_others_run().await;
    }
    if is_own {
        // Whoever got through to the listener by now would be cut off with it.
        while matches!(accept_batch(&worker, &listener), Batch::Full) {}
        // Closing it is not enough: the ring may hold on to it for a while.
        socket::shut_down(&listener, Shutdown::Both);
    }
    Ok(())
}

/// After the kernel was out of something that only time brings back.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections taken in a row before those that are open get their turn.
const MOST_IN_A_ROW: usize = 64;

/// Milliseconds between two lines of the log about the same trouble.
const TELL_AGAIN_MILLIS: u64 = 60_000;

enum Batch {
    /// Nobody waits any more.
    Empty,
    /// There may be others.
    Full,
    /// The kernel can give no connection now.
    Stuck,
}

fn accept_batch<S: Lookup>(worker: &Rc<Worker<S>>, listener: &Socket) -> Batch {
    for _ in 0..MOST_IN_A_ROW {
        match listener.accept() {
            Ok((socket, address)) => worker.open(socket, peer(&address)),
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN) => return Batch::Empty,
                // The client was gone before it was accepted (accept(2), "Error handling").
                Some(libc::ECONNABORTED | libc::EINTR | libc::EPERM | libc::EPROTO) => {}
                _ => {
                    // A want of descriptors comes and goes with each connection that ends.
                    let now = worker.clock.now();
                    let told = worker.told_of_failure.get();
                    if told.is_none_or(|told| now.saturating_sub(told) > TELL_AGAIN_MILLIS) {
                        worker.told_of_failure.set(Some(now));
                        tracing::warn!(
                            code = "accept-failed",
                            "cannot accept connections: {error}; trying on. Raise the limit on open files, or \
                             lower HOST_MAX_CONNECTIONS"
                        );
                    }
                    worker.counters.accept_failures.add(1);
                    return Batch::Stuck;
                }
            },
        }
    }
    Batch::Full
}

fn peer(address: &SockAddr) -> Peer {
    address.as_socket().map_or(Peer::Unix, Peer::Network)
}
