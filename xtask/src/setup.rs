//! Installing what the two commands need.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::{call, npm, output};
use crate::{Failure, Workspace};

/// The lowest Node.js that the front-end tools run on.
const NODE: (u32, u32) = (20, 19);

/// The version of `cargo deny` that the checks are written for.
const CARGO_DENY: &str = "0.20.2";

/// Programs that tests need beyond Rust and Node, with the Debian package of each.
const PROGRAMS: &[(&str, &str)] =
    &[("/usr/bin/chromium", "chromium"), ("/usr/bin/strace", "strace"), ("/usr/bin/file", "file")];

/// Directories with a lock file of their own.
const NPM: &[&str] =
    &["sdk", "sdk/shared", "examples/feature-patientlist", "artifact/tests/node", "tests/browser"];

/// Everything that `test` needs.
pub(crate) fn everything(workspace: &Workspace) -> Result<(), Failure> {
    node()?;
    programs()?;
    for dir in NPM {
        npm_packages(&workspace.root.join(dir))?;
    }
    cargo_deny(workspace)
}

/// Node.js and npm, new enough.
pub(crate) fn node() -> Result<(), Failure> {
    let (major, minor) = NODE;
    let advice = format!("install Node.js {major}.{minor} or later with npm, then run this again");
    let version = output(Command::new("node").arg("--version"))
        .map_err(|_| format!("Node.js is missing: {advice}"))?;
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(str::parse::<u32>);
    let found = (numbers.next().and_then(Result::ok), numbers.next().and_then(Result::ok));
    if found < (Some(major), Some(minor)) {
        return Err(format!("Node.js {} is too old: {advice}", version.trim()));
    }
    output(Command::new("npm").arg("--version"))
        .map(drop)
        .map_err(|_| format!("npm is missing: {advice}"))
}

/// The path of `cargo deny`.
pub(crate) fn cargo_deny_path(workspace: &Workspace) -> std::path::PathBuf {
    workspace.cache.join(format!("cargo-deny-{CARGO_DENY}/bin/cargo-deny"))
}

fn programs() -> Result<(), Failure> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(path, _)| !Path::new(path).exists())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let has_apt = Path::new("/usr/bin/apt-get").exists();
    if !(is_root && has_apt) {
        return Err(format!(
            "these Debian packages are missing: {}; run as root: apt-get update && {install}",
            missing.join(" ")
        ));
    }
    let quiet = |command: &mut Command| {
        call(command.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()))
    };
    quiet(Command::new("apt-get").args(["update", "-qq"]))?;
    quiet(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&missing),
    )
}

/// `npm ci`, unless what is installed is what the lock file says.
fn npm_packages(dir: &Path) -> Result<(), Failure> {
    let changed =
        |name: &str| fs::metadata(dir.join(name)).and_then(|metadata| metadata.modified());
    let lock = changed("package-lock.json")
        .map_err(|error| format!("{}: package-lock.json: {error}", dir.display()))?;
    if changed("node_modules/.package-lock.json").is_ok_and(|installed| installed >= lock) {
        return Ok(());
    }
    call(npm(dir, &["ci", "--no-audit", "--no-fund", "--loglevel=error"]).stdin(Stdio::null()))
}

fn cargo_deny(workspace: &Workspace) -> Result<(), Failure> {
    let path = cargo_deny_path(workspace);
    if path.is_file() {
        return Ok(());
    }
    let root = workspace.cache.join(format!("cargo-deny-{CARGO_DENY}"));
    // Outside the workspace, so that its build settings do not apply.
    call(
        Command::new("cargo")
            .current_dir(std::env::temp_dir())
            .args([
                "install",
                "cargo-deny",
                "--locked",
                "--quiet",
                "--version",
                CARGO_DENY,
                "--root",
            ])
            .arg(root)
            .env("CARGO_TARGET_DIR", workspace.cache.join("tools-target")),
    )
}
