//! What connections cost that say nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::corpus::Site;
use crate::http::Connection;
use crate::peers::{Part, Peer};
use crate::server::Server;
use crate::wrk::{self, Load};
use crate::{Failure, Plan, account};

/// Its name on the command line.
pub(crate) const ID: &str = "idle";
/// Idle connections that are counted.
pub(crate) const CONNECTIONS: usize = 10_000;
/// Idle connections before those: they take what a server has left over from its start.
pub(crate) const FIRST: usize = 1_000;

/// Threads that a server needs for its start alone end after a while and give their memory back.
const START: Duration = Duration::from_secs(15);
/// Memory counts as settled once it has moved by no more than so many bytes for so long.
const NOTHING: u64 = 10 * CONNECTIONS as u64;
const SETTLED: Duration = Duration::from_secs(4);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// What one server showed.
#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    /// Bytes of resident memory for each connection.
    pub(crate) bytes: f64,
}

/// Measures every server, each started anew: one that has worked has memory to spare.
pub(crate) fn run(
    plan: &Plan,
    lineup: &[Box<dyn Peer>],
    site: &Site,
    room: &Path,
) -> Result<Vec<Idle>, Failure> {
    println!("{CONNECTIONS} idle connections");
    let path = site.url("1k")?;
    let servers = lineup
        .iter()
        .filter(|peer| peer.part() != Part::Floor)
        .filter(|peer| plan.idle_of_all || peer.part() != Part::Other)
        .map(|peer| Ok((peer, Server::start(peer.as_ref(), site, room)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    std::thread::sleep(START);
    let mut all = Vec::new();
    for (peer, server) in servers {
        let pids = server.pids();
        let resident = || {
            // Servers give memory back while they work; one with idle connections has others that are not.
            work(server.port, &path)?;
            settle(plan, &pids)
        };
        let mut open = Vec::with_capacity(FIRST + CONNECTIONS);
        let mut open_until = |count| {
            while open.len() < count {
                let mut connection = Connection::open(server.port)?;
                connection.get(&path, &Vec::new())?;
                open.push(connection);
            }
            Ok::<(), Failure>(())
        };
        open_until(FIRST)?;
        let before = resident()?;
        open_until(FIRST + CONNECTIONS)?;
        let after = resident()?;
        // Whoever closed some of them did not hold them idle.
        if !open.iter().all(Connection::is_open) {
            return Err(format!("{} closed idle connections", peer.name()));
        }
        let bytes = (after as f64 - before as f64) / CONNECTIONS as f64;
        println!("  {:<24} {bytes:>10.0} B", peer.name());
        all.push(Idle { name: peer.name(), part: peer.part(), bytes });
    }
    Ok(all)
}

/// Has the server answer other connections for a while.
fn work(port: u16, path: &str) -> Result<(), Failure> {
    let headers = Vec::new();
    wrk::load(&Load { port, path, headers: &headers, connections: 64, depth: 1 }).map(drop)
}

/// Waits until the memory no longer changes, and returns it.
fn settle(plan: &Plan, pids: &[u32]) -> Result<u64, Failure> {
    let start = Instant::now();
    let mut last = account::resident_bytes(pids)?;
    let mut since = Instant::now();
    while since.elapsed() < SETTLED && start.elapsed() < LONGEST_WAIT {
        plan.go_on()?;
        std::thread::sleep(Duration::from_millis(200));
        let now = account::resident_bytes(pids)?;
        if now.abs_diff(last) > NOTHING {
            last = now;
            since = Instant::now();
        }
    }
    Ok(last)
}
