//! `/_navigation`: the Arena entries (contract §7).

use std::sync::Arc;

use axum::Json;
use axum::extract::Extension;
use serde_json::{Value, json};

use crate::snapshot::Snapshot;

pub(super) async fn list(Extension(snapshot): Extension<Arc<Snapshot>>) -> Json<Value> {
    Json(json!({ "snapshot": snapshot.id(), "entries": snapshot.navigation() }))
}
