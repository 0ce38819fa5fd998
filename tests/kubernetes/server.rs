//! A server of another project, as a process.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// It is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `name` from the directory that `KUBEBUILDER_ASSETS` names.
    pub(crate) fn start(name: &str, path: &Path, arguments: &[&str]) -> Self {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").unwrap_or_else(|| {
            panic!("KUBEBUILDER_ASSETS must name the directory of {name}; `cargo xtask test` builds one")
        });
        let log = File::options().create(true).append(true).open(path).unwrap();
        // What ends a test from outside ends its servers.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(PathBuf::from(assets).join(name))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("setpriv {name}: {error}"));
        Self { child, log: path.to_owned() }
    }

    /// Fails with its last words if it has ended.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{status}: {}", fs::read_to_string(&self.log).unwrap());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on, below those that the kernel gives to clients: so that it is still free when a
/// server comes back to it.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests that run at the same time look in different places.
    let start = std::process::id().wrapping_mul(97);
    loop {
        let turn = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from(start.wrapping_add(turn) % u32::from(COUNT)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
