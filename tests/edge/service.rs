//! Requests for the service plane, and what stays true when it is slow or gone.

use std::time::Duration;

use pilar_host::edge::{Limit, Limits};

use super::client::{Client, Reply, request};
use super::connections::until;
use super::server::{DATE, SETUPS, Server, large_body};

#[test]
fn a_request_reaches_the_service_plane_whole_and_without_what_is_hop_by_hop() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        let lines = [
            "x-kept: 1",
            "connection: keep-alive, x-mine",
            "x-mine: 2",
            "te: trailers",
            "upgrade: h2c",
            "x-kept: 3",
            "content-length: 4",
        ];
        client.send(request("PUT", "/service/echo?a=%20b", &lines));
        client.send("body");
        assert_eq!(
            client.reply("PUT").text(),
            "PUT /service/echo?a=%20b [content-length=4 host=test x-kept=1 x-kept=3] body"
        );
        // What says where a request goes and where it ends is no option of a connection.
        let named = ["connection: host, Content-Length, x-mine", "x-mine: 2", "content-length: 4"];
        client.send(request("PUT", "/service/echo", &named));
        client.send("body");
        let text = "PUT /service/echo [content-length=4 host=test] body";
        assert_eq!(client.reply("PUT").text(), text);
        let absolute = client.get("http://other:81/service/echo");
        assert_eq!(absolute.text(), "GET /service/echo [host=other:81] ");
        assert_eq!(client.get("/service/peer").text(), client.local_addr().to_string());
        assert_eq!(client.get("/service/snapshot").text(), "10");
    }
}

#[test]
fn a_chunked_body_reaches_the_service_plane_as_if_it_had_a_length() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        let body = "3;note=\"x\"\r\nabc\r\n2\r\nde\r\n0\r\ntrailer: dropped\r\n\r\n";
        let head = request("POST", "/service/echo", &["transfer-encoding: chunked"]);
        let expected = "POST /service/echo [content-length=5 host=test] abcde";
        // With the next request behind it, and cut anywhere.
        client.send(format!("{head}{body}{}", request("GET", "/page", &[])));
        assert_eq!(client.reply("POST").text(), expected);
        assert_eq!(client.reply("GET").status, 200);
        let whole = format!("{head}{body}");
        for cut in 1..whole.len() {
            let (now, later) = whole.split_at(cut);
            client.send(now);
            client.send(later);
            assert_eq!(client.reply("POST").text(), expected, "{cut}");
        }
        let asking = ["transfer-encoding: chunked", "expect: 100-continue"];
        client.send(request("POST", "/service/echo", &asking));
        assert_eq!(client.reply("POST").status, 100);
        client.send(body);
        assert_eq!(client.reply("POST").text(), expected);
        let large = "x".repeat(64 * 1024);
        client.send(format!("{head}10000\r\n{large}\r\n0\r\n\r\n"));
        assert!(client.reply("POST").text().ends_with(&large));
    }
}

#[test]
fn both_planes_mean_the_same_path_however_it_is_written() {
    let server = Server::start(SETUPS[0]);
    let mut client = Client::connect(server.addr);
    for (target, seen) in [
        ("/%73ervice/echo", "/service/echo"),
        ("/service/%65cho?a=%20b", "/service/echo?a=%20b"),
        ("/service/echo?a={}|^\"<>`[]", "/service/echo?a=%7B%7D%7C%5E%22%3C%3E%60%5B%5D"),
        ("/service/echo?", "/service/echo?"),
    ] {
        let reply = client.get(target);
        assert_eq!(reply.text(), format!("GET {seen} [host=test] "), "{target}");
    }
    // What the edge decoded once is not decoded again.
    assert_eq!(client.get("/service/%2565cho").status, 404);
    assert_eq!(client.get("/service/ech%C3%B6").status, 404);
}

#[test]
fn a_reply_is_written_anew() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        let reply = client.get("/service/created");
        assert_eq!(
            reply.head,
            format!(
                "HTTP/1.1 201 Created\r\n\
                 x-own: kept\r\n\
                 x-content-type-options: nosniff\r\n\
                 content-length: 4\r\n\
                 date: {DATE}\r\n\
                 \r\n"
            )
        );
        assert_eq!(reply.text(), "made");
        let nothing = client.get("/service/nothing");
        assert_eq!((nothing.status, nothing.header("content-length")), (204, None));
        let head = client.ask("HEAD", "/service/created", &[]);
        assert_eq!((head.status, head.header("transfer-encoding")), (201, None));
        assert_eq!(client.get("/page").status, 200);
    }
}

#[test]
fn a_body_of_unknown_length_is_chunked_or_ends_with_the_connection() {
    let expected: String = (0..50).map(|number| format!("part {number};")).collect();
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        for _ in 0..3 {
            let reply = client.get("/service/stream");
            assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
            assert_eq!(reply.text(), expected);
        }
        assert!(client.get("/service/large").body == large_body()[..1024 * 1024]);
        let whole = client.get("/service/whole");
        assert_eq!(whole.header("content-length"), Some("300000"));
        assert!(whole.body == large_body()[..300_000]);
        client.send("GET /service/stream HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
        let reply = client.reply("GET");
        assert_eq!(reply.header("connection"), Some("close"));
        assert_eq!(reply.header("transfer-encoding"), None);
        assert_eq!(reply.text(), expected);
    }
}

#[test]
fn a_reply_that_breaks_off_does_not_look_whole() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        client.send(request("GET", "/service/broken", &[]));
        let received = client.rest().unwrap_or_default();
        assert!(!received.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&received));
        assert_eq!(Client::connect(server.addr).get("/page").status, 200);
    }
}

#[test]
fn a_client_that_asks_before_it_sends_is_told_to_go_on() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        let lines = ["expect: 100-continue", "content-length: 5"];
        client.send(request("POST", "/service/echo", &lines));
        assert_eq!(client.reply("POST").status, 100);
        client.send("hello");
        assert_eq!(
            client.reply("POST").text(),
            "POST /service/echo [content-length=5 host=test] hello"
        );
        assert_eq!(server.edge().meter().counts().responses, [1, 0, 0, 0]);
    }
}

#[test]
fn the_largest_body_is_taken_and_one_byte_more_is_not() {
    let limits = Limits { service_body_bytes: 100_000, ..Limits::default() };
    let server = Server::with_limits(SETUPS[0], limits);
    let mut client = Client::connect(server.addr);
    client.send(request("POST", "/service/echo", &["content-length: 100000"]));
    client.send("x".repeat(100_000));
    assert!(client.reply("POST").text().ends_with(&"x".repeat(100_000)));
    assert_eq!(client.ask("POST", "/service/echo", &["content-length: 100001"]).status, 413);
    assert!(client.is_closed());
}

#[test]
fn a_full_service_plane_says_so_while_resources_are_served() {
    for (driver, workers) in SETUPS {
        let limits = Limits { service_calls: 4, ..Limits::default() };
        let server = Server::with_limits((driver, workers), limits);
        let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(server.addr)).collect();
        for client in &mut clients {
            client.send(request("GET", "/service/held", &[]));
        }
        // The service plane holds one, and four wait in the channel.
        until(|| server.edge().meter().counts().responses[3] >= 15);
        for _ in 0..20 {
            assert_eq!(Client::connect(server.addr).get("/page").text(), "<p>page");
        }
        server.gate.add_permits(1000);
        let mut answered = 0;
        for client in &mut clients {
            let reply = client.reply("GET");
            assert_eq!(reply.header("connection"), None);
            if reply.status == 200 {
                answered += 1;
            } else {
                assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
            }
        }
        assert!((4..=5).contains(&answered), "{answered} were answered");
        assert_eq!(server.edge().meter().counts().reached(Limit::ServiceCalls), 20 - answered);
        for client in &mut clients {
            assert_eq!(client.get("/service/gated").text(), "through the gate");
        }
    }
}

#[test]
fn a_call_that_nobody_answers_is_an_error_and_the_connection_goes_on() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        assert_eq!(client.get("/service/silent").status, 500);
        assert_eq!(client.get("/page").status, 200);
        let head = client.ask("HEAD", "/service/silent", &[]);
        assert_eq!((head.status, head.body.len()), (500, 0));
        assert_eq!(client.get("/page").status, 200);
    }
}

#[test]
fn a_call_that_takes_too_long_is_given_up() {
    for setup in SETUPS {
        let limits = Limits { service_timeout: Duration::from_millis(50), ..Limits::default() };
        let server = Server::with_limits(setup, limits);
        let mut client = Client::connect(server.addr);
        for _ in 0..2 {
            let Reply { status, .. } = client.get("/service/gated");
            assert_eq!(status, 504);
        }
        assert_eq!(client.get("/page").status, 200);
        assert_eq!(server.edge().meter().counts().reached(Limit::ServiceTime), 2);
    }
}
