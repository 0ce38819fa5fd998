//! `pilar release status`

use std::path::Path;

use clap::Args;
use pilar_artifact::verify::{self, Context};
use pilar_artifact::{FeatureId, Limits, ReleaseIndex, TrustedKeys};
use serde_json::{Value, json};

use crate::arguments::{ArtifactsArguments, KeyArguments};
use crate::documents::{features_in, open_dir};
use crate::environment::Environment;
use crate::keyring;
use crate::problem::{Outcome, Problem};
use crate::ui::Ui;

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// Only this feature, with its versions and history.
    #[arg(long, value_name = "ID")]
    feature: Option<FeatureId>,
    #[command(flatten)]
    artifacts: ArtifactsArguments,
    #[command(flatten)]
    keys: KeyArguments,
}

pub(super) fn run(
    arguments: &StatusArguments,
    environment: &Environment,
    ui: &Ui,
) -> Result<Outcome, Problem> {
    let root = arguments.artifacts.dir(environment);
    let reader =
        Reader { trusted: keyring::trusted_keys(environment, arguments.keys.dev)?, environment };
    match &arguments.feature {
        Some(feature) => {
            let index = reader.index(&root.join(feature.as_str()), feature)?;
            show_one(&index, ui);
            let result = format!("{feature}: {} is active.", index.active_version);
            Ok(Outcome::new(result, json!({ "features": [describe(&index)] })))
        }
        None => all(&root, &reader, ui),
    }
}

struct Reader<'e> {
    trusted: TrustedKeys,
    environment: &'e Environment,
}

impl Reader<'_> {
    fn index(&self, dir: &Path, feature: &FeatureId) -> Result<ReleaseIndex, Problem> {
        let context = Context {
            keys: &self.trusted,
            now: self.environment.now(),
            host_version: None,
            limits: Limits::default(),
        };
        let verified = verify::index(&open_dir(dir)?, feature, &context)
            .map_err(|rejection| Problem::from(&rejection).file(dir.join(rejection.file())))?;
        Ok(verified.index)
    }
}

fn all(root: &Path, reader: &Reader<'_>, ui: &Ui) -> Result<Outcome, Problem> {
    let mut problems = Vec::new();
    let mut rows = Vec::new();
    let mut features = Vec::new();
    for (feature, dir) in features_in(root)? {
        match reader.index(&dir, &feature) {
            Ok(index) => {
                rows.push(row(&index));
                features.push(describe(&index));
            }
            Err(problem) => {
                let refused = format!("refused ({})", problem.code());
                rows.push(vec![feature.to_string(), refused]);
                problems.push(problem);
            }
        }
    }
    ui.table(&["feature", "active", "canary", "floor", "sequence", "versions"], &rows);
    let count = features.len() + problems.len();
    let noun = if count == 1 { "feature" } else { "features" };
    let result = format!("{count} {noun} in {}.", root.display());
    Ok(Outcome { problems, ..Outcome::new(result, json!({ "features": features })) })
}

fn row(index: &ReleaseIndex) -> Vec<String> {
    let canary = match (index.canary(), &index.rollout) {
        (Some(canary), Some(rollout)) => format!("{canary} ({} %)", rollout.percent),
        (Some(canary), None) => canary.to_string(),
        (None, _) => "-".to_owned(),
    };
    vec![
        index.feature_id.to_string(),
        index.active_version.to_string(),
        canary,
        index.minimum_version.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        index.sequence.to_string(),
        index.versions.len().to_string(),
    ]
}

fn show_one(index: &ReleaseIndex, ui: &Ui) {
    let versions: Vec<Vec<String>> = index
        .versions
        .iter()
        .map(|entry| {
            let state = match &entry.revoked {
                Some(revoked) => format!("revoked: {}", revoked.reason),
                None if entry.version == index.active_version => "active".to_owned(),
                None if index.canary() == Some(&entry.version) => "canary".to_owned(),
                None if entry.version > index.active_version => "above active".to_owned(),
                None if index.is_below_floor(&entry.version) => "below the floor".to_owned(),
                None => "candidate".to_owned(),
            };
            let built = entry.provenance.as_ref().map(|provenance| provenance.built_at.to_string());
            let digest: String = entry.manifest_sha256.0.hex().chars().take(12).collect();
            vec![entry.version.to_string(), digest, built.unwrap_or_default(), state]
        })
        .collect();
    ui.table(&["version", "manifest", "built", "state"], &versions);
    ui.line("");
    let history: Vec<Vec<String>> = index
        .history
        .iter()
        .map(|entry| {
            let from = entry.from.as_ref().map(|from| format!(" (from {from})"));
            let words = [&entry.actor, &entry.reason, &entry.ticket];
            vec![
                entry.sequence.to_string(),
                entry.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
                entry.action.clone(),
                format!("{}{}", entry.version, from.unwrap_or_default()),
                words.into_iter().flatten().cloned().collect::<Vec<_>>().join(", "),
            ]
        })
        .collect();
    ui.table(&["seq", "when", "action", "version", "by whom and why"], &history);
}

fn describe(index: &ReleaseIndex) -> Value {
    let mut value = json!({
        "featureId": index.feature_id,
        "sequence": index.sequence,
        "activeVersion": index.active_version,
        "channels": index.channels,
        "rollout": index.rollout,
        "minimumVersion": index.minimum_version,
        "history": index.history,
    });
    if let (Some(map), Ok(versions)) =
        (value.as_object_mut(), serde_json::to_value(&index.versions))
    {
        map.insert("versions".to_owned(), versions);
    }
    value
}
