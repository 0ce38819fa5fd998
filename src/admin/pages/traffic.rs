//! What is asked for and how it is answered.

use maud::{Markup, html};
use pilar_artifact::FeatureId;

use super::super::{Series, View, chart, words};
use super::frame::{Frame, live_status};
use super::parts::{column, empty, none, numbers, table};
use super::standing;

/// Live traffic.
pub fn traffic(view: &View<'_>) -> Markup {
    let body = html! {
        div class="title" {
            h1 { "Traffic" }
            (live_status())
        }
        div data-live="traffic" { (current(view)) }
    };
    Frame { title: "Traffic", active: "Traffic", body }.render(view)
}

/// What changes on the page by itself.
pub(super) fn current(view: &View<'_>) -> Markup {
    let total = &view.traffic.total;
    html! {
        section class="panel" aria-labelledby="all" {
            h2 id="all" { "Everything, in the last hour" }
            @if total.requests == 0 {
                (empty("Nobody has asked for anything yet", "Requests are counted here from the first on."))
            } @else { (chart::requests("all", view, total, None)) }
        }
        section class="panel" aria-labelledby="by-feature" {
            h2 id="by-feature" { "By feature, since " (words::exact(view.host.started_at)) }
            @if view.traffic.features.is_empty() {
                (empty("No feature was asked for yet", "Requests for pages and files of features are counted here, by feature."))
            } @else { (by_feature(view)) }
        }
    }
}

fn by_feature(view: &View<'_>) -> Markup {
    let columns = [
        column("Feature"),
        numbers("Requests"),
        numbers("Sent"),
        numbers("2xx"),
        numbers("3xx"),
        numbers("4xx"),
        numbers("5xx"),
        numbers("Cache hits"),
        numbers("p50"),
        numbers("p99"),
        column("Last hour"),
    ];
    let mut series: Vec<(Option<&FeatureId>, &Series)> =
        view.traffic.features.iter().map(|(id, series)| (Some(id), series)).collect();
    series.sort_by_key(|(_, series)| std::cmp::Reverse(series.requests));
    series.push((None, &view.traffic.total));
    let rows: Vec<Vec<Markup>> = series
        .into_iter()
        .map(|(id, series)| {
            let [ok, moved, wrong, failed] = series.by_class;
            let minutes: Vec<u64> = series.minutes.iter().map(|minute| minute.requests).collect();
            let title = format!("Requests by the minute, {}", id.map_or("all", |id| id.as_str()));
            let mut row = vec![match id {
                Some(id) => standing::link(id.as_str()),
                None => html! { "All" },
            }];
            row.push(html! { (words::number(series.requests)) });
            row.push(html! { (words::size(series.bytes)) });
            row.extend([ok, moved, wrong, failed].map(|count| {
                html! { @if count == 0 { (none()) } @else { (words::number(count)) } }
            }));
            row.push(html! { (cache_hits(series)) });
            row.push(html! { (words::latency(series.p50)) });
            row.push(html! { (words::latency(series.p99)) });
            row.push(chart::sparkline(&title, &minutes));
            row
        })
        .collect();
    html! { div class="rows dense" { (table("Traffic by feature", &columns, &rows)) } }
}

/// Replies of status 304, and which part of all they are.
fn cache_hits(series: &Series) -> String {
    let part = (series.cache_hits * 100).checked_div(series.requests).unwrap_or(0);
    format!("{} ({part} %)", words::number(series.cache_hits))
}
