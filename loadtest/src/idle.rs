//! What connections cost that say nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::corpus::Site;
use crate::http::Connection;
use crate::peers::{Part, Peer};
use crate::server::Server;
use crate::{Failure, Plan, account};

/// Its name on the command line.
pub(crate) const ID: &str = "idle";
/// Connections that are open at a time.
pub(crate) const CONNECTIONS: usize = 10_000;

/// Memory counts as settled once it has not moved for so long.
const SETTLED: Duration = Duration::from_secs(4);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

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
    let mut all = Vec::new();
    for peer in lineup {
        plan.go_on()?;
        let server = Server::start(peer.as_ref(), site, room)?;
        let resident = || account::resident_bytes(&server.pids());
        let before = settle(plan, &resident)?;
        let mut open = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let mut connection = Connection::open(server.port)?;
            connection.get(&path, &Vec::new())?;
            open.push(connection);
        }
        let after = settle(plan, &resident)?;
        for connection in &open {
            // Whoever closed some of them did not hold them idle.
            if !connection.is_open() {
                return Err(format!("{} closed idle connections", peer.name()));
            }
        }
        let bytes = after.saturating_sub(before) as f64 / CONNECTIONS as f64;
        println!("  {:<24} {bytes:>10.0} B", peer.name());
        all.push(Idle { name: peer.name(), part: peer.part(), bytes });
    }
    Ok(all)
}

/// Waits until the memory no longer changes, and returns it.
fn settle(plan: &Plan, resident: &dyn Fn() -> Result<u64, Failure>) -> Result<u64, Failure> {
    let start = Instant::now();
    let mut last = resident()?;
    let mut since = Instant::now();
    while since.elapsed() < SETTLED && start.elapsed() < LONGEST_WAIT {
        plan.go_on()?;
        std::thread::sleep(Duration::from_millis(200));
        let now = resident()?;
        if now != last {
            last = now;
            since = Instant::now();
        }
    }
    Ok(last)
}
