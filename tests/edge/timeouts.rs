//! Clients that are slow, silent or do not read cost a bounded time. No test asserts a time: it
//! waits for what must come.

use std::thread;
use std::time::Duration;

use pilar_host::edge::{Limit, Limits};

use super::client::{Client, request};
use super::connections::until;
use super::server::{SETUPS, Server, large_body};

const SHORT: Duration = Duration::from_millis(60);

#[test]
fn a_head_that_does_not_end_is_answered_with_408() {
    for setup in SETUPS {
        let server =
            Server::with_limits(setup, Limits { head_timeout: SHORT, ..Limits::default() });
        let mut client = Client::connect(server.addr);
        // A first request, so that the time counts from the first byte of the second.
        client.get("/page");
        client.send("GET /page HTTP/1.1\r\nho");
        let reply = client.reply("GET");
        assert_eq!((reply.status, reply.header("connection")), (408, Some("close")));
        assert!(client.is_closed());
    }
}

#[test]
fn trickling_bytes_gain_a_head_no_time() {
    for setup in SETUPS {
        let server =
            Server::with_limits(setup, Limits { head_timeout: SHORT, ..Limits::default() });
        let mut client = Client::connect(server.addr);
        client.send("GET /page HTTP/1.1\r\nx: ");
        // Ends only because the server ends it.
        until(|| {
            client.try_send(b"y");
            server.edge().meter().counts().reached(Limit::HeadTime) == 1
        });
        assert_eq!(client.reply("GET").status, 408);
    }
}

#[test]
fn a_body_that_does_not_come_is_answered_with_408() {
    for setup in SETUPS {
        let server =
            Server::with_limits(setup, Limits { body_timeout: SHORT, ..Limits::default() });
        let mut client = Client::connect(server.addr);
        client.send(request("POST", "/service/echo", &["content-length: 9"]));
        client.send("only");
        let reply = client.reply("POST");
        assert_eq!((reply.status, reply.text()), (408, "the request body took too long\n"));
        assert!(client.is_closed());
    }
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    for setup in SETUPS {
        let server =
            Server::with_limits(setup, Limits { idle_timeout: SHORT, ..Limits::default() });
        let mut client = Client::connect(server.addr);
        client.get("/page");
        assert!(client.is_closed());
    }
}

#[test]
fn a_connection_that_never_asks_has_no_longer_than_a_head() {
    for setup in SETUPS {
        let server =
            Server::with_limits(setup, Limits { head_timeout: SHORT, ..Limits::default() });
        let mut silent = Client::connect(server.addr);
        let mut used = Client::connect(server.addr);
        used.get("/page");
        assert!(silent.is_closed());
        // Whoever has asked once may think for longer.
        assert_eq!(used.get("/page").status, 200);
        assert_eq!(server.edge().meter().counts().reached(Limit::HeadTime), 1);
    }
}

#[test]
fn empty_lines_gain_no_time() {
    for setup in SETUPS {
        for (asks, piece) in [(false, &b"\r\n"[..]), (true, b"\r\n"), (false, b"\r"), (true, b"\r")]
        {
            let limits = Limits { head_timeout: SHORT, idle_timeout: SHORT, ..Limits::default() };
            let server = Server::with_limits(setup, limits);
            let mut client = Client::connect(server.addr);
            if asks {
                client.get("/page");
            }
            // Ends only because the server ends it.
            until(|| {
                client.try_send(piece);
                if piece == b"\r" {
                    thread::sleep(Duration::from_millis(2));
                    client.try_send(b"\n");
                }
                server.edge().meter().counts().connections_open == 0
            });
        }
    }
}

#[test]
fn a_connection_serves_on_after_its_buffer_was_taken_away() {
    for setup in SETUPS {
        // Sweeps come every few milliseconds, so the pauses span several of them.
        let limits = Limits { linger_timeout: Duration::from_millis(20), ..Limits::default() };
        let server = Server::with_limits(setup, limits);
        let mut client = Client::connect(server.addr);
        for _ in 0..5 {
            assert_eq!(client.get("/page").text(), "<p>page");
            thread::sleep(Duration::from_millis(40));
        }
        client.send("GET /page HTT");
        thread::sleep(Duration::from_millis(40));
        client.send("P/1.1\r\nhost: test\r\n\r\n");
        assert_eq!(client.reply("GET").text(), "<p>page");
    }
}

#[test]
fn a_slow_reader_gets_every_byte() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        client.send(request("GET", "/large", &[]));
        client.send(request("GET", "/page", &[]));
        let expected = large_body();
        thread::sleep(Duration::from_millis(100));
        let reply = client.reply_slowly(Duration::from_micros(300));
        assert!(reply.body == expected, "{setup:?}: {} bytes", reply.body.len());
        assert_eq!(client.reply("GET").text(), "<p>page");
    }
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    for setup in SETUPS {
        let limits = Limits { send_window: SHORT, ..Limits::default() };
        let server = Server::with_limits(setup, limits);
        let mut large = Client::connect(server.addr);
        let mut many = Client::connect(server.addr);
        // More than the kernel's buffers on both sides take.
        for _ in 0..4 {
            large.send(request("GET", "/large", &[]));
        }
        let requests = request("GET", "/medium", &[]).repeat(50);
        until(|| {
            many.try_send(requests.as_bytes());
            let counts = server.edge().meter().counts();
            counts.reached(Limit::SendRate) == 2 && counts.connections_open == 0
        });
        assert!(large.rest().is_err(), "a reply cut off must not end like a whole one");
        assert_eq!(Client::connect(server.addr).get("/page").status, 200);
    }
}

#[test]
fn a_refused_client_that_never_stops_sending_is_cut_off() {
    for setup in SETUPS {
        let limits = Limits { linger_timeout: SHORT, ..Limits::default() };
        let server = Server::with_limits(setup, limits);
        let mut client = Client::connect(server.addr);
        client.send("nonsense\r\n\r\n");
        assert_eq!(client.reply("GET").status, 400);
        until(|| {
            client.try_send(b"more");
            server.edge().meter().counts().connections_open == 0
        });
    }
}
