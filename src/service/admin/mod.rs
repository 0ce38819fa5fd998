//! `/_admin`: what operators see and may do (contract §7). It is there only where a token, or development, opens it.

mod access;
mod backoff;
mod door;
mod figures;
mod live;
mod login;
mod manifests;
mod metrics;
mod pages;
mod refresh;
mod session;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};
use jiff::Timestamp;
use tokio::sync::mpsc;

pub use door::Door;
pub use figures::{Figures, keep_minutes};
pub use refresh::{RefreshCall, refreshes};

use super::Host;
use super::reply::{self, RequestId};
use crate::catalog::Now;
use crate::config;
use crate::control::History;
use crate::edge::Peer;
use crate::snapshot::Snapshot;
use access::{Access, guard};
use live::Live;

const ROOT: &str = "/_admin";
const LOGIN: &str = "/_admin/login";

/// What the admin routes work with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The host that they are about.
    pub host: Arc<Host>,
    /// Where the current snapshot is.
    pub current: Arc<ArcSwap<Snapshot>>,
    /// What happened.
    pub history: Arc<History>,
    /// What was asked for.
    pub figures: Arc<Figures>,
    /// Each trusted key, and when it ends if it does.
    pub trusted_keys: Vec<(String, Option<Timestamp>)>,
    /// What keeps versions that no longer serve.
    pub retain: config::Retain,
    /// Whether the last address of `x-forwarded-for` is the client's: `TRUST_PROXY_HEADERS`.
    pub trust_proxy: bool,
    /// Where refreshes are asked for.
    pub refreshes: mpsc::Sender<RefreshCall>,
    /// Random bytes that nobody can foresee.
    pub random: fn() -> [u8; 16],
}

/// What the handlers share.
type Admin = Arc<State>;

#[derive(Debug)]
struct State {
    access: Access,
    parts: Parts,
    live: Live,
}

impl State {
    fn now(&self) -> Now {
        (self.parts.host.clock)()
    }
}

/// The admin routes; none where nobody may use them.
pub fn router(admin: &config::Admin, parts: Parts) -> Option<Router> {
    let access = match admin {
        config::Admin::Off => return None,
        config::Admin::Open => Access::Open,
        config::Admin::Token(token) => Access::with_token(token.clone()),
    };
    let admin = Arc::new(State { access, parts, live: Live::default() });
    let router = Router::new()
        .route("/_admin/api/manifests", get(manifests::all))
        .route("/_admin/metrics", get(metrics::metrics))
        .route("/_admin/refresh", post(refresh::refresh).fallback(reply::takes_post))
        .route("/_admin", get(pages::overview))
        .route("/_admin/", get(|| async { Redirect::permanent(ROOT) }))
        .route("/_admin/features", get(pages::features))
        .route("/_admin/features/{feature}", get(pages::feature))
        .route("/_admin/routes", get(pages::routes))
        .route("/_admin/traffic", get(pages::traffic))
        .route("/_admin/events", get(pages::events))
        .route("/_admin/live", get(live::live))
        .route(LOGIN, get(login::form).post(login::sign_in).fallback(reply::takes_get_and_post))
        .route("/_admin/logout", post(login::sign_out).fallback(reply::takes_post))
        .route("/_admin/{*rest}", get(pages::not_found))
        .method_not_allowed_fallback(reply::takes_get)
        .route_layer(axum::middleware::from_fn_with_state(admin.clone(), guard));
    Some(router.with_state(admin))
}

/// One line for whatever somebody changes or tries to; it is logged at every level.
fn audit(action: &str, by: &str, peer: Peer, request_id: &RequestId, outcome: &str) {
    let request_id = request_id.0.to_str().unwrap_or_default();
    tracing::info!(target: "audit", action, by, %peer, request_id, outcome, "/_admin");
}
