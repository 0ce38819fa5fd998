//! What came, verified before it is put in place.

use std::collections::BTreeSet;

use pilar_artifact::select::select;
use pilar_artifact::verify::{self, Context, DropFiles, ReadArtifact, ReadError, VerifiedVersion};
use pilar_artifact::{Rejection, ReleaseIndex};
use pilar_store::FeatureDir;
use semver::Version;

use crate::damage::Damage;

/// What came, and behind it what is in the tree already. A version is read from the one or the other: what is put in
/// place has to be whole by itself.
#[derive(Debug)]
pub(crate) struct Arrived {
    incoming: FeatureDir,
    arrived: BTreeSet<Version>,
    tree: Option<FeatureDir>,
    kept: BTreeSet<Version>,
}

impl Arrived {
    /// Each with the versions that are there.
    pub(crate) fn new(
        (incoming, arrived): (FeatureDir, BTreeSet<Version>),
        tree: Option<(FeatureDir, BTreeSet<Version>)>,
    ) -> Self {
        let (tree, kept) = tree.unzip();
        Self { incoming, arrived, tree, kept: kept.unwrap_or_default() }
    }

    /// What is in the tree already.
    pub(crate) fn tree(&self) -> Option<&FeatureDir> {
        self.tree.as_ref()
    }

    /// Whether the version came.
    pub(crate) fn has(&self, version: &Version) -> bool {
        self.arrived.contains(version)
    }

    /// Damage that nobody knew of when this was asked for.
    pub(crate) fn damage(&self, refused: &Rejection, known: &BTreeSet<Version>) -> Option<Damage> {
        let is_new = |version: &Version| {
            self.kept.contains(version) && !self.has(version) && !known.contains(version)
        };
        Damage::of(refused).filter(|damage| is_new(&damage.version))
    }
}

impl ReadArtifact for Arrived {
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        let version = path.split_once('/').and_then(|(version, _)| version.parse().ok());
        match (&self.tree, version) {
            (Some(tree), Some(version)) if !self.has(&version) => tree.read(path, limit),
            _ => self.incoming.read(path, limit),
        }
    }
}

/// Every version that passes the checks. The one that is to serve must; another one that does not is left out and
/// noted, because it takes nothing away.
pub(crate) fn verify_versions(
    arrived: &Arrived,
    index: &ReleaseIndex,
    context: &Context<'_>,
) -> Result<(Vec<VerifiedVersion>, Vec<Rejection>), Rejection> {
    let verify =
        |version: &Version| verify::version(arrived, index, version, context, &mut DropFiles);
    let mut refused = None;
    let selection = select(index, |entry| {
        // A lower version is no substitute: what serves now is one that was asked for.
        if let Some(rejection) = &refused {
            return Err(Rejection::clone(rejection));
        }
        verify(&entry.version).inspect_err(|rejection| refused = Some(rejection.clone()))
    });
    if let Some(rejection) = refused {
        return Err(rejection);
    }
    let mut verified = Vec::new();
    let mut notes = Vec::new();
    let serving = selection.serving.map(|(_, version)| version);
    let is_serving = |version: &Version| {
        serving.as_ref().is_some_and(|serving| serving.manifest.version == *version)
    };
    for entry in index.versions.iter().filter(|entry| entry.revoked.is_none()) {
        if is_serving(&entry.version) {
            continue;
        }
        match verify(&entry.version) {
            Ok(version) => verified.push(version),
            Err(rejection) => notes.push(rejection),
        }
    }
    verified.extend(serving);
    Ok((verified, notes))
}
