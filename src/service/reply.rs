//! What all dynamic replies share (contract §7).

use std::sync::Arc;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use super::Host;
use crate::edge::is_harmless_id;
use crate::snapshot::Snapshot;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SNAPSHOT: HeaderName = HeaderName::from_static("x-pilar-snapshot");

/// The request's id, in its extensions.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) HeaderValue);

/// Adds the request id, the snapshot that the answer came from, and headers that keep it out of caches.
pub(super) async fn common_headers(
    State(host): State<Arc<Host>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = client_request_id(request.headers())
        .or_else(|| HeaderValue::from_str(&host.request_id()).ok())
        .unwrap_or(HeaderValue::from_static("none"));
    let snapshot = request
        .extensions()
        .get::<Arc<Snapshot>>()
        .and_then(|snapshot| HeaderValue::from_str(snapshot.id()).ok());
    request.extensions_mut().insert(RequestId(id.clone()));
    let telemetry = host.telemetry.as_deref();
    let exchange = telemetry
        .map(|telemetry| (telemetry, telemetry.begin(&request, id.to_str().unwrap_or_default())));
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some((telemetry, exchange)) = exchange {
        telemetry.end(exchange, response.status());
    }
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    host.replies.count(route, response.status());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    if let Some(snapshot) = snapshot {
        headers.insert(SNAPSHOT, snapshot);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A client's own id is kept where it is harmless in a log line.
fn client_request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(REQUEST_ID).filter(|id| id.to_str().is_ok_and(is_harmless_id)).cloned()
}

/// An error in the one form that dynamic routes have for it.
pub(super) fn error(
    status: StatusCode,
    code: &str,
    message: &str,
    request_id: &RequestId,
) -> Response {
    let id = request_id.0.to_str().unwrap_or_default();
    let body = json!({ "error": { "code": code, "message": message, "requestId": id } });
    (status, Json(body)).into_response()
}

pub(super) async fn no_such_route(request: Request) -> Response {
    refuse(&request, StatusCode::NOT_FOUND, "no-such-route", "the host has no such route")
}

/// For what is not GET, where a route takes only that.
pub(super) async fn takes_get(request: Request) -> Response {
    method_not_allowed(&request, "GET, HEAD, OPTIONS")
}

/// For what is neither, where a route takes both.
pub(super) async fn takes_get_and_post(request: Request) -> Response {
    method_not_allowed(&request, "GET, HEAD, POST, OPTIONS")
}

/// For what is not POST, where a route takes only that.
pub(super) async fn takes_post(request: Request) -> Response {
    method_not_allowed(&request, "POST, OPTIONS")
}

/// Whoever asks what a route takes is told so (RFC 9110 §9.3.7).
fn method_not_allowed(request: &Request, allow: &'static str) -> Response {
    let message = format!("this route takes {allow}");
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => refuse(request, StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", &message),
    };
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

fn refuse(request: &Request, status: StatusCode, code: &str, message: &str) -> Response {
    match request.extensions().get::<RequestId>() {
        Some(id) => error(status, code, message, id),
        None => status.into_response(),
    }
}
