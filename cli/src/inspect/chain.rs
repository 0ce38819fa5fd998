//! The chain of checks over everything that is there.

use std::path::Path;

use jiff::Timestamp;
use pilar_artifact::digest::EntryDigest;
use pilar_artifact::index::IndexEntry;
use pilar_artifact::json::parse_object;
use pilar_artifact::operations::{Attribution, Channel, Operation, Window, apply};
use pilar_artifact::select::{Outcome, select};
use pilar_artifact::verify::{
    self, Context, DropFiles, Failure, ReadArtifact, VerifiedIndex, VerifiedVersion,
};
use pilar_artifact::{FeatureId, MANIFEST_FILE, Rejection, ReleaseIndex, Sha256Digest};
use semver::Version;
use serde_json::Map;

use crate::documents::{open_dir, unreadable};
use crate::problem::Problem;

/// What was found of one feature.
pub(crate) struct FeatureReport {
    pub(crate) feature: FeatureId,
    pub(crate) index: Result<VerifiedIndex, Rejection>,
    pub(crate) versions: Vec<VersionReport>,
}

/// What was found of one version.
pub(crate) struct VersionReport {
    pub(crate) version: Version,
    pub(crate) verified: Result<VerifiedVersion, Rejection>,
    /// What a host would make of it; `None` where no index speaks of it.
    pub(crate) outcome: Option<Outcome>,
}

impl FeatureReport {
    /// Everything that is refused. That a version was taken back is what somebody wanted.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = &Rejection> {
        let versions = self.versions.iter().filter(|version| !version.is_revoked());
        let refused = versions.filter_map(|version| version.verified.as_ref().err());
        self.index.as_ref().err().into_iter().chain(refused)
    }

    /// The version that would serve.
    pub(crate) fn serving(&self) -> Option<&VersionReport> {
        self.versions.iter().find(|version| matches!(version.outcome, Some(Outcome::Serving)))
    }

    /// Its URL prefix, where it has one.
    pub(crate) fn prefix(&self) -> Option<&str> {
        let manifest = &self.serving()?.verified.as_ref().ok()?.manifest;
        manifest.mount.as_ref().map(|mount| mount.path_prefix.trim_end_matches('/'))
    }
}

impl VersionReport {
    /// Whether it was taken back, wherever in the index it stands.
    fn is_revoked(&self) -> bool {
        let refusal = self.verified.as_ref().err();
        refusal.is_some_and(|refusal| matches!(refusal.failure(), Failure::Revoked(_)))
    }
}

/// Steps 1 to 13 for a feature and every version that its index lists.
pub(crate) fn feature(
    source: &dyn ReadArtifact,
    feature: &FeatureId,
    context: &Context<'_>,
) -> FeatureReport {
    let index = verify::index(source, feature, context);
    let versions = index
        .as_ref()
        .map_or_else(|_| Vec::new(), |verified| versions(source, &verified.index, context));
    FeatureReport { feature: feature.clone(), index, versions }
}

/// Steps 8 to 13 for a version directory without an index, such as the output of a build.
pub(crate) fn version_alone(dir: &Path, context: &Context<'_>) -> Result<VersionReport, Problem> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Err(not_a_version(dir));
    };
    let version: Version = name.to_string_lossy().parse().map_err(|_| not_a_version(dir))?;
    let source = open_dir(parent)?;
    let path = dir.join(MANIFEST_FILE);
    let limits = &context.limits;
    let bytes = source
        .read(&format!("{version}/{MANIFEST_FILE}"), limits.json_bytes)
        .map_err(|error| unreadable(&error, &path))?;
    let feature = parse_object(&bytes, limits)
        .ok()
        .and_then(|document| document.get("id")?.as_str()?.parse::<FeatureId>().ok())
        .ok_or_else(|| {
            let message = "it does not say which feature it is of";
            Problem::new("schema", message, "build the feature again").file(&path).field("id")
        })?;
    // An index of its own, made from what is there: the checks that follow read the rest.
    let index = index_of_one(&feature, &version, Sha256Digest::of(&bytes), context)?;
    let verified = verify::version(&source, &index, &version, context, &mut DropFiles);
    Ok(VersionReport { version, verified, outcome: None })
}

fn versions(
    source: &dyn ReadArtifact,
    index: &ReleaseIndex,
    context: &Context<'_>,
) -> Vec<VersionReport> {
    let verify = |entry: &IndexEntry| {
        verify::version(source, index, &entry.version, context, &mut DropFiles)
    };
    let verified: Vec<_> = index.versions.iter().map(verify).collect();
    let of = |version: &Version| {
        let all = index.versions.iter().zip(&verified);
        all.filter(|(entry, _)| entry.version == *version).map(|(_, verified)| verified).next()
    };
    let selection = select(index, |entry| match of(&entry.version) {
        Some(Err(rejection)) => Err(rejection.clone()),
        _ => Ok(()),
    });
    selection
        .attempts
        .into_iter()
        .zip(verified)
        .map(|(attempt, verified)| VersionReport {
            version: attempt.version,
            verified,
            outcome: Some(attempt.outcome),
        })
        .collect()
}

fn index_of_one(
    feature: &FeatureId,
    version: &Version,
    manifest: Sha256Digest,
    context: &Context<'_>,
) -> Result<ReleaseIndex, Problem> {
    let entry = IndexEntry {
        version: version.clone(),
        manifest_sha256: EntryDigest(manifest),
        server_functions_sha256: None,
        provenance: None,
        revoked: None,
        unknown: Map::new(),
    };
    let operation = Operation::Publish { entry: Box::new(entry), channel: Channel::Stable };
    let attribution =
        Attribution { at: Timestamp::UNIX_EPOCH, actor: None, reason: None, ticket: None };
    let limits = &context.limits;
    Ok(apply(None, feature, &operation, &attribution, Window::default(), limits)?)
}

fn not_a_version(dir: &Path) -> Problem {
    let message = "the directory of a manifest has the name of its version, such as 1.0.0";
    Problem::new("not-a-version", message, "name the directory after the version").file(dir)
}
