//! Finding the sources of features.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use pilar_artifact::{FeatureId, Limits, MANIFEST_FILE, SourceManifest};
use serde_json::{Map, Value};

use crate::documents::{parse, read_optional};
use crate::problem::Problem;

/// The sources of one feature.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The directory with `manifest.json`.
    pub(crate) dir: PathBuf,
    /// The manifest as it is written, unknown fields included.
    pub(crate) document: Map<String, Value>,
    /// The manifest as it is understood.
    pub(crate) manifest: SourceManifest,
    /// Whether `package.json` has a `build` script.
    pub(crate) has_build_script: bool,
}

impl Source {
    /// The feature.
    pub(crate) fn id(&self) -> &FeatureId {
        &self.manifest.id
    }

    /// Reads the sources in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self, Problem> {
        Self::read_optional(dir)?.ok_or_else(|| nothing_found(&[dir.to_owned()]))
    }

    fn read_optional(dir: &Path) -> Result<Option<Self>, Problem> {
        let limits = Limits::default();
        let path = dir.join(MANIFEST_FILE);
        let Some(bytes) = read_optional(dir, MANIFEST_FILE, limits.json_bytes)? else {
            return Ok(None);
        };
        let document = parse(&bytes, &path, &limits)?;
        let manifest = SourceManifest::from_document(&document).map_err(|problem| {
            Problem::new("schema", problem.problem, "correct the field in the source manifest")
                .file(&path)
                .field(problem.field)
        })?;
        let has_build_script = has_build_script(dir, &limits)?;
        Ok(Some(Self { dir: dir.to_owned(), document, manifest, has_build_script }))
    }
}

/// Finds the features at `paths`, sorted by id, and keeps those in `only` (all, where it is empty).
///
/// A path is a feature or a directory of features. Without a path: the current directory, else `examples/`
/// and the set of shared packages in `sdk/shared`, which is how the repository of the runtime is laid out.
pub(crate) fn find(paths: &[PathBuf], only: &[FeatureId]) -> Result<Vec<Source>, Problem> {
    let mut found = Vec::new();
    for path in paths {
        let here = find_at(path)?;
        if here.is_empty() {
            return Err(nothing_found(std::slice::from_ref(path)));
        }
        found.extend(here);
    }
    if paths.is_empty() {
        found = find_at(Path::new("."))?;
    }
    if found.is_empty() {
        for path in ["examples", "sdk/shared"].map(Path::new).iter().filter(|path| path.is_dir()) {
            found.extend(find_at(path)?);
        }
    }
    if found.is_empty() {
        return Err(nothing_found(&[PathBuf::from(".")]));
    }
    choose(found, only)
}

/// The features at `paths`, sorted by id, and what is wrong with those that cannot be read: for those who look at
/// all of them, whatever is wrong with one.
pub(crate) fn read_all(paths: &[PathBuf]) -> Result<(Vec<Source>, Vec<Problem>), Problem> {
    let mut by_id = BTreeMap::<FeatureId, Source>::new();
    let mut problems = Vec::new();
    for path in paths {
        let dirs = directories_at(path)?;
        if dirs.is_empty() {
            return Err(nothing_found(std::slice::from_ref(path)));
        }
        for dir in dirs {
            match Source::read(&dir) {
                Ok(source) => match by_id.get(source.id()) {
                    Some(other) if other.dir != source.dir => {
                        problems.push(duplicate(other, &source));
                    }
                    _ => _ = by_id.insert(source.id().clone(), source),
                },
                Err(problem) => problems.push(problem),
            }
        }
    }
    Ok((by_id.into_values().collect(), problems))
}

fn choose(found: Vec<Source>, only: &[FeatureId]) -> Result<Vec<Source>, Problem> {
    let mut by_id = BTreeMap::<FeatureId, Source>::new();
    for source in found {
        if let Some(other) = by_id.get(source.id()).filter(|other| other.dir != source.dir) {
            return Err(duplicate(other, &source));
        }
        by_id.insert(source.id().clone(), source);
    }
    if let Some(unknown) = only.iter().find(|id| !by_id.contains_key(*id)) {
        let known: Vec<&str> = by_id.keys().map(FeatureId::as_str).collect();
        let message = format!("there is no feature \"{unknown}\"; there are {}", known.join(", "));
        return Err(Problem::new("unknown-feature", message, "name one of these, or another PATH")
            .field("--feature")
            .wrong_use());
    }
    Ok(by_id.into_values().filter(|source| only.is_empty() || only.contains(source.id())).collect())
}

fn find_at(path: &Path) -> Result<Vec<Source>, Problem> {
    directories_at(path)?.iter().map(|directory| Source::read(directory)).collect()
}

/// `path` where it is a feature, else those of its subdirectories that are.
fn directories_at(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    if path.join(MANIFEST_FILE).exists() {
        return Ok(vec![path.to_owned()]);
    }
    let mut directories: Vec<PathBuf> = std::fs::read_dir(path)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|error| {
            let message = format!("the directory cannot be listed: {error}");
            Problem::new("dir-unreadable", message, "let this user read the directory").file(path)
        })?
        .into_iter()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|directory| directory.join(MANIFEST_FILE).exists())
        .collect();
    directories.sort();
    Ok(directories)
}

fn duplicate(one: &Source, other: &Source) -> Problem {
    let message = format!("it has the id of {}", one.dir.display());
    Problem::new("duplicate-feature", message, "give each feature its own id")
        .file(other.dir.join(MANIFEST_FILE))
        .field("id")
}

fn has_build_script(dir: &Path, limits: &Limits) -> Result<bool, Problem> {
    let Some(bytes) = read_optional(dir, "package.json", limits.json_bytes)? else {
        return Ok(false);
    };
    let package = parse(&bytes, &dir.join("package.json"), limits)?;
    Ok(package.get("scripts").and_then(|scripts| scripts.get("build")).is_some())
}

fn nothing_found(paths: &[PathBuf]) -> Problem {
    let path = paths.first().map(PathBuf::as_path).unwrap_or(Path::new("."));
    Problem::new(
        "no-feature",
        "there is no feature here: neither a manifest.json nor directories that have one",
        "name the directory of a feature, or one that holds features",
    )
    .file(path)
    .wrong_use()
}
