//! Where there is an access log, each request is in it exactly once or counted as dropped, and no reader of it can hold
//! up a reply. Where there is none, nothing is written. Nothing in it is secret.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead as _, Read as _};
use std::thread;

use serde_json::Value;
use support::tree::{Tree, Version};
use support::{Client, Host, Setup};

const TOKEN: &str = "s3cret-t0ken-of-the-tests";

fn tree() -> Tree {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    tree
}

fn logging(tree: &Tree) -> Setup {
    Setup::of(tree).with("HOST_ACCESS_LOG", "1").with("ADMIN_AUTH_TOKEN", TOKEN)
}

/// Stops a host and returns the lines of its access log.
fn lines_until_end(mut host: Host) -> Vec<Value> {
    let output = host.output();
    let lines = thread::spawn(move || {
        let lines = output.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
        lines.collect::<Vec<Value>>()
    });
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    lines.join().unwrap()
}

fn asset(host: &Host) -> String {
    let page = host.get("/notes");
    let mut urls = page.text().split('"').filter(|text| text.starts_with("/_assets/notes/"));
    urls.find(|url| url.ends_with(".js")).expect("an asset").to_owned()
}

#[test]
fn a_line_says_what_was_asked_and_how_it_was_answered() {
    let tree = tree();
    let host = logging(&tree).start();
    let asset = asset(&host);
    let ask = |id: &str, method: &str, path: &str, headers: &[(&str, &str)]| {
        let headers = [headers, &[("x-request-id", id)]].concat();
        host.request(method, path, &headers)
    };
    let served = ask("asset", "GET", &format!("{asset}?token=jane"), &[]);
    ask("head", "HEAD", &asset, &[("x-forwarded-for", "203.0.113.9")]);
    ask("page", "GET", "/notes/patient/4711?name=jane", &[("accept-encoding", "br")]);
    ask("nowhere", "GET", "/nots/patient/4711", &[]);
    let health = ask("health", "GET", "/_health?name=jane", &[("authorization", "Bearer jane")]);
    ask("strange id, jane", "DELETE", "/notes", &[]);
    let malformed = host.request("GET", "no-path", &[]);
    assert_eq!(malformed.status, 400);
    let named = host.get("/_ready").header("x-request-id").unwrap().to_owned();
    let lines = lines_until_end(host);
    let line = |id: &str| {
        let mut found = lines.iter().filter(|line| line["requestId"] == id);
        let line = found.next().unwrap_or_else(|| panic!("no {id}: {lines:?}"));
        assert!(found.next().is_none(), "{id} is there twice");
        line
    };
    let of_asset = line("asset");
    assert_eq!(of_asset["path"], asset);
    assert_eq!((&of_asset["method"], &of_asset["status"]), (&"GET".into(), &200.into()));
    assert_eq!((&of_asset["feature"], &of_asset["version"]), (&"notes".into(), &"1.0.0".into()));
    assert_eq!(
        (&of_asset["encoding"], &of_asset["client"]),
        (&"identity".into(), &"127.0.0.1".into())
    );
    assert_eq!(of_asset["bytes"], served.head.len() + served.body.len());
    assert!(
        of_asset["micros"].as_u64().is_some() && of_asset["time"].as_str().unwrap().ends_with('Z')
    );
    assert_eq!(line("head")["client"], "127.0.0.1", "nobody said that a proxy is to be believed");
    let page = line("page");
    assert_eq!((&page["path"], &page["feature"]), (&"/notes/…".into(), &"notes".into()));
    assert_eq!(page["encoding"], "br");
    assert_eq!(
        (&line("nowhere")["path"], &line("nowhere")["status"]),
        (&"/nots/…".into(), &404.into())
    );
    let of_service = line("health");
    assert_eq!((&of_service["path"], &of_service["status"]), (&"/_health".into(), &200.into()));
    assert_eq!(of_service["bytes"], health.head.len() + health.body.len());
    assert_eq!(line(&named)["path"], "/_ready", "the id that the host gave");
    let refused = lines.iter().find(|line| line["status"] == 405).unwrap();
    assert_eq!((&refused["method"], &refused["requestId"]), (&"DELETE".into(), &Value::Null));
    let unread = lines.iter().find(|line| line["status"] == 400).unwrap();
    assert_eq!((&unread["method"], &unread["path"]), (&Value::Null, &Value::Null));
    let all = format!("{lines:?}");
    assert!(!all.contains("jane") && !all.contains("4711"), "{all}");
}

#[test]
fn the_address_that_a_proxy_writes_is_believed_only_where_that_is_asked_for() {
    let tree = tree();
    let host = logging(&tree).with("TRUST_PROXY_HEADERS", "1").start();
    // What stands before the last address came from the client.
    host.request("GET", "/notes", &[("x-forwarded-for", "192.0.2.1, 203.0.113.9")]);
    host.request("GET", "/notes", &[("x-forwarded-for", "no address")]);
    let clients: Vec<Value> =
        lines_until_end(host).into_iter().map(|line| line["client"].clone()).collect();
    assert_eq!(clients, ["203.0.113.9", "127.0.0.1"]);
}

#[test]
fn each_request_is_there_once_and_of_the_admin_port_too() {
    let tree = tree();
    let mut host = logging(&tree).with("HOST_ADMIN_PORT", "0").with("HOST_WORKERS", "2").start();
    let output = host.output();
    let reader = thread::spawn(move || {
        output
            .lines()
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
            .collect::<Vec<_>>()
    });
    let (port, admin_port) = (host.port, host.admin_port.unwrap());
    let asked: BTreeSet<String> = thread::scope(|scope| {
        let ask = |client: usize| {
            let port = if client == 0 { admin_port } else { port };
            let path = if client == 0 { "/_admin" } else { "/notes" };
            let ids = (0..500).map(move |number| format!("{client}-{number}"));
            let mut connection = Client::connect(port).unwrap();
            ids.inspect(|id| {
                connection.request("GET", path, &[("x-request-id", id)]).unwrap();
            })
            .collect::<Vec<String>>()
        };
        let clients: Vec<_> = (0..4).map(|client| scope.spawn(move || ask(client))).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    host.stop();
    let lines = reader.join().unwrap();
    let ids: Vec<&str> = lines.iter().filter_map(|line| line["requestId"].as_str()).collect();
    assert_eq!(ids.len(), asked.len(), "as many lines as requests");
    assert_eq!(ids.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), asked);
}

#[test]
fn a_reader_that_has_stopped_holds_up_no_reply_and_what_found_no_room_is_counted() {
    const REQUESTS: usize = 12_000;
    let tree = tree();
    let host = logging(&tree).with("HOST_WORKERS", "1").start();
    let mut client = host.connect();
    for number in 0..REQUESTS {
        let id = number.to_string();
        let reply = client.request("HEAD", "/notes", &[("x-request-id", &id)]).unwrap();
        assert_eq!(reply.status, 200);
    }
    let lines = lines_until_end(host);
    let dropped: u64 = lines.iter().filter_map(|line| line["dropped"].as_u64()).sum();
    let ids: BTreeSet<&str> = lines.iter().filter_map(|line| line["requestId"].as_str()).collect();
    let written = lines.iter().filter(|line| line["status"] == 200).count();
    assert_eq!(ids.len(), written, "none is there twice");
    assert!(dropped > 0, "there is an end to what waits");
    assert_eq!(written as u64 + dropped, REQUESTS as u64);
}

#[test]
fn a_host_whose_log_nobody_reads_still_stops() {
    let tree = tree();
    let host = logging(&tree).start();
    let mut client = host.connect();
    for _ in 0..2_000 {
        assert_eq!(client.request("HEAD", "/notes", &[]).unwrap().status, 200);
    }
    // The pipe is full, and open at this end until the host has stopped.
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn without_it_nothing_is_written() {
    let tree = tree();
    let mut host = Setup::of(&tree).with("RUST_LOG", "trace").start();
    let mut output = host.output();
    for path in ["/notes", "/_health", "/nowhere"] {
        host.request("GET", path, &[("x-request-id", "ticket-4711")]);
    }
    let (_, log) = host.stop();
    let mut written = String::new();
    output.read_to_string(&mut written).unwrap();
    assert_eq!(written, "");
    assert!(!log.contains("ticket-4711"), "{log}");
}
