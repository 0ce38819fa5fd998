//! static-web-server.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Peer;
use crate::Failure;
use crate::corpus::Site;
use crate::server::output;

pub(super) struct StaticWebServer {
    pub(super) program: PathBuf,
}

impl Peer for StaticWebServer {
    fn name(&self) -> &'static str {
        "static-web-server"
    }

    fn version(&self) -> Result<String, Failure> {
        let text = output(Command::new(&self.program).arg("--version"))?;
        Ok(text.split_whitespace().nth(1).unwrap_or_default().to_owned())
    }

    fn add_command(
        &self,
        command: &mut Command,
        site: &Site,
        _room: &Path,
        port: u16,
    ) -> Result<(), Failure> {
        command
            .arg(&self.program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--root"])
            .arg(&site.root)
            // One thread for each core that it may run on, which is one.
            .args(["--threads-multiplier", "1", "--log-level", "error"])
            .args(["--compression", "false", "--compression-static", "true"])
            .args(["--cache-control-headers", "true", "--directory-listing", "false"]);
        Ok(())
    }
}
