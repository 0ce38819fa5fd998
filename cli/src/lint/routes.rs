//! Who gets which URLs, by the rule of contract §6: the longest prefix wins its subtree; of equal ones, who held it
//! keeps it, otherwise the lower id does.

use std::collections::BTreeMap;

use pilar_artifact::manifest::FeatureType;

use crate::finding::Finding;
use crate::subject::{Subject, prefix_of};

const PREFIX: &str = "mount.pathPrefix";
/// First segments that the host answers itself; a manifest cannot have them, in exactly this spelling.
const RESERVED: [&str; 2] = ["api", "rpc"];

/// Checks the prefixes and paths of all features against each other.
pub(super) fn check(subjects: &[Subject]) -> Vec<Finding> {
    let owners = Owners::of(subjects);
    let mut findings = Vec::new();
    for (position, subject) in subjects.iter().enumerate() {
        if let Some(prefix) = subject.prefix() {
            let later = subjects.iter().skip(position + 1);
            findings.extend(later.filter_map(|other| pair(subject, prefix, other)));
            findings.extend(like_reserved(subject, prefix));
            findings.extend(shadowed_routes(subject, prefix, &owners));
            findings.extend(changed_prefix(subject, prefix));
        }
        findings.extend(arena(subject, &owners));
    }
    findings
}

/// Prefix → the feature that gets it.
struct Owners<'s> {
    by_prefix: BTreeMap<&'s str, &'s Subject>,
}

impl<'s> Owners<'s> {
    fn of(subjects: &'s [Subject]) -> Self {
        let mut by_prefix: BTreeMap<&str, &Subject> = BTreeMap::new();
        for subject in subjects {
            if let Some(prefix) = subject.prefix() {
                by_prefix
                    .entry(prefix)
                    .and_modify(|owner| *owner = winner(owner, subject))
                    .or_insert(subject);
            }
        }
        Self { by_prefix }
    }

    /// The feature that gets `path`, and its prefix.
    fn find(&self, path: &str) -> Option<(&'s str, &'s Subject)> {
        let path = path.split(['?', '#']).next().unwrap_or(path).trim_end_matches('/');
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let mut prefixes: Vec<&str> = ends.filter_map(|end| path.get(..end)).collect();
        prefixes.reverse();
        prefixes.into_iter().find_map(|prefix| {
            self.by_prefix.get_key_value(prefix).map(|(prefix, owner)| (*prefix, *owner))
        })
    }
}

/// What is in `one` and `other` has one prefix: who is released with it holds it, else the lower id gets it.
fn winner<'s>(one: &'s Subject, other: &'s Subject) -> &'s Subject {
    let holds = |subject: &Subject| {
        !subject.is_source
            || subject
                .released
                .first()
                .is_some_and(|(_, manifest)| prefix_of(manifest) == subject.prefix())
    };
    match (holds(one), holds(other)) {
        (false, true) => other,
        (true, false) => one,
        _ if other.id() < one.id() => other,
        _ => one,
    }
}

/// What two prefixes have to do with each other.
fn pair(one: &Subject, prefix: &str, other: &Subject) -> Option<Finding> {
    let theirs = other.prefix()?;
    let both = |finding: Finding| finding.at(one.place(), PREFIX).at(other.place(), PREFIX);
    if prefix == theirs {
        let owner = winner(one, other).id();
        let loser = if owner == one.id() { other.id() } else { one.id() };
        let message = format!(
            "{} and {} both have {prefix}; {owner} gets it, {loser} is not served",
            one.id(),
            other.id()
        );
        return Some(both(Finding::fail(
            "prefix-duplicate",
            message,
            "give one of them another prefix",
        )));
    }
    let (lower, their_lower) = (prefix.to_ascii_lowercase(), theirs.to_ascii_lowercase());
    let (outer, inner) = if is_below(&their_lower, &lower) { (one, other) } else { (other, one) };
    let (outside, inside) = (outer.prefix()?, inner.prefix()?);
    if lower == their_lower {
        let message = format!(
            "{} has {prefix} and {} has {theirs}: they differ in case only, and are two places",
            one.id(),
            other.id()
        );
        let remedy = "give one of them a prefix that people cannot mistake for the other";
        Some(both(Finding::warn("prefix-case", message, remedy)))
    } else if is_below(inside, outside) {
        let message = format!(
            "{} gets {inside} and all below it; {} keeps the rest of {outside}",
            inner.id(),
            outer.id()
        );
        let remedy = "see that this is meant; otherwise give one of them another prefix";
        Some(both(Finding::warn("prefix-overlap", message, remedy)))
    } else if is_below(&inside.to_ascii_lowercase(), &outside.to_ascii_lowercase()) {
        let message = format!(
            "{inside} of {} looks as if it were below {outside} of {}, but differs in case",
            inner.id(),
            outer.id()
        );
        let remedy = "write both in the same case, or give one of them another prefix";
        Some(both(Finding::warn("prefix-case", message, remedy)))
    } else {
        None
    }
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

fn like_reserved(subject: &Subject, prefix: &str) -> Option<Finding> {
    let first = prefix.split('/').nth(1)?.to_ascii_lowercase();
    let reserved = RESERVED.into_iter().find(|reserved| *reserved == first)?;
    let message = format!(
        "{prefix} of {} differs from /{reserved}, which the host answers, in case only",
        subject.id()
    );
    let remedy =
        "choose another first segment; proxies that do not tell case apart send it elsewhere";
    Some(Finding::warn("prefix-reserved", message, remedy).at(subject.place(), PREFIX))
}

/// Routes of a feature that lie where another one with a longer prefix answers.
fn shadowed_routes(subject: &Subject, prefix: &str, owners: &Owners<'_>) -> Vec<Finding> {
    let routes = subject.manifest.routes.iter().enumerate();
    let shadowed = routes.filter_map(|(number, route)| {
        // A parameter may be anything, so only what is before the first one is known.
        let known = route.path().split("/:").next().unwrap_or_default().split('*').next()?;
        let path = format!("{prefix}/{}", known.trim_start_matches('/'));
        let (theirs, owner) = owners.find(&path)?;
        if owner.id() == subject.id() || theirs == prefix {
            return None;
        }
        let message = format!(
            "{path} is a route of {}, but {} gets it with {theirs}",
            subject.id(),
            owner.id()
        );
        let remedy = "take the route out, or give one of them another prefix";
        let finding = Finding::fail("route-shadowed", message, remedy);
        Some(finding.at(subject.place(), format!("routes[{number}]")).at(owner.place(), PREFIX))
    });
    shadowed.collect()
}

fn changed_prefix(subject: &Subject, prefix: &str) -> Option<Finding> {
    let (file, before) = subject
        .released
        .iter()
        .find(|(_, manifest)| prefix_of(manifest).is_some_and(|other| other != prefix))?;
    let (id, now, then) = (subject.id(), &subject.manifest.version, &before.version);
    let message = format!(
        "{id} {now} has {prefix}, {then} has {}: a release, a rollback or a fallback moves it",
        prefix_of(before)?
    );
    let remedy = "keep the prefix, or see that links and bookmarks to the other one may break";
    let finding = Finding::warn("prefix-changed", message, remedy);
    Some(finding.at(subject.place(), PREFIX).at(file.display().to_string(), PREFIX))
}

/// Where the entry in the navigation leads.
fn arena(subject: &Subject, owners: &Owners<'_>) -> Option<Finding> {
    let entry = subject.manifest.arena.as_ref()?;
    let at = |finding: Finding| finding.at(subject.place(), "arena.path");
    let id = subject.id();
    let Some(prefix) = subject.prefix() else {
        let path = entry.path.as_deref().filter(|path| path.starts_with('/'));
        let Some(path) = path else {
            let kind = if subject.manifest.feature_type() == FeatureType::Facet {
                "facet"
            } else {
                "set of packages"
            };
            let message = format!(
                "{id} is a {kind} and its entry has no path from \"/\": the host leaves the entry out"
            );
            let remedy = "name the page that shows it, or take the entry out";
            return Some(at(Finding::warn("arena-nowhere", message, remedy)));
        };
        let message =
            format!("the entry of {id} leads to {path}, which no feature owns: people get a 404");
        let remedy = "name a path below the prefix of the feature that shows it";
        return owners
            .find(path)
            .is_none()
            .then(|| at(Finding::fail("arena-unowned", message, remedy)));
    };
    let path = entry.path.as_deref()?;
    let own = path == prefix
        || is_below(path, prefix)
        || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['?', '#']));
    // What does not start with the own prefix is taken as relative to it, so it never leads elsewhere.
    let led =
        if own { path.to_owned() } else { format!("{prefix}/{}", path.trim_start_matches('/')) };
    if let Some((theirs, owner)) = owners.find(&led).filter(|(_, owner)| owner.id() != id) {
        let message =
            format!("the entry of {id} leads to {led}, which {} gets with {theirs}", owner.id());
        let remedy = "name a path that the feature itself serves";
        return Some(at(Finding::warn("arena-foreign", message, remedy)).at(owner.place(), PREFIX));
    }
    let (theirs, owner) =
        owners.find(path).filter(|(_, owner)| !own && path.starts_with('/') && owner.id() != id)?;
    let message = format!(
        "{path} looks like a page of {} ({theirs}), but is taken as relative: the entry leads to {led}",
        owner.id()
    );
    let remedy = "name a path below the feature's own prefix";
    Some(at(Finding::warn("arena-relative", message, remedy)).at(owner.place(), PREFIX))
}
