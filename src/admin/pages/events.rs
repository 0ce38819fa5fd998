//! The event log of this process.

use maud::{Markup, html};
use serde::Deserialize;

use super::super::{View, words};
use super::frame::Frame;
use super::parts::{Tone, badge, column, empty, none, prose, table};
use super::standing;
use crate::control::{Event, Severity};

/// So many events are on the page.
const MOST: usize = 300;

/// Which events are asked for, as the query of `/_admin/events` has it; what makes no sense asks for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EventFilter {
    /// The id of a feature, or empty.
    pub feature: String,
    /// The least severity, or empty.
    pub severity: String,
}

impl EventFilter {
    fn wants(&self, event: &Event) -> bool {
        let feature = event.feature_id.as_ref().map(pilar_artifact::FeatureId::as_str);
        (self.feature.is_empty() || feature == Some(self.feature.as_str()))
            && event.severity >= self.least()
    }

    fn least(&self) -> Severity {
        let least = SEVERITIES.iter().find(|(_, word, _)| *word == self.severity);
        least.map_or(Severity::Info, |(severity, ..)| *severity)
    }
}

const SEVERITIES: [(Severity, &str, &str); 3] = [
    (Severity::Info, "info", "All"),
    (Severity::Warning, "warning", "Warnings and errors"),
    (Severity::Error, "error", "Errors"),
];

/// What happened.
pub fn events(view: &View<'_>, filter: &EventFilter) -> Markup {
    let all = view.history.latest(None);
    let wanted: Vec<Event> = all.iter().filter(|event| filter.wants(event)).cloned().collect();
    let shown: Vec<Event> = wanted.iter().take(MOST).cloned().collect();
    let body = html! {
        div class="title" {
            h1 { (words::count(wanted.len(), "event", "events")) }
            p class="caption" {
                "Since this process started, " (words::moment(view.host.started_at, view.now))
                ". Older ones are in its log."
            }
        }
        div class="panel" {
            (filters(view, filter))
            @if shown.is_empty() && !all.is_empty() {
                (empty("No event is like this", "Choose another feature or severity to see more."))
            } @else { (list(view, &shown, true)) }
            @if wanted.len() > shown.len() {
                p class="caption" { "And " (words::count(wanted.len() - shown.len(), "older event", "older events")) "." }
            }
        }
    };
    Frame { title: "Events", active: "Events", body }.render(view)
}

fn filters(view: &View<'_>, filter: &EventFilter) -> Markup {
    html! {
        form class="filters" method="get" action="/_admin/events" {
            label { "Feature "
                select name="feature" {
                    option value="" selected[filter.feature.is_empty()] { "All" }
                    @for id in view.snapshot.features().keys() {
                        option value=(id) selected[filter.feature == id.as_str()] { (id) }
                    }
                }
            }
            label { "Severity "
                select name="severity" {
                    @for (severity, word, title) in SEVERITIES {
                        option value=(word) selected[filter.least() == severity] { (title) }
                    }
                }
            }
            button class="second" { "Show" }
        }
    }
}

/// These events.
pub(super) fn list(view: &View<'_>, events: &[Event], of_all: bool) -> Markup {
    if events.is_empty() {
        return empty(
            "Nothing happened yet",
            "Swaps, fallbacks, refusals and recoveries are written down here.",
        );
    }
    let mut columns = vec![column("When"), column("Severity")];
    if of_all {
        columns.push(column("Feature"));
    }
    columns.extend([column("Version"), column("What happened"), column("Code")]);
    let rows: Vec<Vec<Markup>> = events
        .iter()
        .map(|event| {
            let mut row = vec![words::moment(event.at, view.now), severity(event.severity)];
            if of_all {
                row.push(match &event.feature_id {
                    Some(id) if view.snapshot.features().contains_key(id) => {
                        standing::link(id.as_str())
                    }
                    Some(id) => html! { (id) },
                    None => html! { span class="none" { "the host" } },
                });
            }
            row.push(match &event.version {
                Some(version) => html! { (version) },
                None => none(),
            });
            row.push(prose(&event.message));
            row.push(html! { code { (event.code) } });
            row
        })
        .collect();
    html! { div class="rows events" { (table("Events, the latest first", &columns, &rows)) } }
}

fn severity(severity: Severity) -> Markup {
    match severity {
        Severity::Info => badge(Tone::Info, "Info"),
        Severity::Warning => badge(Tone::Warn, "Warning"),
        Severity::Error => badge(Tone::Bad, "Error"),
    }
}
