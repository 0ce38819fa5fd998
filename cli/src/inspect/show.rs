//! The reason tree, for people and for machines.

use std::path::Path;

use pilar_artifact::select::Outcome as Standing;
use pilar_artifact::verify::Step;
use pilar_artifact::{Rejection, verify::VerifiedVersion};
use serde_json::{Value, json};

use super::chain::{Checked, FeatureReport, INDEX_STEPS, VersionReport, checks};
use crate::problem::{Outcome, Problem};
use crate::ui::{Tone, Ui};

/// Prints what was found of a feature.
pub(super) fn feature(report: &FeatureReport, ui: &Ui) {
    let (index_steps, version_steps) = Step::ALL.split_at(INDEX_STEPS);
    let index = report.index.as_ref();
    ui.line(ui.paint(Tone::Strong, report.feature.as_str()));
    let facts = index.map_or_else(
        |_| String::new(),
        |verified| format!("sequence {}, signed by {}", verified.index.sequence, verified.key_id),
    );
    print_checks(index_steps, index.err(), &facts, ui);
    for version in &report.versions {
        let words = version.outcome.as_ref().map_or_else(String::new, standing_text);
        ui.line(format!("  {} {words}", ui.paint(Tone::Strong, &version.version.to_string())));
        let verified = version.verified.as_ref();
        print_checks(version_steps, verified.err(), &facts_of(verified.ok()), ui);
    }
    if let Ok(verified) = index {
        ui.line(format!("  {}", conclusion(report, &verified.index.active_version.to_string())));
    }
    ui.line("");
}

/// Prints what was found of a version directory without an index.
pub(super) fn version_alone(report: &VersionReport, dir: &Path, ui: &Ui) -> Outcome {
    let (_, steps) = Step::ALL.split_at(Step::ManifestJson as usize);
    let verified = report.verified.as_ref();
    ui.line(format!("{} (no index: steps 1 to 7 are not checked)", report.version));
    print_checks(steps, verified.err(), &facts_of(verified.ok()), ui);
    let problems: Vec<Problem> = verified
        .err()
        .map(|rejection| {
            let parent = dir.parent().unwrap_or(dir);
            Problem::from(rejection).file(parent.join(rejection.file()))
        })
        .into_iter()
        .collect();
    let result =
        if problems.is_empty() { "The version is whole." } else { "The version is refused." };
    let json = json!({ "version": version_json(report, steps) });
    Outcome { problems, problems_shown: true, ..Outcome::new(result, json) }
}

/// The same as [`feature`] for machines, in the words of `/_health`.
pub(super) fn describe(report: &FeatureReport) -> Value {
    let (index_steps, version_steps) = Step::ALL.split_at(INDEX_STEPS);
    let index = report.index.as_ref();
    let serving = report.serving().map(|serving| &serving.version);
    let desired = index.ok().map(|verified| &verified.index.active_version);
    json!({
        "featureId": report.feature,
        "state": match (serving, desired) {
            (Some(serving), Some(desired)) if serving == desired => "as-released",
            (Some(_), _) => "fallback",
            (None, _) => "nothing-to-serve",
        },
        "servingVersion": serving,
        "desiredVersion": desired,
        "index": {
            "sequence": index.ok().map(|verified| verified.index.sequence),
            "keyId": index.ok().map(|verified| &verified.key_id),
            "refused": index.err().map(Rejection::report),
            "checks": checks_json(index_steps, index.err()),
        },
        "versions": report
            .versions
            .iter()
            .map(|version| version_json(version, version_steps))
            .collect::<Vec<_>>(),
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

fn print_checks(steps: &'static [Step], refusal: Option<&Rejection>, facts: &str, ui: &Ui) {
    for (step, checked) in checks(steps, refusal) {
        let (number, name) = (step.number(), step.name());
        let words = match &checked {
            Checked::Passed => ui.paint(Tone::Good, "ok"),
            Checked::Refused(refusal) => {
                ui.paint(Tone::Bad, &format!("refused ({})", refusal.code()))
            }
            Checked::NotReached => ui.paint(Tone::Quiet, "not reached"),
        };
        ui.line(format!("    {number:>2} {name:<18} {words}"));
        if let Checked::Refused(refusal) = checked {
            ui.line(format!("       {}", refusal.failure()));
            ui.line(format!("       in: {}/{}", refusal.feature(), refusal.file()));
            ui.line(format!("       do: {}", refusal.remedy()));
        }
    }
    if !facts.is_empty() {
        ui.line(ui.paint(Tone::Quiet, &format!("       {facts}")));
    }
}

fn facts_of(verified: Option<&VerifiedVersion>) -> String {
    verified.map_or_else(String::new, |version| {
        let digest: String = version.manifest_sha256.hex().chars().take(12).collect();
        let files = version.manifest.integrity.len();
        let VerifiedVersion { bytes, key_id, .. } = version;
        format!("{files} files, {bytes} bytes, manifest {digest}, signed by {key_id}")
    })
}

fn conclusion(report: &FeatureReport, desired: &str) -> String {
    match report.serving() {
        Some(serving) if serving.version.to_string() == desired => {
            format!("serves {desired}, as released")
        }
        Some(serving) => format!("falls back to {}; {desired} was released", serving.version),
        None => format!("nothing serves; {desired} was released"),
    }
}

fn standing_text(standing: &Standing) -> String {
    match standing {
        Standing::Serving => "serves".to_owned(),
        Standing::Rejected(_) => "refused".to_owned(),
        Standing::Revoked { reason, at } => format!("revoked at {at}: {reason}"),
        Standing::BelowFloor { floor } => format!("below the floor {floor}"),
        Standing::AboveActive => "above the released version".to_owned(),
        Standing::Standby => "standby".to_owned(),
    }
}

fn version_json(report: &VersionReport, steps: &'static [Step]) -> Value {
    let verified = report.verified.as_ref();
    json!({
        "version": report.version,
        "outcome": report.outcome.as_ref().map(|standing| match standing {
            Standing::Serving => "serving",
            Standing::Rejected(_) => "refused",
            Standing::Revoked { .. } => "revoked",
            Standing::BelowFloor { .. } => "below-floor",
            Standing::AboveActive => "above-active",
            Standing::Standby => "standby",
        }),
        "bytes": verified.ok().map(|version| version.bytes),
        "keyId": verified.ok().map(|version| &version.key_id),
        "manifestSha256": verified.ok().map(|version| version.manifest_sha256.hex()),
        "refused": verified.err().map(Rejection::report),
        "checks": checks_json(steps, verified.err()),
    })
}

fn checks_json(steps: &'static [Step], refusal: Option<&Rejection>) -> Vec<Value> {
    checks(steps, refusal)
        .map(|(step, checked)| {
            let result = match checked {
                Checked::Passed => "passed",
                Checked::Refused(_) => "refused",
                Checked::NotReached => "not-reached",
            };
            json!({ "step": step.number(), "check": step.name(), "result": result })
        })
        .collect()
}
