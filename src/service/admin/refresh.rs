//! `POST /_admin/refresh`: the artifacts are looked at now.

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::access::{Who, wants_page};
use super::{Admin, audit};
use crate::edge::Peer;
use crate::service::reply::{RequestId, error};

/// Somebody who waits for a refresh; told why it failed, if it did.
pub type RefreshCall = oneshot::Sender<Result<(), String>>;

/// The channel over which refreshes are asked for.
pub fn refreshes() -> (mpsc::Sender<RefreshCall>, mpsc::Receiver<RefreshCall>) {
    mpsc::channel(MOST_WAITING)
}

/// So many may wait for a refresh; one refresh answers all who wait when it begins.
const MOST_WAITING: usize = 32;

pub(super) async fn refresh(
    State(admin): State<Admin>,
    Extension(peer): Extension<Peer>,
    Extension(id): Extension<RequestId>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
) -> Response {
    let before = admin.parts.current.load().id().to_owned();
    let outcome = ask(&admin.parts.refreshes).await;
    let after = admin.parts.current.load_full();
    let said = match &outcome {
        Ok(()) => "done".to_owned(),
        Err(reason) => format!("failed: {reason}"),
    };
    audit("refresh", &who.name(), peer, &id, &said);
    if wants_page(&headers) {
        let notice = if outcome.is_ok() { "refreshed" } else { "refresh-failed" };
        return Redirect::to(&format!("{}?notice={notice}", super::ROOT)).into_response();
    }
    match outcome {
        Ok(()) => Json(json!({
            "snapshot": after.id(),
            "changed": after.id() != before,
            "problems": after.health().problems(),
        }))
        .into_response(),
        Err(reason) => error(StatusCode::INTERNAL_SERVER_ERROR, "refresh-failed", &reason, &id),
    }
}

async fn ask(refreshes: &mpsc::Sender<RefreshCall>) -> Result<(), String> {
    let (call, outcome) = oneshot::channel();
    refreshes.try_send(call).map_err(|_| "too many wait for a refresh already".to_owned())?;
    outcome.await.map_err(|_| "the host is about to stop".to_owned())?
}
