//! The way to the service plane and back. A request goes over a bounded channel and never waits to
//! get in; its reply is written here, part by part as the service plane makes it.

use std::io::{self, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as _;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::sync::{mpsc, oneshot};

use super::answer::After;
use super::connection::Connection;
use super::refusal::Refusal;
use super::reply::{self, Asked};
use super::watch::Waited;
use super::worker::Worker;
use super::{Lookup, Peer};
use crate::http::{BodyLength, HeadError, RequestHead};

/// A request on its way to the service plane.
///
/// The frames of the reply's body are polled on the edge's thread, so a body must not depend on
/// timers or sockets of a runtime of its own: those are polled where they belong and pass their
/// bytes on through a channel.
#[derive(Debug)]
pub struct ServiceCall<S> {
    /// The request with its whole body, without hop-by-hop headers; [`Peer`] is in its extensions.
    pub request: Request<Bytes>,
    /// The snapshot that the edge looked the path up in.
    pub snapshot: Arc<S>,
    /// Where the reply goes. Dropping it unused makes the edge answer 500.
    pub reply: oneshot::Sender<Response<Body>>,
}

/// A call whose reply is awaited. Counts against the worker's limit until it is dropped.
pub(super) struct Call<S> {
    reply: oneshot::Receiver<Response<Body>>,
    asked: Asked,
    worker: Rc<Worker<S>>,
}

impl<S> Drop for Call<S> {
    fn drop(&mut self) {
        self.worker.calls.set(self.worker.calls.get().saturating_sub(1));
    }
}

/// Hands a request over, or says at once that there is no room.
pub(super) fn call<S>(
    worker: &Rc<Worker<S>>,
    head: &RequestHead<'_, '_>,
    path: &str,
    body: &[u8],
    peer: Peer,
    snapshot: &Arc<S>,
    is_probe: bool,
) -> Result<Call<S>, Refusal> {
    let request = assemble(head, path, body, peer).map_err(Refusal::Head)?;
    if !worker.limits.may_call(worker.calls.get(), worker.service.capacity(), is_probe) {
        return Err(Refusal::ServiceBusy);
    }
    let (sender, reply) = oneshot::channel();
    let call = ServiceCall { request, snapshot: Arc::clone(snapshot), reply: sender };
    worker.service.try_send(call).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => Refusal::ServiceBusy,
        mpsc::error::TrySendError::Closed(_) => Refusal::ServiceGone,
    })?;
    worker.calls.set(worker.calls.get() + 1);
    Ok(Call { reply, asked: Asked::by(head), worker: Rc::clone(worker) })
}

/// Writes the request anew from its parts; nothing of its raw head goes on. The target is the path
/// that the edge looked up, so that both planes mean the same one however it was escaped.
fn assemble(
    head: &RequestHead<'_, '_>,
    path: &str,
    body: &[u8],
    peer: Peer,
) -> Result<Request<Bytes>, HeadError> {
    let mut request = Request::new(Bytes::copy_from_slice(body));
    *request.method_mut() =
        http::Method::from_bytes(head.method.as_bytes()).map_err(|_| HeadError::RequestLine)?;
    let mut target = utf8_percent_encode(path, NOT_IN_PATH).to_string();
    if let Some(query) = head.query() {
        target.push('?');
        target.extend(utf8_percent_encode(query, NOT_IN_QUERY));
    }
    *request.uri_mut() = target.parse().map_err(|_| HeadError::Target)?;
    let headers = request.headers_mut();
    headers.reserve(head.headers.len());
    for line in head.headers {
        let name =
            HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| HeadError::HeaderName)?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| HeadError::HeaderValue)?;
        headers.append(name, value);
    }
    if let Some(authority) = head.authority {
        let host = HeaderValue::from_str(authority).map_err(|_| HeadError::Target)?;
        headers.insert(header::HOST, host);
    }
    remove_hop_by_hop(headers);
    // Met here: the body is already whole.
    headers.remove(header::EXPECT);
    if head.body == BodyLength::Chunked {
        headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    request.extensions_mut().insert(peer);
    Ok(request)
}

/// All that RFC 3986 §3.3 does not allow in a path.
const NOT_IN_PATH: &AsciiSet = &NOT_IN_QUERY.add(b'?').add(b'%');

/// All that RFC 3986 §3.4 does not allow in a query; escapes stay as they are.
const NOT_IN_QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// RFC 9110 §7.6.1: what concerns one connection alone is not passed on.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    // These two are for the end of the way, whatever `connection` says.
    let is_end_to_end = |name: &&HeaderName| [header::HOST, header::CONTENT_LENGTH].contains(name);
    for name in named.iter().filter(|name| !is_end_to_end(name)).chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// How the end of a reply's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// There is no body.
    None,
    /// This many bytes are still to come.
    Length(u64),
    Chunked,
    /// The connection closes; all that HTTP/1.0 has for a body of unknown length.
    Close,
}

impl<S: Lookup> Connection<S> {
    /// Waits for a reply of the service plane and sends it.
    pub(super) async fn relay(&mut self, mut call: Call<S>) -> io::Result<()> {
        // Whatever was answered before the call goes out while it is on its way.
        self.flush().await?;
        let asked = call.asked;
        let waited = self.watch.calling(&mut call.reply).await;
        self.heed_draining();
        let reply = match waited {
            Waited::Done(Ok(reply)) if !reply.status().is_informational() => reply,
            Waited::Done(_) => {
                self.refuse(Refusal::ServiceFailed, asked);
                return Ok(());
            }
            Waited::TooLong => {
                self.refuse(Refusal::ServiceTimeout, asked);
                return Ok(());
            }
            Waited::Cut => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        let (mut parts, body) = reply.into_parts();
        remove_hop_by_hop(&mut parts.headers);
        let framing = framing_of(parts.status, &parts.headers, &body, asked);
        if framing == Framing::Close {
            self.after = After::Close;
        }
        self.worker.counters.responses.count(parts.status.as_u16());
        self.status = parts.status.as_u16();
        self.note_request_id(&parts.headers);
        self.reserve_out();
        write_head(&mut self.out, parts.status, &parts.headers, framing, asked);
        self.finish_head(asked);
        if framing == Framing::None {
            return Ok(());
        }
        self.relay_body(body, framing).await
    }

    /// Takes over the id that the service plane gave the request.
    fn note_request_id(&mut self, headers: &HeaderMap) {
        let id = || headers.get("x-request-id")?.to_str().ok();
        if let Some(unrecorded) = &mut self.unrecorded
            && let Some(id) = id()
        {
            unrecorded.name_call(id);
        }
    }

    async fn relay_body(&mut self, mut body: Body, mut framing: Framing) -> io::Result<()> {
        // A reply cut short must not look whole: the error closes the connection without an end.
        let cut_short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        while let Some(frame) = self.next_frame(&mut body).await? {
            let Ok(data) = frame.map_err(|_| cut_short())?.into_data() else {
                // Trailers; the edge announced none.
                continue;
            };
            if data.is_empty() {
                // An empty chunk would end the body.
                continue;
            }
            if let Framing::Length(left) = &mut framing {
                *left = left.checked_sub(data.len() as u64).ok_or_else(cut_short)?;
            }
            self.relay_part(&data, framing == Framing::Chunked).await?;
        }
        match framing {
            Framing::Length(1..) => Err(cut_short()),
            Framing::Chunked => {
                self.reserve_out();
                self.out.extend_from_slice(b"0\r\n\r\n");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The next frame; what is ready to send goes out before it is waited for.
    async fn next_frame(
        &mut self,
        body: &mut Body,
    ) -> io::Result<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let at_once = std::future::poll_fn(|context| {
            std::task::Poll::Ready(Pin::new(&mut *body).poll_frame(context))
        });
        if let std::task::Poll::Ready(frame) = at_once.await {
            return Ok(frame);
        }
        self.flush().await?;
        let next = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        match self.watch.streaming(next).await {
            Waited::Done(frame) => Ok(frame),
            Waited::TooLong | Waited::Cut => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    async fn relay_part(&mut self, data: &Bytes, chunked: bool) -> io::Result<()> {
        self.reserve_out();
        if chunked {
            // Writing into a vector cannot fail.
            let _ = write!(self.out, "{:x}\r\n", data.len());
        }
        if data.len() > reply::MOST_COPIED {
            self.send_body(&data.clone().into()).await?;
            self.reserve_out();
        } else {
            self.out.extend_from_slice(data);
        }
        if chunked {
            self.out.extend_from_slice(b"\r\n");
        }
        if self.out.len() >= reply::ENOUGH_TO_SEND {
            self.flush().await?;
        }
        Ok(())
    }
}

fn framing_of(status: StatusCode, headers: &HeaderMap, body: &Body, asked: Asked) -> Framing {
    if asked.head_only || matches!(status.as_u16(), 204 | 304) {
        return Framing::None;
    }
    match body.size_hint().exact().or_else(|| declared_length(headers)) {
        Some(length) => Framing::Length(length),
        None if asked.is_http_1_0 => Framing::Close,
        None => Framing::Chunked,
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn write_head(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &HeaderMap,
    framing: Framing,
    asked: Asked,
) {
    let reason = status.canonical_reason().unwrap_or_default();
    // Writing into a vector cannot fail.
    let _ = write!(out, "HTTP/1.1 {} {reason}\r\n", status.as_str());
    for (name, value) in headers {
        if !WRITTEN_HERE.contains(name) {
            write_line(out, name.as_str(), value.as_bytes());
        }
    }
    write_line(out, "x-content-type-options", b"nosniff");
    match framing {
        Framing::Length(length) => {
            let _ = write!(out, "content-length: {length}\r\n");
        }
        Framing::Chunked => write_line(out, "transfer-encoding", b"chunked"),
        // A reply to HEAD says what GET would have had, if the service plane knows.
        Framing::None if asked.head_only => {
            if let Some(length) = declared_length(headers) {
                let _ = write!(out, "content-length: {length}\r\n");
            }
        }
        Framing::None | Framing::Close => {}
    }
}

const WRITTEN_HERE: [HeaderName; 3] =
    [header::CONTENT_LENGTH, header::DATE, header::X_CONTENT_TYPE_OPTIONS];

fn write_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
