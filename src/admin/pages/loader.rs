//! What the loader beside this host does: whether it hears what is registered, what it refuses, how far it is.

use maud::{Markup, html};
use pilar_artifact::FeatureId;
use pilar_artifact::loader_status::{LoaderError, LoaderFeature, LoaderStatus};

use super::super::{View, words};
use super::parts::{Tone, badge, column, empty, facts, icon, none, origin, prose, table};
use super::standing;
use crate::loader_report::LoaderReport;

/// The body of the section.
pub(super) fn loader(view: &View<'_>, report: &LoaderReport) -> Markup {
    let LoaderReport { status, problem } = report;
    html! {
        @if let Some(problem) = problem {
            (notice(&html! { "The file .loader/status.json cannot be read: " (problem) }))
        }
        @if let Some(error) = &status.source.error {
            (notice(&html! { "It does not hear what is registered. " (why(error)) }))
        }
        @if status.source.is_known() { (source(view, status)) }
        @if !status.refused.is_empty() { (refused(view, status)) }
        @if !status.features.is_empty() {
            (features(view, status))
        } @else if problem.is_none() {
            (empty("The loader looks after no feature", "Each feature that is registered with it is listed here."))
        }
        @if let Some(at) = status.updated_at { p class="caption" { "Written " (words::moment(at, view.now)) } }
    }
}

fn notice(words: &Markup) -> Markup {
    html! { div class="notice warn" { (icon(Tone::Warn)) div { (words) } } }
}

fn source(view: &View<'_>, status: &LoaderStatus) -> Markup {
    let from = match status.source.kind.as_str() {
        "kubernetes" => "ConfigMaps of the cluster",
        "directory" => "A directory of files",
        "command" => "The command line",
        other => other,
    };
    let heard = match status.source.last_contact_at {
        Some(at) => words::moment(at, view.now),
        None => html! { "Not yet" },
    };
    facts(&[("Registrations from", html! { (from) }), ("Last heard from", heard)])
}

/// What went wrong, what to do, and the code to search for.
fn why(error: &LoaderError) -> Markup {
    html! {
        (prose(&error.message)) " " code { (error.code) }
        @if !error.remedy.is_empty() { p { (prose(&error.remedy)) } }
    }
}

fn refused(view: &View<'_>, status: &LoaderStatus) -> Markup {
    let columns = [column("Registration"), column("Feature"), column("Why it is refused")];
    let rows: Vec<Vec<Markup>> = status
        .refused
        .iter()
        .map(|refused| {
            vec![
                html! { code { (refused.place) } },
                refused.feature_id.as_ref().map_or_else(none, |id| name(view, id)),
                why(&refused.error),
            ]
        })
        .collect();
    html! { div class="rows" { (table("Registrations that the loader refuses", &columns, &rows)) } }
}

fn features(view: &View<'_>, status: &LoaderStatus) -> Markup {
    let columns = [
        column("Feature"),
        column("State"),
        column("Registered"),
        column("In place"),
        column("Tried"),
        column("Last error"),
    ];
    let digest = |digest: &Option<String>| digest.as_deref().map_or_else(none, origin);
    let rows: Vec<Vec<Markup>> = status
        .features
        .iter()
        .map(|(id, feature)| {
            vec![
                name(view, id),
                state(feature),
                digest(&feature.desired),
                digest(&feature.actual),
                html! {
                    @if let Some(at) = feature.last_attempt_at { (words::moment(at, view.now)) } @else { (none()) }
                    @if feature.attempts > 1 { ", " (words::number(feature.attempts)) " times" }
                },
                wrong(feature),
            ]
        })
        .collect();
    html! { div class="rows" { (table("Features that the loader looks after", &columns, &rows)) } }
}

/// Why it failed, and what is to be known whether or not it did.
fn wrong(feature: &LoaderFeature) -> Markup {
    let mut all = feature.last_error.iter().chain(&feature.warnings).peekable();
    if all.peek().is_none() {
        return none();
    }
    html! { @for error in all { div { (why(error)) } } }
}

/// A feature, which has no page of its own before it is in place.
fn name(view: &View<'_>, id: &FeatureId) -> Markup {
    match view.snapshot.features().contains_key(id) {
        true => standing::link(id.as_str()),
        false => html! { (id) },
    }
}

fn state(feature: &LoaderFeature) -> Markup {
    match (&feature.last_error, feature.has_converged()) {
        (_, true) => badge(Tone::Good, "In place"),
        (Some(_), false) => badge(Tone::Warn, "Fails"),
        (None, false) => badge(Tone::Info, "On its way"),
    }
}
