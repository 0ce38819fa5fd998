//! What does not frame a request beyond doubt is refused, and the connection with it.

use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::client::Client;
use super::server::{SETUPS, Server};

#[test]
fn every_malformed_request_gets_its_status_and_a_close() {
    let long = "a".repeat(20_000);
    let cases = [
        ("GET / HTTP/1.1\nhost: a\n\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: a\n\r\n".to_owned(), 400),
        ("\nGET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 400),
        ("\rGET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 400),
        // As many as it takes for a CR LF to stand where the request line would end.
        (format!("{}\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", "\n".repeat(14)), 400),
        (format!("\r\n{}\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", "\n".repeat(14)), 400),
        ("GET / HTTP/1.1\r\nhost: a\rx\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nx: b\r\n folded\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nx : b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n".to_owned(), 400),
        ("GET  / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 400),
        ("GET\r\n\r\n".to_owned(), 400),
        ("GET page HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 400),
        ("GET * HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 400),
        ("CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0x1\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 1\r\n\r\n".to_owned(), 400),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n"
                .to_owned(),
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n\
             0\r\n\r\n"
                .to_owned(),
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
            501,
        ),
        (chunked("5 \r\nhello\r\n0\r\n\r\n"), 400),
        (chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400),
        (chunked("5\nhello\r\n0\r\n\r\n"), 400),
        (chunked("5\r\nhello0\r\n\r\n"), 400),
        (chunked("5;a b\r\nhello\r\n0\r\n\r\n"), 400),
        (chunked("0\r\nfolded: a\r\n b\r\n\r\n"), 400),
        (chunked("10001\r\n"), 413),
        ("GET / HTTP/1.1\r\nhost: a\r\nexpect: cake\r\n\r\n".to_owned(), 417),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505),
        ("\x16\x03\x01\x02\0\x01\0\x01\u{1}".to_owned(), 400),
        (format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(100)), 431),
        ("POST /service/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 65537\r\n\r\n".to_owned(), 413),
    ];
    for setup in SETUPS {
        let server = Server::start(setup);
        for (input, status) in &cases {
            let mut client = Client::connect(server.addr);
            client.try_send(input.as_bytes());
            // Whatever follows must not be taken for a request.
            client.try_send(b"GET /page HTTP/1.1\r\nhost: a\r\n\r\n");
            let reply = client.reply("GET");
            assert_eq!(reply.status, *status, "{setup:?} {input:?}: {}", reply.text());
            assert_eq!(reply.header("connection"), Some("close"), "{input:?}");
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{input:?}");
            assert!(!reply.body.is_empty(), "{input:?}");
            assert!(client.is_closed(), "{input:?}");
        }
        assert_eq!(Client::connect(server.addr).get("/page").status, 200);
    }
}

#[test]
fn no_bytes_whatever_take_a_worker_down() {
    for (driver, _) in [SETUPS[0], SETUPS[2]] {
        let server = Server::start((driver, 1));
        let token = prop_oneof![
            4 => vec(any::<u8>(), 0..40),
            1 => Just(b"GET /page HTTP/1.1\r\n".to_vec()),
            1 => Just(b"POST /service/echo HTTP/1.1\r\n".to_vec()),
            2 => Just(b"host: a\r\n".to_vec()),
            2 => Just(b"\r\n".to_vec()),
            1 => Just(b"content-length: 3\r\n".to_vec()),
            1 => Just(b"transfer-encoding: chunked\r\n".to_vec()),
            1 => Just(b"3\r\nabc\r\n0\r\n\r\n".to_vec()),
            1 => Just(b"range: bytes=0-,-1,5-4\r\n".to_vec()),
            1 => Just(b"connection: keep-alive, close\r\n".to_vec()),
            1 => Just(b"accept-encoding: br;q=,*;;\r\n".to_vec()),
        ];
        let mut runner = TestRunner::new(Config::with_cases(300));
        runner
            .run(&vec(token, 1..20), |tokens| {
                throw(server.addr, &tokens.concat());
                Ok(())
            })
            .unwrap();
        assert_eq!(Client::connect(server.addr).get("/page").text(), "<p>page");
    }
}

/// A request to the service plane with this chunked body.
fn chunked(body: &str) -> String {
    format!("POST /service/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}")
}

/// Sends bytes and takes whatever comes back, to the end.
fn throw(addr: SocketAddr, bytes: &[u8]) {
    let mut client = Client::connect(addr);
    client.try_send(bytes);
    client.send_no_more();
    match client.rest() {
        Ok(rest) => assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 "), "{rest:?}"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}
