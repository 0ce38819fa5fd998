//! `pilar publish`

use std::io;
use std::path::PathBuf;

use clap::Args;
use pilar_artifact::operations::Window;
use pilar_artifact::{FeatureId, Limits};
use serde_json::{Value, json};

use crate::arguments::{
    ArtifactsArguments, AttributionArguments, ChannelArgument, FeatureArguments, KeyArguments,
};
use crate::build;
use crate::environment::Environment;
use crate::keyring;
use crate::problem::{Outcome, Problem};
use crate::tree::{Candidate, Change, Tree};
use crate::ui::Ui;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilar publish --local --dev
  pilar publish --local --feature patientlist --channel canary --actor ci --ticket CARE-12

Every file is verified again on its way. The version directory appears complete, the index comes
last: a kill at any point leaves the old index or the new one. Versions that fall out of the window
are removed.")]
pub(crate) struct PublishArguments {
    /// Publish to an artifacts directory on this machine.
    #[arg(long, required = true)]
    local: bool,
    #[command(flatten)]
    features: FeatureArguments,
    /// Where `pilar build` put the versions.
    #[arg(long, value_name = "DIR", default_value = build::OUTPUT_DIR)]
    from: PathBuf,
    /// Where the version goes.
    #[arg(long, value_enum, default_value = "stable")]
    channel: ChannelArgument,
    /// Versions below the active one that stay, for fallback and rollback.
    #[arg(long, value_name = "N", default_value_t = Window::default().keep)]
    keep: usize,
    #[command(flatten)]
    artifacts: ArtifactsArguments,
    #[command(flatten)]
    attribution: AttributionArguments,
    #[command(flatten)]
    keys: KeyArguments,
}

pub(crate) fn run(
    arguments: &PublishArguments,
    environment: &Environment,
    ui: &Ui,
) -> Result<Outcome, Problem> {
    let features = match arguments.features.features.as_slice() {
        [] => built_features(arguments)?,
        named => named.to_vec(),
    };
    let tree = Tree {
        root: arguments.artifacts.dir(environment),
        key: keyring::signing_key(environment, arguments.keys.dev)?,
        trusted: keyring::trusted_keys(environment, arguments.keys.dev)?,
        environment,
        limits: Limits::default(),
    };
    let attribution = arguments.attribution.at_now(environment);
    let window = Window { keep: arguments.keep };
    let mut published = Vec::new();
    let mut problems = Vec::new();
    let mut changes = 0_usize;
    for feature in &features {
        let progress = ui.progress(format!("publishing {feature}"));
        let done = Candidate::read(&arguments.from.join(feature.as_str()), &tree.limits).and_then(
            |candidate| {
                let channel = arguments.channel.into();
                let change = tree.publish(&candidate, channel, window, &attribution)?;
                Ok((candidate, change))
            },
        );
        drop(progress);
        match done {
            Ok((candidate, change)) => {
                ui.line(summary(&candidate, &change));
                changes += usize::from(change.changed);
                published.push(describe(&candidate, &change));
            }
            Err(problem) => problems.push(problem),
        }
    }
    let result = if changes == 0 && problems.is_empty() {
        "Nothing to do: everything is published already.".to_owned()
    } else {
        format!("Published {changes} of {} features to {}.", features.len(), tree.root.display())
    };
    Ok(Outcome { problems, ..Outcome::new(result, json!({ "features": published })) })
}

fn built_features(arguments: &PublishArguments) -> Result<Vec<FeatureId>, Problem> {
    let from = &arguments.from;
    let not_built = |message: String| {
        Problem::new("not-built", message, "run `pilar build` first, or name --from").file(from)
    };
    let mut features: Vec<FeatureId> = std::fs::read_dir(from)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|error| not_built(format!("there is no built feature: {error}")))?
        .into_iter()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    features.sort();
    if features.is_empty() {
        Err(not_built("there is no built feature".to_owned()))
    } else {
        Ok(features)
    }
}

fn summary(candidate: &Candidate, change: &Change) -> String {
    let (feature, version) = (&candidate.manifest.id, &candidate.manifest.version);
    if !change.changed {
        return format!("{feature} {version}: nothing to do, it is published already");
    }
    let index = &change.index;
    let what = if index.active_version == *version { "active" } else { "canary" };
    let digest: String = candidate.sha256().hex().chars().take(12).collect();
    format!("{feature} {version}: {what}, sequence {}, manifest {digest}", index.sequence)
}

fn describe(candidate: &Candidate, change: &Change) -> Value {
    json!({
        "feature": candidate.manifest.id,
        "version": candidate.manifest.version,
        "changed": change.changed,
        "sequence": change.index.sequence,
        "activeVersion": change.index.active_version,
        "manifestSha256": candidate.sha256().hex(),
        "removed": change.removed,
    })
}
