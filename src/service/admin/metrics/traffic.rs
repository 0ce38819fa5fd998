//! What was asked for and how it was answered.

use std::fmt;

use super::Scrape;
use super::page::{BYTES, Labels, Page, classes, label, one};
use crate::edge::{Limit, OwnerCounts};

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
        page.counter("limits_reached", help, None, reached)
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
        page.counter("feature_sent", help, BYTES, each(|one| one.bytes))
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
