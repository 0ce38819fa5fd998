//! The features that `lint` and `validate` look at: what an artifacts directory serves, and sources that are to come.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use pilar_artifact::json::parse_object;
use pilar_artifact::manifest::FeatureType;
use pilar_artifact::select::select;
use pilar_artifact::verify::{self, Context, DropFiles, ReadArtifact as _, VerifiedIndex};
use pilar_artifact::{FeatureId, Limits, MANIFEST_FILE, SourceManifest};
use semver::Version;
use serde_json::{Map, Value};

use crate::arguments::KeyArguments;
use crate::build;
use crate::documents::{features_in, open_dir};
use crate::environment::Environment;
use crate::finding::Finding;
use crate::keyring;
use crate::problem::Problem;

/// Which features.
#[derive(Debug, Clone, Args)]
pub(crate) struct SubjectArguments {
    /// Sources: features, or directories of features. What they say goes before what is released of them.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// An artifacts directory, whose serving versions are verified and looked at
    /// [default: ARTIFACTS_DIR, else "artifacts", where no PATH is given]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArguments,
}

/// One feature as it will serve.
#[derive(Debug)]
pub(crate) struct Subject {
    /// Its manifest; a published one says all that a source manifest says.
    pub(crate) manifest: SourceManifest,
    /// The manifest as it is written.
    pub(crate) document: Map<String, Value>,
    /// The file of the manifest.
    pub(crate) file: PathBuf,
    /// Whether these are sources, which can still be corrected.
    pub(crate) is_source: bool,
    /// The manifests of the other versions that are released, the highest first.
    pub(crate) released: Vec<(PathBuf, SourceManifest)>,
}

/// All of them, sorted by id.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    pub(crate) all: Vec<Subject>,
    /// What is wrong with those that cannot be looked at as they were released, or not at all.
    pub(crate) refused: Vec<Finding>,
    /// How many features there are, refused ones included.
    count: usize,
}

impl Subject {
    pub(crate) fn id(&self) -> &FeatureId {
        &self.manifest.id
    }

    /// The file of the manifest, for people.
    pub(crate) fn place(&self) -> String {
        self.file.display().to_string()
    }

    /// The URL prefix that it owns, without a slash at its end. Only a domain feature owns one.
    pub(crate) fn prefix(&self) -> Option<&str> {
        prefix_of(&self.manifest)
    }
}

pub(crate) fn prefix_of(manifest: &SourceManifest) -> Option<&str> {
    let mount = manifest.mount.as_ref().filter(|_| manifest.feature_type() == FeatureType::Domain);
    mount.map(|mount| mount.path_prefix.trim_end_matches('/'))
}

impl Subjects {
    pub(crate) fn read(
        arguments: &SubjectArguments,
        host_version: Option<&Version>,
        environment: &Environment,
    ) -> Result<Self, Problem> {
        let mut subjects: BTreeMap<FeatureId, Subject> = BTreeMap::new();
        let mut refused = Vec::new();
        let mut found = BTreeSet::new();
        let mut count = 0;
        let default = arguments.paths.is_empty().then(|| environment.artifacts_dir.clone());
        if let Some(root) = arguments.artifacts.clone().or(default) {
            let trusted = keyring::trusted_keys(environment, arguments.keys.dev)?;
            let context = Context {
                keys: &trusted,
                now: environment.now(),
                host_version,
                limits: Limits::default(),
            };
            for (feature, dir) in features_in(&root)? {
                let (subject, problem) = match released(&feature, &dir, &context) {
                    Ok(subject) => subject,
                    Err(problem) => (None, Some(problem)),
                };
                found.insert(feature.clone());
                subjects.extend(subject.map(|subject| (feature, subject)));
                refused.extend(problem.map(Finding::from));
            }
        }
        if !arguments.paths.is_empty() {
            let (sources, problems) = build::source::read_all(&arguments.paths)?;
            // Those have no id that counts.
            count = problems.len();
            refused.extend(problems.into_iter().map(Finding::from));
            for source in sources {
                found.insert(source.id().clone());
                let before = subjects.remove(source.id());
                let file = source.dir.join(MANIFEST_FILE);
                let released = before.map(|before| {
                    let mut all = vec![(before.file, before.manifest)];
                    all.extend(before.released);
                    all
                });
                let released = released.unwrap_or_default();
                let (manifest, document) = (source.manifest, source.document);
                let subject = Subject { manifest, document, file, is_source: true, released };
                subjects.insert(subject.id().clone(), subject);
            }
        }
        if subjects.is_empty() && refused.is_empty() {
            let remedy = "name features, directories of features, or an artifacts directory";
            return Err(Problem::new("no-feature", "there is no feature here", remedy).wrong_use());
        }
        Ok(Self { all: subjects.into_values().collect(), refused, count: count + found.len() })
    }

    /// How many features there are, in words.
    pub(crate) fn count(&self) -> String {
        if self.count == 1 { "1 feature".to_owned() } else { format!("{} features", self.count) }
    }

    /// The feature with this id.
    pub(crate) fn get(&self, id: &str) -> Option<&Subject> {
        self.all.iter().find(|subject| subject.id().as_str() == id)
    }
}

/// The version that a host would serve, with the manifests of the others that it may serve one day; and why it is
/// not the one that was released.
fn released(
    feature: &FeatureId,
    dir: &Path,
    context: &Context<'_>,
) -> Result<(Option<Subject>, Option<Problem>), Problem> {
    let source = open_dir(dir)?;
    let refused = |rejection: &pilar_artifact::Rejection| {
        Problem::from(rejection).file(dir.join(rejection.file()))
    };
    let VerifiedIndex { index, .. } =
        verify::index(&source, feature, context).map_err(|rejection| refused(&rejection))?;
    let mut first_refusal = None;
    let selection = select(&index, |entry| {
        let verified = verify::version(&source, &index, &entry.version, context, &mut DropFiles);
        verified.map(|_| ()).inspect_err(|rejection| {
            first_refusal.get_or_insert_with(|| refused(rejection));
        })
    });
    let Some((serving, ())) = selection.serving else {
        return Err(first_refusal.unwrap_or_else(|| {
            let message = "every version is revoked or below the floor, so nothing serves";
            Problem::new("nothing-to-serve", message, "publish a new version").file(dir)
        }));
    };
    let mut released = Vec::new();
    let mut chosen = None;
    for entry in index.versions.iter().filter(|entry| entry.revoked.is_none()) {
        let file = dir.join(entry.version.to_string()).join(MANIFEST_FILE);
        let read = || {
            verify::manifest(&source, &index, entry, context).ok()?;
            let path = format!("{}/{MANIFEST_FILE}", entry.version);
            let bytes = source.read(&path, context.limits.json_bytes).ok()?;
            let document = parse_object(&bytes, &context.limits).ok()?;
            Some((SourceManifest::from_document(&document).ok()?, document))
        };
        match read() {
            Some((manifest, document)) if entry.version == serving => {
                chosen = Some((manifest, document, file));
            }
            Some((manifest, _)) => released.push((file, manifest)),
            // It cannot serve, and `pilar inspect` says why.
            None => {}
        }
    }
    let (manifest, document, file) = chosen.ok_or_else(|| {
        let message = "the manifest changed while it was read";
        Problem::new("manifest-hash", message, "run it again").file(dir)
    })?;
    Ok((Some(Subject { manifest, document, file, is_source: false, released }), first_refusal))
}
