//! Charts as inline SVG, each with its numbers beside it and a table for whoever cannot see it.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use pilar_artifact::FeatureId;

use super::pages::parts::{column, numbers, table};
use super::traffic::{MINUTES, Minute, Series};
use super::{View, words};

/// Width and height of a chart, in the units of its drawing; it is stretched to the room that there is.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 96.0;

/// Minutes in a row of the table.
const STEP: usize = 5;

/// So many marks are drawn and listed.
const MOST_MARKS: usize = 12;

/// Something that happened, on the time axis of a chart.
struct Mark {
    at: Timestamp,
    is_swap: bool,
    words: String,
}

/// The requests, bytes and latency of the last hour, with what happened then.
pub(super) fn requests(
    id: &str,
    view: &View<'_>,
    series: &Series,
    of: Option<&FeatureId>,
) -> Markup {
    let until = view.traffic.until;
    let marks = marks(view, of);
    let minutes = last_hour(series);
    let requests: Vec<f64> = minutes.iter().map(|minute| minute.requests as f64).collect();
    let bytes: Vec<f64> = minutes.iter().map(|minute| minute.bytes as f64).collect();
    let time = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let p50: Vec<Option<f64>> = minutes.iter().map(|minute| time(minute.p50)).collect();
    let p99: Vec<Option<f64>> = minutes.iter().map(|minute| time(minute.p99)).collect();
    let busiest = minutes.iter().map(|minute| minute.requests).max().unwrap_or(0);
    let slowest = minutes.iter().filter_map(|minute| minute.p99).max();
    let most = minutes.iter().map(|minute| minute.bytes).max().unwrap_or(0);
    html! {
        div class="charts" {
            (figure("Requests", &words::number(series.requests_of_hour()),
                &format!("busiest minute {}", words::number(busiest)), until, &marks,
                &html! { path class="bars" d=(bars(&requests)) {} }))
            (figure("Sent", &words::size(series.bytes_of_hour()),
                &format!("most in a minute {}", words::size(most)), until, &marks,
                &html! { path class="bars second" d=(bars(&bytes)) {} }))
            (figure("Latency", &format!("{} / {}", words::latency(series.p50), words::latency(series.p99)),
                &format!("p50 / p99; slowest minute {}", words::latency(slowest)), until, &marks,
                &html! {
                    path class="line second" d=(line(&p99, &p99)) {}
                    path class="line" d=(line(&p50, &p99)) {}
                }))
        }
        @if !marks.is_empty() {
            ul class="marks" aria-label="Marks on the charts" {
                @for mark in &marks {
                    li class=(if mark.is_swap { "swap" } else { "fallback" }) {
                        span class="sign" aria-hidden="true" {}
                        (if mark.is_swap { "Swap " } else { "Fallback " })
                        (words::moment(mark.at, view.now)) ": " (mark.words)
                    }
                }
            }
        }
        details class="numbers" id={ "numbers-" (id) } {
            summary { "The same as a table" }
            (as_table(&minutes, until))
        }
    }
}

/// A line of small bars.
pub(super) fn sparkline(label: &str, values: &[u64]) -> Markup {
    let most = values.iter().max().copied().unwrap_or(0);
    let last = values.last().copied().unwrap_or(0);
    let padding = MINUTES.saturating_sub(values.len());
    let values: Vec<f64> = std::iter::repeat_n(0, padding)
        .chain(values.iter().copied())
        .map(|one| one as f64)
        .collect();
    let label = format!(
        "{label}: {} in the last, {} in the busiest",
        words::number(last),
        words::number(most)
    );
    html! {
        svg class="spark" role="img" aria-label=(label) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
            path class="base" d={ "M0 " (HEIGHT) "H" (WIDTH) } {}
            path class="bars" d=(bars(&values)) {}
        }
    }
}

fn figure(
    name: &str,
    value: &str,
    detail: &str,
    until: Timestamp,
    marks: &[Mark],
    drawing: &Markup,
) -> Markup {
    let since = until.saturating_sub(hour()).unwrap_or(until);
    let label = format!(
        "{name} by the minute from {} to {} UTC: {value}; {detail}",
        words::clock(since),
        words::clock(until)
    );
    html! {
        figure {
            figcaption {
                span class="name" { (name) }
                span class="value" { (value) }
                span class="caption" { (detail) }
            }
            svg role="img" aria-label=(label) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
                path class="grid" d={ "M0 " (HEIGHT / 2.0) "H" (WIDTH) } {}
                (drawing)
                path class="base" d={ "M0 " (HEIGHT) "H" (WIDTH) } {}
                @for mark in marks {
                    path class=(if mark.is_swap { "mark swap" } else { "mark fallback" })
                        d={ "M" (place(mark.at, until)) " 0V" (HEIGHT) } {
                        title { (words::clock(mark.at)) " UTC: " (mark.words) }
                    }
                }
            }
            div class="axis" aria-hidden="true" {
                span { (words::clock(since)) } span { "UTC" } span { (words::clock(until)) }
            }
        }
    }
}

/// Swaps and fallbacks of the last hour, the latest first; of one feature, or of all.
fn marks(view: &View<'_>, of: Option<&FeatureId>) -> Vec<Mark> {
    let until = view.traffic.until;
    let Ok(since) = until.saturating_sub(hour()) else { return Vec::new() };
    view.history
        .latest(of)
        .into_iter()
        .filter(|event| event.at >= since)
        .filter_map(|event| {
            let is_swap = match event.code.as_str() {
                "snapshot-in-place" | "serving" | "recovered" => true,
                "fell-back" | "last-good" | "nothing-to-serve" => false,
                _ => return None,
            };
            // Each new snapshot is one swap, however many features changed with it.
            let counts = !is_swap || of.is_some() || event.feature_id.is_none();
            let feature = event.feature_id.filter(|_| of.is_none());
            let feature = feature.map(|id| format!("{id}: ")).unwrap_or_default();
            counts.then(|| Mark {
                at: event.at,
                is_swap,
                words: format!("{feature}{}", event.message),
            })
        })
        .take(MOST_MARKS)
        .collect()
}

fn hour() -> SignedDuration {
    SignedDuration::from_mins(MINUTES as i64)
}

/// Where on the time axis a moment is.
fn place(at: Timestamp, until: Timestamp) -> String {
    let before = until.duration_since(at).as_secs_f64() / hour().as_secs_f64();
    format!("{:.1}", WIDTH * (1.0 - before.clamp(0.0, 1.0)))
}

/// Exactly [`MINUTES`] minutes: before the process started there was nothing.
fn last_hour(series: &Series) -> Vec<Minute> {
    let known = series.minutes.len().min(MINUTES);
    let nothing = std::iter::repeat_n(Minute::default(), MINUTES - known);
    nothing.chain(series.minutes.iter().rev().take(known).rev().copied()).collect()
}

fn bars(values: &[f64]) -> String {
    let most = values.iter().copied().fold(0.0, f64::max);
    let width = WIDTH / values.len().max(1) as f64;
    let mut path = String::new();
    for (position, value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
        // A single request shows beside a thousand.
        let height = (value / most * (HEIGHT - 4.0)).max(2.0);
        let left = position as f64 * width;
        // Writing into text cannot fail.
        let _ = write!(path, "M{left:.1} {HEIGHT}v-{height:.1}h{:.1}v{height:.1}z", width * 0.8);
    }
    path
}

/// A line through the values there are, to the scale of `scale`.
fn line(values: &[Option<f64>], scale: &[Option<f64>]) -> String {
    let most = scale.iter().flatten().copied().fold(0.0, f64::max);
    let width = WIDTH / values.len().max(1) as f64;
    let mut path = String::new();
    let mut is_drawn = false;
    for (position, value) in values.iter().enumerate() {
        let Some(value) = value.filter(|_| most > 0.0) else {
            is_drawn = false;
            continue;
        };
        let (x, y) = ((position as f64 + 0.5) * width, HEIGHT - value / most * (HEIGHT - 4.0));
        // A minute without neighbours is a line of no length, which round ends make a dot.
        let _ = write!(path, "{}{x:.1} {y:.1}", if is_drawn { "L" } else { "M" });
        if !is_drawn {
            path.push_str("h.1");
        }
        is_drawn = true;
    }
    path
}

fn as_table(minutes: &[Minute], until: Timestamp) -> Markup {
    let columns = [
        column("From, UTC"),
        numbers("Requests"),
        numbers("Sent"),
        numbers("Errors"),
        numbers("p50"),
        numbers("p99"),
    ];
    let row = |(position, minutes): (usize, &[Minute])| {
        let before = MINUTES.saturating_sub(position * STEP) as i64;
        let from = until.saturating_sub(SignedDuration::from_mins(before)).unwrap_or(until);
        let sum = |of: fn(&Minute) -> u64| minutes.iter().map(of).sum::<u64>();
        let slowest = |of: fn(&Minute) -> Option<Duration>| minutes.iter().filter_map(of).max();
        let cells = [
            words::clock(from),
            words::number(sum(|minute| minute.requests)),
            words::size(sum(|minute| minute.bytes)),
            words::number(sum(|minute| minute.errors)),
            words::latency(slowest(|minute| minute.p50)),
            words::latency(slowest(|minute| minute.p99)),
        ];
        cells.map(|cell| html! { (cell) }).to_vec()
    };
    let rows: Vec<Vec<Markup>> = minutes.chunks(STEP).enumerate().map(row).collect();
    html! {
        div class="rows" { (table("The last hour, five minutes at a time", &columns, &rows)) }
    }
}
