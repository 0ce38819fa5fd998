//! oha: requests at a given rate, and how long each took from the moment at which it was due.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::server::{output, pinned};
use crate::{CLIENT_CORE, Failure};

/// What oha saw; times in seconds.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    summary: Summary,
    latency_percentiles: Percentiles,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    success_rate: f64,
    requests_per_sec: f64,
}

#[derive(Deserialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p999: f64,
}

/// The version of oha.
pub(crate) fn version(oha: &Path) -> Result<String, Failure> {
    let text = output(Command::new(oha).arg("--version"))?;
    Ok(text.split_whitespace().nth(1).unwrap_or_default().to_owned())
}

/// Asks `rate` times a second over 64 connections, or as often as it can.
pub(crate) fn ask(oha: &Path, url: &str, rate: Option<u64>, seconds: u64) -> Result<Seen, Failure> {
    let mut command = pinned(CLIENT_CORE);
    command.arg(oha).args(["--no-tui", "--output-format", "json", "--disable-compression"]);
    command.args(["-z", &format!("{seconds}s"), "-c", "64"]);
    if let Some(rate) = rate {
        // A request that could not be sent in time is late from then on (coordinated omission).
        command.args(["-q", &rate.to_string(), "--latency-correction"]);
    }
    command.arg(url);
    let text = output(&mut command)?;
    let printed: Printed =
        serde_json::from_str(&text).map_err(|error| format!("oha printed {text}: {error}"))?;
    if printed.summary.success_rate < 1.0 {
        return Err(format!(
            "oha: only {} of the requests succeeded",
            printed.summary.success_rate
        ));
    }
    let Percentiles { p50, p99, p999 } = printed.latency_percentiles;
    Ok(Seen { rate: printed.summary.requests_per_sec, p50, p99, p999 })
}
