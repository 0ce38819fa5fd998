//! The service plane: everything that is not a ready-made reply.
//!
//! One thread with its own runtime answers the calls that the edge hands over. However slow it is, the edge
//! goes on serving assets.

pub mod access_log;
pub mod admin;
mod health;
mod live_reload;
mod loader;
mod navigation;
mod ready;
mod replies;
mod reply;
pub mod telemetry;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tower::ServiceExt as _;

use crate::catalog::{Now, Watching};
use crate::edge::{Lookup, ServiceCall};
use crate::shell::LIVE_RELOAD_PATH;
use crate::snapshot::Snapshot;
pub use replies::Replies;

use telemetry::Telemetry;

pub use loader::Loader;

/// What the service plane knows of its host.
#[derive(Debug)]
pub struct Host {
    /// The version of the host.
    pub version: String,
    /// The I/O driver in use.
    pub driver: String,
    /// Stronger set-ups of it that the kernel refused.
    pub refused_drivers: usize,
    /// How large bodies are sent.
    pub body_sender: &'static str,
    /// Edge threads.
    pub workers: usize,
    /// When the process started, by the time of day.
    pub started_at: Timestamp,
    /// When the process started, by the monotonic clock.
    pub started: Instant,
    /// The time.
    pub clock: fn() -> Now,
    /// The file that must exist before the host is ready.
    pub ready_sentinel: Option<PathBuf>,
    /// True while the host finishes requests before it exits.
    pub draining: watch::Receiver<bool>,
    /// Whether changes of the artifacts directory are noticed.
    pub watching: watch::Receiver<Watching>,
    /// Why the last refresh failed as a whole; empty after one that did not.
    pub refresh_error: arc_swap::ArcSwap<String>,
    /// The id of the current snapshot, for pages that wait for the next.
    pub snapshot_id: watch::Receiver<String>,
    /// Whether such pages are served.
    pub live_reload: bool,
    /// Where traces and metrics of dynamic requests go, if anywhere.
    pub telemetry: Option<Arc<Telemetry>>,
    /// What fills the artifacts directory, if that is a loader.
    pub loader: Arc<Loader>,
    /// What request ids start with: different in each process.
    pub request_id_prefix: u32,
    /// Requests answered so far, the second half of a request id.
    pub requests: AtomicU64,
    /// What they were answered with.
    pub replies: Replies,
}

impl Host {
    /// A new request id, unique within the life of the host.
    fn request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}-{number:x}", self.request_id_prefix)
    }
}

/// Answers calls until the edge is gone. `snapshot_of` says which snapshot a call is to be answered from.
pub async fn run<S: Lookup>(
    router: Router,
    mut calls: mpsc::Receiver<ServiceCall<S>>,
    snapshot_of: impl Fn(Arc<S>) -> Arc<Snapshot>,
) {
    while let Some(call) = calls.recv().await {
        let ServiceCall { request, snapshot, reply } = call;
        let (router, snapshot) = (router.clone(), snapshot_of(snapshot));
        tokio::task::spawn(async move {
            let (parts, body) = request.into_parts();
            let mut request = http::Request::from_parts(parts, Body::from(body));
            request.extensions_mut().insert(snapshot);
            // A router's error type is empty: it always has an answer.
            let Ok(response) = router.oneshot(request).await;
            // The client may have gone; then nobody waits for the answer.
            let _ = reply.send(response);
        });
    }
}

/// What answers on the port for everybody. `admin` is there too unless it has a port of its own.
pub fn router(host: &Arc<Host>, admin: Option<Router>) -> Router {
    let mut router = Router::<Arc<Host>>::new()
        .route("/_navigation", get(navigation::list))
        .route("/_health", get(health::all))
        .route("/_health/{feature}", get(health::one))
        .route("/_ready", get(ready::ready));
    if host.live_reload {
        router = router.route(LIVE_RELOAD_PATH, get(live_reload::wait));
    }
    let router = router.method_not_allowed_fallback(reply::takes_get).with_state(host.clone());
    complete(router.merge(admin.unwrap_or_default()), host)
}

/// What answers on the port of `/_admin` alone.
pub fn admin_router(host: &Arc<Host>, admin: Router) -> Router {
    complete(admin, host)
}

/// Adds what all replies share.
fn complete(router: Router, host: &Arc<Host>) -> Router {
    router
        .fallback(reply::no_such_route)
        .layer(axum::middleware::from_fn_with_state(host.clone(), reply::common_headers))
}
