//! `pilar lint`: what is wrong between features, each of which is right for itself.

mod routes;

use clap::{Args, Subcommand};

use crate::environment::Environment;
use crate::finding::conclude;
use crate::problem::{Outcome, Problem};
use crate::subject::{SubjectArguments, Subjects};
use crate::ui::Ui;

#[derive(Debug, Subcommand)]
pub(crate) enum LintCommand {
    /// Find URL prefixes and paths that are in each other's way.
    Routes(RoutesArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilar lint routes --dev                       what ARTIFACTS_DIR serves
  pilar lint routes features                    sources, before they are built
  pilar lint routes features --artifacts dist   sources among what is released already

Both sides of a conflict are named, with who gets which URLs (contract §6).
Exit status 1: something is not served as its manifest says, or with --strict there is a warning.")]
pub(crate) struct RoutesArguments {
    #[command(flatten)]
    subjects: SubjectArguments,
    /// Warnings count as failures.
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(
    command: &LintCommand,
    environment: &Environment,
    ui: &Ui,
) -> Result<Outcome, Problem> {
    let LintCommand::Routes(arguments) = command;
    let progress = ui.progress("reading manifests");
    let mut subjects = Subjects::read(&arguments.subjects, None, environment)?;
    drop(progress);
    let mut findings = std::mem::take(&mut subjects.refused);
    let what = subjects.count();
    findings.extend(routes::check(&subjects.all));
    Ok(conclude(&findings, &what, arguments.strict, ui))
}
