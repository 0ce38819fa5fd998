//! The real host, as a child of the test.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::{Workspace, programs};

const PILAR: &str = env!("CARGO_BIN_EXE_pilar");

/// A running host; it ends when this is dropped.
pub(crate) struct Host {
    child: Child,
    pub(crate) url: String,
}

impl Host {
    /// Starts the host on the artifacts of `workspace`, with the dev key.
    pub(crate) fn start(workspace: &Workspace) -> Self {
        let mut child = Command::new(programs::beside(PILAR, "pilar-host", "pilar-host"))
            .current_dir(workspace.dir.path())
            .env_clear()
            .envs([
                ("PORT", "0"),
                ("HOST_BIND", "127.0.0.1"),
                ("HOST_WORKERS", "1"),
                ("HOST_DRAIN_SECONDS", "0"),
                ("FEATURE_TRUST_PUBLIC_KEYS_PATH", ".pilar/keys/trusted-keys.json"),
                ("FEATURE_ALLOW_INSECURE_DEV_KEYS", "1"),
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap_or_default();
        let url = format!("http://127.0.0.1:{port}");
        Self { child, url }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
