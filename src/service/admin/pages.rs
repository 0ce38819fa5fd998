//! The pages for people: each is rendered from one snapshot and from what was counted until now.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Extension, Path, Query, State};
use axum::response::{Html, IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use maud::Markup;
use pilar_artifact::FeatureId;
use serde::Deserialize;

use super::Admin;
use super::access::Who;
use crate::admin::pages::{self, EventFilter};
use crate::admin::{HostFacts, Notice, POLICY, View};
use crate::loader_report::LoaderReport;
use crate::service::{Host, ready};
use crate::snapshot::Snapshot;

/// What a page is asked for with.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    notice: Option<String>,
}

pub(super) async fn overview(
    State(admin): State<Admin>,
    Extension(who): Extension<Who>,
    Extension(snapshot): Extension<Arc<Snapshot>>,
    Query(asked): Query<Asked>,
) -> Response {
    let notice = match asked.notice.as_deref() {
        Some("refreshed") => Some(Notice::Refreshed),
        Some("refresh-failed") => Some(Notice::RefreshFailed),
        _ => None,
    };
    let render = |view: &View<'_>| Page::found(pages::overview(view));
    page(&admin, who, &snapshot, notice, render).await
}

pub(super) async fn features(
    State(admin): State<Admin>,
    Extension(who): Extension<Who>,
    Extension(snapshot): Extension<Arc<Snapshot>>,
) -> Response {
    page(&admin, who, &snapshot, None, |view| Page::found(pages::features(view))).await
}

pub(super) async fn feature(
    State(admin): State<Admin>,
    Extension(who): Extension<Who>,
    Extension(snapshot): Extension<Arc<Snapshot>>,
    Path(feature): Path<String>,
) -> Response {
    let render = |view: &View<'_>| {
        let id = feature.parse::<FeatureId>().ok();
        match id.and_then(|id| pages::feature(view, &id)) {
            Some(markup) => Page::found(markup),
            None => Page::missing(view, "feature"),
        }
    };
    page(&admin, who, &snapshot, None, render).await
}

pub(super) async fn routes(
    State(admin): State<Admin>,
    Extension(who): Extension<Who>,
    Extension(snapshot): Extension<Arc<Snapshot>>,
) -> Response {
    page(&admin, who, &snapshot, None, |view| Page::found(pages::routes(view))).await
}

pub(super) async fn traffic(
    State(admin): State<Admin>,
    Extension(who): Extension<Who>,
    Extension(snapshot): Extension<Arc<Snapshot>>,
) -> Response {
    page(&admin, who, &snapshot, None, |view| Page::found(pages::traffic(view))).await
}

pub(super) async fn events(
    State(admin): State<Admin>,
    Extension(who): Extension<Who>,
    Extension(snapshot): Extension<Arc<Snapshot>>,
    Query(filter): Query<EventFilter>,
) -> Response {
    page(&admin, who, &snapshot, None, |view| Page::found(pages::events(view, &filter))).await
}

pub(super) async fn not_found(
    State(admin): State<Admin>,
    Extension(who): Extension<Who>,
    Extension(snapshot): Extension<Arc<Snapshot>>,
) -> Response {
    page(&admin, who, &snapshot, None, |view| Page::missing(view, "page")).await
}

/// A page and its status.
struct Page(StatusCode, Markup);

impl Page {
    fn found(markup: Markup) -> Self {
        Self(StatusCode::OK, markup)
    }

    fn missing(view: &View<'_>, what: &str) -> Self {
        Self(StatusCode::NOT_FOUND, pages::not_found(view, what))
    }
}

async fn page(
    admin: &Admin,
    who: Who,
    snapshot: &Snapshot,
    notice: Option<Notice>,
    render: impl FnOnce(&View<'_>) -> Page,
) -> Response {
    let Page(status, markup) = with_view(admin, who, snapshot, notice, render).await;
    html(status, markup)
}

/// The view of this moment.
pub(super) async fn with_view<T>(
    admin: &Admin,
    who: Who,
    snapshot: &Snapshot,
    notice: Option<Notice>,
    render: impl FnOnce(&View<'_>) -> T,
) -> T {
    let traffic = admin.parts.figures.traffic(snapshot.owners());
    render(&View {
        snapshot,
        history: &admin.parts.history,
        traffic: &traffic,
        host: facts(&admin.parts.host).await,
        loader: loader(admin).await,
        csrf: &admin.access.csrf_token(who),
        signed_in: matches!(who, Who::Person(_)),
        notice,
        now: admin.now().wall,
    })
}

/// A page with what keeps it from being framed, fed, or told about elsewhere.
pub(super) fn html(status: StatusCode, markup: Markup) -> Response {
    let mut response = (status, Html(markup.into_string())).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // Not `no-referrer`: with it browsers send forms without a usable `origin`.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn facts(host: &Host) -> HostFacts {
    let readiness = ready::readiness(host).await;
    let refresh_error = host.refresh_error.load();
    HostFacts {
        version: host.version.clone(),
        driver: host.driver.clone(),
        body_sender: host.body_sender.to_owned(),
        workers: host.workers,
        started_at: host.started_at,
        uptime: Instant::now().saturating_duration_since(host.started),
        watching: host.watching.borrow().clone(),
        refresh_error: (!refresh_error.is_empty()).then(|| refresh_error.to_string()),
        readiness,
    }
}

/// What the loader last said, if there is one.
pub(super) async fn loader(admin: &Admin) -> Option<Arc<LoaderReport>> {
    admin.parts.host.loader.status().await
}
