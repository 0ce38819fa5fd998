//! `cargo xtask measure`: what a release, a registration, a start and an artifact cost.

use std::process::Command;

use crate::bench::{IP, WRK, commit};
use crate::process::{build_release, call, cargo};
use crate::setup::{REGISTRY, programs};
use crate::{Failure, Workspace, kubernetes};

/// Measures, and writes `docs/performance/lifecycle.md`.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    programs(&[IP, WRK, REGISTRY])?;
    kubernetes::build(workspace)?;
    build_release(workspace)?;
    call(&mut cargo(workspace, &["build", "--release", "--locked", "--package", "loadtest"]))?;
    let registrations = workspace.target().join("registrations.json");
    let test = ["test", "--release", "--locked", "--package", "pilar-loader", "--test"];
    call(
        cargo(workspace, &test)
            .args(["registrations_are_served_soon", "--", "--ignored"])
            .env("KUBEBUILDER_ASSETS", kubernetes::assets(workspace)?)
            .env("PILAR_MEASURED", &registrations),
    )?;
    call(
        Command::new(workspace.release_binary("loadtest")?)
            .arg("lifecycle")
            .arg("--pilar-host")
            .arg(workspace.release_binary("pilar-host")?)
            .arg("--pilar")
            .arg(workspace.release_binary("pilar")?)
            .arg("--registrations")
            .arg(registrations)
            .arg("--out")
            .arg(workspace.root.join("docs/performance/lifecycle.md"))
            .args(["--commit", &commit(workspace)?]),
    )
}
