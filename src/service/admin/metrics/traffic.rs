//! What was asked for and how it was answered.

use std::fmt;
use std::time::Duration;

use pilar_metrics::{BYTES, Labels, Page, Times, label, one};

use super::Scrape;
use crate::edge::{CLASSES, LATENCY_STEPS, Limit, OwnerCounts, latency_bound};

const CLASS_NAMES: [&str; CLASSES] = ["2xx", "3xx", "4xx", "5xx"];

/// So many steps of the edge are one here: each feature has a sample of each.
const TOGETHER: usize = 2;

impl Scrape {
    pub(super) fn connections(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = &self.counts;
        let open = one(counts.connections_open as f64);
        page.gauge("connections_open", "Connections that are open.", None, open)?;
        let accepted = one(counts.connections_accepted);
        page.counter("connections_accepted", "Connections that were accepted.", None, accepted)?;
        let failures = one(counts.accept_failures);
        let help = "Times that the kernel gave no connection, mostly for want of descriptors.";
        page.counter("accept_failures", help, None, failures)?;
        let reached = Limit::ALL.map(|limit| (label("limit", limit.name()), counts.reached(limit)));
        let help = "Times that a client came up against a limit of the edge.";
        page.counter("limits_reached", help, None, reached)?;
        let help = "Lines of the access log that found no room.";
        page.counter("access_log_dropped", help, None, one(counts.access_dropped))
    }

    pub(super) fn requests(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = &self.counts;
        page.counter("http_requests", "Requests whose head was read.", None, one(counts.requests))?;
        let none = Labels::new();
        let by_class = classes(&none, &counts.responses);
        page.counter("http_responses", "Replies by class of status.", None, by_class)?;
        page.counter("http_sent", "Sent, heads included.", BYTES, one(counts.bytes_out))
    }

    pub(super) fn of_features(&self, page: &mut Page<'_>) -> fmt::Result {
        let by_class = self.features.iter().flat_map(|(id, counts)| {
            classes(&label("feature", id), &counts.responses).collect::<Vec<_>>()
        });
        let help = "Replies of pages and assets of a feature, by class of status.";
        page.counter("feature_responses", help, None, by_class)?;
        let each = |pick: fn(&OwnerCounts) -> u64| {
            self.features.iter().map(move |(id, one)| (label("feature", id), pick(one)))
        };
        let help = "Replies of status 304: the client had it already.";
        page.counter("feature_not_modified", help, None, each(|one| one.not_modified))?;
        let help = "Sent for a feature, heads included.";
        page.counter("feature_sent", help, BYTES, each(|one| one.bytes))?;
        let steps: Vec<_> = self.features.iter().map(|(_, counts)| steps(counts)).collect();
        let times = self.features.iter().zip(&steps).map(|((id, counts), steps)| {
            let sum = Duration::from_micros(counts.latency_micros);
            (label("feature", id), Times { steps, sum })
        });
        let help = "Time of one read in 16, from the arrival of requests to when the kernel has taken the replies.";
        page.times("feature_sampled_duration", help, times)
    }

    pub(super) fn service(&self, page: &mut Page<'_>) -> fmt::Result {
        let replies = self.admin.parts.host.replies.counts();
        let by_class = replies.iter().flat_map(|(route, counts)| {
            classes(&label("route", route), counts).collect::<Vec<_>>()
        });
        let help =
            "Dynamic replies by route and class of status; \"none\" is no route of the host.";
        page.counter("service_responses", help, None, by_class)
    }
}

/// These labels, with the class of status behind them.
fn classes<'a>(
    labels: &'a Labels,
    counts: &[u64; CLASSES],
) -> impl Iterator<Item = (Labels, u64)> + use<'a> {
    CLASS_NAMES
        .into_iter()
        .zip(*counts)
        .map(|(class, count)| ([labels.as_slice(), &label("class", class)].concat(), count))
}

/// How many samples took at most so many seconds and longer than the step before.
fn steps(counts: &OwnerCounts) -> Vec<(f64, u64)> {
    let together = counts.latency.chunks(TOGETHER).enumerate();
    let each = together.map(|(number, counts)| {
        let last = (number + 1) * TOGETHER - 1;
        let is_open = last + 1 >= LATENCY_STEPS;
        let end = if is_open { f64::INFINITY } else { latency_bound(last).as_secs_f64() };
        (end, counts.iter().sum())
    });
    each.collect()
}
