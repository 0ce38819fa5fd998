//! `cargo xtask dev`.

use std::process::Command;

use crate::process::{call, cargo};
use crate::{Failure, Workspace, setup};

/// Builds the workspace and starts the development host with the examples and the shared packages.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    if let Err(missing) = setup::node() {
        println!("{missing}\nGoing on with the examples that need no build.");
    }
    call(&mut cargo(workspace, &["build", "--release", "--locked", "--bins"]))?;
    let mut pilar = Command::new(workspace.release_binary("pilar")?);
    pilar.current_dir(&workspace.root).arg("dev").args(arguments);
    if !arguments.iter().any(|argument| !argument.starts_with('-')) {
        pilar.args(["sdk/shared", "examples"]);
    }
    call(&mut pilar)
}
