//! `/_ready`: whether this host should get traffic (contract §7).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::json;

use super::Host;
use crate::admin::Readiness;

/// 200 once the sentinel exists, if one is configured; 503 before, and while draining. That the first
/// snapshot is in needs no check: nothing answers before it is.
pub(super) async fn ready(State(host): State<Arc<Host>>) -> Response {
    let (status, word, reason) = match readiness(&host).await {
        Readiness::Draining => {
            (StatusCode::SERVICE_UNAVAILABLE, "draining", Some("the host is about to stop"))
        }
        Readiness::Waiting => {
            let reason = "the file of FEATURE_READY_SENTINEL_PATH does not exist yet";
            (StatusCode::SERVICE_UNAVAILABLE, "waiting", Some(reason))
        }
        Readiness::Ready => (StatusCode::OK, "ready", None),
    };
    (status, Json(json!({ "status": word, "reason": reason }))).into_response()
}

pub(super) async fn readiness(host: &Host) -> Readiness {
    let is_there = match &host.ready_sentinel {
        Some(path) => tokio::fs::try_exists(path).await.unwrap_or(false),
        None => true,
    };
    match (*host.draining.borrow(), is_there) {
        (true, _) => Readiness::Draining,
        (false, false) => Readiness::Waiting,
        (false, true) => Readiness::Ready,
    }
}
