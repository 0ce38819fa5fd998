//! `cargo xtask measure`: what a release, a start and an artifact cost the host.

use std::process::Command;

use crate::bench::{WRK, commit};
use crate::process::{build_release, call, cargo};
use crate::setup::programs;
use crate::{Failure, Workspace};

/// Measures, and writes `docs/performance/lifecycle.md`.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    programs(&[WRK])?;
    build_release(workspace)?;
    call(&mut cargo(workspace, &["build", "--release", "--locked", "--package", "loadtest"]))?;
    call(
        Command::new(workspace.release_binary("loadtest")?)
            .arg("lifecycle")
            .arg("--pilar-host")
            .arg(workspace.release_binary("pilar-host")?)
            .arg("--pilar")
            .arg(workspace.release_binary("pilar")?)
            .arg("--out")
            .arg(workspace.root.join("docs/performance/lifecycle.md"))
            .args(["--commit", &commit(workspace)?]),
    )
}
