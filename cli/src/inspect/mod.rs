//! `pilar inspect`: walks the whole chain of checks and says what would serve, and why.

mod chain;
mod show;

use std::path::{Path, PathBuf};

use clap::Args;
use pilar_artifact::verify::Context;
use pilar_artifact::{FeatureId, Limits, MANIFEST_FILE, RELEASES_FILE};
use semver::Version;
use serde_json::json;

use crate::arguments::KeyArguments;
use crate::documents::{features_in, open_dir};
use crate::environment::Environment;
use crate::keyring;
use crate::problem::{Outcome, Problem};
use crate::ui::Ui;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilar inspect artifacts --dev
  pilar inspect artifacts/patientlist --host-version 0.1.0
  pilar inspect .pilar/build/patientlist/1.0.0 --dev

The numbers are those of docs/verification.md. A host runs the same checks with the same codes.
Exit status 1: something is refused.")]
pub(crate) struct InspectArguments {
    /// An artifacts directory, a feature's directory, or a version directory.
    dir: PathBuf,
    /// Check requirements.minHostVersion against this host.
    #[arg(long, value_name = "VERSION")]
    host_version: Option<Version>,
    #[command(flatten)]
    keys: KeyArguments,
}

pub(crate) fn run(
    arguments: &InspectArguments,
    environment: &Environment,
    ui: &Ui,
) -> Result<Outcome, Problem> {
    let trusted = keyring::trusted_keys(environment, arguments.keys.dev)?;
    let context = Context {
        keys: &trusted,
        now: environment.now(),
        host_version: arguments.host_version.as_ref(),
        limits: Limits::default(),
    };
    // `inspect .` and `inspect artifacts/` name directories too.
    let dir = std::fs::canonicalize(&arguments.dir).map_err(|error| {
        let message = format!("the directory cannot be read: {error}");
        Problem::new("dir-unreadable", message, "name a directory that exists").file(&arguments.dir)
    })?;
    if dir.join(MANIFEST_FILE).exists() && !dir.join(RELEASES_FILE).exists() {
        let report = chain::version_alone(&dir, &context)?;
        return Ok(show::version_alone(&report, &dir, ui));
    }
    let features = if dir.join(RELEASES_FILE).exists() {
        vec![(feature_of(&dir)?, dir.clone())]
    } else {
        features_in(&dir)?
    };
    if features.is_empty() {
        let remedy = "name an artifacts directory, a feature's directory or a version directory";
        return Err(Problem::new("no-feature", "there is no feature here", remedy).file(&dir));
    }
    let mut problems = Vec::new();
    let mut described = Vec::new();
    for (feature, dir) in &features {
        let report = chain::feature(&open_dir(dir)?, feature, &context);
        show::feature(&report, ui);
        described.push(show::describe(&report));
        problems.extend(
            report.refusals().map(|refusal| Problem::from(refusal).file(dir.join(refusal.file()))),
        );
    }
    let result = show::result(features.len(), problems.len());
    let json = json!({ "features": described });
    Ok(Outcome { problems, problems_shown: true, ..Outcome::new(result, json) })
}

fn feature_of(dir: &Path) -> Result<FeatureId, Problem> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    name.parse().map_err(|error| {
        let remedy = "a feature's directory has the name of the feature";
        Problem::new("bad-feature-id", format!("{error}"), remedy).file(dir)
    })
}
