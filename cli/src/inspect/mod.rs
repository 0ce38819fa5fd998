//! `pilar inspect`: walks the whole chain of checks and says what would serve, and why.

mod cdn;
mod chain;
mod host;
mod show;
mod view;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use pilar_artifact::verify::Context;
use pilar_artifact::{FeatureId, Limits, MANIFEST_FILE, RELEASES_FILE};
use semver::Version;
use serde_json::json;

use crate::arguments::KeyArguments;
use crate::documents::{features_in, open_dir};
use crate::environment::Environment;
use crate::http::{Client, base_url};
use crate::keyring;
use crate::problem::{Outcome, Problem};
use crate::ui::Ui;
use view::{FeatureView, VersionView};

pub(crate) use chain::{FeatureReport, feature};
pub(crate) use host::{MAX_HEALTH_BYTES, parse as parse_health};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilar inspect artifacts --dev
  pilar inspect artifacts/patientlist --host-version 0.1.0
  pilar inspect .pilar/build/patientlist/1.0.0 --dev
  pilar inspect https://host.example
  pilar inspect https://cdn.example/features/patientlist

A running host is asked for the reason tree of /_health. Of a CDN the files below the base URL are
verified here: those of one feature, or of each feature that remote-index.json lists.

The numbers are those of docs/verification.md. A host runs the same checks with the same codes.
Exit status 1: something is refused.")]
pub(crate) struct InspectArguments {
    /// An artifacts directory, a feature's directory, a version directory, or a URL of a host or a CDN.
    #[arg(value_name = "DIR|URL")]
    place: PathBuf,
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
    let url = arguments.place.to_str().filter(|place| place.contains("://"));
    let Some(url) = url.map(base_url).transpose()? else {
        let trusted = keyring::trusted_keys(environment, arguments.keys.dev)?;
        return directory(&arguments.place, &arguments.context(&trusted, environment), ui);
    };
    let client = Client::new();
    let progress = ui.progress(format!("asking {url}"));
    // A host is asked before any key is needed: what it serves is what counts there.
    if let Some(health) = host::ask(&client, &url)? {
        drop(progress);
        return host::show(&url, health, ui);
    }
    let trusted = keyring::trusted_keys(environment, arguments.keys.dev)?;
    let (found, stale) =
        cdn::inspect(&client, &url, &arguments.context(&trusted, environment), &progress)?;
    drop(progress);
    let mut outcome = tell(found, ui);
    if let Some(problem) = stale {
        problem.lines().iter().for_each(|line| ui.line(line));
        outcome.problems.push(problem);
    }
    Ok(outcome)
}

impl InspectArguments {
    fn context<'a>(
        &'a self,
        keys: &'a pilar_artifact::TrustedKeys,
        environment: &Environment,
    ) -> Context<'a> {
        let host_version = self.host_version.as_ref();
        Context { keys, now: environment.now(), host_version, limits: Limits::default() }
    }
}

/// What was found of one feature, and what is said before the path of a file in it.
struct Found {
    report: FeatureReport,
    place: String,
}

fn directory(place: &Path, context: &Context<'_>, ui: &Ui) -> Result<Outcome, Problem> {
    // `inspect .` and `inspect artifacts/` name directories too.
    let dir = std::fs::canonicalize(place).map_err(|error| {
        let message = format!("the directory cannot be read: {error}");
        Problem::new("dir-unreadable", message, "name a directory that exists").file(place)
    })?;
    if dir.join(MANIFEST_FILE).exists() && !dir.join(RELEASES_FILE).exists() {
        let report = chain::version_alone(&dir, context)?;
        let parent = dir.parent().unwrap_or(&dir);
        let refusal = report.verified.as_ref().err();
        let problem =
            refusal.map(|refusal| Problem::from(refusal).file(parent.join(refusal.file())));
        return Ok(show::version_alone(&VersionView::from(&report), problem, ui));
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
    let mut found = Vec::new();
    for (feature, dir) in &features {
        let report = chain::feature(&open_dir(dir)?, feature, context);
        found.push(Found { report, place: dir.display().to_string() });
    }
    Ok(tell(found, ui))
}

/// Shows what was verified here.
fn tell(found: Vec<Found>, ui: &Ui) -> Outcome {
    let mut problems = Vec::new();
    let mut troubles = Vec::new();
    let mut described = Vec::new();
    let mut holders = BTreeMap::new();
    for Found { report, place } in &found {
        let mut view = FeatureView::from(report);
        if let Some(prefix) = report.prefix() {
            // Contract §6: of equal prefixes the lower id serves, where no host holds one of them already.
            let holder = *holders.entry(prefix).or_insert(&report.feature);
            if *holder != report.feature {
                view.loses_its_prefix_to(holder);
            }
        }
        show::feature(&view, ui);
        described.push(show::describe(&view));
        problems.extend(
            report
                .refusals()
                .map(|refusal| Problem::from(refusal).file(format!("{place}/{}", refusal.file()))),
        );
        troubles.extend(view.problems().map(|problem| problem.file(place)));
    }
    let result = show::result(found.len(), problems.len());
    problems.extend(troubles);
    let json = json!({ "features": described });
    Outcome { problems, problems_shown: true, ..Outcome::new(result, json) }
}

fn feature_of(dir: &Path) -> Result<FeatureId, Problem> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    name.parse().map_err(|error| {
        let remedy = "a feature's directory has the name of the feature";
        Problem::new("bad-feature-id", format!("{error}"), remedy).file(dir)
    })
}
