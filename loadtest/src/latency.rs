//! How long replies take while the server is busy, not overrun: at a rate that the better nginx can keep.

use std::path::Path;

use crate::case::{CASES, Case};
use crate::corpus::Site;
use crate::oha::{self, Seen};
use crate::peers::{Part, Peer};
use crate::rounds::measure_once;
use crate::server::Server;
use crate::statistics::Spread;
use crate::{Failure, Plan};

/// Its name on the command line.
pub(crate) const ID: &str = "latency";

/// The part of what the better nginx can do on its core.
const LOAD: f64 = 0.7;
/// The cases whose files are asked for.
const FILES: &[&str] = &["1k", "64k"];

/// What one server showed with one file.
#[derive(Debug)]
pub(crate) struct Latency {
    pub(crate) case: &'static Case,
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    /// Requests a second that were asked for, and those that were made.
    pub(crate) wanted: u64,
    pub(crate) rate: Spread,
    /// Seconds.
    pub(crate) p50: Spread,
    pub(crate) p99: Spread,
    pub(crate) p999: Spread,
}

/// Measures our host and the better nginx in turns.
pub(crate) fn run(
    plan: &Plan,
    lineup: &[Box<dyn Peer>],
    site: &Site,
    room: &Path,
    oha: &Path,
) -> Result<Vec<Latency>, Failure> {
    println!("latency");
    let start = |part: Part| {
        let peers = lineup.iter().map(AsRef::as_ref).filter(move |peer| peer.part() == part);
        peers
            .map(|peer| Ok((peer, Server::start(peer, site, room)?)))
            .collect::<Result<Vec<_>, Failure>>()
    };
    let ours = start(Part::Ours)?;
    let nginx = start(Part::Nginx)?;
    let mut all = Vec::new();
    for case in CASES.iter().filter(|case| FILES.contains(&case.id)) {
        let mut better: Option<(f64, &(&dyn Peer, Server))> = None;
        for server in &nginx {
            let microseconds = measure_once(&server.1, case, site)?;
            if better.is_none_or(|(least, _)| microseconds < least) {
                better = Some((microseconds, server));
            }
        }
        let Some((microseconds, nginx)) = better else { continue };
        let wanted = (LOAD * 1_000_000.0 / microseconds) as u64;
        let pair: Vec<&(&dyn Peer, Server)> = ours.iter().chain([nginx]).collect();
        let mut seen: Vec<Vec<Seen>> = pair.iter().map(|_| Vec::new()).collect();
        for _ in 0..plan.rounds {
            for ((_, server), seen) in pair.iter().zip(&mut seen) {
                plan.go_on()?;
                let url = format!("http://127.0.0.1:{}{}", server.port, site.url(case.file)?);
                seen.push(oha::ask(oha, &url, wanted, plan.latency_seconds)?);
            }
        }
        for ((peer, _), seen) in pair.iter().zip(&seen) {
            let spread = |value: fn(&Seen) -> f64| {
                Spread::of(seen.iter().map(value)).ok_or("there was no round")
            };
            let latency = Latency {
                case,
                name: peer.name(),
                part: peer.part(),
                wanted,
                rate: spread(|seen| seen.rate)?,
                p50: spread(|seen| seen.p50)?,
                p99: spread(|seen| seen.p99)?,
                p999: spread(|seen| seen.p999)?,
            };
            println!(
                "  {:<8} {:<24} {:>8.0} of {wanted} requests/s, p99 {:>8.0} µs",
                case.title,
                latency.name,
                latency.rate.median,
                latency.p99.median * 1e6
            );
            all.push(latency);
        }
    }
    Ok(all)
}
