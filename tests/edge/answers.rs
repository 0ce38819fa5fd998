//! What a resource answers, whatever is asked.

use pilar_host::http::EntityTag;

use super::client::{Client, request};
use super::server::{DATE, SETUPS, Server, large_body};

#[test]
fn every_method_encoding_and_condition_gets_its_reply() {
    let bodies = [
        ("", "identity"),
        ("gzip", "gzip bytes"),
        ("br;q=0.5, zstd", "zstd bytes!"),
        ("gzip, deflate, br, zstd", "br bytes!!!!"),
    ];
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        for (accepted, body) in bodies {
            let accept = format!("accept-encoding: {accepted}");
            let tag = EntityTag::of(body.as_bytes());
            let coding = body.split_once(' ').map(|(coding, _)| coding);
            for method in ["GET", "HEAD"] {
                for (condition, status) in [
                    ("x-nothing: asked".to_owned(), 200),
                    (format!("if-none-match: {}", tag.as_str()), 304),
                    (format!("if-none-match: \"a\", W/{}", tag.as_str()), 304),
                    ("if-none-match: *".to_owned(), 304),
                    (format!("if-none-match: {}", EntityTag::of(b"other").as_str()), 200),
                ] {
                    let reply = client.ask(method, "/app.js", &[&accept, &condition]);
                    let case = format!("{setup:?} {method} {accept} {condition}: {}", reply.head);
                    assert_eq!(reply.status, status, "{case}");
                    assert_eq!(reply.header("etag"), Some(tag.as_str()), "{case}");
                    assert_eq!(reply.header("vary"), Some("accept-encoding"), "{case}");
                    assert_eq!(reply.header("date"), Some(DATE), "{case}");
                    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{case}");
                    let cache = "public, max-age=31536000, immutable";
                    assert_eq!(reply.header("cache-control"), Some(cache), "{case}");
                    let full = status == 200;
                    let length = full.then(|| body.len().to_string());
                    assert_eq!(reply.header("content-length"), length.as_deref(), "{case}");
                    let expected_coding = coding.filter(|_| full);
                    assert_eq!(reply.header("content-encoding"), expected_coding, "{case}");
                    let expected = if full && method == "GET" { body } else { "" };
                    assert_eq!(reply.text(), expected, "{case}");
                }
            }
        }
    }
}

#[test]
fn a_head_is_what_the_get_would_have_had() {
    let server = Server::start(SETUPS[0]);
    let mut client = Client::connect(server.addr);
    for target in ["/app.js", "/page", "/large", "/empty", "/nowhere", "/a/../b"] {
        let get = client.get(target);
        let head = client.ask("HEAD", target, &[]);
        assert_eq!(get.head, head.head, "{target}");
    }
}

#[test]
fn a_whole_reply_is_these_bytes() {
    let server = Server::start(SETUPS[0]);
    let mut client = Client::connect(server.addr);
    let reply = client.ask("GET", "/page", &["accept-encoding: br"]);
    assert_eq!(
        reply.head,
        format!(
            "HTTP/1.1 200 OK\r\n\
             content-length: 7\r\n\
             content-type: text/html\r\n\
             accept-ranges: bytes\r\n\
             etag: {}\r\n\
             cache-control: no-cache\r\n\
             x-content-type-options: nosniff\r\n\
             date: {DATE}\r\n\
             \r\n",
            EntityTag::of(b"<p>page").as_str()
        )
    );
    assert_eq!(reply.text(), "<p>page");
}

#[test]
fn who_accepts_nothing_that_is_there_is_told_so() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        for (target, accept) in [
            ("/only-br.js", "accept-encoding: gzip"),
            ("/app.js", "accept-encoding: *;q=0"),
            ("/app.js", "accept-encoding: identity;q=0, deflate"),
        ] {
            let reply = client.ask("GET", target, &[accept, "if-none-match: *"]);
            assert_eq!(reply.status, 406, "{accept}");
            assert_eq!(reply.header("vary"), Some("accept-encoding"));
            assert_eq!(reply.header("cache-control"), Some("no-store"));
        }
        assert_eq!(client.get("/app.js").status, 200);
    }
}

#[test]
fn only_get_and_head_are_allowed_on_a_resource() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "ODD"] {
            let reply = client.ask(method, "/app.js", &[]);
            assert_eq!(reply.status, 405, "{method}");
            assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"), "{method}");
        }
        assert_eq!(client.get("/app.js").status, 200);
    }
}

#[test]
fn an_error_resource_is_never_stored_and_never_matched() {
    let server = Server::start(SETUPS[0]);
    let mut client = Client::connect(server.addr);
    let reply = client.ask("GET", "/nowhere", &["if-none-match: *"]);
    assert_eq!((reply.status, reply.text()), (404, "not found\n"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("etag"), None);
}

#[test]
fn a_path_is_decoded_once_and_its_query_ignored() {
    let server = Server::start(SETUPS[0]);
    let mut client = Client::connect(server.addr);
    for (target, status) in [
        ("/app.js?v=1", 200),
        ("/app.js?a=/../b%00", 200),
        ("/%61pp%2Ejs", 200),
        ("/caf%C3%A9", 200),
        ("/%2561pp.js", 404),
        ("http://test/app.js", 200),
        ("HTTP://other:80/app.js?x", 200),
        ("/x/../app.js", 400),
        ("/./app.js", 400),
        ("/%2e%2e/app.js", 400),
        ("/x%2fapp.js", 400),
        ("/x%5capp.js", 400),
        ("/x\\app.js", 400),
        ("/app.js%00", 400),
        ("/app.js%", 400),
        ("/%ff", 400),
        ("/café", 400),
    ] {
        let reply = client.get(target);
        assert_eq!(reply.status, status, "{target}: {}", reply.text());
    }
}

#[test]
fn a_large_body_arrives_whole_and_the_connection_goes_on() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        for _ in 0..2 {
            let reply = client.get("/large");
            assert!(reply.body == large_body(), "{setup:?}: {} bytes", reply.body.len());
            assert!(client.get("/medium").body == large_body()[..60_000]);
            assert_eq!(client.get("/empty").text(), "");
        }
        assert_eq!(client.ask("HEAD", "/large", &[]).header("content-length"), Some("8388608"));
        assert_eq!(client.get("/page").text(), "<p>page");
    }
}

#[test]
fn everything_is_counted() {
    let server = Server::start(SETUPS[1]);
    let mut client = Client::connect(server.addr);
    let mut received = 0;
    for (method, target) in [
        ("GET", "/page"),
        ("HEAD", "/page"),
        ("GET", "/none"),
        ("POST", "/page"),
        ("GET", "/large"),
    ] {
        let reply = client.ask(method, target, &[]);
        received += reply.head.len() + reply.body.len();
    }
    client.send(request("GET", "/page", &["if-none-match: *", "connection: close"]));
    received += client.reply("GET").head.len();
    assert!(client.is_closed());
    let counts = server.edge().meter().counts();
    assert_eq!(counts.requests, 6);
    assert_eq!(counts.responses, [3, 1, 2, 0]);
    assert_eq!(counts.bytes_out, received as u64);
    assert_eq!(counts.connections_accepted, 1);
}
