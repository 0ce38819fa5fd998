//! The real host, as a child of the test.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::Workspace;

/// A running host; it ends when this is dropped.
pub(crate) struct Host {
    child: Child,
    pub(crate) url: String,
}

impl Host {
    /// Starts the host on the artifacts of `workspace`, with the dev key.
    pub(crate) fn start(workspace: &Workspace) -> Self {
        let mut child = Command::new(program())
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

/// The host beside the `pilar` that is tested. Tests of one package do not build the programs of another, so it is
/// built here where it is not up to date.
fn program() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_pilar")).with_file_name("pilar-host");
    let directory = program.parent().and_then(|dir| dir.file_name()).unwrap();
    let profile = if directory == "debug" { OsStr::new("dev") } else { directory };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", "pilar-host", "--bin", "pilar-host"])
        .arg("--profile")
        .arg(profile)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success() && program.is_file(), "{} could not be built", program.display());
    program
}
