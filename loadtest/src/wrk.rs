//! wrk: as many requests as its core can send.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use crate::http::Headers;
use crate::server::{output, pinned};
use crate::{CLIENT_CORE, Failure};

/// Seconds of one measurement.
const SECONDS: u32 = 1;

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

#[derive(Deserialize)]
struct Counted {
    bytes: u64,
    errors: u64,
}

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
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("wrk.lua");
    let mut command = pinned(CLIENT_CORE);
    command.args(["wrk", "--threads", "1", "--connections", &load.connections.to_string()]);
    command
        .args(["--duration", &format!("{SECONDS}s"), "--timeout", "10s", "--script"])
        .arg(script);
    for (name, value) in load.headers {
        command.arg("--header").arg(format!("{name}: {value}"));
    }
    command.arg(format!("http://127.0.0.1:{}{}", load.port, load.path));
    command.args(["--", &load.depth.to_string()]);
    let text = output(&mut command)?;
    let line = text.lines().last().unwrap_or_default();
    let counted: Counted =
        serde_json::from_str(line).map_err(|error| format!("wrk printed {line:?}: {error}"))?;
    if counted.errors > 0 {
        return Err(format!("{} requests failed", counted.errors));
    }
    Ok(counted.bytes)
}
