//! A line to a server that can go silent: nothing comes through, and nobody is told.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// It is torn down when it is dropped.
pub(crate) struct Line {
    /// The near end.
    pub(crate) port: u16,
    state: Arc<State>,
    listening: AbortHandle,
}

#[derive(Default)]
struct State {
    /// Connections so far.
    opened: AtomicU64,
    /// Connections that are numbered below this are silent.
    silent_below: AtomicU64,
}

impl Line {
    /// A line to a port on loopback.
    pub(crate) async fn to(far: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let listening = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let number = shared.opened.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(connect(near, far, number, Arc::clone(&shared)));
            }
        });
        Self { port, state, listening: listening.abort_handle() }
    }

    /// From now on no connection gets through, and those that are open never will again.
    pub(crate) fn silence(&self) {
        self.state.silent_below.store(u64::MAX, Ordering::Relaxed);
    }

    /// New connections get through again.
    pub(crate) fn mend(&self) {
        let opened = self.state.opened.load(Ordering::Relaxed);
        self.state.silent_below.store(opened, Ordering::Relaxed);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn connect(near: TcpStream, far: u16, number: u64, state: Arc<State>) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", far)).await else { return };
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    // Whichever side closes first closes both.
    tokio::select! {
        () = carry(near_read, far_write, number, &state) => {}
        () = carry(far_read, near_write, number, &state) => {}
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, number: u64, state: &State) {
    let mut bytes = [0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        if number < state.silent_below.load(Ordering::Relaxed) {
            // Not even that a side has closed comes through.
            pending::<()>().await;
        }
        if read == 0 || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
