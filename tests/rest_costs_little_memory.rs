//! A host at rest holds little memory, and a connection that says nothing no more than 1 KiB of it: people leave pages open.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use rustix::process::{Resource, Signal, getrlimit, setrlimit};
use support::tree::{Tree, Version};
use support::{Client, Host, Setup, wait_for};

/// So many connections take what the host has left over from its start.
const FIRST: usize = 500;
const COUNTED: usize = 3000;

/// As many connections as that, each of which has been answered once.
fn open_until(host: &Host, open: &mut Vec<Client>, count: usize) {
    while open.len() < count {
        let mut client = host.connect();
        assert_eq!(client.request("GET", "/notes", &[]).unwrap().status, 200);
        open.push(client);
    }
}

#[test]
fn an_idle_connection_takes_less_than_a_kibibyte() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    for driver in ["io_uring", "epoll"] {
        let tree = Tree::new();
        tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
        let host =
            Setup::of(&tree).with("HOST_IO_DRIVER", driver).with("HOST_WORKERS", "1").start();
        let mut open = Vec::new();
        open_until(&host, &mut open, FIRST);
        // The least of a while: what was lent for a request is given back soon after.
        let mut before = usize::MAX;
        for _ in 0..100 {
            before = before.min(host.process().own_memory());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        open_until(&host, &mut open, FIRST + COUNTED);
        let each = || (host.process().own_memory().saturating_sub(before)) / COUNTED;
        wait_for(&format!("memory of {driver} to be given back"), || {
            (each() <= 1024).then_some(())
        });
        // It has not merely closed them.
        for client in &mut open {
            assert_eq!(client.request("GET", "/notes", &[]).unwrap().status, 200, "{driver}");
        }
    }
}

#[test]
fn a_host_at_rest_holds_no_more_than_what_it_serves_from() {
    const MOST: usize = 16 << 20;
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let host = Setup::of(&tree).start();
    let rests = || host.process().own_memory() <= MOST;
    wait_for("what the start took to be given back", || rests().then_some(()));
    for number in 1..10 {
        let version = format!("1.{number}.0");
        tree.publish(&Version::domain("notes", &version, "/notes"));
        host.signal(Signal::HUP);
        host.wait_until_serving("notes", &version);
    }
    wait_for("what refreshes took to be given back", || rests().then_some(()));
}
