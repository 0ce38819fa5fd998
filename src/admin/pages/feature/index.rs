//! The release index of a feature: what it asks for, its checks, and what was done to it.

use maud::{Markup, html};
use pilar_artifact::index::HistoryEntry;
use pilar_artifact::verify::Step;

use crate::admin::pages::checks::{self, Chain, Failed};
use crate::admin::pages::features;
use crate::admin::pages::parts::{Tone, badge, column, empty, facts, none, table};
use crate::admin::{View, words};
use crate::catalog::{FeatureState, IndexTrouble};

pub(super) fn release_index(view: &View<'_>, state: &FeatureState) -> Markup {
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

pub(super) fn releases(view: &View<'_>, history: &[HistoryEntry]) -> Markup {
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
