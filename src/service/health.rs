//! `/_health`: which version serves, and why (contract §7).

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use pilar_artifact::select::{Attempt, Outcome};
use pilar_artifact::verify::Report;
use serde::Serialize;

use super::Host;
use super::reply::{RequestId, error};
use crate::catalog::{FeatureState, Standing};
use crate::snapshot::Snapshot;

/// The whole of `/_health`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `ok` while all that was released serves, else `degraded`.
    status: &'static str,
    /// The same in a sentence.
    summary: String,
    host: HostHealth,
    snapshot: SnapshotHealth,
    /// Why the last refresh failed as a whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    refresh_error: String,
    features: Vec<FeatureHealth>,
    /// What in the artifacts directory is no feature.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<IgnoredHealth>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HostHealth {
    version: String,
    driver: String,
    workers: usize,
    started_at: String,
    uptime_seconds: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotHealth {
    id: String,
    built_at: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FeatureHealth {
    feature_id: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_prefix: Option<String>,
    serving_version: Option<String>,
    desired_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_key_id: Option<String>,
    index: IndexHealth,
    versions: Vec<VersionHealth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conflict_with: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct IndexHealth {
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Report>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionHealth {
    version: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Report>,
}

#[derive(Debug, Serialize)]
struct IgnoredHealth {
    name: String,
    code: &'static str,
    message: String,
}

/// 200 while the process can serve, whatever the features' state.
pub(super) async fn all(
    State(host): State<Arc<Host>>,
    Extension(snapshot): Extension<Arc<Snapshot>>,
) -> Json<Health> {
    Json(health(&host, &snapshot))
}

/// 404 for an unknown feature, 503 for one that has nothing to serve.
pub(super) async fn one(
    Extension(snapshot): Extension<Arc<Snapshot>>,
    Extension(request_id): Extension<RequestId>,
    Path(feature): Path<String>,
) -> Response {
    let state = feature.parse().ok().and_then(|id| snapshot.features().get(&id));
    match state {
        Some(state) => {
            let status = match state.serving() {
                Some(_) => StatusCode::OK,
                None => StatusCode::SERVICE_UNAVAILABLE,
            };
            (status, Json(feature_health(state))).into_response()
        }
        None => error(
            StatusCode::NOT_FOUND,
            "unknown-feature",
            "no feature of this id is in the artifacts directory",
            &request_id,
        ),
    }
}

fn health(host: &Host, snapshot: &Snapshot) -> Health {
    let features: Vec<FeatureHealth> = snapshot.features().values().map(feature_health).collect();
    let refresh_error = host.refresh_error.load().to_string();
    let summary = summary(snapshot, &refresh_error);
    let ok = refresh_error.is_empty()
        && snapshot.features().values().all(|state| state.standing == Standing::AsReleased);
    Health {
        status: if ok { "ok" } else { "degraded" },
        summary,
        host: HostHealth {
            version: host.version.clone(),
            driver: host.driver.clone(),
            workers: host.workers,
            started_at: host.started_at.to_string(),
            uptime_seconds: Instant::now().saturating_duration_since(host.started).as_secs(),
        },
        snapshot: SnapshotHealth {
            id: snapshot.id().to_owned(),
            built_at: snapshot.built_at().to_string(),
        },
        refresh_error,
        features,
        ignored: snapshot
            .ignored()
            .iter()
            .map(|ignored| IgnoredHealth {
                name: ignored.name.clone(),
                code: ignored.code,
                message: ignored.message.clone(),
            })
            .collect(),
    }
}

/// One line that answers the first question of whoever looks.
fn summary(snapshot: &Snapshot, refresh_error: &str) -> String {
    if !refresh_error.is_empty() {
        return "the last refresh failed; what served before goes on serving".to_owned();
    }
    let count =
        |standing| snapshot.features().values().filter(|state| state.standing == standing).count();
    let parts: Vec<String> = [
        (Standing::NothingToServe, "nothing to serve"),
        (Standing::Conflict, "a prefix that another feature has"),
        (Standing::Fallback, "a fallback serving"),
        (Standing::LastGood, "the last good version serving after a failed refresh"),
    ]
    .into_iter()
    .map(|(standing, words)| (count(standing), words))
    .filter(|(count, _)| *count > 0)
    .map(|(count, words)| {
        format!("{count} {} {words}", if count == 1 { "feature has" } else { "features have" })
    })
    .collect();
    if parts.is_empty() { "everything is as released".to_owned() } else { parts.join("; ") }
}

fn feature_health(state: &FeatureState) -> FeatureHealth {
    let serving = state.serving().map(|loaded| &loaded.manifest);
    let (index, desired) = match &state.index {
        Ok(facts) => (
            IndexHealth {
                sequence: Some(facts.sequence),
                key_id: Some(facts.key_id.clone()),
                refused: None,
            },
            Some(facts.desired.to_string()),
        ),
        Err(trouble) => {
            let refused = Some(trouble.report(&state.id));
            (IndexHealth { sequence: None, key_id: None, refused }, None)
        }
    };
    FeatureHealth {
        feature_id: state.id.to_string(),
        state: state.standing.as_str(),
        display_name: serving.map(|manifest| manifest.display_name.clone()),
        feature_type: serving.map(|manifest| manifest.feature_type.as_str()),
        path_prefix: state.mount.as_ref().map(|mount| mount.path_prefix.clone()),
        serving_version: serving.map(|manifest| manifest.version.to_string()),
        desired_version: desired,
        channel: serving.map(|manifest| manifest.channel.clone()),
        manifest_sha256: state.serving().map(|loaded| loaded.manifest_sha256.hex()),
        manifest_key_id: state.serving().map(|loaded| loaded.key_id.clone()),
        index,
        versions: state.attempts.iter().map(version_health).collect(),
        conflict_with: state.conflict.as_ref().map(ToString::to_string),
    }
}

fn version_health(attempt: &Attempt) -> VersionHealth {
    let (outcome, detail, refused) = match &attempt.outcome {
        Outcome::Serving => ("serving", None, None),
        Outcome::Rejected(rejection) => ("refused", None, Some(rejection.report())),
        Outcome::Revoked { reason, at } => {
            ("revoked", Some(format!("{reason} (since {at})")), None)
        }
        Outcome::BelowFloor { floor } => {
            ("below-floor", Some(format!("the index's minimumVersion is {floor}")), None)
        }
        Outcome::AboveActive => ("above-active", None, None),
        Outcome::Standby => ("standby", None, None),
    };
    VersionHealth { version: attempt.version.to_string(), outcome, detail, refused }
}
