//! How long replies take while the server is busy, not overrun: at rates that the better nginx can keep.

use std::path::Path;

use crate::case::{CASES, Case};
use crate::corpus::Site;
use crate::oha::{self, Seen};
use crate::peers::{Part, Peer};
use crate::server::Server;
use crate::statistics::Spread;
use crate::{Failure, Plan, account};

/// Its name on the command line.
pub(crate) const ID: &str = "latency";

/// The part of what oha gets out of the better nginx without a limit: the one that the goal is for, and one at which
/// oha, which has a single core as well, is busy with little else than waiting.
const LOADS: [f64; 2] = [GOAL_LOAD, 0.25];
pub(crate) const GOAL_LOAD: f64 = 0.7;
/// The cases whose files are asked for.
const FILES: &[&str] = &["1k", "64k"];

/// What one server showed with one file.
#[derive(Debug)]
pub(crate) struct Latency {
    pub(crate) case: &'static Case,
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    /// The part of what the better nginx can keep.
    pub(crate) load: f64,
    /// Requests a second that were asked for, and those that were made.
    pub(crate) wanted: u64,
    pub(crate) rate: Spread,
    /// The share of its core that the server took.
    pub(crate) busy: Spread,
    /// Seconds.
    pub(crate) p50: Spread,
    pub(crate) p99: Spread,
    pub(crate) p999: Spread,
}

/// Measures our host, with either driver, and the better nginx in turns.
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
    let mut ours = start(Part::Ours)?;
    ours.extend(start(Part::OursOnEpoll)?);
    let nginx = start(Part::Nginx)?;
    let mut all = Vec::new();
    for case in CASES.iter().filter(|case| FILES.contains(&case.id)) {
        let path = site.url(case.file)?;
        let ask = |server: &Server, rate| {
            plan.go_on()?;
            let pids = server.pids();
            let before = account::cpu_nanoseconds(&pids)?;
            let url = format!("http://127.0.0.1:{}{path}", server.port);
            let seen = oha::ask(oha, &url, rate, plan.latency_seconds)?;
            let spent = account::cpu_nanoseconds(&pids)?.saturating_sub(before);
            Ok::<_, Failure>((seen, spent as f64 / 1e9 / plan.latency_seconds as f64))
        };
        let mut better: Option<(f64, &(&dyn Peer, Server))> = None;
        for server in &nginx {
            let rate = ask(&server.1, None)?.0.rate;
            if better.is_none_or(|(most, _)| rate > most) {
                better = Some((rate, server));
            }
        }
        let Some((rate, nginx)) = better else { continue };
        let all_of_them: Vec<&(&dyn Peer, Server)> = ours.iter().chain([nginx]).collect();
        for load in LOADS {
            let wanted = (load * rate) as u64;
            let mut seen: Vec<Vec<(Seen, f64)>> = all_of_them.iter().map(|_| Vec::new()).collect();
            for _ in 0..plan.rounds {
                for ((_, server), seen) in all_of_them.iter().zip(&mut seen) {
                    seen.push(ask(server, Some(wanted))?);
                }
            }
            for ((peer, _), seen) in all_of_them.iter().zip(&seen) {
                let spread = |value: fn(&(Seen, f64)) -> f64| {
                    Spread::of(seen.iter().map(value)).ok_or("there was no round")
                };
                let latency = Latency {
                    case,
                    name: peer.name(),
                    part: peer.part(),
                    load,
                    wanted,
                    rate: spread(|(seen, _)| seen.rate)?,
                    busy: spread(|(_, busy)| *busy)?,
                    p50: spread(|(seen, _)| seen.p50)?,
                    p99: spread(|(seen, _)| seen.p99)?,
                    p999: spread(|(seen, _)| seen.p999)?,
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
    }
    Ok(all)
}
