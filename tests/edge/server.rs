//! An edge plane with a small site and a service plane on a thread of its own.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use pilar_host::edge::{
    Answer, BodySender, DriverChoice, Edge, EdgeOptions, Limits, Listeners, Lookup, Owner, Peer,
    ServiceCall,
};
use pilar_host::http::{Body as ResourceBody, CachePolicy, Encoding, Resource};
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::sync::{Semaphore, mpsc};

/// The date of every reply: the example of RFC 9110 §5.6.7.
pub(crate) const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Each driver with one worker and with two.
pub(crate) const SETUPS: [(DriverChoice, usize); 4] = [
    (DriverChoice::Auto, 1),
    (DriverChoice::Auto, 2),
    (DriverChoice::Epoll, 1),
    (DriverChoice::Epoll, 2),
];

const LARGE: usize = 8 * 1024 * 1024;

/// What `/large` holds: no two stretches of it are alike.
pub(crate) fn large_body() -> Bytes {
    static BODY: LazyLock<Bytes> =
        LazyLock::new(|| (0..LARGE as u32 / 4).flat_map(u32::to_le_bytes).collect());
    BODY.clone()
}

/// The same bytes, from the middle of a memory file.
fn sealed_body() -> ResourceBody {
    static BODY: LazyLock<ResourceBody> = LazyLock::new(|| {
        let mut file = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
        file.write_all(b"before").unwrap();
        file.write_all(&large_body()).unwrap();
        file.write_all(b"behind").unwrap();
        ResourceBody::of_file(large_body(), Arc::new(file), 6)
    });
    BODY.clone()
}

pub(crate) struct Site(HashMap<&'static str, Resource>);

impl Lookup for Site {
    fn lookup(&self, path: &str) -> Answer<'_> {
        if path.starts_with("/service/") {
            return Answer::Service;
        }
        let resource = self.0.get(path).unwrap_or_else(|| &self.0["missing"]);
        Answer::Resource(resource, Owner::NOBODY)
    }
}

/// A body that lies in several places, as those of pages do; in more than one call takes where they are short.
fn in_pieces(bytes: &Bytes, length: usize) -> ResourceBody {
    let starts = (0..bytes.len()).step_by(length);
    ResourceBody::of_pieces(
        starts.map(|at| bytes.slice(at..bytes.len().min(at + length))).collect(),
    )
}

fn site() -> Site {
    let script = "text/javascript; charset=utf-8";
    let asset = || Resource::builder(StatusCode::OK, script, CachePolicy::Immutable);
    let page = Resource::builder(StatusCode::OK, "text/html", CachePolicy::Revalidate)
        .identity(in_pieces(&Bytes::from_static(b"<p>page"), 2), None);
    let only_br = asset().variant(Encoding::Br, Bytes::from_static(b"br"), None);
    let missing = Resource::builder(StatusCode::NOT_FOUND, "text/plain", CachePolicy::NoStore)
        .identity(Bytes::from_static(b"not found\n"), None);
    let negotiated = asset()
        .identity(Bytes::from_static(b"identity"), None)
        .variant(Encoding::Gzip, in_pieces(&Bytes::from_static(b"gzip bytes"), 3), None)
        .variant(Encoding::Zstd, Bytes::from_static(b"zstd bytes!"), None)
        .variant(Encoding::Br, in_pieces(&Bytes::from_static(b"br bytes!!!!"), 1), None);
    let parts = [
        ("/app.js", negotiated),
        ("/page", page),
        ("/only-br.js", only_br),
        ("/large", asset().identity(large_body(), None)),
        ("/sealed", asset().identity(sealed_body(), None)),
        ("/big", asset().identity(in_pieces(&large_body().slice(..200_000), 70_001), None)),
        ("/medium", asset().identity(in_pieces(&large_body().slice(..60_000), 4_999), None)),
        ("/empty", asset().identity(Bytes::new(), None)),
        ("/café", asset().identity(Bytes::from_static(b"accent"), None)),
        ("missing", missing),
    ];
    Site(parts.into_iter().map(|(path, builder)| (path, builder.build().unwrap())).collect())
}

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    edge: Option<Edge>,
    service: Option<JoinHandle<()>>,
    /// `/service/gated` takes a permit before it answers.
    pub(crate) gate: Arc<Semaphore>,
}

impl Server {
    pub(crate) fn start(setup: (DriverChoice, usize)) -> Server {
        Server::with_limits(setup, Limits::default())
    }

    pub(crate) fn with_limits((driver, workers): (DriverChoice, usize), limits: Limits) -> Server {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Server::on(Listeners::bind(any_port, workers).unwrap(), driver, limits)
    }

    pub(crate) fn on(listeners: Listeners, driver: DriverChoice, limits: Limits) -> Server {
        Server::sending(listeners, driver, limits, BodySender::default())
    }

    pub(crate) fn sending(
        listeners: Listeners,
        driver: DriverChoice,
        limits: Limits,
        sender: BodySender,
    ) -> Server {
        let (to_service, calls) = mpsc::channel(limits.service_depth());
        let gate = Arc::new(Semaphore::new(0));
        let service = serve(calls, Arc::clone(&gate));
        let addr = listeners.local_addr().unwrap();
        let wall_clock = || SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let options = EdgeOptions { driver, sender, limits, ..EdgeOptions::new(wall_clock) };
        let snapshot = Arc::new(ArcSwap::from_pointee(site()));
        let edge = Edge::start(listeners, options, snapshot, to_service).unwrap();
        Server { addr, edge: Some(edge), service: Some(service), gate }
    }

    pub(crate) fn edge(&self) -> &Edge {
        self.edge.as_ref().unwrap()
    }

    pub(crate) fn drain(&mut self, serve_for: Duration) -> usize {
        self.edge.take().unwrap().drain(serve_for)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The service plane ends once nobody can call it any more.
        drop(self.edge.take());
        self.gate.close();
        self.service.take().unwrap().join().unwrap();
    }
}

fn serve(mut calls: mpsc::Receiver<ServiceCall<Site>>, gate: Arc<Semaphore>) -> JoinHandle<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    thread::spawn(move || {
        runtime.block_on(async move {
            while let Some(call) = calls.recv().await {
                if call.request.uri().path() == "/service/held" {
                    // Not even taken in hand, so that the channel fills up.
                    let _ = gate.acquire().await;
                }
                let gate = Arc::clone(&gate);
                tokio::spawn(async move {
                    let Some(reply) = answer(call.request, &call.snapshot, &gate).await else {
                        return;
                    };
                    let _ = call.reply.send(reply);
                });
            }
        });
    })
}

async fn answer(
    request: Request<Bytes>,
    snapshot: &Site,
    gate: &Semaphore,
) -> Option<Response<Body>> {
    let reply = match request.uri().path() {
        "/service/echo" => {
            let mut headers: Vec<String> = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                .collect();
            headers.sort();
            let text = format!(
                "{} {} [{}] {}",
                request.method(),
                request.uri(),
                headers.join(" "),
                String::from_utf8_lossy(request.body())
            );
            Response::new(Body::from(text))
        }
        "/service/peer" => {
            let peer = request.extensions().get::<Peer>().unwrap();
            Response::new(Body::from(peer.to_string()))
        }
        "/service/snapshot" => Response::new(Body::from(snapshot.0.len().to_string())),
        "/service/gated" | "/service/held" => {
            let _ = gate.acquire().await;
            Response::new(Body::from("through the gate"))
        }
        "/service/silent" => return None,
        "/service/stream" => stream((0..50).map(|n| Ok(Bytes::from(format!("part {n};"))))),
        "/service/broken" => stream(
            [Ok(Bytes::from_static(b"half")), Err(io::Error::other("the other half"))].into_iter(),
        ),
        "/service/large" => stream([Ok(large_body().slice(..1024 * 1024))].into_iter()),
        "/service/whole" => Response::new(Body::from(large_body().slice(..300_000))),
        "/service/created" => Response::builder()
            .status(201)
            .header("x-own", "kept")
            .header("connection", "x-private, close")
            .header("x-private", "dropped")
            .header("keep-alive", "timeout=5")
            .header("date", "yesterday")
            .body(Body::from("made"))
            .unwrap(),
        "/service/nothing" => Response::builder().status(204).body(Body::empty()).unwrap(),
        _ => Response::builder().status(404).body(Body::from("unknown")).unwrap(),
    };
    Some(reply)
}

fn stream(parts: impl Iterator<Item = io::Result<Bytes>> + Send + 'static) -> Response<Body> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for part in parts {
            if sender.send(part).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    Response::new(Body::new(Streamed(receiver)))
}

/// A body of unknown length, made on the service plane's thread.
struct Streamed(mpsc::Receiver<io::Result<Bytes>>);

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| part.map(Frame::data)))
    }
}
