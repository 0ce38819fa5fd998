//! The reason tree, for people and for machines.

use pilar_artifact::text::for_people;
use pilar_artifact::verify::Step;
use serde_json::{Value, json};

use super::view::{Checked, Facts, FeatureView, VersionView, checks_json};
use crate::problem::{Outcome, Problem};
use crate::ui::{Tone, Ui};

/// Prints what was found of a feature.
pub(super) fn feature(view: &FeatureView, ui: &Ui) {
    ui.line(ui.paint(Tone::Strong, &for_people(&view.feature_id)));
    let facts = match (view.index.sequence, &view.index.key_id) {
        (Some(sequence), Some(key)) => format!("sequence {sequence}, signed by {key}"),
        _ => String::new(),
    };
    print_checks(&view.index_checks(), &facts, ui);
    for version in &view.versions {
        let (name, words) = (for_people(&version.version), for_people(&version.standing()));
        ui.line(format!("  {} {words}", ui.paint(Tone::Strong, &name)));
        let checks = version.checks();
        // A host tries no more versions than it needs: thirteen times "not reached" would say nothing.
        if !checks.iter().all(|(_, checked)| matches!(checked, Checked::NotReached)) {
            print_checks(&checks, &facts_text(version.facts.as_ref()), ui);
        }
    }
    for trouble in view.troubles() {
        let (code, message) = (trouble.code, for_people(&trouble.message));
        ui.line(format!("  {} {message} ({code})", ui.paint(Tone::Bad, "not served as meant:")));
        ui.line(format!("       do: {}", trouble.remedy));
    }
    if let Some(desired) = &view.desired_version {
        ui.line(format!("  {}", conclusion(view, desired)));
    }
    ui.line("");
}

/// Prints what was found of a version directory without an index.
pub(super) fn version_alone(view: &VersionView, problem: Option<Problem>, ui: &Ui) -> Outcome {
    let checks = view.checks_without_index();
    ui.line(format!("{} (no index: steps 1 to 7 are not checked)", view.version));
    print_checks(&checks, &facts_text(view.facts.as_ref()), ui);
    let result =
        if problem.is_none() { "The version is whole." } else { "The version is refused." };
    let json = json!({ "version": view.json(&checks) });
    let problems = problem.into_iter().collect();
    Outcome { problems, problems_shown: true, ..Outcome::new(result, json) }
}

/// The same as [`feature`] for machines, in the words of `/_health`.
pub(super) fn describe(view: &FeatureView) -> Value {
    let versions = view.versions.iter().map(|version| version.json(&version.checks()));
    json!({
        "featureId": view.feature_id,
        "state": view.state,
        "servingVersion": view.serving_version,
        "desiredVersion": view.desired_version,
        "conflictWith": view.conflict_with,
        "index": {
            "sequence": view.index.sequence,
            "keyId": view.index.key_id,
            "refused": view.index.refused,
            "checks": checks_json(&view.index_checks()),
        },
        "versions": versions.collect::<Vec<_>>(),
    })
}

/// The last line.
pub(super) fn result(features: usize, refusals: usize) -> String {
    let features =
        if features == 1 { "1 feature".to_owned() } else { format!("{features} features") };
    match refusals {
        0 => format!("{features} inspected, nothing is refused."),
        1 => format!("{features} inspected, 1 refusal."),
        _ => format!("{features} inspected, {refusals} refusals."),
    }
}

fn print_checks(checks: &[(Step, Checked<'_>)], facts: &str, ui: &Ui) {
    for (step, checked) in checks {
        let (number, name) = (step.number(), step.name());
        let words = match checked {
            Checked::Passed => ui.paint(Tone::Good, "ok"),
            Checked::Refused(refusal) => {
                ui.paint(Tone::Bad, &format!("refused ({})", for_people(&refusal.code)))
            }
            Checked::NotReached => ui.paint(Tone::Quiet, "not reached"),
        };
        ui.line(format!("    {number:>2} {name:<18} {words}"));
        if let Checked::Refused(refusal) = checked {
            ui.line(format!("       {}", for_people(&refusal.message)));
            ui.line(format!("       in: {}", for_people(&refusal.file)));
            ui.line(format!("       do: {}", for_people(&refusal.remedy)));
        }
    }
    if !facts.is_empty() {
        ui.line(ui.paint(Tone::Quiet, &format!("       {}", for_people(facts))));
    }
}

fn facts_text(facts: Option<&Facts>) -> String {
    facts.map_or_else(String::new, |facts| {
        let Facts { files, bytes, manifest_sha256, key_id } = facts;
        let digest: String = manifest_sha256.chars().take(12).collect();
        format!("{files} files, {bytes} bytes, manifest {digest}, signed by {key_id}")
    })
}

fn conclusion(view: &FeatureView, desired: &str) -> String {
    let desired = for_people(desired);
    match (view.state.as_str(), view.serving_version.as_deref().map(for_people)) {
        ("last-good", Some(serving)) => {
            format!("goes on serving {serving} after a refresh that failed; {desired} was released")
        }
        (_, Some(serving)) if serving == desired => format!("serves {desired}, as released"),
        (_, Some(serving)) => format!("falls back to {serving}; {desired} was released"),
        (_, None) => format!("nothing serves; {desired} was released"),
    }
}
