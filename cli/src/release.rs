//! `pilar release`: which version serves.

mod status;

use clap::{Args, Subcommand, ValueEnum};
use pilar_artifact::FeatureId;
use pilar_artifact::operations::Operation;
use semver::Version;
use serde_json::json;

use crate::arguments::{ArtifactsArguments, AttributionArguments, KeyArguments};
use crate::environment::Environment;
use crate::problem::{Outcome, Problem};
use crate::tree::Tree;
use crate::ui::Ui;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  pilar release canary --feature patientlist --version 1.2.0 --percent 10
  pilar release promote --feature patientlist
  pilar release rollback --feature patientlist --reason 'list is empty for ward 3' --ticket CARE-77
  pilar release revoke --feature patientlist --version 1.2.0 --reason 'shows the wrong patient'
  pilar release status --feature patientlist

The index that is there is verified first; one that no trusted key signed is never built upon. Each
change is one new signed index with a higher sequence.")]
pub(crate) enum ReleaseCommand {
    /// Try a published version on a part of the people.
    Canary(CanaryArguments),
    /// Make a higher version the active one: the canary, where none is named.
    Promote(OptionalVersionArguments),
    /// Make a lower version the active one: the next lower, where none is named.
    Rollback(OptionalVersionArguments),
    /// Give up the canary; everybody gets the stable version.
    Fallback(FallbackArguments),
    /// Take a version back for good: it never serves again, not even as a fallback.
    Revoke(RevokeArguments),
    /// Raise the version below which hosts never fall back by themselves.
    RaiseFloor(VersionArguments),
    /// Show what is released.
    Status(status::StatusArguments),
}

/// Which feature, where, with which keys, by whom.
#[derive(Debug, Args)]
pub(crate) struct TargetArguments {
    /// The feature.
    #[arg(long, value_name = "ID")]
    feature: FeatureId,
    #[command(flatten)]
    artifacts: ArtifactsArguments,
    #[command(flatten)]
    attribution: AttributionArguments,
    #[command(flatten)]
    keys: KeyArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CanaryArguments {
    /// The version; published, and above the active one.
    #[arg(long)]
    version: Version,
    /// How many of a hundred people get it.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: u8,
    /// How long to watch it before it is promoted, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    soak_seconds: u64,
    #[command(flatten)]
    target: TargetArguments,
}

#[derive(Debug, Args)]
pub(crate) struct OptionalVersionArguments {
    /// The version.
    #[arg(long)]
    version: Option<Version>,
    #[command(flatten)]
    target: TargetArguments,
}

#[derive(Debug, Args)]
pub(crate) struct VersionArguments {
    /// The version; published, and not above the active one.
    #[arg(long)]
    version: Version,
    #[command(flatten)]
    target: TargetArguments,
}

#[derive(Debug, Args)]
pub(crate) struct FallbackArguments {
    /// The channel that everybody gets.
    #[arg(long, value_enum, default_value = "stable")]
    to: FallbackTarget,
    #[command(flatten)]
    target: TargetArguments,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FallbackTarget {
    Stable,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArguments {
    /// The version.
    #[arg(long)]
    version: Version,
    /// Go on where no version is left that may serve.
    #[arg(long)]
    even_if_nothing_serves: bool,
    #[command(flatten)]
    target: TargetArguments,
}

pub(crate) fn run(
    command: &ReleaseCommand,
    environment: &Environment,
    ui: &Ui,
) -> Result<Outcome, Problem> {
    let (target, operation) = match command {
        ReleaseCommand::Status(arguments) => return status::run(arguments, environment, ui),
        ReleaseCommand::Canary(CanaryArguments { version, percent, soak_seconds, target }) => {
            let (version, percent, soak_seconds) = (version.clone(), *percent, *soak_seconds);
            (target, Operation::Canary { version, percent, soak_seconds })
        }
        ReleaseCommand::Promote(OptionalVersionArguments { version, target }) => {
            (target, Operation::Promote { version: version.clone() })
        }
        ReleaseCommand::Rollback(OptionalVersionArguments { version, target }) => {
            (target, Operation::Rollback { version: version.clone() })
        }
        ReleaseCommand::Fallback(FallbackArguments { to: FallbackTarget::Stable, target }) => {
            (target, Operation::Fallback)
        }
        ReleaseCommand::Revoke(RevokeArguments { version, even_if_nothing_serves, target }) => {
            let reason = target.attribution.reason.clone().unwrap_or_default();
            let (version, even_if_nothing_serves) = (version.clone(), *even_if_nothing_serves);
            (target, Operation::Revoke { version, reason, even_if_nothing_serves })
        }
        ReleaseCommand::RaiseFloor(VersionArguments { version, target }) => {
            (target, Operation::RaiseFloor { version: version.clone() })
        }
    };
    change(target, &operation, environment)
}

fn change(
    target: &TargetArguments,
    operation: &Operation,
    environment: &Environment,
) -> Result<Outcome, Problem> {
    let root = target.artifacts.dir(environment);
    let tree = Tree::open(root, target.keys.dev, environment)?;
    let attribution = target.attribution.at_now(environment);
    let change = tree.change(&target.feature, operation, &attribution)?;
    let (index, before) = (&change.index, &change.before);
    let active = &index.active_version;
    let mut result = format!("{}: {active} is active", target.feature);
    match before {
        Some(before) if before != active => result.push_str(&format!(", it was {before}")),
        _ => {}
    }
    match (index.canary(), &index.rollout) {
        (Some(canary), Some(rollout)) => {
            result.push_str(&format!("; canary {canary} for {} %", rollout.percent));
        }
        (Some(canary), None) => result.push_str(&format!("; canary {canary}")),
        (None, _) => {}
    }
    result.push_str(&format!(" (sequence {}).", index.sequence));
    Ok(Outcome::new(
        result,
        json!({
            "featureId": index.feature_id,
            "sequence": index.sequence,
            "activeVersion": active,
            "previousVersion": before,
            "channels": index.channels,
            "rollout": index.rollout,
            "minimumVersion": index.minimum_version,
        }),
    ))
}
