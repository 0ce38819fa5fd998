//! Backpressure between the planes: with every call to the service plane hung, assets cost what they cost before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use support::tree::{Tree, Version};
use support::{Client, Host, Setup};

/// Calls that one worker may have at the service plane (`Limits::service_calls`).
const CALLS: usize = 256;
const REQUESTS: u64 = 3000;

#[test]
fn hung_calls_cost_assets_nothing_and_one_more_is_told_to_come_back() {
    for driver in ["auto", "epoll"] {
        let tree = Tree::new();
        let version = Version::domain("notes", "1.0.0", "/notes");
        let entry = version.url("entry.js");
        tree.publish(&version);
        let setup = Setup::of(&tree).with("HOT_REFRESH_WATCH", "1").with("HOST_WORKERS", "1");
        let host = setup.with("HOST_IO_DRIVER", driver).start();
        let mut client = host.connect();
        cost_of(&host, &mut client, &entry);
        let before = cost_of(&host, &mut client, &entry);

        // Answered when the snapshot changes, which it does not.
        let current = host.get("/notes").header("x-pilar-snapshot").unwrap().to_owned();
        let waits = format!("/_dev/snapshot?current={current}");
        let mut hung: Vec<Client> = (0..CALLS).map(|_| host.connect()).collect();
        for waiting in &mut hung {
            waiting.send("GET", &waits, &[]).unwrap();
        }
        let refuse = |client: &mut Client| {
            let reply = client.request("GET", "/_health", &[]).unwrap();
            assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{driver}");
        };
        support::wait_for("every call to hang", || {
            let reply = client.request("GET", "/_health", &[]).unwrap();
            if reply.status == 200 {
                // It took a place itself while the last of the others arrived.
                hung.push(host.connect());
                hung.last_mut()?.send("GET", &waits, &[]).unwrap();
            }
            (reply.status == 503).then_some(())
        });
        // Room for the first few refusals, after which nothing may grow any more. What refusals keep, they keep each
        // time; what else the host does for the first time while they come, it does once.
        (0..1000).for_each(|_| refuse(&mut client));
        let growth = (0..3).map(|_| {
            let memory = host.process().own_memory();
            (0..5000).for_each(|_| refuse(&mut client));
            host.process().own_memory().saturating_sub(memory)
        });
        let least = growth.min().unwrap();
        assert!(least < 1024 * 1024, "{driver}: 5000 refusals took {least} bytes");

        // Whoever asks whether this host should get traffic is not told that others ask as well.
        for _ in 0..20 {
            assert_eq!(client.request("GET", "/_ready", &[]).unwrap().status, 200, "{driver}");
        }

        let during = cost_of(&host, &mut client, &entry);
        // Twice is far beyond what measuring does, and far below what waiting in turn for 256 others would do.
        assert!(during.0 < 2 * before.0, "{driver}: CPU went from {before:?} to {during:?}");
        assert!(during.1 < 2 * before.1 + 100, "{driver}: wake-ups from {before:?} to {during:?}");

        host.stop();
    }
}

/// The least of some runs: nanoseconds of CPU that the host spent on a number of requests for an asset, and how often its threads
/// gave up the processor.
fn cost_of(host: &Host, client: &mut Client, asset: &str) -> (u64, u64) {
    let run = |client: &mut Client| {
        let (cpu, switches) = (host.cpu_nanoseconds(), host.context_switches());
        for _ in 0..REQUESTS {
            assert_eq!(client.request("GET", asset, &[]).unwrap().status, 200);
        }
        (host.cpu_nanoseconds() - cpu, host.context_switches() - switches)
    };
    let runs: Vec<(u64, u64)> = (0..3).map(|_| run(client)).collect();
    let least = |pick: fn(&(u64, u64)) -> u64| runs.iter().map(pick).min().unwrap();
    (least(|run| run.0), least(|run| run.1))
}
