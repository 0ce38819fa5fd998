//! URL prefixes: who has them, and who would like to.

use maud::{Markup, html};

use super::super::View;
use super::frame::Frame;
use super::parts::{Tone, badge, column, empty, icon, none, section, table};
use super::standing;
use crate::catalog::FeatureState;

/// URL prefixes and conflicts.
pub fn routes(view: &View<'_>) -> Markup {
    let mut states: Vec<(&str, &FeatureState)> = view
        .snapshot
        .features()
        .values()
        .filter_map(|state| Some((state.mount.as_ref()?.path_prefix.as_str(), state)))
        .collect();
    states.sort_by_key(|(prefix, state)| (*prefix, state.conflict.is_some()));
    let conflicts: Vec<_> =
        states.iter().filter(|(_, state)| state.conflict.is_some()).copied().collect();
    let (tone, headline) = match conflicts.len() {
        _ if states.is_empty() => (Tone::Quiet, "No feature has a URL prefix yet".to_owned()),
        0 => (Tone::Good, "Each URL prefix has one feature".to_owned()),
        1 => (Tone::Bad, "1 feature has a prefix that another has".to_owned()),
        count => (Tone::Bad, format!("{count} features have a prefix that another has")),
    };
    let body = html! {
        div class={ "answer " (tone.name()) } {
            (icon(tone))
            div {
                h1 { (headline) }
                p class="caption" { "The longest prefix that a path lies under decides who answers." }
            }
        }
        @if !conflicts.is_empty() {
            (section("conflicts", "Conflicts", &html! {
                @for (prefix, state) in &conflicts { (conflict(prefix, state)) }
            }))
        }
        section class="panel" aria-labelledby="prefixes" {
            h2 id="prefixes" { "Prefixes" }
            @if states.is_empty() {
                (empty("No prefix is taken",
                    "A feature of the type domain owns the prefix in its mount.pathPrefix; it is listed here once it is published."))
            } @else { (prefixes(view, &states)) }
        }
    };
    Frame { title: "Routes", active: "Routes", body }.render(view)
}

fn conflict(prefix: &str, state: &FeatureState) -> Markup {
    let owner = state.conflict.as_ref().map(ToString::to_string).unwrap_or_default();
    html! {
        div class="conflict" {
            p { code { (prefix) } " is served by " (standing::link(&owner)) ", not by " (standing::link(state.id.as_str())) "." }
            p class="caption" {
                "Who held a prefix first keeps it. To serve both, give one of them another mount.pathPrefix and publish it again."
            }
        }
    }
}

fn prefixes(view: &View<'_>, states: &[(&str, &FeatureState)]) -> Markup {
    let columns = [
        column("Prefix"),
        column("Feature"),
        column("State"),
        column("Routes below it"),
        column("Overlaps"),
    ];
    let rows: Vec<Vec<Markup>> = states
        .iter()
        .map(|(prefix, state)| {
            let routes = state.picked.as_ref().map_or(&[][..], |loaded| &loaded.manifest.routes);
            let overlaps = view.snapshot.health().overlaps(&state.id);
            vec![
                html! { code { (prefix) } },
                standing::link(state.id.as_str()),
                match &state.conflict {
                    Some(_) => badge(Tone::Bad, "Prefix taken"),
                    None => standing::state(state.standing),
                },
                html! {
                    @if routes.is_empty() { (none()) }
                    @for (position, route) in routes.iter().enumerate() {
                        @if position > 0 { ", " } code { (route.path()) }
                    }
                },
                html! {
                    @if overlaps.is_empty() { (none()) }
                    @for other in overlaps {
                        p { code { (other.prefix) } " of " (standing::link(other.feature_id.as_str())) }
                    }
                },
            ]
        })
        .collect();
    html! { div class="rows" { (table("URL prefixes", &columns, &rows)) } }
}
