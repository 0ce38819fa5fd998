//! `/_health`: which version serves, and why (contract §7).

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use pilar_artifact::FeatureId;
use serde::Serialize;

use super::Host;
use super::reply::{RequestId, error};
use crate::catalog::Watching;
use crate::loader_report::LoaderReport;
use crate::snapshot::Snapshot;

/// What `/_health` says beside what the snapshot has ready.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    /// `ok` while all that was released serves and changes are noticed, else `degraded`.
    status: &'static str,
    /// The same in a sentence.
    summary: String,
    host: HostHealth<'a>,
    /// What the loader last wrote; left out where none is at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    loader: Option<LoaderHealth<'a>>,
    /// Why the last refresh failed as a whole.
    #[serde(skip_serializing_if = "str::is_empty")]
    refresh_error: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LoaderHealth<'a> {
    /// Since it last heard from where registrations come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_age_seconds: Option<u64>,
    #[serde(flatten)]
    report: &'a LoaderReport,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HostHealth<'a> {
    version: &'a str,
    driver: &'a str,
    body_sender: &'a str,
    workers: usize,
    started_at: String,
    uptime_seconds: u64,
    /// `off`, `working` or `failed`.
    watch: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    watch_error: Option<&'a str>,
}

/// 200 while the process can serve, whatever the features' state.
pub(super) async fn all(
    State(host): State<Arc<Host>>,
    Extension(snapshot): Extension<Arc<Snapshot>>,
) -> Response {
    let watching = host.watching.borrow().clone();
    let refresh_error = host.refresh_error.load();
    let loader = host.loader.status().await;
    let loader = loader.as_deref().map(|report| LoaderHealth {
        contact_age_seconds: report.contact_age_seconds((host.clock)().wall),
        report,
    });
    let head = Head { loader, ..head(&host, &snapshot, &watching, &refresh_error) };
    match serde_json::to_string(&head) {
        Ok(head) => json(StatusCode::OK, joined(&head, snapshot.health().document())),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// 404 for an unknown feature, 503 for one that has nothing to serve.
pub(super) async fn one(
    Extension(snapshot): Extension<Arc<Snapshot>>,
    Extension(request_id): Extension<RequestId>,
    Path(feature): Path<String>,
) -> Response {
    let id = feature.parse::<FeatureId>().ok();
    let found = id.and_then(|id| {
        let serves = snapshot.features().get(&id)?.serving().is_some();
        Some((serves, snapshot.health().feature(&id)?.to_owned()))
    });
    match found {
        Some((true, health)) => json(StatusCode::OK, health),
        Some((false, health)) => json(StatusCode::SERVICE_UNAVAILABLE, health),
        None => error(
            StatusCode::NOT_FOUND,
            "unknown-feature",
            "no feature of this id is in the artifacts directory",
            &request_id,
        ),
    }
}

fn json(status: StatusCode, document: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], document).into_response()
}

/// One object with the fields of two, neither of which is empty.
fn joined(one: &str, other: &str) -> String {
    let one = one.strip_suffix('}').unwrap_or(one);
    let other = other.strip_prefix('{').unwrap_or(other);
    format!("{one},{other}")
}

fn head<'a>(
    host: &'a Host,
    snapshot: &Snapshot,
    watching: &'a Watching,
    refresh_error: &'a str,
) -> Head<'a> {
    let (watch, watch_error) = match watching {
        Watching::Off => ("off", None),
        Watching::Working => ("working", None),
        Watching::Failed(reason) => ("failed", Some(reason.as_str())),
    };
    let problems = snapshot.health().all_problems(watch_error, refresh_error);
    let (status, summary) = match problems.as_slice() {
        [] if snapshot.health().is_empty() => {
            ("ok", "no feature is in the artifacts directory".to_owned())
        }
        [] => ("ok", "everything is as released".to_owned()),
        problems => ("degraded", problems.join("; ")),
    };
    let uptime = Instant::now().saturating_duration_since(host.started);
    Head {
        status,
        summary,
        host: HostHealth {
            version: &host.version,
            driver: &host.driver,
            body_sender: host.body_sender,
            workers: host.workers,
            started_at: host.started_at.to_string(),
            uptime_seconds: uptime.as_secs(),
            watch,
            watch_error,
        },
        loader: None,
        refresh_error,
    }
}
