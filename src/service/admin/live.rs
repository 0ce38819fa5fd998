//! `/_admin/live`: server-sent events that keep an open page current.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{StatusCode, header};
use maud::Markup;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::Admin;
use super::access::Who;
use super::pages::with_view;
use crate::admin::pages;
use crate::service::reply::{RequestId, error};

/// So many pages are kept current at a time.
pub(super) const MOST_STREAMS: usize = 32;

/// How often the figures are sent. It keeps the connection alive as well.
const PERIOD: Duration = Duration::from_secs(5);

/// Events that may wait for a client which does not read; then the stream waits for it, and holds no more.
const MOST_WAITING: usize = 2;

/// A stream until the client goes, its session ends, or this host is about to stop; 503 where there are too many.
pub(super) async fn live(
    State(admin): State<Admin>,
    Extension(who): Extension<Who>,
    Extension(id): Extension<RequestId>,
) -> Response {
    let Ok(place) = admin.streams.clone().try_acquire_owned() else {
        let message = "as many pages are kept current as may be; load this one again to see news";
        return error(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", message, &id);
    };
    let (events, mut waiting) = mpsc::channel(MOST_WAITING);
    tokio::spawn(send(admin, who, events, place));
    let body = stream::poll_fn(move |context| waiting.poll_recv(context));
    let body = Body::from_stream(body.map(Ok::<Bytes, Infallible>));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

async fn send(admin: Admin, who: Who, events: mpsc::Sender<Bytes>, _place: OwnedSemaphorePermit) {
    let host = Arc::clone(&admin.parts.host);
    let (mut ids, mut draining) = (host.snapshot_id.clone(), host.draining.clone());
    // A page that connects again may be of an older snapshot.
    ids.mark_changed();
    let mut period = tokio::time::interval(PERIOD);
    loop {
        let batch = tokio::select! {
            Ok(()) = ids.changed() => Some(event("snapshot", &ids.borrow_and_update())),
            _ = period.tick() => None,
            // A host that is about to stop does not wait for pages that only watch.
            () = drained(&mut draining) => return,
            () = events.closed() => return,
        };
        let batch = match batch {
            Some(batch) => batch,
            None => figures(&admin, who).await,
        };
        let has_ended = matches!(who, Who::Person(session)
            if session.expiry() <= admin.now().wall.as_second());
        let sent = tokio::select! {
            sent = events.send(batch.into()) => sent.is_ok(),
            () = drained(&mut draining) => false,
        };
        if has_ended || !sent {
            return;
        }
    }
}

async fn drained(draining: &mut watch::Receiver<bool>) {
    // An error is a host that is gone altogether.
    let _ = draining.wait_for(|draining| *draining).await;
}

async fn figures(admin: &Admin, who: Who) -> String {
    let snapshot = admin.parts.current.load_full();
    let parts = with_view(admin, who, &snapshot, None, pages::live).await;
    parts.into_iter().map(|(name, Markup { 0: markup })| event(name, &markup)).collect()
}

/// One event (HTML Living Standard §9.2.5).
fn event(name: &str, data: &str) -> String {
    let lines: String = data.lines().map(|line| format!("data: {line}\n")).collect();
    format!("event: {name}\n{lines}\n")
}
