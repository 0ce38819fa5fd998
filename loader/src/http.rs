//! The small listener beside the loader: `/healthz`, `/readyz`, `/metrics`.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use pilar_metrics::CONTENT_TYPE;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::metrics;
use crate::status::Board;

/// So many connections at once. The oldest gives way to another one: whoever opens many and says nothing keeps no probe of
/// the kubelet out.
const MOST_CONNECTIONS: usize = 64;
/// A connection has one request, and so much time for it and its reply.
const CONNECTION_TIME: Duration = Duration::from_secs(5);
/// So many wait to be accepted.
const BACKLOG: i32 = 128;
/// The longest head of a request, in bytes.
const MOST_HEAD_BYTES: usize = 16 << 10;

/// What the answers are made from.
#[derive(Debug)]
struct Answers {
    board: Arc<Board>,
    max_contact_age: Duration,
}

/// A listener on every address, IPv6 and IPv4, or IPv4 alone where the kernel has no IPv6; port 0 takes a free one.
///
/// # Errors
/// What the operating system says.
pub async fn listen(port: u16) -> io::Result<TcpListener> {
    let opened = match open((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) => {
            open((Ipv4Addr::UNSPECIFIED, port).into())
        }
        opened => opened,
    };
    TcpListener::from_std(opened?)
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    if address.is_ipv6() {
        // Whatever the machine's `net.ipv6.bindv6only` says.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Answers, for ever.
pub async fn serve(mut listener: TcpListener, board: Arc<Board>, max_contact_age: Duration) {
    let routes = Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(Answers { board, max_contact_age }));
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(MOST_HEAD_BYTES);
    let mut open = VecDeque::<AbortHandle>::new();
    loop {
        // This one goes on where there are no descriptors, after a pause.
        let (stream, _) = axum::serve::Listener::accept(&mut listener).await;
        open.retain(|connection| !connection.is_finished());
        if open.len() >= MOST_CONNECTIONS {
            open.pop_front().iter().for_each(AbortHandle::abort);
        }
        let service = TowerToHyperService::new(routes.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        // What a client does wrong is its own affair.
        open.push_back(tokio::spawn(timeout(CONNECTION_TIME, connection)).abort_handle());
    }
}

/// Ready is who hears from the source and has tried everything that is registered once. What fails is no reason
/// not to be: it is tried for ever, and what served before serves.
async fn ready(State(answers): State<Arc<Answers>>) -> Response {
    let progress = answers.board.progress();
    let age = answers.board.feed().contact().last.map(|last| last.elapsed());
    let reason = match age {
        _ if let Some(trouble) = answers.board.trouble() => {
            Some(format!("the artifacts directory cannot be worked in: {trouble}"))
        }
        _ if !progress.is_known => Some("the registrations were not seen yet".to_owned()),
        Some(age) if age > answers.max_contact_age => {
            Some(format!("the source of registrations was not heard from for {} s", age.as_secs()))
        }
        _ if progress.pending > 0 => {
            Some(format!("{} features were not tried yet", progress.pending))
        }
        _ => None,
    };
    match reason {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn metrics(State(answers): State<Arc<Answers>>) -> Response {
    match metrics::text(Arc::clone(&answers.board)) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        // Writing into a string cannot fail.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
