//! What a resource answers to every combination of method, encoding, condition and range, held
//! against RFC 9110 as it is written down here a second time.

use std::ops::Range;

use pilar_host::http::EntityTag;

use super::client::{Client, Reply};
use super::server::{SETUPS, Server, large_body};

const METHODS: [&str; 4] = ["GET", "HEAD", "OPTIONS", "POST"];

/// `accept-encoding` and what of `/app.js` it leads to.
const ENCODINGS: [(&str, Option<&str>); 9] = [
    ("", Some("identity")),
    ("gzip", Some("gzip bytes")),
    ("br;q=0.5, zstd", Some("zstd bytes!")),
    ("gzip, deflate, br, zstd", Some("br bytes!!!!")),
    ("identity;q=0, *", Some("br bytes!!!!")),
    ("*;q=0, gzip;q=0.001", Some("gzip bytes")),
    ("br;q=0, *;q=0.5, identity", Some("identity")),
    ("identity;q=0", None),
    ("*;q=0", None),
];

/// A condition, and what becomes of the request: go on, 304 or 412.
const CONDITIONS: [(&str, u16); 12] = [
    ("", 200),
    ("if-none-match: TAG", 304),
    ("if-none-match: W/TAG, \"other\"", 304),
    ("if-none-match: *", 304),
    ("if-none-match: \"other\"", 200),
    ("if-match: TAG", 200),
    ("if-match: *", 200),
    ("if-match: W/TAG", 412),
    ("if-match: \"other\"", 412),
    ("if-match: \"other\"\r\nif-none-match: TAG", 412),
    ("if-match: TAG\r\nif-none-match: TAG", 304),
    ("if-modified-since: Sun, 06 Nov 2094 08:49:37 GMT", 200),
];

enum Parts {
    Whole,
    One(Range<usize>),
    Last(usize),
    Many(&'static [Range<usize>]),
    None,
}

/// `range` with `if-range`, and what they lead to where the condition lets them.
fn ranges() -> Vec<(&'static str, Parts)> {
    vec![
        ("", Parts::Whole),
        ("range: bytes=0-3", Parts::One(0..4)),
        ("range: bytes=-2", Parts::Last(2)),
        ("range: bytes=0-1,4-5", Parts::Many(&[0..2, 4..6])),
        ("range: bytes=50-", Parts::None),
        ("range: bytes=3-1", Parts::Whole),
        ("range: bytes=0-,0-", Parts::Whole),
        ("range: pages=1-2", Parts::Whole),
        ("range: bytes=0-3\r\nif-range: TAG", Parts::One(0..4)),
        ("range: bytes=0-3\r\nif-range: W/TAG", Parts::Whole),
        ("range: bytes=0-3\r\nif-range: Sun, 06 Nov 2094 08:49:37 GMT", Parts::Whole),
        ("range: bytes=50-\r\nif-range: \"other\"", Parts::Whole),
    ]
}

#[test]
fn every_combination_gets_the_reply_of_the_rfc() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        for method in METHODS {
            for (accepted, body) in ENCODINGS {
                let tag = body.map(|body| EntityTag::of(body.as_bytes()));
                let tag = tag.as_ref().map_or("\"none\"", EntityTag::as_str);
                for (condition, outcome) in CONDITIONS {
                    for (range, parts) in ranges() {
                        let accept = format!("accept-encoding: {accepted}");
                        let (condition, range) =
                            (condition.replace("TAG", tag), range.replace("TAG", tag));
                        let lines: Vec<&str> = [accept.as_str(), &condition, &range]
                            .into_iter()
                            .filter(|line| !line.is_empty())
                            .collect();
                        let reply = client.ask(method, "/app.js", &lines);
                        let case = format!("{setup:?} {method} {lines:?}: {}", reply.head);
                        check(method, body, tag, outcome, &parts, &reply, &case);
                    }
                }
            }
        }
    }
}

fn check(
    method: &str,
    body: Option<&str>,
    tag: &str,
    outcome: u16,
    parts: &Parts,
    reply: &Reply,
    case: &str,
) {
    assert_eq!(reply.header("connection"), None, "{case}");
    assert_eq!(reply.header("transfer-encoding"), None, "{case}");
    match (method, body, outcome) {
        ("OPTIONS", ..) => {
            assert_eq!(reply.status, 204, "{case}");
            assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"), "{case}");
            assert_eq!(reply.header("content-length"), None, "{case}");
        }
        ("POST", ..) => {
            assert_eq!(reply.status, 405, "{case}");
            assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"), "{case}");
            is_error(method, reply, case);
        }
        (_, None, _) => {
            assert_eq!(reply.status, 406, "{case}");
            assert_eq!(reply.header("vary"), Some("accept-encoding"), "{case}");
            is_error(method, reply, case);
        }
        (_, _, 412) => {
            assert_eq!(reply.status, 412, "{case}");
            assert_eq!(reply.header("vary"), Some("accept-encoding"), "{case}");
            is_error(method, reply, case);
        }
        (_, Some(_), 304) => {
            assert_eq!(reply.status, 304, "{case}");
            assert_eq!(reply.header("content-length"), None, "{case}");
            has_the_headers_of_the_representation(tag, reply, case);
        }
        ("HEAD", Some(body), _) => {
            // RFC 9110 §14.2: ranges are defined for GET alone.
            is_whole(body, tag, reply, case);
            assert!(reply.body.is_empty(), "{case}");
        }
        (_, Some(body), _) => match parts {
            Parts::Whole => {
                is_whole(body, tag, reply, case);
                assert_eq!(reply.text(), body, "{case}");
            }
            Parts::None => {
                assert_eq!(reply.status, 416, "{case}");
                let length = format!("bytes */{}", body.len());
                assert_eq!(reply.header("content-range"), Some(&*length), "{case}");
                assert_eq!(reply.header("vary"), Some("accept-encoding"), "{case}");
                is_error(method, reply, case);
            }
            Parts::One(range) => is_part(range.clone(), body, tag, reply, case),
            Parts::Last(count) => {
                is_part(body.len() - count..body.len(), body, tag, reply, case);
            }
            Parts::Many(ranges) => {
                assert_eq!(reply.status, 206, "{case}");
                assert_eq!(reply.header("content-range"), None, "{case}");
                assert_eq!(reply.header("content-encoding"), None, "{case}");
                has_the_headers_of_the_representation(tag, reply, case);
                are_these_parts(ranges, body, reply, case);
            }
        },
    }
}

fn is_whole(body: &str, tag: &str, reply: &Reply, case: &str) {
    assert_eq!(reply.status, 200, "{case}");
    assert_eq!(reply.header("content-length"), Some(&*body.len().to_string()), "{case}");
    assert_eq!(reply.header("content-encoding"), coding(body), "{case}");
    assert_eq!(reply.header("accept-ranges"), Some("bytes"), "{case}");
    has_the_headers_of_the_representation(tag, reply, case);
}

fn is_part(range: Range<usize>, body: &str, tag: &str, reply: &Reply, case: &str) {
    assert_eq!(reply.status, 206, "{case}");
    let content_range = content_range(&range, body.len());
    assert_eq!(reply.header("content-range"), Some(&*content_range), "{case}");
    assert_eq!(reply.header("content-encoding"), coding(body), "{case}");
    assert_eq!(reply.text(), &body[range], "{case}");
    has_the_headers_of_the_representation(tag, reply, case);
}

/// RFC 9110 §15.3.7 and §15.4.5: what a 200 would have had.
fn has_the_headers_of_the_representation(tag: &str, reply: &Reply, case: &str) {
    assert_eq!(reply.header("etag"), Some(tag), "{case}");
    assert_eq!(reply.header("vary"), Some("accept-encoding"), "{case}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{case}");
    let cache = "public, max-age=31536000, immutable";
    assert_eq!(reply.header("cache-control"), Some(cache), "{case}");
    assert!(reply.header("date").is_some(), "{case}");
}

fn is_error(method: &str, reply: &Reply, case: &str) {
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{case}");
    assert_eq!(reply.header("etag"), None, "{case}");
    assert!(reply.header("content-length").is_some(), "{case}");
    assert_eq!(reply.body.is_empty(), method == "HEAD", "{case}");
}

/// A `multipart/byteranges` body (RFC 9110 §14.6), taken apart.
fn are_these_parts(ranges: &[Range<usize>], body: &str, reply: &Reply, case: &str) {
    let content_type = reply.header("content-type").unwrap();
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").expect(case);
    let text = reply.text();
    let (content, end) = text.split_at(text.len() - boundary.len() - 8);
    assert_eq!(end, format!("\r\n--{boundary}--\r\n"), "{case}");
    let delimiter = format!("\r\n--{boundary}\r\n");
    let found: Vec<&str> = content.split(&delimiter).skip(1).collect();
    assert_eq!(found.len(), ranges.len(), "{case}: {text}");
    for (part, range) in found.iter().zip(ranges) {
        let (head, bytes) = part.split_once("\r\n\r\n").expect(case);
        assert_eq!(bytes, &body[range.clone()], "{case}");
        let lines: Vec<&str> = head.split("\r\n").collect();
        let content_range = format!("content-range: {}", content_range(range, body.len()));
        assert!(lines.contains(&content_range.as_str()), "{case}: {head}");
        assert!(lines.contains(&"content-type: text/javascript; charset=utf-8"), "{case}: {head}");
        let encoded = lines.iter().find_map(|line| line.strip_prefix("content-encoding: "));
        assert_eq!(encoded, coding(body), "{case}");
    }
}

fn coding(body: &str) -> Option<&str> {
    body.split_once(' ').map(|(coding, _)| coding)
}

fn content_range(range: &Range<usize>, length: usize) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end - 1)
}

#[test]
fn parts_of_a_large_body_arrive_whole_in_any_number() {
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        let body = large_body();
        let one = client.ask("GET", "/large", &["range: bytes=1000000-7999999"]);
        assert!(one.status == 206 && one.body == body[1_000_000..8_000_000], "{setup:?}");
        let lines = ["range: bytes=0-99,1000000-3999999,-70000,5-9"];
        let many = client.ask("GET", "/large", &lines);
        let found = [&body[..100], &body[1_000_000..4_000_000], &body[body.len() - 70_000..]];
        for part in found {
            assert!(many.body.windows(part.len()).any(|window| window == part), "{setup:?}");
        }
        assert_eq!(client.get("/page").status, 200);
    }
}

#[test]
fn the_whole_server_says_what_it_takes() {
    let server = Server::start(SETUPS[0]);
    let mut client = Client::connect(server.addr);
    for target in ["*", "/", "/nowhere", "/page", "http://a", "http://a?b", "http://a/page"] {
        let reply = client.ask("OPTIONS", target, &[]);
        assert_eq!(reply.status, 204, "{target}");
        assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"), "{target}");
    }
    let reply = client.ask("PUT", "/nowhere", &[]);
    assert_eq!(reply.status, 405);
}

#[test]
fn whoever_takes_no_encoding_can_still_read_what_is_wrong() {
    let server = Server::start(SETUPS[0]);
    let mut client = Client::connect(server.addr);
    for (method, target, status, text) in [
        ("GET", "/nowhere", 404, "not found\n"),
        ("GET", "/app.js", 406, "none of the encodings in accept-encoding is available\n"),
        ("POST", "/page", 405, "only GET, HEAD and OPTIONS are answered here\n"),
        ("GET", "/a/../b", 400, "the path holds a dot segment\n"),
        ("GET", "/service/silent", 500, "the request could not be answered\n"),
    ] {
        let reply = client.ask(method, target, &["accept-encoding: *;q=0"]);
        assert_eq!((reply.status, reply.text()), (status, text), "{target}");
        assert_eq!(reply.header("content-encoding"), None, "{target}");
    }
}

#[test]
fn an_absolute_target_is_taken_by_its_path() {
    let server = Server::start(SETUPS[0]);
    let mut client = Client::connect(server.addr);
    for (path, absolute) in [
        ("/page", &["http://a/page", "HTTPS://a:1/page?b", "http://[::1]/%70age"][..]),
        ("/", &["http://a/", "http://a", "http://a?b", "http://a:1?/page"]),
    ] {
        let expected = client.get(path);
        for target in absolute {
            assert!(client.get(target) == expected, "{target}");
        }
    }
}
