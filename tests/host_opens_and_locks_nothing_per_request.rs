//! A static request opens no file and waits for no lock: what the kernel sees of the running host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use support::tree::{Tree, Version};
use support::{Setup, wait_for};

/// System calls that open a file, take a lock that is not free, or get memory.
const FORBIDDEN: &[&str] =
    &["open", "openat", "openat2", "futex", "mmap", "munmap", "mremap", "brk", "madvise"];
/// Of which there are many, so that a trace without the others is a trace.
const EXPECTED: &[&str] = &["io_uring_enter", "epoll_wait", "recvfrom"];
const REQUESTS: usize = 1000;

#[test]
fn static_requests_open_no_file_and_wait_for_no_lock() {
    for driver in ["auto", "epoll"] {
        let tree = Tree::new();
        let version = Version::domain("notes", "1.0.0", "/notes");
        let entry = version.url("entry.js");
        let version = version.with_file("big.js", "x".repeat(2 * 1024 * 1024));
        let big = version.url("big.js");
        tree.publish(&version);
        let dir = tempfile::tempdir().unwrap();
        let trace = dir.path().join("trace");
        let traced = Setup::of(&tree).with("HOST_IO_DRIVER", driver);
        let host = traced.traced(&trace, &[FORBIDDEN, EXPECTED].concat()).start();
        let mut client = host.connect();
        let mut ask = |count: usize| {
            for number in 0..count {
                let path = ["/notes", &entry, &big, "/nowhere"][number % 4];
                assert!(matches!(client.request("GET", path, &[]).unwrap().status, 200 | 404));
            }
        };
        ask(100);
        let begin = settled(&trace);
        ask(REQUESTS);
        let calls = std::fs::read_to_string(&trace).unwrap()[begin..].to_owned();
        let of = |names: &[&str]| -> Vec<String> {
            let is_one = |line: &&str| {
                let call = line.split_whitespace().nth(1).unwrap_or_default();
                names.iter().any(|name| call.starts_with(&format!("{name}(")))
            };
            calls.lines().filter(is_one).map(str::to_owned).collect()
        };
        assert!(of(EXPECTED).len() >= REQUESTS, "{driver}: the trace is not whole");
        assert_eq!(of(FORBIDDEN), Vec::<String>::new(), "{driver}");
        host.stop();
    }
}

#[test]
fn what_is_asked_for_together_is_answered_by_one_send() {
    const TOGETHER: usize = 16;
    let tree = Tree::new();
    let version = Version::domain("notes", "1.0.0", "/notes");
    let entry = version.url("entry.js");
    tree.publish(&version);
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let sends = ["sendto", "sendmsg", "write", "writev"];
    // With the ring, a send is no call of its own.
    let traced = Setup::of(&tree).with("HOST_IO_DRIVER", "epoll").with("HOST_WORKERS", "1");
    let host = traced.traced(&trace, &[&sends[..], EXPECTED].concat()).start();
    let mut client = host.connect();
    assert_eq!(client.request("GET", &entry, &[]).unwrap().status, 200);
    let begin = settled(&trace);
    let request = format!("GET {entry} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    client.write(request.repeat(TOGETHER).as_bytes()).unwrap();
    for _ in 0..TOGETHER {
        assert_eq!(client.receive("GET").unwrap().status, 200);
    }
    let calls = std::fs::read_to_string(&trace).unwrap()[begin..].to_owned();
    let to_client = calls.lines().filter(|line| line.contains("HTTP/1.1 200"));
    assert_eq!(to_client.count(), 1, "{calls}");
    host.stop();
}

/// The length of the trace once nothing is added to it for a while but a tick.
fn settled(trace: &Path) -> usize {
    let length = || std::fs::metadata(trace).unwrap().len();
    wait_for("the host to come to rest", || {
        let before = length();
        std::thread::sleep(Duration::from_millis(300));
        (length() - before < 1024).then(|| length() as usize)
    })
}
