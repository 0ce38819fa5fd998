//! `/_admin/api/manifests`: the manifest of each version that serves, as it was signed.

use std::sync::Arc;

use axum::Json;
use axum::extract::Extension;
use axum::response::{IntoResponse as _, Response};
use pilar_artifact::Manifest;
use serde::Serialize;

use crate::snapshot::Snapshot;

#[derive(Debug, Serialize)]
struct Document<'a> {
    /// The id of the snapshot.
    snapshot: &'a str,
    features: Vec<Feature<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Feature<'a> {
    feature_id: &'a str,
    /// The state in one word, as `/_health` has it.
    state: &'static str,
    /// What serves; `null` where nothing does.
    serving: Option<Serving<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Serving<'a> {
    manifest_sha256: String,
    key_id: &'a str,
    /// Size of its files.
    bytes: u64,
    manifest: &'a Manifest,
}

pub(super) async fn all(Extension(snapshot): Extension<Arc<Snapshot>>) -> Response {
    let features = snapshot.features().values().map(|state| Feature {
        feature_id: state.id.as_str(),
        state: state.standing.as_str(),
        serving: state.serving().map(|loaded| Serving {
            manifest_sha256: loaded.manifest_sha256.hex(),
            key_id: &loaded.key_id,
            bytes: loaded.bytes,
            manifest: &loaded.manifest,
        }),
    });
    Json(Document { snapshot: snapshot.id(), features: features.collect() }).into_response()
}
