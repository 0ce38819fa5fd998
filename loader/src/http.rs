//! The small listener beside the loader: `/healthz`, `/readyz`, `/metrics`.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};
use tokio::net::TcpListener;

use crate::status::{Board, Counts};

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the answers are made from.
#[derive(Debug)]
struct Answers {
    board: Arc<Board>,
    max_contact_age: Duration,
}

/// A listener on every address, IPv6 and IPv4; port 0 takes a free one.
///
/// # Errors
/// What the operating system says.
pub async fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await
}

/// Answers, for ever.
pub async fn serve(listener: TcpListener, board: Arc<Board>, max_contact_age: Duration) {
    let routes = Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(Answers { board, max_contact_age }));
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(code = "listener-ended", %error, "nothing answers on LOADER_HTTP_PORT any more");
    }
}

/// Ready is who hears from the source and has tried everything that is registered once. What fails is no reason
/// not to be: it is tried for ever, and what served before serves.
async fn ready(State(answers): State<Arc<Answers>>) -> Response {
    let progress = answers.board.progress();
    let age = answers.board.feed().contact().last.map(|last| last.elapsed());
    let reason = match age {
        _ if !progress.is_known => Some("the registrations were not seen yet".to_owned()),
        Some(age) if age > answers.max_contact_age => {
            Some(format!("the source of registrations was not heard from for {} s", age.as_secs()))
        }
        _ if progress.pending > 0 => {
            Some(format!("{} features were not tried yet", progress.pending))
        }
        _ => None,
    };
    match reason {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn metrics(State(answers): State<Arc<Answers>>) -> Response {
    let mut registry = Registry::with_prefix("pilar_loader");
    registry.register_collector(Box::new(Scrape(answers)));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        // Writing into a string cannot fail.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Debug)]
struct Scrape(Arc<Answers>);

type Labels = Vec<(&'static str, String)>;

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Answers { board, .. } = &*self.0;
        let mut page = Page(encoder);
        let one = |value: f64| [(Labels::new(), value)];
        let contact = board.feed().contact();
        if let Some(last) = contact.last {
            let help = "Since the source of registrations was last heard from.";
            page.gauge("contact_age", help, SECONDS, one(last.elapsed().as_secs_f64()))?;
        }
        let trouble = f64::from(u8::from(contact.trouble.is_some()));
        page.gauge("source_trouble", "1 while the source cannot be read.", None, one(trouble))?;
        let progress = board.progress();
        let states = [
            ("in_place", progress.in_place),
            ("pending", progress.pending),
            ("failing", progress.failing.len()),
        ];
        let states = states.map(|(state, count)| (label("state", state), count as f64));
        page.gauge("registered", "Features that are registered.", None, states)?;
        let refused = one(progress.refused as f64);
        let help = "Registrations that are not acceptable.";
        page.gauge("registrations_refused", help, None, refused)?;
        let status = board.status();
        let each = || status.features.iter();
        // Where nobody knows what is registered, nobody can say whether it is in place; that is the source's trouble.
        let known = each().filter(|(_, said)| !said.is_kept());
        let converged = known.map(|(id, said)| {
            let is_in_place = said.attempts == 0 && said.desired == said.actual;
            (label("feature", id.as_str()), f64::from(u8::from(is_in_place)))
        });
        let help = "1 where what is registered is in place.";
        page.gauge("feature_in_place", help, None, converged)?;
        let stale = each().map(|(id, said)| {
            let is_stale = said.warning.as_ref().is_some_and(|one| one.code == "index-stale");
            (label("feature", id.as_str()), f64::from(u8::from(is_stale)))
        });
        let help = "1 where the time of a CDN's index is over; it goes on serving.";
        page.gauge("feature_index_stale", help, None, stale)?;
        let attempts =
            each().map(|(id, said)| (label("feature", id.as_str()), said.attempts as f64));
        let help = "Attempts since the last one that succeeded.";
        page.gauge("feature_attempts", help, None, attempts)?;
        let successes = each().filter_map(|(id, said)| {
            Some((label("feature", id.as_str()), said.last_success_at?.as_second() as f64))
        });
        let help = "When what is registered was last found or put in place.";
        page.gauge("feature_success_time", help, SECONDS, successes)?;
        page.counts(&board.counts())
    }
}

const SECONDS: Option<&Unit> = Some(&Unit::Seconds);
const BYTES: Option<&Unit> = Some(&Unit::Bytes);

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn counts(&mut self, counts: &Counts) -> fmt::Result {
        let one = |count: u64| [(Labels::new(), count)];
        self.counter("placed", "Times that a feature was put in place.", None, one(counts.placed))?;
        let help = "Features that were taken out.";
        self.counter("taken_out", help, None, one(counts.taken_out))?;
        let failures = counts.failures.iter().map(|(code, count)| (label("code", code), *count));
        self.counter("failures", "Attempts that failed, by code.", None, failures)?;
        let help = "What came over the network.";
        self.counter("transferred", help, BYTES, one(counts.transferred))?;
        self.counter("retries", "Requests that were sent again.", None, one(counts.retries))
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        rows: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in rows {
            if labels.is_empty() {
                metric.encode_gauge(&value)?;
            } else {
                metric.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        rows: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (labels, count) in rows {
            let none = None::<&Exemplar<NoLabelSet, f64>>;
            if labels.is_empty() {
                metric.encode_counter(&count, none)?;
            } else {
                metric.encode_family(&labels)?.encode_counter(&count, none)?;
            }
        }
        Ok(())
    }
}
