//! One feature: each version with each check, and everything else that is known of it.

use maud::{Markup, html};
use pilar_artifact::index::{HistoryEntry, Provenance, ReleaseIndex};
use pilar_artifact::select::{Attempt, Outcome};
use pilar_artifact::verify::Step;
use pilar_artifact::{FeatureId, FileName};
use semver::Version;

use super::super::{View, chart, words};
use super::checks::{self, Chain, Failed};
use super::frame::{Frame, refresh};
use super::parts::{
    Tone, badge, column, empty, facts, hash, icon, none, numbers, prose, section, table,
};
use super::{events, features, standing};
use crate::catalog::{FeatureState, IndexTrouble, LoadedVersion};
use crate::http::Encoding;

/// One feature; none if there is no such feature.
pub fn feature(view: &View<'_>, id: &FeatureId) -> Option<Markup> {
    let state = view.snapshot.features().get(id)?;
    let index = state.index.as_ref().ok().map(|facts| &*facts.index);
    let body = html! {
        (heading(view, state))
        (section("facts", "What serves", &served(view, state)))
        (section("index", "Release index", &release_index(view, state)))
        (section("versions", "Versions", &versions(view, state)))
        @if let Some(loaded) = state.serving() {
            (section("files", "Files", &files(loaded)))
        }
        (section("traffic", "Traffic", &traffic(view, id)))
        @if let Some(index) = index {
            (section("releases", "Release history", &releases(view, &index.history)))
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
    let loader = view.loader.as_ref().and_then(|status| status.feature(state.id.as_str()));
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
        rows.push(("Loader: registered", or_none(loader.desired.as_deref().map(hash))));
        rows.push(("Loader: in place", or_none(loader.actual.as_deref().map(hash))));
        if let Some(at) = loader.last_success_at {
            rows.push(("Loader: last success", html! {
                (words::moment(at, view.now))
                @if let Some(time) = loader.duration_ms { ", took " (words::number(time)) " ms" }
            }));
        }
    }
    facts(&rows)
}

fn release_index(view: &View<'_>, state: &FeatureState) -> Markup {
    let (of_index, _) = Step::ALL.split_at(5);
    match &state.index {
        Err(trouble) => {
            let report = trouble.report(&state.id);
            let failure = match trouble {
                IndexTrouble::Rejected(rejection) => Some(rejection.failure()),
                IndexTrouble::Directory(_) | IndexTrouble::NotADirectory => None,
            };
            let chain = Chain::Failed(Failed { report: &report, failure });
            checks::list("Checks of the release index", of_index, &chain)
        }
        Ok(known) => {
            let index = &known.index;
            let says = |step| {
                (step == Step::IndexSignature).then(|| html! {
                    "key " code { (known.key_id) } (features::until(known.key_not_after, view.now))
                })
            };
            html! {
                (facts(&[
                    ("Sequence", html! {
                        (words::number(index.sequence))
                        @if let Some(from) = known.sequence_went_down_from {
                            " " (badge(Tone::Warn, &format!("was {from} before")))
                        }
                    }),
                    ("Channels", html! {
                        @for (position, (channel, version)) in index.channels.iter().enumerate() {
                            @if position > 0 { ", " } (channel) " " (version)
                        }
                    }),
                    ("Fallback floor", html! {
                        @if let Some(floor) = &index.minimum_version { (floor) } @else { "none" }
                    }),
                    ("Canary rollout", html! {
                        @if let Some(rollout) = &index.rollout {
                            (rollout.version) " to " (rollout.percent) " %, "
                            (words::moment(rollout.started_at, view.now))
                        } @else { "none" }
                    }),
                ]))
                (checks::list("Checks of the release index", of_index, &Chain::Passed(&says)))
            }
        }
    }
}

fn versions(view: &View<'_>, state: &FeatureState) -> Markup {
    let Ok(known) = &state.index else {
        return html! {
            @if let Some(loaded) = state.serving() {
                p { "Of the refused index nothing is believed. Version " (loaded.manifest.version)
                    " goes on serving from memory, as it was verified before." }
            } @else {
                (empty("Nothing is known of any version",
                    "Each version with its checks is listed here once the release index passes its own."))
            }
        };
    };
    let first_bad =
        state.attempts.iter().position(|one| matches!(one.outcome, Outcome::Rejected(_)));
    let open = first_bad.unwrap_or(0);
    html! {
        p class="caption" { "The highest first. Checks 1 to 5 are those of the release index, above." }
        @for (position, attempt) in state.attempts.iter().enumerate() {
            (version(view, state, &known.index, attempt, position == open))
        }
    }
}

fn version(
    view: &View<'_>,
    state: &FeatureState,
    index: &ReleaseIndex,
    attempt: &Attempt,
    is_open: bool,
) -> Markup {
    let (_, of_version) = Step::ALL.split_at(5);
    let loaded = in_memory(view, state, &attempt.version);
    let is_active = attempt.version == index.active_version;
    let (tone, word, line) = outcome(attempt);
    let retained = view.snapshot.retained().iter().find(|kept| {
        kept.version.manifest.id == state.id && kept.version.manifest.version == attempt.version
    });
    let entry = index.entry(&attempt.version);
    let says = |step| loaded.and_then(|loaded| passed(view, loaded, step));
    let report = rejected(attempt);
    let chain = match (&attempt.outcome, &report, loaded) {
        (Outcome::Rejected(rejection), Some(report), _) => {
            Chain::Failed(Failed { report, failure: Some(rejection.failure()) })
        }
        (Outcome::Serving, _, _) | (_, _, Some(_)) => Chain::Passed(&says),
        _ => Chain::NotMade("It is checked when it is needed."),
    };
    html! {
        details class="version" open[is_open] {
            summary {
                span class="number" { (attempt.version) }
                (badge(tone, word))
                @if is_active { span class="tag" { "released" } }
                @if Some(&attempt.version) == index.canary() { span class="tag" { "canary" } }
                @if retained.is_some() { span class="tag" { "retained" } }
                span class="result" { (line) }
            }
            div class="inside" {
                @if let Outcome::Revoked { reason, at } = &attempt.outcome {
                    p { "Check 6, version listed, failed: revoked " (words::moment(*at, view.now)) ". Reason: " (reason)
                        ". What to do: publish a new version; a revoked one never serves again." }
                } @else {
                    (checks::list(&format!("Checks of version {}", attempt.version), of_version, &chain))
                }
                dl class="facts" {
                    @if let Some(entry) = entry {
                        div { dt { "Manifest" } dd { (hash(&entry.manifest_sha256.0.hex())) } }
                    }
                    @if let Some(kept) = retained {
                        div { dt { "Retained" } dd {
                            (words::size(kept.version.bytes)) " for pages that are still open"
                            @if let Some(until) = kept.served_until {
                                ", served until " (words::moment(until.wall, view.now))
                            } @else { ", as listed in the index" }
                        } }
                    }
                    (provenance(view, entry.and_then(|entry| entry.provenance.as_ref())))
                }
            }
        }
    }
}

/// What a passed check has to say of a version that is in memory.
fn passed(view: &View<'_>, loaded: &LoadedVersion, step: Step) -> Option<Markup> {
    match step {
        Step::ManifestHash => Some(html! { "SHA-256 " (hash(&loaded.manifest_sha256.hex())) }),
        Step::ManifestSignature => Some(html! {
            "key " code { (loaded.key_id) } (features::until(loaded.key_not_after, view.now))
        }),
        Step::HostVersion => Some(match loaded.manifest.min_host_version() {
            Some(needs) => html! { "needs " (needs) " or later, this is " (view.host.version) },
            None => html! { "any host will do" },
        }),
        Step::Files => Some(html! {
            (words::count(loaded.manifest.integrity.len(), "file", "files")) ", " (words::size(loaded.bytes))
        }),
        _ => None,
    }
}

fn outcome(attempt: &Attempt) -> (Tone, &'static str, String) {
    match &attempt.outcome {
        Outcome::Serving => (Tone::Good, "Serving", String::new()),
        Outcome::Rejected(rejection) => {
            let step = rejection.step();
            (Tone::Bad, "Refused", format!("check {}, {}", step.number(), step.name()))
        }
        Outcome::Revoked { reason, .. } => (Tone::Bad, "Revoked", reason.clone()),
        Outcome::BelowFloor { floor } => {
            (Tone::Quiet, "Below the floor", format!("no fallback goes below {floor}"))
        }
        Outcome::AboveActive => {
            (Tone::Info, "Not released", "above the released version".to_owned())
        }
        Outcome::Standby => (Tone::Quiet, "Standing by", "for a fallback".to_owned()),
    }
}

fn rejected(attempt: &Attempt) -> Option<pilar_artifact::verify::Report> {
    match &attempt.outcome {
        Outcome::Rejected(rejection) => Some(rejection.report()),
        _ => None,
    }
}

/// A version whose bytes are in memory, because it serves or is retained.
fn in_memory<'a>(
    view: &'a View<'_>,
    state: &'a FeatureState,
    version: &Version,
) -> Option<&'a LoadedVersion> {
    let retained = view.snapshot.retained().iter().map(|kept| &kept.version);
    state
        .picked
        .iter()
        .chain(retained)
        .map(|loaded| &**loaded)
        .find(|loaded| loaded.manifest.id == state.id && loaded.manifest.version == *version)
}

fn provenance(view: &View<'_>, provenance: Option<&Provenance>) -> Markup {
    let Some(from) = provenance else {
        return html! { div { dt { "Provenance" } dd { "the index does not say" } } };
    };
    let texts = [
        ("Commit", Some(&from.git_sha)),
        ("Published by", Some(&from.actor)),
        ("Reason", from.reason.as_ref()),
        ("Ticket", from.ticket.as_ref()),
    ];
    html! {
        div { dt { "Built" } dd { (words::moment(from.built_at, view.now)) } }
        @for (name, text) in texts {
            @if let Some(text) = text.filter(|text| !text.is_empty()) {
                div { dt { (name) } dd {
                    @if name == "Commit" { (hash(text)) } @else { (text) }
                } }
            }
        }
    }
}

fn files(loaded: &LoadedVersion) -> Markup {
    let columns = [column("File"), numbers("Size"), column("Encodings"), column("SHA-256 (SRI)")];
    let row = |(name, integrity): (&FileName, &pilar_artifact::digest::Integrity)| {
        let url = loaded.url(name);
        let asset = loaded.assets.iter().find(|(path, _)| **path == *url);
        let representations = asset.map_or(&[][..], |(_, resource)| resource.representations());
        let plain = representations.iter().find(|one| one.encoding() == Encoding::Identity);
        let others: Vec<&str> = representations
            .iter()
            .map(|one| one.encoding())
            .filter(|encoding| *encoding != Encoding::Identity)
            .map(Encoding::name)
            .collect();
        vec![
            html! { @if asset.is_some() { a href=(url) { code { (name) } } } @else { code { (name) } } },
            html! { @if let Some(one) = plain { (words::size(one.body().len() as u64)) } @else { (none()) } },
            html! {
                @if asset.is_none() { "not served under its own name" }
                @else if others.is_empty() { (none()) }
                @else { (others.join(", ")) }
            },
            html! { code class="sri" title=(integrity.0.sri()) { (integrity.0.sri()) } },
        ]
    };
    let rows: Vec<Vec<Markup>> = loaded.manifest.integrity.iter().map(row).collect();
    html! {
        details class="more-files" open[rows.len() <= 12] {
            summary { (words::count(rows.len(), "file", "files")) " of " (loaded.manifest.version) ", " (words::size(loaded.bytes)) }
            div class="rows" { (table("Files of the version that serves", &columns, &rows)) }
        }
    }
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

fn releases(view: &View<'_>, history: &[HistoryEntry]) -> Markup {
    if history.is_empty() {
        return empty(
            "The index holds no history",
            html! { "What " code { "pilar release" } " does is written down here." },
        );
    }
    let columns = [
        column("Sequence"),
        column("When"),
        column("What"),
        column("Version"),
        column("Before"),
        column("By"),
        column("Why"),
    ];
    let text = |text: Option<&String>| match text {
        Some(text) => html! { (text) },
        None => none(),
    };
    let rows: Vec<Vec<Markup>> = history
        .iter()
        .map(|entry| {
            vec![
                html! { (entry.sequence) },
                words::moment(entry.at, view.now),
                html! { (entry.action) },
                html! { (entry.version) },
                text(entry.from.as_ref().map(ToString::to_string).as_ref()),
                text(entry.actor.as_ref()),
                html! {
                    (text(entry.reason.as_ref()))
                    @if let Some(ticket) = &entry.ticket { " " (ticket) }
                },
            ]
        })
        .collect();
    html! { div class="rows" { (table("Release history", &columns, &rows)) } }
}
