//! Connections: how long they live and what they cost.

use std::fs;
use std::thread;
use std::time::Duration;

use pilar_host::edge::{Limit, Limits};

use super::client::{Client, request};
use super::server::{SETUPS, Server, large_body};

#[test]
fn a_connection_stays_until_somebody_says_close() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        for _ in 0..200 {
            assert_eq!(client.get("/page").header("connection"), None);
        }
        let last = client.ask("GET", "/page", &["connection: x, CLOSE"]);
        assert_eq!((last.text(), last.header("connection")), ("<p>page", Some("close")));
        assert!(client.is_closed());
    }
}

#[test]
fn http_1_0_closes_unless_it_asks_to_stay() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        for _ in 0..2 {
            client.send("GET /page HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n");
            let reply = client.reply("GET");
            assert_eq!((reply.status, reply.header("connection")), (200, Some("keep-alive")));
        }
        client.send("GET /page HTTP/1.0\r\n\r\n");
        assert_eq!(client.reply("GET").header("connection"), Some("close"));
        assert!(client.is_closed());
    }
}

#[test]
fn a_refusal_of_http_1_0_is_a_reply_of_http_1_1_that_closes() {
    for setup in [SETUPS[0], SETUPS[2]] {
        let server = Server::start(setup);
        for (request, status, goes_on) in [
            ("GET /a/../b HTTP/1.0\r\n", 400, true),
            ("GET /nowhere HTTP/1.0\r\n", 404, true),
            ("POST /page HTTP/1.0\r\n", 405, true),
            ("GET /only-br.js HTTP/1.0\r\naccept-encoding: *;q=0\r\n", 406, true),
            ("GET /app.js HTTP/1.0\r\nif-match: \"other\"\r\n", 412, true),
            ("GET /app.js HTTP/1.0\r\nrange: bytes=99-\r\n", 416, true),
            ("GET /service/silent HTTP/1.0\r\n", 500, true),
            ("GET page HTTP/1.0\r\n", 400, false),
            ("POST /service/echo HTTP/1.0\r\ncontent-length: 65537\r\n", 413, false),
            ("GET / HTTP/1.0\r\nexpect: tea\r\n", 417, false),
        ] {
            let case = format!("{setup:?} {request}");
            let mut client = Client::connect(server.addr);
            client.send(format!("{request}\r\n"));
            let reply = client.reply("GET");
            // RFC 9110 §6.2: the version is that of the sender, and 1.0 understands it.
            assert!(
                reply.head.starts_with(&format!("HTTP/1.1 {status} ")),
                "{case}: {}",
                reply.head
            );
            assert_eq!(reply.header("connection"), Some("close"), "{case}");
            assert!(!reply.body.is_empty(), "{case}");
            assert!(client.is_closed(), "{case}");
            let mut client = Client::connect(server.addr);
            client.send(format!("{request}connection: keep-alive\r\n\r\n"));
            let expected = if goes_on { "keep-alive" } else { "close" };
            assert_eq!(client.reply("GET").header("connection"), Some(expected), "{case}");
            if goes_on {
                assert_eq!(client.get("/page").status, 200, "{case}");
            }
        }
    }
}

#[test]
fn a_hundred_pipelined_requests_are_answered_in_their_order() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        let kinds = [
            ("GET", "/page"),
            ("GET", "/service/echo?n"),
            ("HEAD", "/app.js"),
            ("GET", "/medium"),
            ("GET", "/service/stream"),
            ("POST", "/page"),
            ("GET", "/a/../b"),
            ("GET", "/big"),
            ("HEAD", "/service/echo"),
            ("GET", "/nowhere"),
        ];
        let cycle = || (0..100).map(|number| kinds[number % kinds.len()]);
        let all: String = cycle().map(|(method, target)| request(method, target, &[])).collect();
        let mut separate = Client::connect(server.addr);
        let expected: Vec<_> =
            kinds.iter().map(|(method, target)| separate.ask(method, target, &[])).collect();
        client.send(all);
        for (number, (method, target)) in cycle().enumerate() {
            let reply = client.reply(method);
            assert!(
                reply == expected[number % kinds.len()],
                "{setup:?} {number} {method} {target}: {}",
                reply.head
            );
        }
    }
}

#[test]
fn a_request_may_arrive_in_any_pieces() {
    let server = Server::start(SETUPS[0]);
    let whole = "\r\nPOST /service/echo HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\nbody\
                 GET /page HTTP/1.1\r\nhost: test\r\n\r\n";
    for size in [1, 2, 3, 7, 50, whole.len()] {
        let mut client = Client::connect(server.addr);
        for piece in whole.as_bytes().chunks(size) {
            client.send(piece);
            if size < 8 {
                thread::yield_now();
            }
        }
        assert!(client.reply("POST").text().ends_with("] body"), "{size}");
        assert_eq!(client.reply("GET").text(), "<p>page", "{size}");
    }
}

#[test]
fn a_client_that_has_said_all_still_gets_its_replies() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        client.send(request("GET", "/large", &[]));
        client.send(request("GET", "/service/stream", &[]));
        client.send_no_more();
        assert!(client.reply("GET").body == large_body());
        assert!(client.reply("GET").text().starts_with("part 0;part 1;"));
        assert!(client.is_closed());
    }
}

#[test]
fn a_resource_does_not_take_a_body_for_the_next_request() {
    let inner = request("GET", "/nowhere", &[]);
    let length = format!("content-length: {}", inner.len());
    for setup in SETUPS {
        let server = Server::start(setup);
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            let status = match method {
                "POST" => 405,
                "OPTIONS" => 204,
                _ => 200,
            };
            let mut client = Client::connect(server.addr);
            // In one piece, in two, and byte by byte.
            for cut in [0, 1, inner.len() / 2, inner.len()] {
                let (now, later) = inner.split_at(cut);
                client.send(request(method, "/page", &[&length]) + now);
                let reply = client.reply(method);
                assert_eq!((reply.status, reply.header("connection")), (status, None), "{method}");
                for byte in later.bytes() {
                    client.send([byte]);
                }
            }
            assert_eq!(client.get("/page").status, 200, "{method}");
        }
    }
}

#[test]
fn a_last_reply_outlives_a_body_that_is_still_on_its_way() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        client.send(request("POST", "/page", &["connection: close", "content-length: 5000"]));
        assert_eq!(client.reply("POST").status, 405);
        // A socket that is closed already would answer the first half with a reset, and the second with an error.
        for _ in 0..2 {
            client.send([b'x'; 2500]);
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(client.rest().unwrap(), b"", "{setup:?}");
    }
}

#[test]
fn a_body_that_nobody_wants_ends_the_connection_where_its_end_is_far_or_uncertain() {
    for setup in SETUPS {
        let server = Server::start(setup);
        for lines in [
            &["content-length: 65537"][..],
            &["transfer-encoding: chunked"],
            &["content-length: 5", "expect: 100-continue"],
        ] {
            let mut client = Client::connect(server.addr);
            client.send(request("POST", "/page", lines));
            client.send(request("GET", "/page", &[]));
            let reply = client.reply("POST");
            assert_eq!((reply.status, reply.header("connection")), (405, Some("close")));
            assert!(client.is_closed(), "{lines:?}");
        }
    }
}

#[test]
fn one_connection_too_many_is_told_so_and_the_others_are_served() {
    for (driver, _) in [SETUPS[0], SETUPS[2]] {
        let limits = Limits { connections_per_worker: 2, ..Limits::default() };
        let server = Server::with_limits((driver, 1), limits);
        let mut first = Client::connect(server.addr);
        let mut second = Client::connect(server.addr);
        assert_eq!(first.get("/page").status, 200);
        assert_eq!(second.get("/page").status, 200);
        let mut third = Client::connect(server.addr);
        let refused = third.reply("GET");
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        assert!(third.is_closed());
        assert_eq!(first.get("/page").status, 200);
        assert_eq!(server.edge().meter().counts().reached(Limit::Connections), 1);
        drop(second);
        until(|| server.edge().meter().counts().connections_open == 1);
        assert_eq!(Client::connect(server.addr).get("/page").status, 200);
    }
}

#[test]
fn thousands_of_connections_leave_nothing_open() {
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    for setup in SETUPS {
        let server = Server::start(setup);
        let open = || server.edge().meter().counts().connections_open;
        Client::connect(server.addr).get("/page");
        until(|| open() == 0);
        for round in 0..40 {
            let mut clients: Vec<Client> = (0..50).map(|_| Client::connect(server.addr)).collect();
            for (number, client) in clients.iter_mut().enumerate() {
                match (number + round) % 5 {
                    0 => {}
                    1 => client.send("GET /page HTT"),
                    2 => client.send(request("GET", "/large", &[])),
                    3 => client.send("nonsense\r\n\r\n"),
                    _ => assert_eq!(client.get("/page").status, 200),
                }
            }
        }
        until(|| open() == 0);
        assert_eq!(server.edge().meter().counts().connections_accepted, 2001, "{setup:?}");
        // Other tests open and close in this process too: a leak is what no later moment undoes.
        until(|| descriptors() < 1000);
    }
}

/// Waits until something is so, or fails.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it never came to be so");
}
