//! `pilar doctor`: whether a host would start here, serve all that was released, and be safe to reach.

mod access;
mod artifacts;
mod env_file;
mod host;
mod keys;
mod machine;
mod memory;

use std::path::PathBuf;

use clap::Args;
use pilar_settings::{HOST, SettingError, Settings};
use serde_json::json;

use crate::environment::Environment;
use crate::finding::{Finding, conclude};
use crate::problem::{Outcome, Problem};
use crate::ui::Ui;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilar doctor                                      the environment of this shell
  pilar doctor --env-file production.env            what a container will be given
  pilar doctor --url https://host.example           a host that runs, as well

With NODE_ENV=production what is only unwise elsewhere is a failure. The limits of the machine are
those of where this runs: run it in the container, or as the service's user, to see theirs.
Exit status 1: at least one check failed.")]
pub(crate) struct DoctorArguments {
    /// Take the variables from this file (NAME=value lines) and none from the environment.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// The artifacts directory [default: ARTIFACTS_DIR, else "artifacts"]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// A running host, which is asked how it is.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// What is examined.
struct Case<'a> {
    settings: Settings,
    /// Whether it is strict. A `NODE_ENV` that is nearly `production` means it.
    production: bool,
    artifacts: PathBuf,
    environment: &'a Environment,
}

pub(crate) fn run(
    arguments: &DoctorArguments,
    environment: &Environment,
    ui: &Ui,
) -> Result<Outcome, Problem> {
    let mut findings = Vec::new();
    let settings = match &arguments.env_file {
        None => environment.host.clone(),
        Some(path) => {
            let file = env_file::read(path)?;
            findings.extend(file.problems);
            Settings::new(&HOST, file.variables)
        }
    };
    let url = arguments.url.as_deref().map(crate::http::base_url).transpose()?;
    let named = || PathBuf::from(settings.text("ARTIFACTS_DIR").unwrap_or_default());
    let artifacts = arguments.artifacts.clone().unwrap_or_else(named);
    let production = settings.production().unwrap_or(true);
    let case = Case { settings, production, artifacts, environment };
    let progress = ui.progress("examining");
    findings.extend(variables(&case));
    let (of_keys, trusted) = keys::check(&case);
    findings.extend(of_keys);
    progress.say("verifying artifacts");
    let (of_artifacts, released) = artifacts::check(&case, trusted.as_ref());
    findings.extend(of_artifacts);
    findings.extend(access::check(&case, &released));
    progress.say("examining the machine");
    findings.extend(machine::check(&case, &released));
    findings.push(memory::check(&case, &released));
    if let Some(url) = url {
        progress.say(format!("asking {url}"));
        findings.extend(host::check(&url, environment));
    }
    drop(progress);
    let what = format!("{} checks", findings.len());
    let mut outcome = conclude(&findings, &what, false, ui);
    outcome.json.insert("production".to_owned(), json!(production));
    Ok(outcome)
}

impl Case<'_> {
    /// A number, where its variable has one; that it has a bad one is said once, by [`variables`].
    fn number(&self, name: &'static str) -> Option<u64> {
        self.settings.number(name).ok()
    }

    /// A switch; a bad value is taken as off, and said once, by [`variables`].
    fn flag(&self, name: &'static str) -> bool {
        self.settings.flag(name).unwrap_or(false)
    }

    fn workers(&self) -> u64 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let named = self.settings.optional("HOST_WORKERS").ok().flatten();
        named.unwrap_or(u64::try_from(cores).unwrap_or(1))
    }
}

/// What the host itself says of its variables when it starts, all of it.
fn variables(case: &Case<'_>) -> Vec<Finding> {
    let problems = case.settings.problems();
    let mut findings = Vec::new();
    findings.push(if case.production {
        Finding::ok("production", "NODE_ENV is production: checks are strict")
    } else {
        let message = "NODE_ENV is not production: what is only unwise is a warning";
        Finding::skipped("production", message)
    });
    if problems.is_empty() {
        findings.push(Finding::ok("variables", "the host starts with these variables"));
    }
    findings.extend(problems.iter().map(|problem| {
        let (name, remedy) = match problem {
            SettingError::BadValue { name, allowed, .. } => (*name, format!("set it to {allowed}")),
            SettingError::NearMiss { name, nearest, .. } => {
                (name.as_str(), format!("call it {nearest}, or unset it"))
            }
            SettingError::Both { one, other } => (*one, format!("unset it, or {other}")),
            SettingError::NoTrustedKeys => {
                ("FEATURE_TRUST_PUBLIC_KEYS_PATH", "name the file of trusted keys".to_owned())
            }
            SettingError::RefusedInProduction { name } => (*name, "unset it".to_owned()),
        };
        Finding::fail(problem.code(), problem.to_string(), remedy).variable(name)
    }));
    findings.extend(case.settings.notes().into_iter().map(|note| {
        Finding::warn("config-note", note, "unset it, unless another program needs it")
    }));
    findings
}
