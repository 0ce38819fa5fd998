//! The published manifest: what the team wrote, what the build found out, and a signature (contract §3).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use pilar_artifact::digest::Integrity;
use pilar_artifact::json::parse_object;
use pilar_artifact::manifest::{DEFAULT_CHANNEL, FeatureType};
use pilar_artifact::{FileName, MANIFEST_FILE, Manifest, Sha256Digest, signature};
use semver::Version;
use serde_json::{Map, Value, json, to_value};

use super::Builder;
use super::files::Content;
use super::source::Source;
use super::tool;
use crate::problem::Problem;

/// The bytes of the signed manifest, checked by the rules that hosts apply.
pub(crate) fn publish(
    source: &Source,
    version: &Version,
    content: &Content,
    variants: &[(FileName, Vec<u8>)],
    builder: &Builder<'_>,
) -> Result<Vec<u8>, Problem> {
    let path = source.dir.join(MANIFEST_FILE);
    let built_at = builder.environment.build_time()?;
    let document = document(source, version, content, variants, built_at)
        .map_err(|error| broken(&error.to_string()).file(&path))?;
    let bytes = builder.key.sign_to_bytes(document);
    check(&bytes, source, builder).map_err(|problem| problem.file(&path))?;
    Ok(bytes)
}

fn document(
    source: &Source,
    version: &Version,
    content: &Content,
    variants: &[(FileName, Vec<u8>)],
    built_at: Timestamp,
) -> serde_json::Result<Map<String, Value>> {
    let mut document = source.document.clone();
    document.shift_remove("signature");
    let feature_type = source.manifest.feature_type();
    document.insert("version".to_owned(), to_value(version)?);
    document.insert("featureType".to_owned(), to_value(feature_type)?);
    if feature_type == FeatureType::Domain && source.manifest.routes.is_empty() {
        document.insert("routes".to_owned(), json!(["/"]));
    }
    if source.manifest.channel.is_none() {
        document.insert("channel".to_owned(), json!(DEFAULT_CHANNEL));
    }
    document.insert("entrypoints".to_owned(), to_value(&content.entrypoints)?);
    if feature_type == FeatureType::Shared {
        document.insert("packages".to_owned(), to_value(&content.packages)?);
    }
    let functions = document.get_mut("serverFunctions").and_then(Value::as_object_mut);
    if let (Some(functions), Some(module)) = (functions, &content.server_module) {
        functions.insert("module".to_owned(), to_value(module)?);
    }
    let all = content.files.iter().chain(variants.iter().map(|(name, bytes)| (name, bytes)));
    let integrity: BTreeMap<&FileName, Integrity> =
        all.map(|(name, bytes)| (name, Integrity(Sha256Digest::of(bytes)))).collect();
    document.insert("integrity".to_owned(), to_value(integrity)?);
    let mut metadata =
        source.document.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    metadata.insert("builtAt".to_owned(), to_value(built_at)?);
    metadata.insert("gitSha".to_owned(), json!(git_sha(&source.dir)));
    metadata.insert("builder".to_owned(), json!(concat!("pilar ", env!("CARGO_PKG_VERSION"))));
    document.insert("metadata".to_owned(), Value::Object(metadata));
    Ok(document)
}

/// What a host would refuse is refused here, before anybody waits for it.
fn check(bytes: &[u8], source: &Source, builder: &Builder<'_>) -> Result<(), Problem> {
    let limits = &builder.limits;
    let document = parse_object(bytes, limits).map_err(|error| {
        Problem::new(error.code(), error.to_string(), "ship fewer files, or a smaller manifest")
    })?;
    Manifest::from_document(&document, limits).map_err(|problem| {
        Problem::new("schema", problem.problem, "correct the field in the source manifest")
            .field(problem.field)
    })?;
    let now = builder.environment.now();
    signature::verify(&document, Some(source.id()), &builder.trusted, now, limits)
        .map_err(|error| Problem::new(error.code(), error.to_string(), error.remedy()))?;
    Ok(())
}

/// The commit that the sources are at, with `-dirty` where they differ from it; empty where that is unknown.
fn git_sha(dir: &Path) -> String {
    let git = |words: &[&str]| {
        let finished = tool::run(Command::new("git").arg("-C").arg(dir).args(words), None).ok()?;
        finished.status.success().then(|| finished.output.trim().to_owned())
    };
    let Some(sha) = git(&["rev-parse", "HEAD"]) else { return String::new() };
    match git(&["status", "--porcelain", "--", "."]) {
        Some(changes) if changes.is_empty() => sha,
        _ => format!("{sha}-dirty"),
    }
}

fn broken(message: &str) -> Problem {
    Problem::new("manifest-not-writable", message, "correct the source manifest")
}
