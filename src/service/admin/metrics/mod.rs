//! `/_admin/metrics` in the OpenMetrics text format. Everything is read when it is asked for; counting costs the
//! edge nothing more. `docs/metrics.md` lists what there is, from what is written here.

mod process;
mod released;
mod traffic;

use std::fmt;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use jiff::Timestamp;
use pilar_metrics::{CONTENT_TYPE, Page, SECONDS, flag, label, one};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::Admin;
use super::pages::loader;
use crate::admin::Readiness;
use crate::catalog::{FeatureState, IndexFacts};
use crate::control::Tally;
use crate::edge::{Counts, Owner, OwnerCounts};
use crate::loader_report::LoaderReport;
use crate::service::ready::readiness;
use crate::service::reply::{RequestId, error};
use crate::snapshot::Snapshot;
use process::Process;

pub(super) async fn metrics(
    State(admin): State<Admin>,
    Extension(id): Extension<RequestId>,
    Extension(snapshot): Extension<Arc<Snapshot>>,
) -> Response {
    let host = &admin.parts.host;
    let meter = admin.parts.figures.meter();
    let counted = meter.owners();
    let of_owner = |owner: &Owner| counted.get(owner).copied().unwrap_or_default();
    let numbered = snapshot.owners().iter();
    let features = numbered.map(|(id, owner)| (id.to_string(), of_owner(owner))).collect();
    let process = Process { started_at: host.started_at };
    let scrape = Scrape {
        counts: meter.counts(),
        features,
        tally: admin.parts.history.tally(),
        loader: loader(&admin).await,
        is_ready: readiness(host).await == Readiness::Ready,
        snapshot,
        admin,
    };
    match pilar_metrics::text([("pilar", Box::new(scrape)), ("process", Box::new(process))]) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
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
    loader: Option<Arc<LoaderReport>>,
    is_ready: bool,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.host(&mut page)?;
        self.problems(&mut page)?;
        self.features(&mut page)?;
        self.retained(&mut page)?;
        self.control(&mut page)?;
        self.trusted_keys(&mut page)?;
        self.loader(&mut page)?;
        self.requests(&mut page)?;
        self.of_features(&mut page)?;
        self.service(&mut page)?;
        self.connections(&mut page)
    }
}

impl Scrape {
    fn host(&self, page: &mut Page<'_>) -> fmt::Result {
        let host = &self.admin.parts.host;
        page.info("build", "The version of the host.", [label("version", &host.version)])?;
        let ways =
            vec![("driver", host.driver.clone()), ("body_sender", host.body_sender.to_owned())];
        page.info("host", "How the host talks to the kernel.", [ways])?;
        let refused = one(host.refused_drivers as f64);
        let help = "Ways of talking to the kernel that are cheaper and that it refused.";
        page.gauge("drivers_refused", help, None, refused)?;
        page.gauge("workers", "Edge threads.", None, one(host.workers as f64))?;
        let help = "1 while load balancers are told to send traffic: /_ready.";
        page.gauge("ready", help, None, one(flag(self.is_ready)))?;
        let help = "1 while the host finishes before it stops.";
        page.gauge("draining", help, None, one(flag(*host.draining.borrow())))
    }

    fn trusted_keys(&self, page: &mut Page<'_>) -> fmt::Result {
        let keys = self.admin.parts.trusted_keys.iter();
        let ends = keys.clone().filter_map(|(id, end)| Some((id, (*end)?)));
        let ends = ends.map(|(id, end)| (label("key", id), end.as_second() as f64));
        let help = "When a trusted key ends, where it does.";
        page.gauge("trusted_key_expiry_timestamp", help, SECONDS, ends)?;
        let needed = keys.map(|(id, _)| {
            let states = self.snapshot.features().values();
            let count = states.filter(|state| needs_key(state, id)).count();
            (label("key", id), count as f64)
        });
        let help = "Features whose index or version that serves was verified by the key.";
        page.gauge("trusted_key_features", help, None, needed)
    }

    fn loader(&self, page: &mut Page<'_>) -> fmt::Result {
        let status = || self.loader.iter().map(|report| &report.status);
        let seconds = |at: Option<Timestamp>| one(at.map_or(0.0, |at| at.as_second() as f64));
        let contact = status().flat_map(|status| seconds(status.updated_at));
        let help = "When the loader last said how it does; 0 where that cannot be read.";
        page.gauge("loader_contact_timestamp", help, SECONDS, contact)?;
        let sources = status().map(|status| &status.source).filter(|source| source.is_known());
        let contact = sources.flat_map(|source| seconds(source.last_contact_at));
        let help = "When the loader last heard from where registrations come from; 0 until then.";
        page.gauge("loader_source_contact_timestamp", help, SECONDS, contact)?;
        pilar_metrics::loader(page, status().next())
    }
}

fn needs_key(state: &FeatureState, key: &str) -> bool {
    let index = state.index.as_ref().is_ok_and(|IndexFacts { key_id, .. }| key_id == key);
    index || state.serving().is_some_and(|version| version.key_id == key)
}
