//! Every feature in one table.

use maud::{Markup, html};

use super::super::{View, words};
use super::frame::{Frame, refresh};
use super::parts::{Column, Tone, badge, column, empty, none, table};
use super::standing;
use crate::catalog::FeatureState;
use jiff::Timestamp;

/// Every feature.
pub fn features(view: &View<'_>) -> Markup {
    let states: Vec<&FeatureState> = view.snapshot.features().values().collect();
    let body = html! {
        div class="title" {
            h1 { (words::count(states.len(), "feature", "features")) }
            (refresh(view))
        }
        div class="panel" {
            @if states.is_empty() {
                (empty("No feature is here yet",
                    html! { "Each feature in the artifacts directory is listed here, whether it serves or not. Publish one with "
                        code { "pilar publish --local" } ", then refresh." }))
            } @else {
                (list("Features", view, &states))
            }
        }
    };
    Frame { title: "Features", active: "Features", body }.render(view)
}

const COLUMNS: [Column; 8] = [
    column("Feature"),
    column("State"),
    column("Serving"),
    column("Released"),
    column("Type"),
    column("Route"),
    column("Channel"),
    column("Signature"),
];

/// These features.
pub(super) fn list(label: &str, view: &View<'_>, states: &[&FeatureState]) -> Markup {
    let rows: Vec<Vec<Markup>> = states.iter().map(|state| row(view, state)).collect();
    html! { div class="rows" { (table(label, &COLUMNS, &rows)) } }
}

fn row(view: &View<'_>, state: &FeatureState) -> Vec<Markup> {
    let manifest = state.picked.as_ref().map(|loaded| &loaded.manifest);
    let or_none = |text: Option<String>| match text {
        Some(text) => html! { (text) },
        None => none(),
    };
    let prefix = state.mount.as_ref().map(|mount| &mount.path_prefix);
    vec![
        html! {
            (standing::link(state.id.as_str()))
            @if standing::name(state) != state.id.as_str() { small { (standing::name(state)) } }
        },
        standing::state(state.standing),
        or_none(standing::serving(state)),
        or_none(standing::released(state)),
        or_none(manifest.map(|manifest| manifest.feature_type.as_str().to_owned())),
        html! { @if let Some(prefix) = prefix { code { (prefix) } } @else { (none()) } },
        or_none(manifest.map(|manifest| manifest.channel.clone())),
        signature(view, state),
    ]
}

/// Whether what serves is signed and whole, by which key, and until when that counts.
pub(super) fn signature(view: &View<'_>, state: &FeatureState) -> Markup {
    let Some(loaded) = state.serving() else {
        return if state.index.is_err() {
            badge(Tone::Bad, "Index refused")
        } else {
            badge(Tone::Quiet, "Nothing verified")
        };
    };
    html! {
        @if state.serves_on_an_ended_key() {
            (badge(Tone::Warn, "Key ended"))
        } @else if state.index.is_err() {
            (badge(Tone::Warn, "Index refused"))
        } @else {
            (badge(Tone::Good, "Verified"))
        }
        " " span class="key" { code { (loaded.key_id) } (until(loaded.key_not_after, view.now)) }
    }
}

/// When a key ends.
pub(super) fn until(not_after: Option<Timestamp>, now: Timestamp) -> Markup {
    html! {
        @if let Some(at) = not_after {
            @if at < now { ", ended " } @else { ", ends " } (words::moment(at, now))
        }
    }
}
