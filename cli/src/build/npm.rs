//! Features with a build step of their own: `npm ci`, `npm run build`, then what is in `dist/`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::process::Command;

use pilar_artifact::manifest::{Entrypoints, PackageFile};
use pilar_artifact::{FeatureId, FileName, Limits, MANIFEST_FILE};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Builder;
use super::compress::{SUFFIXES, is_compressible};
use super::files::{Content, collect};
use super::source::Source;
use super::tool;
use crate::documents::{parse, read_optional};
use crate::environment::Environment;
use crate::problem::Problem;
use crate::ui::Progress;

/// What the build step says about its output.
const RECORD_FILE: &str = "pilar-build.json";
/// Lock files of large features have a few megabytes.
const MAX_LOCK_BYTES: u64 = 64 * 1024 * 1024;

/// Runs the build step of `source` and takes what is in `dist/` afterwards.
pub(crate) fn build(
    source: &Source,
    builder: &Builder<'_>,
    progress: &Progress,
) -> Result<Content, Problem> {
    if builder.install && !is_installed(&source.dir)? {
        progress.say(format!("building {}: npm ci", source.id()));
        npm(source, &["ci", "--no-audit", "--no-fund"], builder)?;
    }
    progress.say(format!("building {}: npm run build", source.id()));
    npm(source, &["run", "build"], builder)?;
    take_dist(source, &builder.limits)
}

/// Splits off the features that cannot be built where Node is missing.
pub(crate) fn without_those_that_need_node(
    sources: Vec<Source>,
    environment: &Environment,
) -> (Vec<Source>, Vec<FeatureId>) {
    let is_there = |tool: &str| {
        environment
            .search_path
            .iter()
            .flat_map(std::env::split_paths)
            .any(|dir| dir.join(tool).is_file())
    };
    if is_there("node") && is_there("npm") {
        return (sources, Vec::new());
    }
    let (needs, can): (Vec<_>, Vec<_>) =
        sources.into_iter().partition(|source| source.has_build_script);
    (can, needs.iter().map(|source| source.id().clone()).collect())
}

fn npm(source: &Source, words: &[&str], builder: &Builder<'_>) -> Result<(), Problem> {
    /// What a shell, and `env` in npm's first line, say of a command that is missing.
    const NOT_FOUND: i32 = 127;
    let what = format!("npm {}", words.join(" "));
    let mut command = Command::new("npm");
    command.args(words).current_dir(&source.dir);
    let finished = match tool::run(&mut command, builder.stop) {
        Ok(finished) if finished.status.code() == Some(NOT_FOUND) => return Err(no_node(source)),
        Ok(finished) => finished,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(no_node(source)),
        Err(error) => {
            let message = format!("`{what}` for {} cannot run: {error}", source.id());
            return Err(
                Problem::new("build-failed", message, "see that npm can run").file(&source.dir)
            );
        }
    };
    if finished.status.success() {
        return Ok(());
    }
    builder.ui.tool_output(&finished.output);
    let message = format!("`{what}` for {} failed: {}", source.id(), finished.status);
    let remedy = format!("run `{what}` in that directory and correct what it reports");
    Err(Problem::new("build-failed", message, remedy).file(&source.dir))
}

fn no_node(source: &Source) -> Problem {
    Problem::new(
        "node-missing",
        format!("building {} needs Node and npm, which are not installed", source.id()),
        "install Node 20 or later, or say --skip-without-node to build the features that do not need it",
    )
    .file(source.dir.join("package.json"))
}

/// Whether `node_modules` is what `package-lock.json` says. npm leaves its own record there; packages for
/// other platforms are optional and missing from it.
fn is_installed(dir: &Path) -> Result<bool, Problem> {
    let lock = read_packages(dir, "package-lock.json")?.ok_or_else(|| {
        Problem::new(
            "package-lock-missing",
            "there is no package-lock.json, so a build could not be repeated",
            "run `npm install` once and commit package-lock.json",
        )
        .file(dir)
    })?;
    if !dir.join("node_modules").is_dir() {
        return Ok(false);
    }
    let record = read_packages(&dir.join("node_modules"), ".package-lock.json")?;
    Ok(record.is_some_and(|there| is_current(&lock, &there)))
}

fn is_current(lock: &Map<String, Value>, there: &Map<String, Value>) -> bool {
    let installed = |packages: &Map<String, Value>| -> BTreeMap<String, (Value, bool)> {
        packages
            .iter()
            .filter(|(path, _)| path.starts_with("node_modules/"))
            .map(|(path, package)| {
                let part = |name: &str| package.get(name).cloned().unwrap_or(Value::Null);
                let what = Value::Array(vec![part("version"), part("integrity"), part("link")]);
                let optional = part("optional") == true || part("devOptional") == true;
                (path.clone(), (what, optional))
            })
            .collect()
    };
    let (wanted, there) = (installed(lock), installed(there));
    let extra: BTreeSet<_> = there.keys().filter(|path| !wanted.contains_key(*path)).collect();
    extra.is_empty()
        && wanted.iter().all(|(path, (what, optional))| match there.get(path) {
            Some((found, _)) => found == what,
            None => *optional,
        })
}

fn read_packages(dir: &Path, name: &str) -> Result<Option<Map<String, Value>>, Problem> {
    let Some(bytes) = read_optional(dir, name, MAX_LOCK_BYTES)? else { return Ok(None) };
    let limits = Limits { json_bytes: MAX_LOCK_BYTES, ..Limits::default() };
    match parse(&bytes, &dir.join(name), &limits)?.remove("packages") {
        Some(Value::Object(packages)) => Ok(Some(packages)),
        _ => Ok(None),
    }
}

/// `dist/pilar-build.json`, as the Vite preset of the feature SDK writes it.
#[derive(Debug, Deserialize)]
struct Record {
    entrypoints: Entrypoints,
    #[serde(default)]
    packages: BTreeMap<String, PackageFile>,
}

fn take_dist(source: &Source, limits: &Limits) -> Result<Content, Problem> {
    let dist = source.dir.join("dist");
    let mut files = collect(&dist, limits)?;
    let path = dist.join(RECORD_FILE);
    let record = match files.remove(RECORD_FILE) {
        Some(bytes) => read_record(&bytes, &path, limits)?,
        None => Record {
            entrypoints: source.manifest.entrypoints.clone().ok_or_else(|| no_record(&path))?,
            packages: source.manifest.packages.clone(),
        },
    };
    if files.contains_key(MANIFEST_FILE) {
        let message = "the published manifest has this name";
        let remedy = "let the build write it under another name";
        return Err(Problem::new("file-name-taken", message, remedy).file(dist.join(MANIFEST_FILE)));
    }
    // Variants are made here, from the very bytes that they stand for.
    let variants: Vec<FileName> =
        files.keys().filter(|name| is_variant(name, &files)).cloned().collect();
    variants.iter().for_each(|name| drop(files.remove(name)));
    let functions = source.manifest.server_functions.as_ref();
    let server_module = functions.and_then(|functions| functions.module.clone());
    let named = record.entrypoints.js().iter().chain(record.entrypoints.css());
    let named = named.chain(record.packages.values().map(|package| &package.file));
    for name in named.chain(&server_module) {
        if !files.contains_key(name) {
            let message = format!("there is no dist/{name}, which the build names");
            let remedy = "let the build write the file, or name the right one";
            return Err(Problem::new("entrypoint-missing", message, remedy).file(path));
        }
    }
    Ok(Content { files, entrypoints: record.entrypoints, packages: record.packages, server_module })
}

fn is_variant(name: &FileName, files: &BTreeMap<FileName, Vec<u8>>) -> bool {
    name.as_str().rsplit_once('.').is_some_and(|(base, suffix)| {
        SUFFIXES.contains(&suffix)
            && files.get_key_value(base).is_some_and(|(base, _)| is_compressible(base))
    })
}

fn read_record(bytes: &[u8], path: &Path, limits: &Limits) -> Result<Record, Problem> {
    let document = parse(bytes, path, limits)?;
    serde_json::from_value(Value::Object(document)).map_err(|error| {
        let remedy =
            "write { \"entrypoints\": { \"js\": …, \"css\": … } }, as the Vite preset does";
        Problem::new("build-record", error.to_string(), remedy).file(path)
    })
}

fn no_record(path: &Path) -> Problem {
    Problem::new(
        "build-record-missing",
        "the build did not say which files start the feature",
        "use the Vite preset `@favn/feature-sdk/vite`, or name \"entrypoints\" in manifest.json",
    )
    .file(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn packages(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn an_install_is_current_when_only_optional_packages_are_missing() {
        let lock = packages(json!({
            "": { "name": "x" },
            "node_modules/a": { "version": "1.0.0", "integrity": "sha512-a" },
            "node_modules/b-win": { "version": "1.0.0", "optional": true },
        }));
        let same =
            packages(json!({ "node_modules/a": { "version": "1.0.0", "integrity": "sha512-a" } }));
        let older =
            packages(json!({ "node_modules/a": { "version": "0.9.0", "integrity": "sha512-b" } }));
        let mut extra = same.clone();
        extra.insert("node_modules/z".to_owned(), json!({ "version": "1.0.0" }));
        assert!(is_current(&lock, &same));
        assert!(!is_current(&lock, &older));
        assert!(!is_current(&lock, &extra));
        assert!(!is_current(&lock, &Map::new()));
    }
}
