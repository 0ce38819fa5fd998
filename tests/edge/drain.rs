//! Stopping without taking anything out of a client's hands.

use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pilar_host::edge::Limits;

use super::client::{Client, request};
use super::connections::until;
use super::server::{SETUPS, Server, large_body};

#[test]
fn what_is_in_flight_is_finished_and_what_is_idle_is_closed() {
    for setup in SETUPS {
        let mut server = Server::start(setup);
        let addr = server.addr;
        let mut idle = Client::connect(addr);
        idle.get("/page");
        let mut reading = Client::connect(addr);
        reading.send(request("GET", "/large", &[]));
        reading.take(1);
        let mut calling = Client::connect(addr);
        calling.send(request("GET", "/service/gated", &[]));
        until(|| server.edge().meter().counts().requests == 3);
        let gate = server.gate.clone();
        let draining = thread::spawn(move || server.drain(Duration::ZERO));
        assert!(idle.is_closed());
        gate.add_permits(1);
        let reply = calling.reply("GET");
        assert_eq!(reply.text(), "through the gate");
        assert_eq!(reply.header("connection"), Some("close"));
        drop(calling);
        // The first byte of the head was taken already.
        let rest = reading.rest().unwrap();
        assert!(rest.ends_with(&large_body()), "{setup:?}");
        drop(reading);
        assert_eq!(draining.join().unwrap(), 0);
        assert!(TcpStream::connect(addr).is_err(), "somebody still listens");
    }
}

#[test]
fn requests_are_served_while_draining_and_each_reply_says_close() {
    // One worker: two do not begin to drain at the very same moment, and a client sees only one of them.
    for setup in SETUPS.into_iter().filter(|(_, workers)| *workers == 1) {
        let mut server = Server::start(setup);
        let addr = server.addr;
        let mut early = Client::connect(addr);
        early.get("/page");
        let mut fresh = Client::connect(addr);
        until(|| server.edge().meter().counts().connections_open == 2);
        let (sender, drained) = mpsc::channel();
        let draining = thread::spawn(move || {
            let cut = server.drain(Duration::from_secs(2));
            sender.send(()).unwrap();
            cut
        });
        // It goes on asking and is told so when the drain begins; nothing is taken out of its hands before.
        until(|| early.get("/page").header("connection") == Some("close"));
        assert!(early.is_closed());
        // It connected before and has not asked yet: its first request is still answered.
        assert_eq!(fresh.get("/page").header("connection"), Some("close"), "{setup:?}");
        for target in ["/page", "/service/echo", "/large", "/nowhere"] {
            let mut client = Client::connect(addr);
            let reply = client.get(target);
            assert_eq!(reply.header("connection"), Some("close"), "{setup:?} {target}");
            assert!(client.is_closed());
        }
        assert!(drained.try_recv().is_err(), "the drain ended before its time");
        assert_eq!(draining.join().unwrap(), 0);
    }
}

#[test]
fn what_takes_too_long_to_finish_is_cut_and_counted() {
    for setup in SETUPS {
        let limits = Limits { finish_timeout: Duration::from_millis(50), ..Limits::default() };
        let mut server = Server::with_limits(setup, limits);
        let mut idle = Client::connect(server.addr);
        let mut stuck = Client::connect(server.addr);
        for _ in 0..4 {
            stuck.send(request("GET", "/large", &[]));
        }
        let mut calling = Client::connect(server.addr);
        calling.send(request("GET", "/service/gated", &[]));
        until(|| {
            server.edge().meter().counts().requests == 2 && {
                server.edge().meter().counts().connections_open == 3
            }
        });
        assert_eq!(server.drain(Duration::ZERO), 2, "{setup:?}");
        assert!(idle.is_closed());
        assert!(stuck.rest().is_err());
        assert!(calling.is_closed());
    }
}

#[test]
fn an_edge_that_is_dropped_leaves_nobody_listening() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let addr = server.addr;
        let mut client = Client::connect(addr);
        client.get("/page");
        drop(server);
        assert!(client.is_closed());
        assert!(TcpStream::connect(addr).is_err());
    }
}
