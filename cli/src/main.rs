//! `pilar`: builds, signs, publishes, releases, inspects and checks features, and examines hosts (contract §14).

mod arguments;
mod build;
mod dev;
mod doctor;
mod documents;
mod environment;
mod finding;
mod http;
mod image;
mod inspect;
mod keyring;
mod keys;
mod lint;
mod problem;
mod publish;
mod release;
mod subject;
mod tree;
mod ui;
mod validate;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use jiff::Timestamp;
use pilar_settings::{HOST, Settings};
use rustix::rand::{GetRandomFlags, getrandom};

use arguments::{Arguments, Command};
use environment::{Environment, Machine};
use problem::{Outcome, Problem};
use ui::Ui;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return refuse_usage(&error, &words),
    };
    let environment = Environment::read(variable, Settings::new(&HOST, variables()), machine());
    let ui = Ui::new(
        arguments.json,
        io::stdout().is_terminal(),
        io::stderr().is_terminal(),
        variable("NO_COLOR").is_some(),
    );
    let done = run(&arguments.command, &environment, &ui);
    ExitCode::from(ui.finish(done))
}

fn run(command: &Command, environment: &Environment, ui: &Ui) -> Result<Outcome, Problem> {
    match command {
        Command::Keys(command) => keys::run(command, environment, ui),
        Command::Build(arguments) => build::run(arguments, environment, ui),
        Command::Publish(arguments) => publish::run(arguments, environment, ui),
        Command::Image(command) => image::run(command, environment, ui),
        Command::Release(command) => release::run(command, environment, ui),
        Command::Inspect(arguments) => inspect::run(arguments, environment, ui),
        Command::Lint(command) => lint::run(command, environment, ui),
        Command::Validate(command) => validate::run(command, environment, ui),
        Command::Doctor(arguments) => doctor::run(arguments, environment, ui),
        Command::Dev(arguments) => dev::run(arguments, environment, ui),
    }
}

/// Help and version are answers; everything else is wrong use, in the form that was asked for.
fn refuse_usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    let answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !answer && words.iter().any(|word| word == "--json") {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default();
        let problem = Problem::new(
            "usage",
            first.trim_start_matches("error: "),
            "see pilar --help, or --help after the command",
        );
        let ui = Ui::new(true, false, false, true);
        return ExitCode::from(ui.finish(Err(problem.wrong_use())));
    }
    // Nothing is left to tell somebody who closed the pipe.
    let _ = error.print();
    if answer { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variables() -> impl Iterator<Item = (String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn machine() -> Machine {
    Machine {
        clock: Timestamp::now,
        randomness: |bytes| {
            let filled = getrandom(&mut bytes[..], GetRandomFlags::empty())?;
            if filled == bytes.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        },
        executable: std::env::current_exe().ok(),
    }
}
