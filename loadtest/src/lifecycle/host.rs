//! Our host, from its start.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::http::Connection;
use crate::{Failure, account};

/// What the links of sealed files in `/proc` begin with.
const SEALED: &[u8] = b"/memfd:pilar:";

/// A host that runs; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Host {
    child: Child,
    /// Where it listens, on 127.0.0.1.
    pub(super) port: u16,
}

/// What a host holds in memory, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// Resident: what it touched, sealed files included.
    pub(super) resident: u64,
    /// Sealed files, whether they were touched or not.
    pub(super) sealed: u64,
    /// Everything but files: heap and stacks.
    pub(super) anonymous: u64,
}

impl Host {
    /// Starts a host in front of these artifacts and waits until it is ready. The program, and what it runs
    /// on, are in `command`.
    pub(super) fn start(command: &mut Command, artifacts: &Path) -> Result<Self, Failure> {
        let mut child = command
            .env("HOST_BIND", "127.0.0.1")
            .env("PORT", "0")
            .env("HOST_DRAIN_SECONDS", "0")
            .env("ARTIFACTS_DIR", artifacts)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the host could not be started: {error}"))?;
        let stdout = child.stdout.take();
        let mut host = Self { child, port: 0 };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            // It is ready to serve when it says where.
            BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
        }
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        host.port = port.ok_or("the host did not say where it listens")?;
        let ready = Connection::open(host.port)?.get("/_ready", &Vec::new())?;
        if ready.status != 200 {
            return Err(format!("/_ready answers {}", ready.status));
        }
        Ok(host)
    }

    /// What it holds in memory now.
    pub(super) fn memory(&self) -> Result<Memory, Failure> {
        let pid = self.child.id();
        let dir = format!("/proc/{pid}/fd");
        let descriptors = fs::read_dir(&dir).map_err(|error| format!("{dir}: {error}"))?;
        let is_sealed = |path: &Path| {
            fs::read_link(path)
                .is_ok_and(|link| link.as_os_str().as_encoded_bytes().starts_with(SEALED))
        };
        let sealed = descriptors
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| is_sealed(path))
            .filter_map(|path| fs::metadata(path).ok())
            .map(|file| file.blocks() * 512)
            .sum();
        Ok(Memory {
            resident: account::resident_bytes(&[pid])?,
            sealed,
            anonymous: account::anonymous_bytes(pid)?,
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
