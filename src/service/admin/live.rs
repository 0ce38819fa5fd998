//! `/_admin/live`: server-sent events that keep an open page current.
//!
//! All streams send at the same moments, so what they send is rendered once for all of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Extension, Query, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderName, StatusCode, header};
use maud::Markup;
use serde::Deserialize;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::Admin;
use super::access::Who;
use super::pages::with_view;
use crate::admin::View;
use crate::admin::pages::{self, LivePage};
use crate::service::reply::{RequestId, error};
use crate::snapshot::Snapshot;

/// So many pages are kept current at a time.
const MOST_STREAMS: usize = 32;

/// How often the parts of a page are sent. It keeps the connection alive as well.
const PERIOD: Duration = Duration::from_secs(5);

/// Events that may wait for a client which does not read; then the stream waits for it, and holds no more.
const MOST_WAITING: usize = 2;

/// A comment, for pages that have no parts to keep current (HTML Living Standard §9.2.5).
const STILL_THERE: Bytes = Bytes::from_static(b":\n\n");

/// Keeps proxies from gathering events before they pass them on.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What the streams share.
#[derive(Debug)]
pub(super) struct Live {
    places: Arc<Semaphore>,
    rendered: [Rendered<Snapshot>; LivePage::ALL.len()],
}

impl Default for Live {
    fn default() -> Self {
        let rendered = LivePage::ALL.map(|_| Rendered(Mutex::default()));
        Self { places: Arc::new(Semaphore::new(MOST_STREAMS)), rendered }
    }
}

/// The events of a page: when they were rendered, from which snapshot, and what they are.
#[derive(Debug)]
struct Rendered<S>(Mutex<Option<(Instant, Arc<S>, Bytes)>>);

impl<S> Rendered<S> {
    /// The events of this moment: those that another stream was given just now, else those that `render` makes,
    /// while whoever else asks waits for them.
    async fn get(
        &self,
        clock: impl FnOnce() -> Instant,
        snapshot: Arc<S>,
        render: impl AsyncFnOnce(&S) -> String,
    ) -> Bytes {
        let mut rendered = self.0.lock().await;
        let now = clock();
        if let Some((at, of, events)) = &*rendered
            && now.saturating_duration_since(*at) < PERIOD / 2
            && Arc::ptr_eq(of, &snapshot)
        {
            return events.clone();
        }
        let events = Bytes::from(render(&snapshot).await);
        *rendered = Some((now, snapshot, events.clone()));
        events
    }
}

/// Which page is to be kept current; without one that has parts, it is told of the next snapshot alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    page: String,
}

/// A stream until the client goes, its session ends, or this host is about to stop; 503 where there are too many.
pub(super) async fn live(
    State(admin): State<Admin>,
    Extension(who): Extension<Who>,
    Extension(id): Extension<RequestId>,
    Query(asked): Query<Asked>,
) -> Response {
    let Ok(place) = admin.live.places.clone().try_acquire_owned() else {
        let message = "as many pages are kept current as may be; load this one again to see news";
        return error(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", message, &id);
    };
    let (events, mut waiting) = mpsc::channel(MOST_WAITING);
    tokio::spawn(send(admin, who, LivePage::named(&asked.page), events, place));
    let body = stream::poll_fn(move |context| waiting.poll_recv(context));
    let body = Body::from_stream(body.map(Ok::<Bytes, Infallible>));
    ([(header::CONTENT_TYPE, "text/event-stream"), (ACCEL_BUFFERING, "no")], body).into_response()
}

async fn send(
    admin: Admin,
    who: Who,
    page: Option<LivePage>,
    events: mpsc::Sender<Bytes>,
    _place: OwnedSemaphorePermit,
) {
    let host = Arc::clone(&admin.parts.host);
    let (mut ids, mut draining) = (host.snapshot_id.clone(), host.draining.clone());
    // A page that connects again may be of an older snapshot.
    ids.mark_changed();
    let mut next = tokio::time::Instant::now();
    loop {
        let batch = tokio::select! {
            Ok(()) = ids.changed() => event("snapshot", &ids.borrow_and_update()).into(),
            () = tokio::time::sleep_until(next) => {
                next = next_moment(host.started);
                match page {
                    Some(page) => parts(&admin, page).await,
                    None => STILL_THERE,
                }
            }
            // A host that is about to stop does not wait for pages that only watch.
            () = drained(&mut draining) => return,
            () = events.closed() => return,
        };
        let has_ended = matches!(who, Who::Person(session)
            if session.expiry() <= admin.now().wall.as_second());
        let sent = tokio::select! {
            sent = events.send(batch) => sent.is_ok(),
            () = drained(&mut draining) => false,
        };
        if has_ended || !sent {
            return;
        }
    }
}

/// The next of the moments at which all streams send.
fn next_moment(started: Instant) -> tokio::time::Instant {
    let now = tokio::time::Instant::now();
    let running = now.into_std().saturating_duration_since(started);
    let gone = Duration::from_nanos((running.as_nanos() % PERIOD.as_nanos()) as u64);
    now + (PERIOD - gone)
}

async fn drained(draining: &mut watch::Receiver<bool>) {
    // An error is a host that is gone altogether.
    let _ = draining.wait_for(|draining| *draining).await;
}

/// The parts of a page. They are the same for everybody: forms stay outside of them.
async fn parts(admin: &Admin, page: LivePage) -> Bytes {
    let snapshot = admin.parts.current.load_full();
    let Some(rendered) = admin.live.rendered.get(page as usize) else { return STILL_THERE };
    let render = async |snapshot: &Snapshot| {
        let parts = |view: &View<'_>| pages::live(page, view);
        let parts = with_view(admin, Who::Anyone, snapshot, None, parts).await;
        parts.into_iter().map(|(name, Markup { 0: markup })| event(name, &markup)).collect()
    };
    rendered.get(|| admin.now().monotonic, snapshot, render).await
}

/// One event (HTML Living Standard §9.2.5).
fn event(name: &str, data: &str) -> String {
    let lines: String = data.lines().map(|line| format!("data: {line}\n")).collect();
    format!("event: {name}\n{lines}\n")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn all_streams_of_a_page_are_given_one_rendering() {
        let rendered = Rendered(Mutex::default());
        let renderings = Cell::new(0);
        let render = async |snapshot: &u8| {
            renderings.set(renderings.get() + 1);
            // Whoever else asks meanwhile is to wait.
            tokio::task::yield_now().await;
            format!("{} of {snapshot}", renderings.get())
        };
        let (start, snapshot) = (Instant::now(), Arc::new(1));
        let ask = |after, snapshot: &Arc<u8>| {
            rendered.get(move || start + after, Arc::clone(snapshot), render)
        };
        let all = join_all((0..MOST_STREAMS).map(|_| ask(Duration::ZERO, &snapshot))).await;
        assert_eq!(renderings.get(), 1);
        assert!(all.iter().all(|events| events.as_ptr() == all[0].as_ptr()), "{all:?}");
        assert_eq!(ask(PERIOD, &snapshot).await, "2 of 1", "the next time is another rendering");
        assert_eq!(ask(PERIOD, &Arc::new(2)).await, "3 of 2", "and so is the next snapshot");
        assert_eq!(ask(PERIOD, &snapshot).await, "4 of 1");
    }
}
