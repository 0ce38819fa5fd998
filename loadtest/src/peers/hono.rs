//! Hono on Node.js: the kind of server that the host replaces.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{CACHE_CONTROL, Peer};
use crate::Failure;
use crate::corpus::Site;
use crate::server::output;

pub(super) struct Hono {
    pub(super) dir: PathBuf,
}

impl Peer for Hono {
    fn name(&self) -> &'static str {
        "Hono on Node.js"
    }

    fn version(&self) -> Result<String, Failure> {
        let node = output(Command::new("node").arg("--version"))?;
        let print = "for (const name of ['hono', '@hono/node-server']) \
                     console.log(name, JSON.parse(require('fs').readFileSync(`node_modules/${name}/package.json`)).version)";
        let packages = output(Command::new("node").current_dir(&self.dir).args(["-e", print]))?;
        let packages: Vec<&str> = packages.lines().collect();
        Ok(format!("{}, Node.js {}", packages.join(", "), node.trim().trim_start_matches('v')))
    }

    fn add_command(
        &self,
        command: &mut Command,
        site: &Site,
        _room: &Path,
        port: u16,
    ) -> Result<(), Failure> {
        command
            .args(["node".as_ref(), self.dir.join("server.js").as_os_str(), site.root.as_os_str()])
            .args([&port.to_string(), CACHE_CONTROL])
            .env("NODE_ENV", "production");
        Ok(())
    }
}
