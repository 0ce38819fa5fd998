//! The access log: one JSON line on the standard output for each request that the edge answered (`HOST_ACCESS_LOG`).
//!
//! It is written by a thread of its own. Should nobody read the output, that thread waits and the edge drops
//! records, counted; no reply does.

use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use pilar_artifact::FeatureId;
use serde::Serialize;

use crate::catalog::Now;
use crate::edge::{AccessRecord, AccessRecords, Owner};
use crate::snapshot::Snapshot;

/// How long to wait for records after there were some, and after there were none for long.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(40);

/// Bytes that are written at once.
const ENOUGH: usize = 64 * 1024;

/// A line of the log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: String,
    target: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    status: u16,
    bytes: u64,
    micros: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    /// The client went before it had all of the reply.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut_off: bool,
}

/// A line that stands for those that found no room.
#[derive(Debug, Serialize)]
struct Dropped {
    time: String,
    target: &'static str,
    dropped: u64,
}

const TARGET: &str = "access";

/// Writes records down until no more can come. Blocks.
///
/// # Errors
/// What the operating system says of `out`; nobody reads it any more.
pub fn write(
    mut records: AccessRecords,
    current: &ArcSwap<Snapshot>,
    clock: fn() -> Now,
    mut out: impl Write,
) -> io::Result<()> {
    let mut lines = Vec::with_capacity(ENOUGH);
    let mut wait = SHORTEST_WAIT;
    let mut dropped = 0;
    loop {
        let (snapshot, now) = (current.load(), clock());
        let mut written = Ok(());
        let may_come = records.take(|record| {
            write_line(&mut lines, &line(&record, &snapshot, now));
            if lines.len() >= ENOUGH && written.is_ok() {
                written = out.write_all(&lines);
                lines.clear();
            }
        });
        written?;
        let dropped_now = records.dropped();
        if dropped_now > dropped {
            let dropped = dropped_now - std::mem::replace(&mut dropped, dropped_now);
            write_line(
                &mut lines,
                &Dropped { time: now.wall.to_string(), target: TARGET, dropped },
            );
        }
        wait = if lines.is_empty() { (wait * 2).min(LONGEST_WAIT) } else { SHORTEST_WAIT };
        out.write_all(&lines)?;
        out.flush()?;
        lines.clear();
        if !may_come {
            return Ok(());
        }
        thread::sleep(wait);
    }
}

fn write_line(lines: &mut Vec<u8>, line: &impl Serialize) {
    // Plain values into memory: it cannot fail.
    let _ = serde_json::to_writer(&mut *lines, line);
    lines.push(b'\n');
}

fn line<'a>(record: &'a AccessRecord, snapshot: &'a Snapshot, now: Now) -> Line<'a> {
    let asset = asset_of(record.path());
    let feature = asset.map(|(feature, _)| feature).or_else(|| owner(snapshot, record.owner));
    Line {
        time: time_of(record, now).to_string(),
        target: TARGET,
        method: Some(record.method).filter(|method| !method.is_empty()),
        path: Some(shown_path(record, snapshot)).filter(|path| !path.is_empty()),
        status: record.status,
        bytes: record.bytes,
        micros: u64::try_from(record.took.as_micros()).unwrap_or(u64::MAX),
        encoding: record.encoding.map(crate::http::Encoding::name),
        feature,
        version: asset.map(|(_, version)| version),
        request_id: Some(record.request_id()).filter(|id| !id.is_empty()),
        client: record.client,
        cut_off: record.is_cut_off,
    }
}

/// The path as far as this host knows what it says. What comes after the prefix of a feature is the feature's own and may
/// be about a patient; of a page that nobody has, only the first segment is certain not to be.
fn shown_path(record: &AccessRecord, snapshot: &Snapshot) -> String {
    let path = record.path();
    let is_of_host = path.starts_with("/_") || matches!(path, "/" | "*");
    if is_of_host {
        return if record.is_path_cut { format!("{path}…") } else { path.to_owned() };
    }
    let first =
        || path.char_indices().skip(1).find(|(_, c)| *c == '/').map_or(path.len(), |at| at.0);
    let known = snapshot.prefix_of(path).map_or_else(first, str::len);
    match path.split_at_checked(known) {
        Some((known, rest)) if !rest.trim_matches('/').is_empty() => format!("{known}/…"),
        _ => path.to_owned(),
    }
}

/// The feature and version that an asset's path names.
fn asset_of(path: &str) -> Option<(&str, &str)> {
    let (feature, rest) = path.strip_prefix("/_assets/")?.split_once('/')?;
    let (version, _) = rest.split_once('/')?;
    Some((feature, version))
}

fn owner(snapshot: &Snapshot, owner: Owner) -> Option<&str> {
    let mut owners = snapshot.owners().iter();
    let found = owners.find(|(_, one)| **one == owner && owner != Owner::NOBODY);
    found.map(|(id, _)| FeatureId::as_str(id))
}

/// When a request arrived, by the time of day.
fn time_of(record: &AccessRecord, now: Now) -> Timestamp {
    let ago = now.monotonic.saturating_duration_since(record.arrived);
    let ago = SignedDuration::try_from(ago).unwrap_or_default();
    now.wall.saturating_sub(ago).unwrap_or(now.wall)
}

/// Starts the thread that writes; the receiver hears when it has ended.
///
/// # Errors
/// What the operating system says where a thread cannot be had.
pub fn start(
    records: AccessRecords,
    current: Arc<ArcSwap<Snapshot>>,
    clock: fn() -> Now,
) -> io::Result<tokio::sync::oneshot::Receiver<()>> {
    let (ended, has_ended) = tokio::sync::oneshot::channel();
    thread::Builder::new().name("access-log".to_owned()).spawn(move || {
        if let Err(error) = write(records, &current, clock, io::stdout()) {
            tracing::warn!(%error, code = "access-log-ended", "the access log cannot be written; the host goes on without it");
        }
        // Whoever waited may have had enough.
        let _ = ended.send(());
    })?;
    Ok(has_ended)
}
