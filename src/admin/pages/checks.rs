//! The numbered checks of an index or a version (`docs/verification.md`), each with its result.

use maud::{Markup, html};
use pilar_artifact::verify::{Failure, Report, Step};

use super::super::words;
use super::parts::{Tone, icon};

/// How far a chain of checks came.
pub(super) enum Chain<'a> {
    /// Every check passed; what some of them have to say.
    Passed(&'a dyn Fn(Step) -> Option<Markup>),
    /// This one failed, and the later ones were not made.
    Failed(Failed<'a>),
    /// None was made, for this reason.
    NotMade(&'a str),
}

/// A check that failed.
pub(super) struct Failed<'a> {
    pub(super) report: &'a Report,
    /// What is known of it beside words; none where the directory itself is the trouble.
    pub(super) failure: Option<&'a Failure>,
}

/// The list of these checks.
pub(super) fn list(label: &str, steps: &[Step], chain: &Chain<'_>) -> Markup {
    html! {
        @if let Chain::NotMade(why) = chain { p class="caption" { (why) } }
        ol class="checks" aria-label=(label) {
            @for step in steps { (check(*step, chain)) }
        }
    }
}

fn check(step: Step, chain: &Chain<'_>) -> Markup {
    match chain {
        Chain::Passed(words) => line(step, Tone::Good, "passed", &words(step).unwrap_or_default()),
        Chain::NotMade(_) => line(step, Tone::Quiet, "not made", &html! {}),
        Chain::Failed(failed) if step.number() < failed.report.step => {
            line(step, Tone::Good, "passed", &html! {})
        }
        Chain::Failed(failed) if step.number() > failed.report.step => {
            line(step, Tone::Quiet, "not reached", &html! {})
        }
        Chain::Failed(failed) => refused(step, failed),
    }
}

fn line(step: Step, tone: Tone, word: &str, result: &Markup) -> Markup {
    html! {
        li class=(tone.name()) {
            (name(step, tone, word)) span class="result" { (result) }
        }
    }
}

fn name(step: Step, tone: Tone, word: &str) -> Markup {
    html! {
        (icon(tone))
        span class="step" { (step.number()) }
        span class="check" { (step.name()) }
        span class="word" { (word) }
    }
}

fn refused(step: Step, failed: &Failed<'_>) -> Markup {
    let Report { code, file, message, remedy, .. } = failed.report;
    let compared = failed.failure.and_then(compared);
    html! {
        li class="bad" {
            details open {
                summary {
                    (name(step, Tone::Bad, "failed"))
                    span class="result" { code { (code) } }
                }
                dl class="finding" {
                    div { dt { "File" } dd { code { (file) } } }
                    @if let Some((expected, found)) = &compared {
                        div { dt { "Expected" } dd { code { (expected) } } }
                        div { dt { "Found" } dd { code { (found) } } }
                    } @else {
                        div { dt { "Found" } dd { (words::sentence(message)) } }
                    }
                    div { dt { "What to do" } dd { (words::sentence(remedy)) } }
                }
            }
        }
    }
}

/// The two values of a check that compares; the others have a sentence.
fn compared(failure: &Failure) -> Option<(String, String)> {
    let pair = |expected: &dyn ToString, found: &dyn ToString| {
        Some((expected.to_string(), found.to_string()))
    };
    match failure {
        Failure::ManifestHash { expected, found } | Failure::FileHash { expected, found } => {
            pair(&format!("SHA-256 {expected}"), &format!("SHA-256 {found}"))
        }
        Failure::IdMismatch { expected, found } => pair(expected, found),
        Failure::VersionMismatch { expected, found } => pair(expected, found),
        Failure::ServerFunctionsHash { expected, found } => {
            let found = found.map_or("no module".to_owned(), |digest| format!("SHA-256 {digest}"));
            pair(&format!("SHA-256 {expected}"), &found)
        }
        Failure::HostTooOld { needs, host } => {
            pair(&format!("host {needs} or later"), &format!("host {host}"))
        }
        _ => None,
    }
}
