//! `shared`: what features leave out of their bundles against what pages can import.
//!
//! A page has one copy of each package, from the set `_shared`, whatever a feature says about singletons. So a
//! range that this copy does not lie in is a feature that runs with a version it was not made for.

use std::collections::BTreeMap;

use nodejs_semver::{Range, Version};
use pilar_artifact::{FeatureId, SourceManifest};
use serde_json::Value;

use crate::finding::Finding;
use crate::subject::{Subject, Subjects};

/// What the host embeds beside the set: the same file that it is built with.
const SDK: &str = include_str!("../../../sdk/dist/sdk.json");

/// What one feature asks of one package.
struct Wish<'s> {
    subject: &'s Subject,
    range: Option<Range>,
    text: &'s str,
}

impl Wish<'_> {
    fn field(&self, package: &str) -> String {
        format!("shared.{package}.requiredVersion")
    }
}

pub(super) fn check(subjects: &Subjects) -> Vec<Finding> {
    let set = subjects.get(FeatureId::SHARED).and_then(provided);
    let mut findings = Vec::new();
    let mut wishes: BTreeMap<&str, Vec<Wish<'_>>> = BTreeMap::new();
    for subject in &subjects.all {
        for (package, requirement) in &subject.manifest.shared {
            let text = requirement.required_version.as_deref().unwrap_or_default();
            let range = Range::parse(text).ok().filter(|_| !text.is_empty());
            let wish = Wish { subject, range, text };
            findings.extend(unclear(package, &wish));
            wishes.entry(package).or_default().push(wish);
        }
    }
    if set.is_none() && !wishes.is_empty() {
        let message =
            "features share packages, but there is no set of shared packages here to compare with";
        let remedy = "name an artifacts directory in which _shared is published";
        findings.push(Finding::warn("shared-set-missing", message, remedy));
    }
    let embedded = embedded();
    for (package, wishes) in &wishes {
        findings.extend(conflicts(package, wishes));
        if let Some((set, place)) = &set {
            findings.extend(against(set, place, package, wishes, &embedded));
        }
    }
    findings
}

/// The set that has packages, and its file. Its sources have none before they are built; then what is released counts.
fn provided(set: &Subject) -> Option<(&SourceManifest, String)> {
    let released =
        set.released.iter().map(|(file, manifest)| (manifest, file.display().to_string()));
    let all = [(&set.manifest, set.place())].into_iter().chain(released);
    all.into_iter().find(|(manifest, _)| !manifest.packages.is_empty())
}

/// Specifiers that pages can import without any set.
fn embedded() -> Vec<String> {
    let listing: Value = SDK.parse().unwrap_or_default();
    let imports = listing.get("imports").and_then(Value::as_object);
    imports.into_iter().flat_map(|imports| imports.keys().cloned()).collect()
}

/// A requirement that says nothing, or nothing that is understood.
fn unclear(package: &str, wish: &Wish<'_>) -> Option<Finding> {
    let (id, field) = (wish.subject.id(), wish.field(package));
    let finding = if wish.text.is_empty() {
        let message = format!(
            "{id} shares {package} without a range, so nothing notices a version that it cannot work with"
        );
        let remedy = "name the range that the feature is tested with, such as \"^19.0.0\"";
        Finding::warn("shared-range-missing", message, remedy)
    } else if wish.range.is_none() {
        let message = format!("{id}: \"{}\" is not a range of versions in npm's syntax", wish.text);
        Finding::fail("shared-range-invalid", message, "write a range such as \"^19.0.0\"")
    } else {
        return None;
    };
    Some(finding.at(wish.subject.place(), field))
}

/// What the set provides against what features ask for.
fn against(
    set: &SourceManifest,
    place: &str,
    package: &str,
    wishes: &[Wish<'_>],
    embedded: &[String],
) -> Vec<Finding> {
    let Some(provided) = set.packages.get(package) else {
        if embedded.iter().any(|own| own == package) {
            return Vec::new();
        }
        let missing = wishes.iter().map(|wish| {
            let id = wish.subject.id();
            let message =
                format!("{id} shares {package}, which the set {} does not provide", set.version);
            let remedy = "add the package to the set and publish it first, or bundle it";
            Finding::fail("shared-missing", message, remedy)
                .at(wish.subject.place(), format!("shared.{package}"))
                .at(place, "packages")
        });
        return missing.collect();
    };
    let found = &provided.version;
    // Both parsers take the same versions; a set that passed its checks has one.
    let Ok(version) = Version::parse(found.to_string()) else { return Vec::new() };
    let outside = wishes
        .iter()
        .filter(|wish| wish.range.as_ref().is_some_and(|range| !range.satisfies(&version)));
    outside
        .map(|wish| {
            let (id, text) = (wish.subject.id(), wish.text);
            let message = format!("{id} needs {package} {text}, the set provides {found}");
            let remedy = "test the feature with the version of the set and widen the range, or change the set first";
            Finding::fail("shared-range", message, remedy)
                .at(wish.subject.place(), wish.field(package))
                .at(place, format!("packages.{package}.version"))
        })
        .collect()
}

/// Features whose ranges have no version in common: no set can serve them all.
fn conflicts(package: &str, wishes: &[Wish<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (position, one) in wishes.iter().enumerate() {
        for other in wishes.iter().skip(position + 1) {
            let (Some(range), Some(theirs)) = (&one.range, &other.range) else { continue };
            if range.intersect(theirs).is_some() {
                continue;
            }
            let message = format!(
                "{} needs {package} {}, {} needs {}: no version is both",
                one.subject.id(),
                one.text,
                other.subject.id(),
                other.text
            );
            let remedy =
                "bring one of them to the version of the other, or let one bundle its own copy";
            findings.push(
                Finding::fail("shared-conflict", message, remedy)
                    .at(one.subject.place(), one.field(package))
                    .at(other.subject.place(), other.field(package)),
            );
        }
    }
    findings
}
