//! nginx, as Debian builds it.

use std::path::Path;
use std::process::Command;

use super::{CACHE_CONTROL, Part, Peer, fill};
use crate::Failure;
use crate::corpus::{Site, write};

pub(super) struct Nginx {
    pub(super) sendfile: bool,
    /// Without it, as nginx is delivered, a file is opened and closed for each request. Open descriptors are
    /// what an expert would use for files that never change, so only these set-ups count.
    pub(super) file_cache: bool,
}

const PROGRAM: &str = "/usr/sbin/nginx";

impl Peer for Nginx {
    fn name(&self) -> &'static str {
        match (self.file_cache, self.sendfile) {
            (true, true) => "nginx, sendfile on",
            (true, false) => "nginx, sendfile off",
            (false, _) => "nginx, no file cache",
        }
    }

    fn part(&self) -> Part {
        if self.file_cache { Part::Nginx } else { Part::Other }
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
                ("file-cache", if self.file_cache { "max=1024 inactive=1h" } else { "off" }),
                ("cache-control", CACHE_CONTROL),
            ],
        );
        let path = room.join("nginx.conf");
        write(&path, configuration.as_bytes())?;
        command.arg(PROGRAM).arg("-p").arg(room).arg("-c").arg(path).args(["-e", "stderr"]);
        Ok(())
    }
}
