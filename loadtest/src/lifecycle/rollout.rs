//! From a changed `releases.json` to the first reply from the new version, under load.

use std::path::Path;
use std::time::{Duration, Instant};

use super::host::Host;
use super::tree::{Placed, Tree};
use crate::http::Connection;
use crate::server::pinned;
use crate::statistics::percentile;
use crate::wrk::Running;
use crate::{Failure, SERVER_CORE};

pub(super) const FEATURES: u32 = 100;
pub(super) const ROUNDS: usize = 120;
pub(super) const CONNECTIONS: u16 = 32;

/// How long the host has to look at a version that was placed before its index names it.
pub(super) const REST: Duration = Duration::from_millis(300);
/// How long the asker waits between two requests.
const PAUSE: Duration = Duration::from_millis(1);
/// A version that does not serve by then never will.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What was seen of all rounds.
#[derive(Debug)]
pub(super) struct Rollout {
    /// Milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) longest: f64,
    /// Requests that wrk made meanwhile, each of which was answered.
    pub(super) requests: u64,
    /// Requests of the asker, each of which was answered with 200.
    pub(super) asked: u64,
    /// Requests of wrk in a second.
    pub(super) rate: f64,
}

/// Releases one version of any feature after the other. A single lost request is a failure.
pub(super) fn run(program: &Path, room: &Path) -> Result<Rollout, Failure> {
    println!("{FEATURES} features, {ROUNDS} releases under load");
    let mut tree = Tree::new(room, FEATURES, 1)?;
    let mut command = pinned(SERVER_CORE);
    command.arg(program).env("HOT_REFRESH_WATCH", "1");
    command.env("FEATURE_TRUST_PUBLIC_KEYS_JSON", tree.trusted_keys());
    let host = Host::start(&mut command, &tree.artifacts)?;
    let mut connection = Connection::open(host.port)?;
    let begun = Instant::now();
    let load = Running::start(host.port, CONNECTIONS, &tree.urls())?;
    let mut asked = 0;
    let mut milliseconds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let placed = tree.place_any()?;
        std::thread::sleep(REST);
        let start = Instant::now();
        placed.release()?;
        asked += wait_for(&mut connection, &placed)?;
        milliseconds.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    let counted = load.end()?;
    let at = |part| percentile(&milliseconds, part).unwrap_or_default();
    let rollout = Rollout {
        p50: at(0.5),
        p99: at(0.99),
        longest: at(1.0),
        requests: counted.requests,
        asked,
        rate: counted.requests as f64 / begun.elapsed().as_secs_f64(),
    };
    println!("{rollout:.1?}");
    Ok(rollout)
}

/// Asks for the shell until it names the new version; returns how often it asked.
fn wait_for(connection: &mut Connection, placed: &Placed) -> Result<u64, Failure> {
    let Placed { id, version, .. } = placed;
    let wanted = format!("/_assets/{id}/{version}/");
    let start = Instant::now();
    let mut asked = 0;
    while start.elapsed() < LONGEST_WAIT {
        let reply = connection.get(&format!("/{id}"), &Vec::new())?;
        asked += 1;
        if reply.status != 200 {
            return Err(format!("/{id} answers {}", reply.status));
        }
        if String::from_utf8_lossy(&reply.body).contains(&wanted) {
            return Ok(asked);
        }
        std::thread::sleep(PAUSE);
    }
    Err(format!("{id} {version} did not serve within {LONGEST_WAIT:?}"))
}
