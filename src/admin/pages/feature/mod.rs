//! One feature: each version with each check, and everything else that is known of it.

mod files;
mod index;
mod versions;

use maud::{Markup, html};
use pilar_artifact::FeatureId;

use super::frame::{Frame, refresh};
use super::parts::{empty, facts, hash, icon, none, origin, prose, section};
use super::{events, features, standing};
use crate::admin::{View, chart, words};
use crate::catalog::FeatureState;

/// One feature; none if there is no such feature.
pub fn feature(view: &View<'_>, id: &FeatureId) -> Option<Markup> {
    let state = view.snapshot.features().get(id)?;
    let known = state.index.as_ref().ok().map(|facts| &*facts.index);
    let body = html! {
        (heading(view, state))
        (section("facts", "What serves", &served(view, state)))
        (section("index", "Release index", &index::release_index(view, state)))
        (section("versions", "Versions", &versions::versions(view, state)))
        @if let Some(loaded) = state.serving() {
            (section("files", "Files", &files::files(loaded)))
        }
        (section("traffic", "Traffic", &traffic(view, id)))
        @if let Some(known) = known {
            (section("releases", "Release history", &index::releases(view, &known.history)))
        }
        (section("events", "What happened on this host", &events::list(view, &view.history.latest(Some(id)), false)))
    };
    Some(Frame { title: standing::name(state), active: "Features", body }.render(view))
}

fn heading(view: &View<'_>, state: &FeatureState) -> Markup {
    let why = standing::reasons(view, state);
    let headline = match (standing::serving(state), standing::released(state)) {
        (Some(serving), Some(released)) if serving == released => {
            format!("Serving {serving} as released.")
        }
        (Some(serving), Some(released)) => format!("Serving {serving}; {released} is released."),
        (Some(serving), None) => format!("Serving {serving}, from before its index was refused."),
        (None, Some(released)) => format!("Serving nothing; {released} is released."),
        (None, None) => "Serving nothing; its index was refused.".to_owned(),
    };
    html! {
        p class="trail" { a href="/_admin/features" { "Features" } " / " code { (state.id) } }
        div class={ "answer " (standing::tone(state.standing).name()) } {
            (icon(standing::tone(state.standing)))
            div {
                h1 { (standing::name(state)) " " (standing::state(state.standing)) }
                p { (headline) }
                @if !why.is_empty() { ul { @for reason in &why { li { (prose(reason)) } } } }
            }
            (refresh(view))
        }
    }
}

fn served(view: &View<'_>, state: &FeatureState) -> Markup {
    let manifest = state.picked.as_ref().map(|loaded| &loaded.manifest);
    let or_none = |value: Option<Markup>| value.unwrap_or_else(none);
    let loader = view.loader.as_ref().and_then(|report| report.feature(state.id.as_str()));
    let route = state.mount.as_ref().map(|mount| &mount.path_prefix);
    let mut rows = vec![
        ("Serving", or_none(standing::serving(state).map(|version| html! { (version) }))),
        ("Released", or_none(standing::released(state).map(|version| html! { (version) }))),
        ("Type", or_none(manifest.map(|one| html! { (one.feature_type.as_str()) }))),
        ("Route", or_none(route.map(|prefix| html! { a href=(prefix) { code { (prefix) } } }))),
        ("Channel", or_none(manifest.map(|one| html! { (one.channel) }))),
        ("Signature", features::signature(view, state)),
    ];
    if let Some(loaded) = state.serving() {
        rows.push(("Manifest", hash(&loaded.manifest_sha256.hex())));
        rows.push((
            "Size",
            html! {
                (words::size(loaded.bytes)) " in "
                (words::count(loaded.manifest.integrity.len(), "file", "files"))
            },
        ));
    }
    for other in view.snapshot.health().overlaps(&state.id) {
        rows.push((
            "Overlaps",
            html! {
                code { (other.prefix) } " of " (standing::link(other.feature_id.as_str()))
            },
        ));
    }
    if let Some(loader) = loader {
        rows.push(("Loader: registered", or_none(loader.desired.as_deref().map(origin))));
        rows.push(("Loader: in place", or_none(loader.actual.as_deref().map(origin))));
        if let Some(at) = loader.last_success_at {
            rows.push(("Loader: last success", html! {
                (words::moment(at, view.now))
                @if let Some(time) = loader.duration_ms { ", took " (words::number(time)) " ms" }
            }));
        }
    }
    facts(&rows)
}

fn traffic(view: &View<'_>, id: &FeatureId) -> Markup {
    let series = view.traffic.features.get(id).filter(|series| series.requests > 0);
    let Some(series) = series else {
        return empty(
            "Nobody has asked for it yet",
            "Requests for its pages and files are counted here from the first on.",
        );
    };
    html! { (chart::requests("feature", view, series, Some(id))) }
}
