//! Each version of a feature with each check, and why it serves or does not.

use maud::{Markup, html};
use pilar_artifact::index::{Provenance, ReleaseIndex};
use pilar_artifact::select::{Attempt, Outcome};
use pilar_artifact::verify::Step;
use semver::Version;

use crate::admin::pages::checks::{self, Chain, Failed};
use crate::admin::pages::features;
use crate::admin::pages::parts::{Tone, badge, empty, hash};
use crate::admin::{View, words};
use crate::catalog::{FeatureState, LoadedVersion};

pub(super) fn versions(view: &View<'_>, state: &FeatureState) -> Markup {
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
