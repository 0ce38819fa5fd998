//! The first page: is everything as released, and if not, what is not.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::{Readiness, View, chart, words};
use super::frame::{Frame, live_status, refresh_elsewhere, refresh_form};
use super::parts::{Tone, badge, column, empty, facts, icon, none, prose, section, table};
use super::{events, features, loader, standing};
use crate::catalog::{FeatureState, Standing, Watching};
use crate::loader_report::LoaderReport;

/// So many of the latest events are shown.
const LATEST: usize = 6;

/// So many ignored names are shown.
const MOST_IGNORED: usize = 20;

/// The first page.
pub fn overview(view: &View<'_>) -> Markup {
    let [answer, differs, figures, fine] = parts(view);
    let live = |(name, part): (&'static str, Markup)| html! { div data-live=(name) { (part) } };
    let body = html! {
        (refresh_form(view))
        (live(answer))
        (live(differs))
        section class="panel" aria-labelledby="hour" {
            h2 id="hour" { "The last hour" }
            (live(figures))
            (live_status())
            p class="more" { a href="/_admin/traffic" { "Traffic by feature" } }
        }
        (live(fine))
        (section("host", "This host", &host(view)))
        @if let Some(report) = &view.loader {
            (section("loader", "Loader", &loader::loader(view, report)))
        }
        @if !view.snapshot.ignored().is_empty() {
            (section("ignored", "Ignored in the artifacts directory", &ignored(view)))
        }
        (section("latest", "Latest events", &html! {
            (events::list(view, &view.history.latest(None).into_iter().take(LATEST).collect::<Vec<_>>(), true))
            p class="more" { a href="/_admin/events" { "All events" } }
        }))
    };
    Frame { title: "Overview", active: "Overview", body }.render(view)
}

/// What changes on the page by itself, by name.
pub(super) fn parts(view: &View<'_>) -> [(&'static str, Markup); 4] {
    let states: Vec<&FeatureState> = view.snapshot.features().values().collect();
    let differs: Vec<(&FeatureState, Vec<String>)> = states
        .iter()
        .map(|state| (*state, standing::reasons(view, state)))
        .filter(|(state, why)| state.standing != Standing::AsReleased || !why.is_empty())
        .collect();
    let fine: Vec<&FeatureState> = states
        .iter()
        .copied()
        .filter(|state| differs.iter().all(|(other, _)| other.id != state.id))
        .collect();
    let differing = html! {
        @if !differs.is_empty() {
            (section("differs", "What differs from what was released", &differing(&differs)))
        }
        @if states.is_empty() {
            div class="panel" {
                (empty("No feature is here yet",
                    html! { "Features are listed here as soon as one is published into the artifacts directory, by "
                        code { "pilar publish --local" } " or by the loader of this host." }))
            }
        }
    };
    let fine = html! {
        @if !fine.is_empty() {
            (section("fine", "Serving as released", &features::list("Features that serve as released", view, &fine)))
        }
    };
    [("answer", answer(view)), ("differs", differing), ("figures", figures(view)), ("fine", fine)]
}

/// The figures of the last hour.
fn figures(view: &View<'_>) -> Markup {
    let total = &view.traffic.total;
    let errors: u64 = total.minutes.iter().map(|minute| minute.errors).sum();
    let requests: Vec<u64> = total.minutes.iter().map(|minute| minute.requests).collect();
    html! {
        div class="figures" {
            (figure("Requests", &words::number(total.requests_of_hour())))
            (figure("Sent", &words::size(total.bytes_of_hour())))
            (figure("Errors of the host", &words::number(errors)))
            (figure("Latency p50", &words::latency(total.p50)))
            (figure("Latency p99", &words::latency(total.p99)))
            div class="figure wide" { (chart::sparkline("Requests by the minute", &requests)) }
        }
    }
}

fn figure(name: &str, value: &str) -> Markup {
    html! { div class="figure" { span class="value" { (value) } span class="name" { (name) } } }
}

/// The answer to the first question, in one line.
fn answer(view: &View<'_>) -> Markup {
    let watch_error = match &view.host.watching {
        Watching::Failed(reason) => Some(reason.as_str()),
        Watching::Off | Watching::Working => None,
    };
    let refresh_error = view.host.refresh_error.as_deref().unwrap_or_default();
    let problems = view.snapshot.health().all_problems(watch_error, refresh_error);
    let broken = view.host.refresh_error.is_some()
        || view
            .snapshot
            .features()
            .values()
            .any(|state| standing::tone(state.standing) == Tone::Bad);
    let (tone, headline) = match problems.first() {
        None if view.snapshot.health().is_empty() => {
            (Tone::Quiet, "Nothing is published yet".to_owned())
        }
        None => (Tone::Good, "Everything is as released".to_owned()),
        Some(problem) => (if broken { Tone::Bad } else { Tone::Warn }, words::sentence(problem)),
    };
    let serving =
        view.snapshot.features().values().filter(|state| state.serving().is_some()).count();
    html! {
        div class={ "answer " (tone.name()) } {
            (icon(tone))
            div {
                h1 { (headline) }
                @if problems.len() > 1 {
                    ul { @for problem in problems.iter().skip(1) { li { (words::sentence(problem)) } } }
                }
                @if let Some(error) = &view.host.refresh_error { p { (words::sentence(error)) } }
                p class="caption" {
                    (words::count(serving, "feature serves", "features serve")) " from snapshot "
                    code { (view.snapshot.id()) } ", put in place "
                    (words::moment(view.snapshot.built_at(), view.now))
                }
            }
            (refresh_elsewhere())
        }
    }
}

fn differing(differs: &[(&FeatureState, Vec<String>)]) -> Markup {
    let columns =
        [column("Feature"), column("State"), column("Serving"), column("Released"), column("Why")];
    let rows: Vec<Vec<Markup>> = differs
        .iter()
        .map(|(state, why)| {
            vec![
                standing::link(state.id.as_str()),
                standing::state(state.standing),
                html! { @if let Some(version) = standing::serving(state) { (version) } @else { (none()) } },
                html! { @if let Some(version) = standing::released(state) { (version) } @else { (none()) } },
                html! { @for reason in why { p { (prose(reason)) } } },
            ]
        })
        .collect();
    html! { div class="rows" { (table("What differs from what was released", &columns, &rows)) } }
}

fn host(view: &View<'_>) -> Markup {
    let host = &view.host;
    let readiness = match host.readiness {
        Readiness::Ready => badge(Tone::Good, "Takes traffic"),
        Readiness::Waiting => badge(Tone::Warn, "Waits for the ready file"),
        Readiness::Draining => badge(Tone::Warn, "About to stop"),
    };
    let watching = match &host.watching {
        Watching::Working => badge(Tone::Good, "Changes are noticed"),
        Watching::Off => badge(Tone::Quiet, "Off: refresh by hand"),
        Watching::Failed(reason) => {
            html! { (badge(Tone::Warn, "Not all is noticed")) " " (reason) }
        }
    };
    facts(&[
        ("Readiness", readiness),
        ("Watching", watching),
        ("Loader", convergence(view.loader.as_deref(), view.now)),
        (
            "Up for",
            html! {
                span title={ "since " (words::exact(host.started_at)) } { (words::span(host.uptime)) }
            },
        ),
        ("Version", html! { (host.version) }),
        ("Driver", html! { (host.driver) }),
        ("Large bodies", html! { (host.body_sender) }),
        ("Workers", html! { (host.workers) }),
        ("Snapshot", html! { code { (view.snapshot.id()) } }),
    ])
}

fn convergence(loader: Option<&LoaderReport>, now: Timestamp) -> Markup {
    let Some(report) = loader else {
        return badge(Tone::Quiet, "No loader at work here");
    };
    let status = &report.status;
    let behind = status.features.values().filter(|feature| !feature.has_converged()).count();
    let refused = status.refused.len();
    // What is known only counts while somebody goes on looking.
    let says = if report.problem.is_some() {
        "Its status cannot be read".to_owned()
    } else if let Some(age) = report.age_seconds(now).filter(|age| *age > SILENT_FROM) {
        format!("Silent for {}", words::span(Duration::from_secs(age)))
    } else if status.source.error.is_some() {
        "Does not hear what is registered".to_owned()
    } else if status.source.is_known() && status.source.last_contact_at.is_none() {
        "Has not heard yet what is registered".to_owned()
    } else if behind > 0 {
        format!("{behind} of {} not in place yet", status.features.len())
    } else if refused > 0 {
        format!("Refuses {}", words::count(refused, "registration", "registrations"))
    } else {
        return badge(Tone::Good, "All that is registered is in place");
    };
    badge(Tone::Warn, &says)
}

/// Seconds without a word after which a loader is taken for gone, as its alert has it.
const SILENT_FROM: u64 = 600;

fn ignored(view: &View<'_>) -> Markup {
    let names = view.snapshot.ignored();
    html! {
        ul class="plain" {
            @for one in names.iter().take(MOST_IGNORED) {
                li { code { (one.name) } " " (one.message) }
            }
        }
        @if names.len() > MOST_IGNORED {
            p class="caption" { "And " (names.len() - MOST_IGNORED) " more." }
        }
    }
}
