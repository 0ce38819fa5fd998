//! Caddy.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{CACHE_CONTROL, Peer, fill};
use crate::Failure;
use crate::corpus::{Site, write};
use crate::server::output;

pub(super) struct Caddy {
    pub(super) program: PathBuf,
}

impl Peer for Caddy {
    fn name(&self) -> &'static str {
        "Caddy"
    }

    fn version(&self) -> Result<String, Failure> {
        let text = output(Command::new(&self.program).arg("version"))?;
        let first = text.split_whitespace().next().unwrap_or_default();
        Ok(first.trim_start_matches('v').to_owned())
    }

    fn add_command(
        &self,
        command: &mut Command,
        site: &Site,
        room: &Path,
        port: u16,
    ) -> Result<(), Failure> {
        let configuration = fill(
            include_str!("../../peers/Caddyfile"),
            &[
                ("root", &site.root.to_string_lossy()),
                ("port", &port.to_string()),
                ("cache-control", CACHE_CONTROL),
            ],
        );
        let path = room.join("Caddyfile");
        write(&path, configuration.as_bytes())?;
        command
            .arg(&self.program)
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(path)
            .env("GOMAXPROCS", "1")
            .env("HOME", room)
            .env("XDG_CONFIG_HOME", room)
            .env("XDG_DATA_HOME", room);
        Ok(())
    }
}
