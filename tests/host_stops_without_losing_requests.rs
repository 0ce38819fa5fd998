//! Stopping: whoever asked is answered, whoever routes is told in time, and nothing is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::net::{IpAddr, SocketAddr};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::Signal;
use support::tree::{Tree, Version};
use support::{Client, Host, Reply, Setup, wait_for};

fn feature() -> Version {
    Version::domain("notes", "1.0.0", "/notes").with_file("big.js", "x".repeat(2 * 1024 * 1024))
}

fn tree() -> Tree {
    let tree = Tree::new();
    tree.publish(&feature());
    tree
}

/// Asks on a new connection.
fn ask(port: u16, path: &str) -> Reply {
    let reply = Client::connect(port).and_then(|mut client| client.request("GET", path, &[]));
    reply.unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn is_draining(host: &Host) -> bool {
    let ready = ask(host.port, "/_ready");
    ready.status == 503 && ready.json()["status"] == "draining"
}

#[test]
fn a_host_that_drains_answers_everything_and_says_that_it_is_about_to_stop() {
    for (driver, signal) in [("auto", Signal::TERM), ("epoll", Signal::TERM), ("auto", Signal::INT)]
    {
        let tree = tree();
        let host =
            Setup::of(&tree).with("HOST_IO_DRIVER", driver).with("HOST_DRAIN_SECONDS", "5").start();
        let mut kept = host.connect();
        assert_eq!(kept.request("GET", "/notes", &[]).unwrap().status, 200);
        let done = AtomicBool::new(false);
        let answered = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for path in [
                "/notes",
                "/_health",
                "/_assets/notes/1.0.0/big.js",
                "/_assets/notes/1.0.0/entry.js",
            ] {
                let (host, done, answered) = (&host, &done, &answered);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        assert_eq!(ask(host.port, path).status, 200, "{path}");
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let more = |count: usize| {
                let until = answered.load(Ordering::Relaxed) + count;
                wait_for("more requests", || {
                    (answered.load(Ordering::Relaxed) >= until).then_some(())
                });
            };
            more(20);
            host.signal(signal);
            wait_for("the host to drain", || is_draining(&host).then_some(()));
            more(20);
            done.store(true, Ordering::Relaxed);
        });
        assert!(kept.is_closed(), "an idle connection is closed, not reset");
        let (status, log) = host.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("every request was answered"), "{log}");
    }
}

#[test]
fn a_reply_that_is_under_way_is_finished() {
    for driver in ["auto", "epoll"] {
        let tree = tree();
        let host = Setup::of(&tree).with("HOST_IO_DRIVER", driver).start();
        let mut slow: Vec<Client> = (0..8).map(|_| host.connect()).collect();
        for client in &mut slow {
            assert_eq!(client.request("GET", "/notes", &[]).unwrap().status, 200);
            client.send("GET", &feature().url("big.js"), &[]).unwrap();
        }
        host.signal(Signal::TERM);
        wait_for("the listener to close", || Client::connect(host.port).is_err().then_some(()));
        for client in &mut slow {
            let reply = client.receive("GET").unwrap();
            assert_eq!((reply.status, reply.body.len()), (200, feature().files["big.js"].len()));
        }
        let (status, log) = host.wait();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[test]
fn a_client_that_never_takes_its_reply_is_cut_off_and_named() {
    for driver in ["auto", "epoll"] {
        let tree = Tree::new();
        // More than the kernel's buffers on both sides take.
        let huge = "x".repeat(16 * 1024 * 1024);
        tree.publish(&feature().with_file("huge.js", huge));
        let host = Setup::of(&tree).with("HOST_IO_DRIVER", driver).start();
        let mut stuck = host.connect();
        stuck.send("GET", &feature().url("huge.js"), &[]).unwrap();
        assert!(stuck.receive_head().unwrap().starts_with("HTTP/1.1 200"));
        let (status, log) = host.stop();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("some requests were cut off"), "{log}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second) in
        [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::INT), (Signal::TERM, Signal::INT)]
    {
        let tree = tree();
        let host = Setup::of(&tree).with("HOST_DRAIN_SECONDS", "3600").start();
        host.signal(first);
        wait_for("the host to drain", || is_draining(&host).then_some(()));
        host.signal(second);
        let (status, log) = host.wait();
        assert_eq!(status.code(), Some(1), "{log}");
    }
}

#[test]
fn a_host_that_is_still_loading_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let tree = tree();
        let hanging = tree.path("notes");
        let output = Setup::of(&tree).hanging_at(&hanging).ends_after(|process| {
            wait_for("the first look at the artifacts", || process.hangs().then_some(()));
            process.signal(signal);
        });
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{log}");
        assert!(output.stdout.is_empty(), "it serves nothing");
        assert!(log.contains("stopped before anything was served"), "{log}");
    }
}

#[test]
fn a_refresh_that_hangs_does_not_hold_the_host_up() {
    let tree = tree();
    let host = Setup::of(&tree).hanging_at(&tree.path("late")).start();
    tree.publish(&Version::domain("late", "1.0.0", "/late"));
    host.signal(Signal::HUP);
    wait_for("the refresh to hang", || host.process().hangs().then_some(()));
    assert_eq!(host.get("/notes").status, 200);
    let (status, log) = host.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("every request was answered"), "{log}");
}

#[test]
fn a_page_that_waits_for_the_next_snapshot_does_not_hold_the_host_up() {
    let tree = tree();
    let host = Setup::of(&tree).with("HOT_REFRESH_WATCH", "1").start();
    let current = host.get("/notes").header("x-pilar-snapshot").unwrap().to_owned();
    let mut waiting = host.connect();
    waiting.send("GET", &format!("/_dev/snapshot?current={current}"), &[]).unwrap();
    assert_eq!(host.get("/_health").status, 200);
    let (status, log) = host.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("every request was answered"), "{log}");
    assert_eq!(waiting.receive("GET").unwrap().status, 503, "it is told and may ask elsewhere");
}

#[test]
fn a_kill_leaves_nothing_that_the_next_start_minds() {
    let tree = tree();
    // An address of its own: another test must not take the port in between.
    let address = IpAddr::from([127, 0, 0, 9]);
    let mut port = 0;
    for _ in 0..3 {
        // From the second time on, the port of the one that was killed, whose connections the kernel remembers.
        let setup = Setup::of(&tree).with("HOST_BIND", address.to_string());
        let host = setup.with("PORT", port.to_string()).start();
        port = host.port;
        let mut open = Client::connect_to(SocketAddr::new(address, port)).unwrap();
        assert_eq!(open.request("GET", "/notes", &[]).unwrap().status, 200);
        host.signal(Signal::KILL);
        let (status, _) = host.wait();
        assert!(!status.success());
    }
    let left: Vec<_> = std::fs::read_dir(tree.artifacts())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["notes"], "the host writes nothing into the artifacts directory");
}

#[test]
fn signals_among_requests_and_refreshes_do_no_harm() {
    let tree = tree();
    let host = Setup::of(&tree).start();
    let done = AtomicBool::new(false);
    let begun = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = host.connect();
                begun.wait();
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(client.request("GET", "/notes", &[]).unwrap().status, 200);
                    assert_eq!(client.request("GET", "/_health", &[]).unwrap().status, 200);
                }
            });
        }
        begun.wait();
        for _ in 0..200 {
            host.signal(Signal::HUP);
            std::thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(host.serving("notes").as_deref(), Some("1.0.0"));
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let tree = tree();
    let host = Setup::of(&tree).start_unheard();
    for version in ["1.1.0", "1.2.0"] {
        tree.publish(&Version::domain("notes", version, "/notes"));
        host.signal(Signal::HUP);
        host.wait_until_serving("notes", version);
    }
    let (status, _) = host.stop();
    assert_eq!(status.code(), Some(0));
}
