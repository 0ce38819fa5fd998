//! `cargo xtask dev`.

use std::process::Command;

use crate::process::{build_release, call};
use crate::{Failure, Workspace, setup};

/// Builds the workspace and starts the development host with the examples and the shared packages.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    if let Err(missing) = setup::node() {
        println!("{missing}\nGoing on with the examples that need no build.");
    }
    build_release(workspace)?;
    let mut pilar = Command::new(workspace.release_binary("pilar")?);
    pilar.current_dir(&workspace.root).arg("dev").args(arguments);
    call(&mut pilar)
}
