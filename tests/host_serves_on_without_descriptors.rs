//! A host that may open no more files goes on serving whoever is connected, takes in the others as soon as it can, and says
//! what to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use support::tree::{Tree, Version};
use support::{Setup, wait_for};

const WAITING: usize = 20;

#[test]
fn who_connects_while_there_are_none_is_served_as_soon_as_there_are() {
    for driver in ["auto", "epoll"] {
        let tree = Tree::new();
        tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
        let host =
            Setup::of(&tree).with("HOST_IO_DRIVER", driver).with("HOST_WORKERS", "1").start();
        let mut early = host.connect();
        assert_eq!(early.request("GET", "/notes", &[]).unwrap().status, 200);
        let pid = Pid::from_raw(i32::try_from(host.process().0).unwrap());
        let most = getrlimit(Resource::Nofile).maximum;
        let limit =
            |current| prlimit(pid, Resource::Nofile, Rlimit { current, maximum: most }).unwrap();
        let at_rest = host.process().descriptors();
        limit(Some(host.process().limit_to_open(WAITING / 2)));
        let mut waiting: Vec<_> = (0..WAITING).map(|_| host.connect()).collect();
        let descriptors = || host.process().descriptors();
        wait_for("as many as may be", || (descriptors() >= at_rest + WAITING / 2).then_some(()));
        // Longer than it takes to try again some times.
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(early.request("GET", "/notes", &[]).unwrap().status, 200, "{driver}");
        }
        assert!(descriptors() < at_rest + WAITING, "{driver}: it had enough");
        limit(most);
        for client in &mut waiting {
            assert_eq!(client.request("GET", "/notes", &[]).unwrap().status, 200, "{driver}");
        }
        let (status, log) = host.stop();
        assert!(status.success(), "{driver}: {log}");
        let told = log.lines().filter(|line| line.contains("accept-failed")).count();
        assert_eq!(told, 1, "{driver}: {log}");
        assert!(log.contains("Raise the limit on open files"), "{driver}: {log}");
    }
}
