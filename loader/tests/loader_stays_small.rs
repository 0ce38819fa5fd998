//! What a loader holds in memory does not grow with what it brings.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use common::program::{Place, get, wait_for};
use common::server::Server;
use common::tree::{Tree, Version};

const FEATURES: usize = 100;
const MIB: usize = 1 << 20;

/// Bytes of memory of its own that the process holds now, without its program.
fn memory(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let kibibytes: usize = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kibibytes * 1024
}

#[test]
fn a_hundred_features_at_once_stay_within_64_mib() {
    let tree = Tree::new();
    let place = Place::new();
    let server = Server::of(&tree.artifacts());
    for number in 0..FEATURES {
        let id = format!("feature-{number}");
        let chunk: Vec<u8> = (0..MIB).map(|at| (at * number % 251) as u8).collect();
        let version = Version::domain(&id, "1.0.0", &format!("/{id}"));
        tree.publish(&version.with_file("large.js", chunk));
        place.register(&server.registration(&id));
    }
    let mut running = place
        .loader(&["watch"])
        .with("LOADER_PLAIN_HTTP_HOSTS", server.host())
        .with("LOADER_HTTP_PORT", "0")
        .start();
    let port = running.port();
    let all = format!("pilar_loader_registered{{state=\"in_place\"}} {FEATURES}");
    let mut peak = 0;
    wait_for("all features", || {
        peak = peak.max(memory(running.id()));
        get(port, "/metrics").1.contains(&all).then_some(())
    });
    println!("peak: {} KiB for {FEATURES} features of 1 MiB", peak / 1024);
    assert!(peak < 64 * MIB, "{peak} bytes");
}
