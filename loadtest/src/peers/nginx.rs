//! nginx, as Debian builds it.

use std::path::Path;
use std::process::Command;

use super::{CACHE_CONTROL, Part, Peer, fill};
use crate::Failure;
use crate::corpus::{Site, write};

pub(super) struct Nginx {
    pub(super) sendfile: bool,
}

const PROGRAM: &str = "/usr/sbin/nginx";

impl Peer for Nginx {
    fn name(&self) -> &'static str {
        if self.sendfile { "nginx, sendfile on" } else { "nginx, sendfile off" }
    }

    fn part(&self) -> Part {
        Part::Nginx
    }

    fn version(&self) -> Result<String, Failure> {
        // It is the one that prints its version to standard error.
        let output = Command::new(PROGRAM).arg("-v").output();
        let output = output.map_err(|error| format!("{PROGRAM}: {error}"))?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.trim()
            .rsplit('/')
            .next()
            .map(str::to_owned)
            .ok_or_else(|| format!("{PROGRAM} -v: {text}"))
    }

    fn add_command(
        &self,
        command: &mut Command,
        site: &Site,
        room: &Path,
        port: u16,
    ) -> Result<(), Failure> {
        let configuration = fill(
            include_str!("../../peers/nginx.conf"),
            &[
                ("room", &room.to_string_lossy()),
                ("root", &site.root.to_string_lossy()),
                ("port", &port.to_string()),
                ("sendfile", if self.sendfile { "on" } else { "off" }),
                ("cache-control", CACHE_CONTROL),
            ],
        );
        let path = room.join("nginx.conf");
        write(&path, configuration.as_bytes())?;
        command.arg(PROGRAM).arg("-p").arg(room).arg("-c").arg(path).args(["-e", "stderr"]);
        Ok(())
    }
}
