//! Installing what the two commands need.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{call, npm, output};
use crate::{Failure, Workspace, kubernetes};

/// The lowest Node.js that the front-end tools run on.
const NODE: (u32, u32) = (20, 19);

/// A program from crates.io, in the version that the tests are written for.
pub(crate) struct CargoTool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

pub(crate) const CARGO_DENY: CargoTool = CargoTool { name: "cargo-deny", version: "0.20.2" };
pub(crate) const CARGO_FUZZ: CargoTool = CargoTool { name: "cargo-fuzz", version: "0.13.2" };
pub(crate) const OHA: CargoTool = CargoTool { name: "oha", version: "1.16.0" };

/// Files and programs that tests need beyond Rust and Node, with the Debian package of each.
const PROGRAMS: &[(&str, &str)] = &[
    ("/usr/bin/chromium", "chromium"),
    ("/usr/bin/strace", "strace"),
    ("/usr/bin/file", "file"),
    // libFuzzer is C++.
    ("/usr/bin/g++", "g++"),
    ("/usr/bin/valgrind", "valgrind"),
    ("/usr/bin/wrk", "wrk"),
    ("/usr/bin/slowhttptest", "slowhttptest"),
    ("/usr/bin/virtualenv", "virtualenv"),
    // Checks and tries the alert rules; NoDaemons keeps the server that comes with it from starting.
    ("/usr/bin/promtool", "prometheus"),
    // The reference parser of OpenMetrics.
    (
        "/usr/lib/python3/dist-packages/prometheus_client/openmetrics/parser.py",
        "python3-prometheus-client",
    ),
    REGISTRY,
    // What others build and push images with. Building from scratch runs nothing, so that the recommended runtimes
    // are not needed.
    ("/usr/bin/skopeo", "skopeo"),
    ("/usr/bin/buildah", "buildah"),
    ("/usr/bin/htpasswd", "apache2-utils"),
];

/// A registry of images.
pub(crate) const REGISTRY: (&str, &str) = ("/usr/bin/docker-registry", "docker-registry");

/// Directories with a lock file of their own.
const NPM: &[&str] =
    &["sdk", "sdk/shared", "examples/feature-patientlist", "artifact/tests/node", "tests/browser"];

/// Everything that `test` needs.
pub(crate) fn everything(workspace: &Workspace) -> Result<(), Failure> {
    node()?;
    programs(PROGRAMS)?;
    for dir in NPM {
        npm_packages(&workspace.root.join(dir))?;
    }
    for tool in [CARGO_DENY, CARGO_FUZZ, OHA] {
        cargo_tool(workspace, &tool)?;
    }
    redbot(workspace)?;
    kubernetes::build(workspace)
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

impl CargoTool {
    /// The path of the program.
    pub(crate) fn path(&self, workspace: &Workspace) -> PathBuf {
        self.root(workspace).join("bin").join(self.name)
    }

    fn root(&self, workspace: &Workspace) -> PathBuf {
        workspace.cache.join(format!("{}-{}", self.name, self.version))
    }
}

/// The path of `redbot`.
pub(crate) fn redbot_path(workspace: &Workspace) -> PathBuf {
    workspace.cache.join("redbot/bin/redbot")
}

/// Installs the Debian packages whose file is missing, or says what to install.
pub(crate) fn programs(wanted: &[(&str, &'static str)]) -> Result<(), Failure> {
    let missing: Vec<&str> = wanted
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
    let _no_daemons = NoDaemons::ask_for()?;
    quiet(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&missing),
    )
}

/// While this lives, Debian starts no server that it installs.
struct NoDaemons {
    /// Whether the file that says so is ours to remove.
    is_ours: bool,
}

impl NoDaemons {
    /// What a package asks before it starts a server; 101 is "you may not" (`invoke-rc.d(8)`).
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn ask_for() -> Result<Self, Failure> {
        let created =
            OpenOptions::new().write(true).create_new(true).mode(0o755).open(Self::POLICY);
        let is_ours = match created {
            Ok(mut file) => file.write_all(b"#!/bin/sh\nexit 101\n").map(|()| true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        };
        let is_ours = is_ours.map_err(|error| format!("{}: {error}", Self::POLICY))?;
        Ok(Self { is_ours })
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if self.is_ours {
            // One that stays keeps servers from starting, and the next installation finds it.
            let _ = fs::remove_file(Self::POLICY);
        }
    }
}

/// `npm ci`, unless what is installed is what the lock file says.
pub(crate) fn npm_packages(dir: &Path) -> Result<(), Failure> {
    let changed =
        |name: &str| fs::metadata(dir.join(name)).and_then(|metadata| metadata.modified());
    let lock = changed("package-lock.json")
        .map_err(|error| format!("{}: package-lock.json: {error}", dir.display()))?;
    if changed("node_modules/.package-lock.json").is_ok_and(|installed| installed >= lock) {
        return Ok(());
    }
    call(npm(dir, &["ci", "--no-audit", "--no-fund", "--loglevel=error"]).stdin(Stdio::null()))
}

/// The path of a program from crates.io, which is built into the cache unless it is there.
pub(crate) fn cargo_tool(workspace: &Workspace, tool: &CargoTool) -> Result<PathBuf, Failure> {
    let path = tool.path(workspace);
    if path.is_file() {
        return Ok(path);
    }
    // Outside the workspace, so that its build settings do not apply.
    call(
        Command::new("cargo")
            .current_dir(std::env::temp_dir())
            .args([
                "install",
                tool.name,
                "--locked",
                "--quiet",
                "--version",
                tool.version,
                "--root",
            ])
            .arg(tool.root(workspace))
            .env("CARGO_TARGET_DIR", workspace.cache.join("tools-target")),
    )?;
    Ok(path)
}

/// REDbot in a Python environment of its own, unless what is installed is what the requirements say.
fn redbot(workspace: &Workspace) -> Result<(), Failure> {
    let requirements = workspace.root.join("tests/redbot/requirements.txt");
    let environment = workspace.cache.join("redbot");
    let installed = environment.join("requirements.txt");
    let wanted =
        fs::read(&requirements).map_err(|error| format!("{}: {error}", requirements.display()))?;
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    call(Command::new("/usr/bin/virtualenv").args(["--quiet", "--clear"]).arg(&environment))?;
    let pip = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"];
    call(Command::new(environment.join("bin/pip")).args(pip).arg(&requirements))?;
    // Last, so that an installation that was cut short is made again.
    fs::copy(&requirements, &installed)
        .map(drop)
        .map_err(|error| format!("{}: {error}", installed.display()))
}
