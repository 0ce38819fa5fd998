//! Listening: on a unix socket, on sockets that a service manager keeps open through a restart, and through a want of
//! file descriptors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::tree::{Tree, Version};
use support::{Client, Setup, wait_for};

fn tree() -> Tree {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    tree
}

/// A socket as a service manager holds it.
fn activated() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn a_restart_on_a_passed_socket_refuses_and_loses_nothing() {
    for driver in ["auto", "epoll"] {
        let tree = tree();
        let (listener, port) = activated();
        let start = || {
            let socket = OwnedFd::from(listener.try_clone().unwrap());
            let setup = Setup::of(&tree).with("HOST_IO_DRIVER", driver).passing(socket);
            setup.with("HOST_WORKERS", "2").with("HOST_DRAIN_SECONDS", "1").start()
        };
        let mut host = start();
        assert_eq!(host.port, port);
        let done = AtomicBool::new(false);
        let answered = AtomicUsize::new(0);
        let last = std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        ask_until_told_to_go(port, &done, &answered);
                    }
                });
            }
            for _ in 0..3 {
                let before = answered.load(Ordering::Relaxed);
                wait_for("answers", || {
                    (answered.load(Ordering::Relaxed) > before + 500).then_some(())
                });
                // The old one ends before the new one begins; meanwhile connections wait in the socket.
                let (status, log) = host.stop();
                assert_eq!(status.code(), Some(0), "{log}");
                assert!(log.contains("every request was answered"), "{log}");
                host = start();
            }
            done.store(true, Ordering::Relaxed);
            host
        });
        assert_eq!(last.get("/_health").status, 200);
    }
}

/// One connection with request after request, each of which must be answered.
fn ask_until_told_to_go(port: u16, done: &AtomicBool, answered: &AtomicUsize) {
    let mut client = Client::connect(port).expect("nobody is refused");
    while !done.load(Ordering::Relaxed) {
        let reply = client.request("GET", "/notes", &[]).expect("every request is answered");
        assert_eq!(reply.status, 200);
        answered.fetch_add(1, Ordering::Relaxed);
        if reply.header("connection") == Some("close") {
            return;
        }
    }
}

#[test]
fn what_was_passed_and_cannot_be_listened_on_is_named() {
    let tree = tree();
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let stream = UnixStream::pair().unwrap().0;
    for (passed, problem) in [
        (OwnedFd::from(udp), "is not a stream socket"),
        (OwnedFd::from(stream), "does not listen"),
        (OwnedFd::from(File::open("/dev/null").unwrap()), "is not a socket"),
    ] {
        let output = Setup::of(&tree).passing(passed).ends();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in ["descriptor 3", problem, "LISTEN_FDS", "activation-socket-invalid"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    // One more than there are.
    let (listener, _) = activated();
    let output = Setup::of(&tree).passing(listener.into()).with("LISTEN_FDS", "2").ends();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("descriptor 4, one of LISTEN_FDS, is not open"), "{said}");
}

#[test]
fn what_was_passed_to_another_process_is_not_taken() {
    let tree = tree();
    let host = Setup::of(&tree).with("LISTEN_FDS", "1").with("LISTEN_PID", "1").start();
    assert_eq!(host.get("/notes").status, 200);
    let (_, log) = host.stop();
    assert_eq!(log.matches("LISTEN_FDS is ignored: LISTEN_PID is 1, and this").count(), 1, "{log}");
}

#[test]
fn a_unix_socket_serves_beside_the_port_until_the_host_ends() {
    let tree = tree();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("host.sock");
    let setup = || Setup::of(&tree).with("HOST_UNIX_SOCKET", &path);
    let killed = setup().start();
    killed.signal(Signal::KILL);
    killed.wait();
    assert!(path.exists(), "a kill leaves it");
    let host = setup().start();
    assert_eq!(host.get("/notes").status, 200);
    let mut local = Client::connect_to_unix(&path).unwrap();
    assert_eq!(local.request("GET", "/notes", &[]).unwrap().status, 200);
    assert_eq!(local.request("GET", "/_health", &[]).unwrap().status, 200);
    let output = setup().ends();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("unix-socket-in-use"), "{said}");
    let (status, log) = host.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!path.exists());
}

/// The most descriptors that the host may have in the next test, and connections that are surely more.
const FEW: usize = 64;
const MANY: usize = 100;

#[test]
fn a_want_of_descriptors_harms_nobody_who_is_connected_and_passes() {
    for driver in ["auto", "epoll"] {
        let tree = tree();
        let setup = Setup::of(&tree).with("HOST_IO_DRIVER", driver).with("HOST_WORKERS", "1");
        let host = setup.with_few_descriptors(FEW).start();
        let mut early = host.connect();
        assert_eq!(early.request("GET", "/notes", &[]).unwrap().status, 200);
        let mut crowd: Vec<Client> = (0..MANY).map(|_| host.connect()).collect();
        for client in &mut crowd {
            client.send("GET", "/notes", &[]).unwrap();
        }
        // Somebody in the crowd waits in vain, and goes on waiting while the others are served.
        wait_for("the descriptors to run out", || (host.open_files() >= FEW).then_some(()));
        let (began, work) = (Instant::now(), host.context_switches());
        for _ in 0..50 {
            assert_eq!(early.request("GET", "/notes", &[]).unwrap().status, 200);
            std::thread::sleep(Duration::from_millis(20));
        }
        let switches = host.context_switches() - work;
        // A look every 50 ms, the sweep every 500 ms, and the requests; a loop that does not wait makes many thousands.
        let expected = 50 * 4 + began.elapsed().as_millis() as u64 / 10;
        assert!(switches < expected, "{driver}: {switches} of {expected}");
        // Those that were let in leave, and so the others come in.
        let late = crowd.split_off(FEW);
        drop(crowd);
        for mut client in late {
            assert_eq!(client.receive("GET").unwrap().status, 200);
        }
        let (status, log) = host.stop();
        assert_eq!(status.code(), Some(0), "{log}");
        assert_eq!(log.matches("cannot accept connections").count(), 1, "{log}");
    }
}
