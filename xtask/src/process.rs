//! Running other programs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Failure, Workspace};

/// Runs a command to its end with this terminal; its failure is an error that shows the command.
pub(crate) fn call(command: &mut Command) -> Result<(), Failure> {
    let shown = show(command);
    println!("$ {shown}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("failed ({status}): {shown}")),
        Err(error) => Err(format!("could not start: {shown}: {error}")),
    }
}

/// Runs a command, shows what it prints, and returns that with whether it succeeded.
pub(crate) fn run_and_keep(command: &mut Command) -> Result<(String, bool), Failure> {
    let shown = show(command);
    println!("$ {shown}");
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("could not start: {shown}: {error}"))?;
    let mut kept = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut screen = std::io::stdout();
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).map_err(|error| error.to_string())? > 0 {
            // A closed screen must not stop the tests.
            let _ = screen.write_all(&line);
            kept.push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok((kept, status.success()))
}

/// Runs a command quietly and returns what it printed on standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let shown = show(command);
    let output = command.output().map_err(|error| format!("could not start: {shown}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let words = String::from_utf8_lossy(&output.stderr);
        Err(format!("failed ({}): {shown}\n{words}", output.status))
    }
}

/// `cargo` in the workspace.
pub(crate) fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&workspace.root).args(arguments);
    command
}

/// Builds the release binaries, as they ship.
pub(crate) fn build_release(workspace: &Workspace) -> Result<(), Failure> {
    call(&mut cargo(workspace, &["build", "--release", "--locked", "--bins"]))
}

/// `npm` in a directory of the workspace.
pub(crate) fn npm(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    // Colour codes would hide the numbers from the tally.
    command.current_dir(dir).args(arguments).env("NO_COLOR", "1").env_remove("FORCE_COLOR");
    command
}

/// The triple that cargo builds for on this machine.
pub(crate) fn host_triple(workspace: &Workspace) -> Result<String, Failure> {
    let text = output(Command::new("rustc").current_dir(&workspace.root).arg("-vV"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "rustc -vV does not name its host".to_owned())
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
