//! `/_dev/snapshot`: pages of a development host wait here for the next snapshot.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::Host;

/// Below what proxies and browsers take for a dead connection.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

#[derive(Debug, Deserialize)]
pub(super) struct Current {
    current: String,
}

/// 200 with the id as soon as the snapshot is another than `current`; 204 where it stays the same for a while.
pub(super) async fn wait(State(host): State<Arc<Host>>, Query(query): Query<Current>) -> Response {
    let mut ids = host.snapshot_id.clone();
    let mut draining = host.draining.clone();
    tokio::select! {
        Ok(id) = ids.wait_for(|id| *id != query.current) => {
            Json(json!({ "snapshot": *id })).into_response()
        }
        // A host that is about to stop does not wait for pages that only wait.
        _ = draining.wait_for(|draining| *draining) => {
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        () = tokio::time::sleep(LONGEST_WAIT) => StatusCode::NO_CONTENT.into_response(),
    }
}
