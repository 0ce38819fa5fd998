//! h2o, as Debian builds it.

use std::path::Path;
use std::process::Command;

use super::{CACHE_CONTROL, Peer, fill};
use crate::Failure;
use crate::corpus::{Site, write};
use crate::server::output;

pub(super) struct H2o;

const PROGRAM: &str = "/usr/bin/h2o";

impl Peer for H2o {
    fn name(&self) -> &'static str {
        "h2o"
    }

    fn version(&self) -> Result<String, Failure> {
        let text = output(Command::new(PROGRAM).arg("--version"))?;
        let first = text.lines().next().unwrap_or_default();
        Ok(first.trim_start_matches("h2o version ").to_owned())
    }

    fn add_command(
        &self,
        command: &mut Command,
        site: &Site,
        room: &Path,
        port: u16,
    ) -> Result<(), Failure> {
        let configuration = fill(
            include_str!("../../peers/h2o.yaml"),
            &[
                ("root", &site.root.to_string_lossy()),
                ("port", &port.to_string()),
                ("cache-control", CACHE_CONTROL),
            ],
        );
        let path = room.join("h2o.yaml");
        write(&path, configuration.as_bytes())?;
        command.args([PROGRAM, "--mode", "worker", "--conf"]).arg(path);
        Ok(())
    }
}
