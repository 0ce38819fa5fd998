//! What no server can go below.

use std::path::Path;
use std::process::Command;

use super::{Part, Peer};
use crate::Failure;
use crate::corpus::Site;

pub(super) struct Floor;

impl Peer for Floor {
    fn name(&self) -> &'static str {
        "receive and send alone"
    }

    fn part(&self) -> Part {
        Part::Floor
    }

    fn version(&self) -> Result<String, Failure> {
        Ok("of this repository".to_owned())
    }

    fn add_command(
        &self,
        command: &mut Command,
        site: &Site,
        _room: &Path,
        port: u16,
    ) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
        command.arg(program).arg("floor").arg("--root").arg(&site.root);
        command.arg("--port").arg(port.to_string());
        Ok(())
    }
}
