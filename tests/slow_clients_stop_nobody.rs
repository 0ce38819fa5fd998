//! Clients that send and read as slowly as they can cost the others nothing, and the host a bounded amount of
//! memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::io::Read as _;
use std::process::{Child, Stdio};

use pilar_host::edge::Limits;
use support::load::{debian_program, wrk};
use support::tree::{Tree, Version};
use support::{Host, PATIENCE, Setup, wait_for};

/// Connections of an attack that holds them.
const ATTACKERS: usize = 400;
const LOAD_SECONDS: u64 = 4;
/// What a connection may hold besides the request that it has not sent whole yet.
const BYTES_BESIDES: usize = 16 * 1024;
/// What may grow that belongs to no connection: free lists, allocator.
const BYTES_AT_LARGE: usize = 16 * 1024 * 1024;

struct Attack {
    what: &'static str,
    options: &'static [&'static str],
    path: &'static str,
    /// Whether its connections stay, or each is answered and followed by another.
    holds: bool,
}

const ATTACKS: [Attack; 4] = [
    Attack {
        what: "slow heads",
        options: &["-H", "-c", "400", "-r", "400", "-i", "1"],
        path: "/notes",
        holds: true,
    },
    Attack {
        what: "slow bodies",
        options: &["-B", "-c", "400", "-r", "400", "-i", "1", "-s", "60000", "-x", "2000"],
        path: "/_health",
        holds: true,
    },
    Attack {
        what: "slow reads",
        options: &["-X", "-c", "400", "-r", "400", "-n", "1", "-k", "3"],
        path: "/_assets/notes/1.0.0/large.js",
        holds: true,
    },
    Attack {
        what: "many ranges",
        options: &["-R", "-c", "9999", "-r", "60", "-t", "GET"],
        path: "/_assets/notes/1.0.0/large.js",
        holds: false,
    },
];

#[test]
fn with_io_uring_where_there_is_one() {
    attacks_change_nothing_for_others("auto");
}

#[test]
fn with_epoll() {
    attacks_change_nothing_for_others("epoll");
}

fn attacks_change_nothing_for_others(driver: &str) {
    let tree = Tree::new();
    tree.publish(
        &Version::domain("notes", "1.0.0", "/notes").with_file("large.js", vec![b' '; 1024 * 1024]),
    );
    let host = Setup::of(&tree).with("HOST_IO_DRIVER", driver).start();
    let process = host.process();
    let descriptors = host.descriptors_at_rest();
    let closed = |what: &str| {
        wait_for(&format!("every connection to be closed: {what}, {driver}"), || {
            (process.descriptors() <= descriptors).then_some(())
        });
    };
    let alone = requests_per_cpu_second(&host, "alone");
    closed("alone");
    let limits = Limits::default();
    let per_connection = limits.head.head_bytes + limits.service_body_bytes + BYTES_BESIDES;
    for attack in &ATTACKS {
        let what = format!("{}, {driver}", attack.what);
        process.forget_peak();
        let before = process.memory();
        let mut slow = debian_program("/usr/bin/slowhttptest")
            .args(["-l", &PATIENCE.as_secs().to_string()])
            .args(attack.options)
            .args(["-u", &host.url(attack.path)])
            .stdout(Stdio::piped())
            .spawn()
            .expect("slowhttptest starts");
        let open = if attack.holds { ATTACKERS } else { 0 };
        wait_for(&format!("the attack: {what}"), || {
            let ended = slow.try_wait().unwrap();
            assert!(ended.is_none(), "{what}: {}", report_of(&mut slow));
            (process.descriptors() >= open).then_some(())
        });
        let under_attack = requests_per_cpu_second(&host, &what);
        let ended = slow.try_wait().unwrap();
        assert!(ended.is_none(), "{what}: {}", report_of(&mut slow));
        slow.kill().unwrap();
        slow.wait().unwrap();
        // Half is far from what an attack that works leaves, and from what a busy machine makes of it.
        assert!(
            under_attack >= alone / 2,
            "{what}: {under_attack} requests per second of CPU, {alone} alone"
        );
        let grown = process.peak_memory().saturating_sub(before);
        let most = ATTACKERS * per_connection + BYTES_AT_LARGE;
        assert!(grown <= most, "{what}: {grown} bytes more, at most {most} are accounted for");
        closed(&what);
    }
}

/// Why an attack ended that was to go on, in the words of the program.
fn report_of(ended: &mut Child) -> String {
    let mut report = String::new();
    ended.stdout.take().expect("piped").read_to_string(&mut report).unwrap();
    report
}

/// Loads the host as others would, who are all answered.
fn requests_per_cpu_second(host: &Host, what: &str) -> u64 {
    let before = host.process().cpu_nanoseconds();
    let answered = wrk(&host.url("/notes"), 16, LOAD_SECONDS, &[]);
    assert_eq!(answered.errors, "", "{what}");
    answered.requests * 1_000_000_000 / (host.process().cpu_nanoseconds() - before)
}
