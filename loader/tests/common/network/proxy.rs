//! A network that fails as it is told to, once for each connection, and then no more.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_rustls::{TlsAcceptor, TlsConnector};

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
        Self::start(server, None, faults).await
    }

    /// One whose faults strike what is said within TLS.
    pub(crate) async fn within(tls: Tls, server: &str) -> Self {
        Self::start(server, Some(tls), []).await
    }

    async fn start(
        server: &str,
        tls: Option<Tls>,
        faults: impl IntoIterator<Item = Fault>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let waiting = Arc::new(Mutex::new(faults.into_iter().collect::<VecDeque<_>>()));
        let struck = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(Mutex::new(Vec::new()));
        let (next, counted) = (Arc::clone(&waiting), Arc::clone(&struck));
        let (opened, far) = (Arc::clone(&open), Arc::new((server.to_owned(), tls)));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let fault = next.lock().unwrap().pop_front().unwrap_or(Fault::None);
                let (counted, far) = (Arc::clone(&counted), Arc::clone(&far));
                let carried = tokio::spawn(async move {
                    let (server, tls) = &*far;
                    // That either side goes away is what this is about.
                    let _ = match tls {
                        None => carry(client, connect(server), fault, &counted).await,
                        Some(tls) => tls.carry(client, server, fault, &counted).await,
                    };
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

/// What it takes to be a server to the client, and a client to the server.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl Tls {
    /// With these files in PEM: a chain of certificates and its key, and the authority of the server.
    pub(crate) fn of(chain: &str, key: &str, authority: &str) -> Self {
        let certificates = |path| CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap);
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let server = ServerConfig::builder().with_no_client_auth();
        let server = server.with_single_cert(certificates(chain).collect(), key).unwrap();
        let mut trusted = RootCertStore::empty();
        trusted.add_parsable_certificates(certificates(authority));
        let client = ClientConfig::builder().with_root_certificates(trusted);
        let (server, client) = (Arc::new(server), Arc::new(client.with_no_client_auth()));
        Self { acceptor: server.into(), connector: client.into() }
    }

    async fn carry(
        &self,
        client: TcpStream,
        server: &str,
        fault: Fault,
        struck: &AtomicUsize,
    ) -> io::Result<()> {
        let client = self.acceptor.accept(client).await?;
        let (host, _) = server.split_once(':').unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let upstream = async { self.connector.connect(name, connect(server).await?).await };
        carry(client, upstream, fault, struck).await
    }
}

async fn connect(server: &str) -> io::Result<TcpStream> {
    TcpStream::connect(server).await
}

async fn carry<C, S>(
    mut client: C,
    upstream: impl Future<Output = io::Result<S>>,
    fault: Fault,
    struck: &AtomicUsize,
) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let strikes = || struck.fetch_add(1, Ordering::SeqCst);
    if let Fault::Answer(answer) = fault {
        head_of(&mut client).await?;
        strikes();
        client.write_all(answer.as_bytes()).await?;
        return client.shutdown().await;
    }
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(upstream.await?);
    let down = async {
        let mut piece = vec![0; 8192];
        let mut count = 0;
        loop {
            let read = from_server.read(&mut piece).await?;
            if read == 0 {
                return to_client.shutdown().await;
            }
            let (before, after) = (count, count + read);
            count = after;
            match fault {
                Fault::Late(pause) => {
                    if before == 0 {
                        strikes();
                    }
                    tokio::time::sleep(pause).await;
                }
                Fault::Corrupt(at) if (before..after).contains(&at) => {
                    strikes();
                    piece[at - before] ^= 0xff;
                }
                Fault::CutAfter(at) | Fault::StallAfter(at) if after > at => {
                    strikes();
                    to_client.write_all(&piece[..at - before]).await?;
                    to_client.flush().await?;
                    if matches!(fault, Fault::StallAfter(_)) {
                        std::future::pending::<()>().await;
                    }
                    return Ok(());
                }
                _ => {}
            }
            to_client.write_all(&piece[..read]).await?;
            to_client.flush().await?;
        }
    };
    tokio::select! {
        // The client has gone.
        gone = tokio::io::copy(&mut from_client, &mut to_server) => gone.map(drop),
        ended = down => ended,
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

async fn tunnel(mut client: TcpStream) -> io::Result<()> {
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
async fn head_of(client: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    Ok(head)
}
