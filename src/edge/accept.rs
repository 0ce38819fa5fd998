//! Taking connections from one listener.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use monoio::net::TcpListener as Readiness;

use super::Lookup;
use super::worker::Worker;

/// Accepts until the worker stops accepting and its listener is shut down.
///
/// Waits for readiness and then accepts itself: an accept that is pending in a ring can leak a
/// descriptor when it is called off, a pending wait cannot.
pub(super) async fn run<S: Lookup>(
    worker: Rc<Worker<S>>,
    listener: Rc<TcpListener>,
) -> io::Result<()> {
    let readiness = Readiness::from_std(listener.try_clone()?)?;
    while worker.accepting.get() {
        if readiness.readable(false).await.is_err() {
            monoio::time::sleep(PAUSE).await;
            continue;
        }
        if let Batch::Stuck = accept_batch(&worker, &listener) {
            // The connection stays in the queue; trying at once would fail at once.
            monoio::time::sleep(PAUSE).await;
        }
        worker.let_others_run().await;
    }
    Ok(())
}

/// After the kernel was out of something that only time brings back.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections taken in a row before those that are open get their turn.
const MOST_IN_A_ROW: usize = 64;

enum Batch {
    Done,
    Stuck,
}

fn accept_batch<S: Lookup>(worker: &Rc<Worker<S>>, listener: &TcpListener) -> Batch {
    for _ in 0..MOST_IN_A_ROW {
        match listener.accept() {
            Ok((stream, peer)) => worker.open(stream, peer),
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN) => return Batch::Done,
                // The client was gone before it was accepted (accept(2), "Error handling").
                Some(libc::ECONNABORTED | libc::EINTR | libc::EPERM | libc::EPROTO) => {}
                // Shut down, because the worker stops accepting.
                Some(libc::EINVAL) => return Batch::Done,
                _ => {
                    if worker.counters.accept_failures.is_zero() {
                        tracing::warn!(%error, "cannot accept connections; trying on");
                    }
                    worker.counters.accept_failures.add(1);
                    return Batch::Stuck;
                }
            },
        }
    }
    Batch::Done
}
