//! `/_admin/metrics` in the OpenMetrics text format. Everything is read when it is asked for; counting costs the
//! edge nothing more. `docs/operations.md` lists what there is.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};

use super::Admin;
use super::pages::loader;
use crate::admin::LoaderStatus;
use crate::catalog::Standing;
use crate::control::Tally;
use crate::edge::{CLASSES, Counts, Limit, Owner, OwnerCounts};
use crate::service::reply::{RequestId, error};
use crate::snapshot::Snapshot;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const CLASS_NAMES: [&str; CLASSES] = ["2xx", "3xx", "4xx", "5xx"];

const STANDINGS: [Standing; 5] = [
    Standing::AsReleased,
    Standing::Fallback,
    Standing::LastGood,
    Standing::NothingToServe,
    Standing::Conflict,
];

pub(super) async fn metrics(
    State(admin): State<Admin>,
    Extension(id): Extension<RequestId>,
    Extension(snapshot): Extension<Arc<Snapshot>>,
) -> Response {
    let meter = admin.parts.figures.meter();
    let counted = meter.owners();
    let of_owner = |owner: &Owner| counted.get(owner).copied().unwrap_or_default();
    let features = snapshot.owners().iter().map(|(id, owner)| (id.to_string(), of_owner(owner)));
    let scrape = Scrape {
        counts: meter.counts(),
        features: features.collect(),
        tally: admin.parts.history.tally(),
        loader: loader(&admin).await,
        snapshot,
        admin,
    };
    let mut registry = Registry::with_prefix("pilar");
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        // Writing into a string cannot fail.
        Err(problem) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            error(status, "metrics-failed", &problem.to_string(), &id)
        }
    }
}

/// All that is known at one moment.
#[derive(Debug)]
struct Scrape {
    admin: Admin,
    snapshot: Arc<Snapshot>,
    counts: Counts,
    features: Vec<(String, OwnerCounts)>,
    tally: Tally,
    loader: Option<LoaderStatus>,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.host(&mut page)?;
        self.edge(&mut page)?;
        self.traffic(&mut page)?;
        self.released(&mut page)?;
        self.control(&mut page)?;
        self.trust(&mut page)
    }
}

impl Scrape {
    fn host(&self, page: &mut Page<'_>) -> fmt::Result {
        let host = &self.admin.parts.host;
        page.info(
            "host",
            "The host: its version, and how it talks to the kernel.",
            [vec![
                ("version", host.version.clone()),
                ("driver", host.driver.clone()),
                ("body_sender", host.body_sender.to_owned()),
            ]],
        )?;
        page.gauge("workers", "Edge threads.", None, [(vec![], host.workers as f64)])?;
        let started = host.started_at.as_second() as f64;
        page.gauge("start_time", "When the process started.", SECONDS, [(vec![], started)])?;
        let draining = f64::from(u8::from(*host.draining.borrow()));
        page.gauge(
            "draining",
            "1 while the host finishes before it stops.",
            None,
            [(vec![], draining)],
        )
    }

    fn edge(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = &self.counts;
        let one = |count| [(vec![], count)];
        page.counter("http_requests", "Requests whose head was read.", None, one(counts.requests))?;
        let by_class = classes(&counts.responses);
        page.counter("http_responses", "Replies by class of status.", None, by_class)?;
        page.counter("http_sent", "Sent, heads included.", BYTES, one(counts.bytes_out))?;
        let open = counts.connections_open as f64;
        page.gauge("connections_open", "Connections that are open.", None, [(vec![], open)])?;
        let accepted = one(counts.connections_accepted);
        page.counter("connections_accepted", "Connections that were accepted.", None, accepted)?;
        let failures = one(counts.accept_failures);
        page.counter("accept_failures", "Times that no connection could be had.", None, failures)?;
        let reached = Limit::ALL
            .map(|limit| (vec![("limit", limit.name().to_owned())], counts.reached(limit)));
        page.counter("limits_reached", "Times that a client came up against it.", None, reached)
    }

    fn traffic(&self, page: &mut Page<'_>) -> fmt::Result {
        let by_class = self.features.iter().flat_map(|(id, counts)| {
            classes(&counts.responses).map(move |(mut labels, count)| {
                labels.insert(0, ("feature", id.clone()));
                (labels, count)
            })
        });
        let help = "Replies of pages and assets of a feature, by class of status.";
        page.counter("feature_responses", help, None, by_class)?;
        let each = |pick: fn(&OwnerCounts) -> u64| {
            self.features.iter().map(move |(id, one)| (feature(id), pick(one)))
        };
        let help = "Replies of status 304: the client had it already.";
        page.counter("feature_not_modified", help, None, each(|one| one.not_modified))?;
        page.counter(
            "feature_sent",
            "Sent for a feature, heads included.",
            BYTES,
            each(|one| one.bytes),
        )
    }

    fn released(&self, page: &mut Page<'_>) -> fmt::Result {
        let states = self.snapshot.features();
        let standings = states.values().flat_map(|state| {
            STANDINGS.map(|standing| {
                let mut labels = feature(state.id.as_str());
                labels.push(("state", standing.as_str().to_owned()));
                (labels, f64::from(u8::from(state.standing == standing)))
            })
        });
        page.gauge("feature_state", "1 for the state that a feature is in.", None, standings)?;
        let versions = states.values().filter_map(|state| {
            let manifest = &state.serving()?.manifest;
            let mut labels = feature(state.id.as_str());
            labels.push(("version", manifest.version.to_string()));
            labels.push(("channel", manifest.channel.clone()));
            Some(labels)
        });
        page.info("feature", "The version that serves.", versions)?;
        let retained = self.snapshot.retained();
        let bytes: u64 = retained.iter().map(|kept| kept.version.bytes).sum();
        let help = "Files of versions that do not serve and stay reachable.";
        page.gauge("retained", help, BYTES, [(vec![], bytes as f64)])?;
        let count = retained.len() as f64;
        page.gauge("retained_versions", "Such versions.", None, [(vec![], count)])
    }

    fn control(&self, page: &mut Page<'_>) -> fmt::Result {
        let snapshot = vec![("id", self.snapshot.id().to_owned())];
        page.info("snapshot", "The snapshot that serves.", [snapshot])?;
        let built = self.snapshot.built_at().as_second() as f64;
        page.gauge("snapshot_built_time", "When it was built.", SECONDS, [(vec![], built)])?;
        let coded = |(code, count): (&String, &u64)| (vec![("code", code.clone())], *count);
        let refusals = self.tally.refusals.iter().map(coded);
        let help = "Indexes and versions that were refused, by the code of the check.";
        page.counter("verification_failures", help, None, refusals)?;
        let events = self.tally.events.iter().map(coded);
        page.counter("events", "What happened, fallbacks included, by code.", None, events)?;
        let failed = [(vec![], self.tally.failed_refreshes)];
        page.counter("refresh_failures", "Refreshes that failed as a whole.", None, failed)?;
        let help = "Time of a look at the artifacts, up to the swap of the snapshot.";
        page.histogram("refresh_duration", help, &self.tally)
    }

    fn trust(&self, page: &mut Page<'_>) -> fmt::Result {
        let ends = self.admin.parts.key_ends.iter();
        let ends = ends.map(|(id, end)| (vec![("key", id.clone())], end.as_second() as f64));
        page.gauge("trusted_key_expiry_time", "When a trusted key ends.", SECONDS, ends)?;
        let Some(loader) = &self.loader else { return Ok(()) };
        if let Some(at) = loader.updated_at {
            let help = "When the loader last said how it does.";
            let at = [(vec![], at.as_second() as f64)];
            page.gauge("loader_contact_time", help, SECONDS, at)?;
        }
        let converged = loader.features.iter().filter(|feature| feature.has_converged()).count();
        let behind = loader.features.len() - converged;
        let by_state = [("converged", converged), ("behind", behind)]
            .map(|(state, count)| (vec![("state", state.to_owned())], count as f64));
        page.gauge("loader_features", "Features that the loader looks after.", None, by_state)
    }
}

const SECONDS: Option<&Unit> = Some(&Unit::Seconds);
const BYTES: Option<&Unit> = Some(&Unit::Bytes);

type Labels = Vec<(&'static str, String)>;

fn feature(id: &str) -> Labels {
    vec![("feature", id.to_owned())]
}

fn classes(counts: &[u64; CLASSES]) -> impl Iterator<Item = (Labels, u64)> {
    CLASS_NAMES
        .into_iter()
        .zip(*counts)
        .map(|(class, count)| (vec![("class", class.to_owned())], count))
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
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
            labelled(&mut metric, &labels, |one| one.encode_counter(&count, none))?;
        }
        Ok(())
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
            labelled(&mut metric, &labels, |one| one.encode_gauge(&value))?;
        }
        Ok(())
    }

    fn info(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = Labels>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Info)?;
        rows.into_iter().try_for_each(|labels| metric.encode_info(&labels))
    }

    fn histogram(&mut self, name: &str, help: &str, tally: &Tally) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, SECONDS, MetricType::Histogram)?;
        let (sum, buckets) = (tally.refresh_time.as_secs_f64(), &tally.refreshes);
        let count = buckets.iter().map(|(_, count)| count).sum();
        metric.encode_histogram::<NoLabelSet>(sum, count, buckets, None)
    }
}

fn labelled(
    metric: &mut MetricEncoder<'_>,
    labels: &Labels,
    write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() { write(metric) } else { write(&mut metric.encode_family(labels)?) }
}
