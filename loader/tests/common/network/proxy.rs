//! A network that fails as it is told to, once for each connection, and then no more.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

/// What happens to a connection. Bytes are those that come from the server.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Every piece comes late.
    Late(Duration),
    /// It is closed after so many bytes.
    CutAfter(usize),
    /// Nothing comes any more after so many bytes, and it stays open.
    StallAfter(usize),
    /// The byte at this place is another one.
    Corrupt(usize),
    /// The first request is answered with this, and the server never hears of it.
    Answer(&'static str),
}

/// A server that cannot now.
pub(crate) const BUSY: Fault = Fault::Answer(
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
);
/// A server that fails.
pub(crate) const BROKEN: Fault = Fault::Answer(
    "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops",
);
/// A server that asks for a second of peace.
pub(crate) const TOO_MANY: Fault = Fault::Answer(
    "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
);

/// A proxy, which stops when this is dropped.
pub(crate) struct Proxy {
    pub(crate) address: String,
    waiting: Arc<Mutex<VecDeque<Fault>>>,
    struck: Arc<AtomicUsize>,
    open: Arc<Mutex<Vec<AbortHandle>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(server: &str, faults: impl IntoIterator<Item = Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let waiting = Arc::new(Mutex::new(faults.into_iter().collect::<VecDeque<_>>()));
        let struck = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(Mutex::new(Vec::new()));
        let (next, counted, server) =
            (Arc::clone(&waiting), Arc::clone(&struck), server.to_owned());
        let opened = Arc::clone(&open);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let fault = next.lock().unwrap().pop_front().unwrap_or(Fault::None);
                let (counted, server) = (Arc::clone(&counted), server.clone());
                let carried = tokio::spawn(async move {
                    // That either side goes away is what this is about.
                    let _ = carry(client, &server, fault, &counted).await;
                });
                opened.lock().unwrap().push(carried.abort_handle());
            }
        });
        Self { address, waiting, struck, open, task }
    }

    /// How many connections failed as they were told to.
    pub(crate) fn struck(&self) -> usize {
        self.struck.load(Ordering::SeqCst)
    }

    /// The next connections fail like this.
    pub(crate) fn strike(&self, faults: impl IntoIterator<Item = Fault>) {
        self.waiting.lock().unwrap().extend(faults);
    }

    /// Those that are open end now.
    pub(crate) fn hang_up(&self) {
        self.open.lock().unwrap().drain(..).for_each(|carried| carried.abort());
    }

    /// No connection fails any more.
    pub(crate) fn clear(&self) {
        self.waiting.lock().unwrap().clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(
    mut client: TcpStream,
    server: &str,
    fault: Fault,
    struck: &AtomicUsize,
) -> std::io::Result<()> {
    if let Fault::Answer(answer) = fault {
        head_of(&mut client).await?;
        struck.fetch_add(1, Ordering::SeqCst);
        client.write_all(answer.as_bytes()).await?;
        return client.shutdown().await;
    }
    let upstream = TcpStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut piece = vec![0; 8192];
    let mut count = 0;
    loop {
        let read = from_server.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        let (before, after) = (count, count + read);
        count = after;
        match fault {
            Fault::Late(pause) => {
                if before == 0 {
                    struck.fetch_add(1, Ordering::SeqCst);
                }
                tokio::time::sleep(pause).await;
            }
            Fault::Corrupt(at) if (before..after).contains(&at) => {
                struck.fetch_add(1, Ordering::SeqCst);
                piece[at - before] ^= 0xff;
            }
            Fault::CutAfter(at) if after > at => {
                struck.fetch_add(1, Ordering::SeqCst);
                to_client.write_all(&piece[..at - before]).await?;
                up.abort();
                return Ok(());
            }
            Fault::StallAfter(at) if after > at => {
                struck.fetch_add(1, Ordering::SeqCst);
                to_client.write_all(&piece[..at - before]).await?;
                let _ = up.await;
                return Ok(());
            }
            _ => {}
        }
        to_client.write_all(&piece[..read]).await?;
    }
}

/// A proxy of the other kind, which is told where to: by `CONNECT`, or by the whole address in the first line (RFC 9110
/// §9.3.6, RFC 9112 §3.2.2). It stops when this is dropped.
pub(crate) struct Tunnel {
    pub(crate) address: String,
    carried: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Tunnel {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let carried = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&carried);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(tunnel(client));
            }
        });
        Self { address, carried, task }
    }

    /// How many connections it was asked for.
    pub(crate) fn carried(&self) -> usize {
        self.carried.load(Ordering::SeqCst)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tunnel(mut client: TcpStream) -> std::io::Result<()> {
    let head = head_of(&mut client).await?;
    let text = str::from_utf8(&head).unwrap();
    let (method, rest) = text.split_once(' ').unwrap();
    let (target, _) = rest.split_once(' ').unwrap();
    let address = target.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    let mut server = TcpStream::connect(address.unwrap_or(target)).await?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    } else {
        // A server takes a whole address as well, and a client has a connection for each server.
        server.write_all(&head).await?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// The lines before a body.
async fn head_of(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    Ok(head)
}
