//! `pilar publish`

use std::path::PathBuf;

use clap::Args;
use pilar_artifact::FeatureId;
use pilar_artifact::operations::Window;
use serde_json::{Value, json};

use crate::arguments::{
    ArtifactsArguments, AttributionArguments, ChannelArgument, FeatureArguments, KeyArguments,
};
use crate::build;
use crate::documents::features_in;
use crate::environment::Environment;
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
    let root = arguments.artifacts.dir(environment);
    let tree = Tree::open(root, arguments.keys.dev, environment)?;
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
    let features = if from.is_dir() { features_in(from)? } else { Vec::new() };
    if features.is_empty() {
        let remedy = "run `pilar build` first, or name --from";
        return Err(Problem::new("not-built", "there is no built feature", remedy).file(from));
    }
    Ok(features.into_iter().map(|(feature, _)| feature).collect())
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
        "featureId": candidate.manifest.id,
        "version": candidate.manifest.version,
        "changed": change.changed,
        "sequence": change.index.sequence,
        "activeVersion": change.index.active_version,
        "manifestSha256": candidate.sha256().hex(),
        "removed": change.removed,
    })
}
