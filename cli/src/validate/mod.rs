//! `pilar validate compat`: whether features fit a host, the set of shared packages, and each other.

mod embedded;
mod fields;
mod services;
mod shared;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use pilar_artifact::manifest::FeatureType;
use semver::Version;
use serde_json::json;

use crate::environment::{Environment, own_version};
use crate::finding::{Finding, conclude};
use crate::problem::{Outcome, Problem};
use crate::subject::{Subject, SubjectArguments, Subjects};
use crate::ui::Ui;

#[derive(Debug, Subcommand)]
pub(crate) enum ValidateCommand {
    /// Check manifests against a host version, the shared packages, and each other.
    Compat(CompatArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilar validate compat --dev                            what ARTIFACTS_DIR serves
  pilar validate compat features --artifacts artifacts --strict
  pilar validate compat features --host-version 0.1.0 --services services.json

The file of --services says what each backend is: { \"<name>\": \"<what it is, who runs it>\" },
where a value may also be an object with a \"description\".
Exit status 1: something would not work, or with --strict there is a warning.")]
pub(crate) struct CompatArguments {
    #[command(flatten)]
    subjects: SubjectArguments,
    /// The host that is to load them [default: the version of this program]
    #[arg(long, value_name = "VERSION")]
    host_version: Option<Version>,
    /// The file that documents the backends named in infrastructure.services.
    #[arg(long, value_name = "FILE")]
    services: Option<PathBuf>,
    /// Warnings count as failures.
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(
    command: &ValidateCommand,
    environment: &Environment,
    ui: &Ui,
) -> Result<Outcome, Problem> {
    let ValidateCommand::Compat(arguments) = command;
    let host = arguments.host_version.clone().or_else(own_version);
    let documented = arguments.services.as_deref().map(services::read).transpose()?;
    let progress = ui.progress("reading manifests");
    let mut subjects = Subjects::read(&arguments.subjects, host.as_ref(), environment)?;
    let mut findings = std::mem::take(&mut subjects.refused);
    let named = host.iter().map(|host| format!(" for host {host}")).collect::<String>();
    let what = format!("{}{named}", subjects.count());
    for subject in &subjects.all {
        findings.extend(host.as_ref().and_then(|host| host_version(subject, host)));
        findings.extend(fields::check(subject));
        findings.extend(services::check(subject, documented.as_ref()));
        findings.extend(embedded::check(subject, &subjects));
    }
    findings.extend(shared::check(&subjects));
    findings.extend(element_ids(&subjects.all));
    drop(progress);
    let mut outcome = conclude(&findings, &what, arguments.strict, ui);
    outcome.json.insert("hostVersion".to_owned(), json!(host));
    Ok(outcome)
}

/// Step 12 of the chain of checks, which a host makes when it loads a version.
fn host_version(subject: &Subject, host: &Version) -> Option<Finding> {
    let requirements = subject.manifest.requirements.as_ref()?;
    let needs = requirements.min_host_version.as_ref()?;
    let message = format!("{} needs host {needs}, this is {host}", subject.id());
    let remedy = format!("upgrade the host to {needs} or later first, or lower the requirement");
    let finding = Finding::fail("host-too-old", message, remedy);
    let finding = finding.at(subject.place(), "requirements.minHostVersion");
    host.cmp_precedence(needs).is_lt().then_some(finding)
}

/// Two features with one element id: styles and scripts that look for it find the other's.
fn element_ids(subjects: &[Subject]) -> Vec<Finding> {
    let mut first: BTreeMap<&str, &Subject> = BTreeMap::new();
    let mut findings = Vec::new();
    let domains = subjects.iter().filter(|one| one.manifest.feature_type() == FeatureType::Domain);
    for subject in domains {
        let Some(mount) = &subject.manifest.mount else { continue };
        match first.get(mount.dom_element_id.as_str()) {
            None => _ = first.insert(&mount.dom_element_id, subject),
            Some(other) => {
                let (one, two, id) = (other.id(), subject.id(), &mount.dom_element_id);
                let message = format!("{one} and {two} both mount into an element called {id}");
                let remedy = "give each its own id, such as its feature id and \"-root\"";
                let field = "mount.domElementId";
                let finding = Finding::warn("element-id-duplicate", message, remedy);
                findings.push(finding.at(other.place(), field).at(subject.place(), field));
            }
        }
    }
    findings
}
