//! wrk: as many requests as its core can send.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::http::Headers;
use crate::server::{output, pinned};
use crate::{CLIENT_CORE, Failure};

/// Seconds of one measurement.
const SECONDS: u32 = 1;
/// One that runs for longer than anything that is measured.
const LONGEST_SECONDS: u32 = 3600;

/// What wrk is to do.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    pub(crate) port: u16,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a Headers,
    pub(crate) connections: u16,
    /// Requests that are sent at once on each connection.
    pub(crate) depth: u16,
}

/// What wrk counted.
#[derive(Debug, Deserialize)]
pub(crate) struct Counted {
    /// Of all replies, heads included.
    bytes: u64,
    /// Replies.
    pub(crate) requests: u64,
    errors: u64,
}

/// A wrk that goes on until it is told to end, and ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Running(Child);

/// The version of wrk.
pub(crate) fn version() -> Result<String, Failure> {
    // It prints its version and ends with a failure, for want of a URL.
    let printed = Command::new("wrk").arg("--version").output();
    let printed = printed.map_err(|error| format!("wrk: {error}"))?;
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    Ok(text.split_whitespace().nth(1).unwrap_or_default().trim_start_matches("debian/").to_owned())
}

/// Loads a server for a while and returns the bytes of the replies.
pub(crate) fn load(load: &Load<'_>) -> Result<u64, Failure> {
    let mut command = wrk(load.connections, SECONDS);
    for (name, value) in load.headers {
        command.arg("--header").arg(format!("{name}: {value}"));
    }
    command.arg(format!("http://127.0.0.1:{}{}", load.port, load.path));
    command.args(["--", &load.depth.to_string()]);
    Ok(counted(&output(&mut command)?)?.bytes)
}

impl Running {
    /// Starts to ask for these URL paths in turns.
    pub(crate) fn start(port: u16, connections: u16, paths: &[String]) -> Result<Self, Failure> {
        wrk(connections, LONGEST_SECONDS)
            .arg(format!("http://127.0.0.1:{port}/"))
            .args(["--", "1"])
            .args(paths)
            .stdout(Stdio::piped())
            .spawn()
            .map(Self)
            .map_err(|error| format!("wrk could not be started: {error}"))
    }

    /// Ends it; an error if a single request failed.
    pub(crate) fn end(mut self) -> Result<Counted, Failure> {
        let failed = |error: std::io::Error| format!("wrk: {error}");
        if let Some(status) = self.0.try_wait().map_err(failed)? {
            return Err(format!("wrk has ended by itself ({status})"));
        }
        kill_process(Pid::from_child(&self.0), Signal::INT)
            .map_err(|error| failed(error.into()))?;
        let mut text = String::new();
        if let Some(mut stdout) = self.0.stdout.take() {
            stdout.read_to_string(&mut text).map_err(failed)?;
        }
        counted(&text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, as it was told to.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wrk(connections: u16, seconds: u32) -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("wrk.lua");
    let mut command = pinned(CLIENT_CORE);
    command.args(["wrk", "--threads", "1", "--connections", &connections.to_string()]);
    command
        .args(["--duration", &format!("{seconds}s"), "--timeout", "10s", "--script"])
        .arg(script);
    command
}

/// What wrk printed; an error if a request failed.
fn counted(text: &str) -> Result<Counted, Failure> {
    let line = text.lines().last().unwrap_or_default();
    let counted: Counted =
        serde_json::from_str(line).map_err(|error| format!("wrk printed {line:?}: {error}"))?;
    if counted.errors > 0 {
        return Err(format!("{} requests failed", counted.errors));
    }
    Ok(counted)
}
