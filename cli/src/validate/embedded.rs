//! Facets that features embed.
//!
//! No manifest lists them; they are the literal ids in calls of `mountFacet`, which is what is looked for in the
//! scripts. An id that is made at run time is not found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pilar_artifact::manifest::FeatureType;
use pilar_artifact::verify::ReadArtifact as _;
use pilar_artifact::{FeatureId, FileName, Limits};
use serde_json::Value;

use crate::build::files::collect;
use crate::documents::{open_dir, unreadable};
use crate::finding::Finding;
use crate::problem::Problem;
use crate::subject::{Subject, Subjects};

const CALL: &str = "mountFacet";
const SCRIPTS: [&str; 6] = ["js", "mjs", "jsx", "ts", "tsx", "mts"];

/// Whether each facet that `subject` embeds is there and is a facet.
pub(super) fn check(subject: &Subject, subjects: &Subjects) -> Vec<Finding> {
    let embedded = match embedded(subject) {
        Ok(embedded) => embedded,
        Err(problem) => return vec![Finding::from(problem)],
    };
    let mut findings = Vec::new();
    for Embedded { facet, script, certain } in embedded {
        let id = subject.id();
        let finding = match subjects.get(&facet) {
            None => {
                let message = format!("{id} embeds {facet}, which is not here");
                let remedy = "publish the facet first, or correct the id";
                Finding::bad(certain, "facet-missing", message, remedy)
            }
            Some(found) if found.manifest.feature_type() != FeatureType::Facet => {
                let kind = found.manifest.feature_type().as_str();
                let message = format!("{id} embeds {facet}, which is of type {kind}");
                let remedy =
                    "embed facets only: what else is mounted is not made to stand beside others";
                Finding::bad(certain, "facet-type", message, remedy)
                    .at(found.place(), "featureType")
            }
            Some(_) => continue,
        };
        findings.push(finding.file(script));
    }
    findings
}

/// A facet that a script names.
struct Embedded {
    facet: String,
    script: PathBuf,
    /// Whether the call has its full name. A bundler's short name may be that of something else as well.
    certain: bool,
}

/// The facets that the scripts of a feature name, each with one script that does.
fn embedded(subject: &Subject) -> Result<Vec<Embedded>, Problem> {
    let mut found: Vec<Embedded> = Vec::new();
    for (script, bytes) in scripts(subject)? {
        for (facet, certain) in literal_ids(&String::from_utf8_lossy(&bytes)) {
            match found.iter_mut().find(|one| one.facet == facet) {
                Some(before) if before.certain || !certain => {}
                Some(before) => before.certain = true,
                None => found.push(Embedded { facet, script: script.clone(), certain }),
            }
        }
    }
    Ok(found)
}

/// The scripts of a feature: those in `src/` of sources, and those that a published manifest lists.
fn scripts(subject: &Subject) -> Result<Vec<(PathBuf, Vec<u8>)>, Problem> {
    let limits = Limits::default();
    let dir = subject.file.parent().unwrap_or(Path::new("."));
    let is_script = |name: &FileName| SCRIPTS.contains(&name.extension());
    let Some(listed) = subject.document.get("integrity").and_then(Value::as_object) else {
        let root = dir.join("src");
        let files = if root.is_dir() { collect(&root, &limits)? } else { BTreeMap::new() };
        let scripts = files.into_iter().filter(|(name, _)| is_script(name));
        return Ok(scripts.map(|(name, bytes)| (root.join(name.as_str()), bytes)).collect());
    };
    let source = open_dir(dir)?;
    let names = listed.keys().filter_map(|name| name.parse::<FileName>().ok()).filter(is_script);
    let read = |name: FileName| {
        let path = dir.join(name.as_str());
        let bytes = source.read(name.as_str(), limits.file_bytes);
        bytes.map_err(|error| unreadable(&error, &path)).map(|bytes| (path, bytes))
    };
    names.map(read).collect()
}

/// The ids in calls of `mountFacet`, under whatever name a bundler imported it, and whether it was the full name.
fn literal_ids(script: &str) -> Vec<(String, bool)> {
    let mut names = BTreeSet::from([CALL]);
    for (at, _) in script.match_indices(CALL) {
        let rest = script.get(at + CALL.len()..).unwrap_or_default();
        let rest = rest.trim_start().strip_prefix("as ").map(str::trim_start);
        let alias = rest.and_then(|rest| rest.split(|c: char| !is_identifier(c)).next());
        names.extend(alias.filter(|alias| !alias.is_empty()));
    }
    let calls = |name| calls(script, name).map(move |id| (id, name == CALL));
    names.into_iter().flat_map(calls).collect()
}

/// The literal first arguments of calls of `name`.
fn calls<'s>(script: &'s str, name: &'s str) -> impl Iterator<Item = String> + 's {
    script.match_indices(name).filter_map(move |(at, _)| {
        if script.get(..at)?.chars().next_back().is_some_and(is_identifier) {
            return None;
        }
        let rest = script.get(at + name.len()..)?;
        // Types may stand between the name and its arguments.
        let arguments = match rest.strip_prefix('<') {
            Some(types) => types.split_once(">(")?.1,
            None => rest.trim_start().strip_prefix('(')?,
        };
        let argument = arguments.trim_start();
        let quote = argument.chars().next().filter(|quote| matches!(quote, '"' | '\'' | '`'))?;
        let (id, _) = argument.get(1..)?.split_once(quote)?;
        id.parse::<FeatureId>().is_ok().then(|| id.to_owned())
    })
}

fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}
