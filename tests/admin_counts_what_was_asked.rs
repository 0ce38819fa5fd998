//! Metrics and live figures are what was asked for, in a form that others read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use support::load::debian_program;
use support::tree::{EXPIRED, Tree, Version};
use support::{Client, Host, Setup};

const BEARER: (&str, &str) = ("authorization", "Bearer s3cret-t0ken-of-the-tests");

/// Reads with the reference parser of OpenMetrics, which is strict: name, labels and value of each sample.
const READER: &str = "
import json, sys
sys.path.insert(0, '/usr/lib/python3/dist-packages')
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read
print(json.dumps([[s.name, s.labels, s.value] for f in read(sys.stdin.read()) for s in f.samples]))
";

fn guarded(tree: &Tree) -> Setup {
    Setup::of(tree).with("ADMIN_AUTH_TOKEN", "s3cret-t0ken-of-the-tests")
}

fn scrape(host: &Host) -> Vec<Value> {
    let reply = host.request("GET", "/_admin/metrics", &[BEARER]);
    assert_eq!(
        reply.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let mut reader = debian_program("/usr/bin/python3")
        .args(["-I", "-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    reader.stdin.take().unwrap().write_all(&reply.body).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", reply.text());
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

/// The value of the sample with these labels among others.
#[track_caller]
fn value(samples: &[Value], name: &str, labels: &[(&str, &str)]) -> f64 {
    let mut found = samples.iter().filter(|sample| {
        sample[0] == name && labels.iter().all(|(label, value)| sample[1][label] == *value)
    });
    let sample = found.next().unwrap_or_else(|| panic!("no {name} {labels:?}: {samples:?}"));
    assert!(found.next().is_none(), "more than one {name} {labels:?}");
    sample[2].as_f64().unwrap()
}

#[test]
fn replies_bytes_and_cache_hits_are_counted_for_their_feature() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    tree.publish(&Version::domain("alpha", "1.0.0", "/alpha"));
    let host = guarded(&tree).start();
    let mut bytes = 0;
    let page = host.get("/notes");
    let etag = page.header("etag").unwrap().to_owned();
    let again = host.request("GET", "/notes/deep/below", &[("if-none-match", &etag)]);
    let bad = host.request("GET", "/notes", &[("if-match", "\"other\"")]);
    for (reply, status) in [(&page, 200), (&again, 304), (&bad, 412)] {
        assert_eq!(reply.status, status);
        bytes += reply.head.len() + reply.body.len();
    }
    host.get("/_health");
    let samples = scrape(&host);
    let count = |name, labels: &[_]| value(&samples, name, labels);
    let of =
        |class| count("pilar_feature_responses_total", &[("feature", "notes"), ("class", class)]);
    assert_eq!((of("2xx"), of("3xx"), of("4xx"), of("5xx")), (1.0, 1.0, 1.0, 0.0));
    assert_eq!(count("pilar_feature_not_modified_total", &[("feature", "notes")]), 1.0);
    assert_eq!(count("pilar_feature_sent_bytes_total", &[("feature", "notes")]), bytes as f64);
    assert_eq!(count("pilar_feature_sent_bytes_total", &[("feature", "alpha")]), 0.0);
    // This request as well, whose reply is not on its way yet.
    assert_eq!(count("pilar_http_requests_total", &[]), 5.0);
    assert_eq!(count("pilar_http_responses_total", &[("class", "2xx")]), 2.0);
    support::wait_for("the connections to be gone that were closed", || {
        (value(&scrape(&host), "pilar_connections_open", &[]) == 1.0).then_some(())
    });
}

#[test]
fn counts_stay_with_their_feature_when_it_changes_goes_and_comes_back() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let host = guarded(&tree).start();
    let refresh = || host.connect().post("/_admin/refresh", &[BEARER], "").unwrap();
    let answered = || {
        let labels = [("feature", "notes"), ("class", "2xx")];
        value(&scrape(&host), "pilar_feature_responses_total", &labels)
    };
    assert_eq!(host.get("/notes").status, 200);
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    // An id before it, which must not take its number.
    tree.publish(&Version::domain("alpha", "1.0.0", "/alpha"));
    assert_eq!(refresh().status, 200);
    assert_eq!((host.get("/notes").status, host.get("/alpha").status), (200, 200));
    assert_eq!(answered(), 2.0);
    let (here, away) = (tree.artifacts().join("notes"), tree.artifacts().join(".notes"));
    std::fs::rename(&here, &away).unwrap();
    assert_eq!(refresh().status, 200);
    assert_eq!(host.get("/notes").status, 404);
    assert_eq!(answered(), 2.0);
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(refresh().status, 200);
    assert_eq!(host.get("/notes").status, 200);
    assert_eq!(answered(), 3.0);
}

#[test]
fn what_serves_and_what_was_refused_is_among_the_metrics() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let host = guarded(&tree).start();
    let before = scrape(&host);
    let labels = [("feature", "notes"), ("version", "1.0.0")];
    assert_eq!(value(&before, "pilar_feature_info", &labels), 1.0);
    let state = |samples: &[Value], state| {
        value(samples, "pilar_feature_state", &[("feature", "notes"), ("state", state)])
    };
    assert_eq!((state(&before, "as-released"), state(&before, "fallback")), (1.0, 0.0));
    let failures = |samples: &[Value]| {
        let all = samples.iter().filter(|one| one[0] == "pilar_verification_failures_total");
        all.map(|one| one[2].as_f64().unwrap()).sum::<f64>()
    };
    assert_eq!(failures(&before), 0.0);
    tree.write_index("notes", b"{}");
    assert_eq!(value(&before, "pilar_refresh_failures_total", &[]), 0.0);
    host.connect().post("/_admin/refresh", &[BEARER], "").unwrap();
    let after = scrape(&host);
    let refreshes = |samples: &[Value]| value(samples, "pilar_refresh_duration_seconds_count", &[]);
    assert_eq!(refreshes(&after) - refreshes(&before), 1.0);
    assert_eq!((state(&after, "as-released"), state(&after, "last-good")), (0.0, 1.0));
    assert_eq!(failures(&after), 1.0);
    assert_eq!(value(&after, "pilar_events_total", &[("code", "last-good")]), 1.0);
    let ends = value(&after, "pilar_trusted_key_expiry_timestamp_seconds", &[("key", EXPIRED)]);
    assert!(ends > 0.0 && ends < value(&after, "process_start_time_seconds", &[]));
    let driver = host.get("/_health").json()["host"]["driver"].as_str().unwrap().to_owned();
    assert_eq!(value(&after, "pilar_host_info", &[("driver", &driver)]), 1.0);
}

#[test]
fn a_limit_that_somebody_came_up_against_is_named() {
    let host = guarded(&Tree::new()).start();
    assert_eq!(host.get(&format!("/{}", "long".repeat(3000))).status, 414);
    let samples = scrape(&host);
    let limits = samples.iter().filter(|one| one[0] == "pilar_limits_reached_total");
    let reached: Vec<&Value> = limits.filter(|one| one[2] != 0.0).collect();
    assert_eq!(reached.len(), 1, "{samples:?}");
    assert_eq!(
        (&reached[0][1]["limit"], reached[0][2].as_f64()),
        (&"request_line_bytes".into(), Some(1.0))
    );
}

#[test]
fn each_of_three_hundred_features_has_counts_of_its_own() {
    let tree = Tree::new();
    let name = |number: usize| format!("f{number}");
    for number in 0..300 {
        tree.publish(&Version::facet(&name(number), "1.0.0"));
    }
    let host = guarded(&tree).start();
    let mut client = host.connect();
    let asked = |number: usize| number % 4 + 1;
    for number in 0..300 {
        for _ in 0..asked(number) {
            let path = format!("/_assets/{}/1.0.0/entry.js", name(number));
            assert_eq!(client.request("GET", &path, &[]).unwrap().status, 200);
        }
    }
    let samples = scrape(&host);
    for number in 0..300 {
        let labels = [("feature", &*name(number)), ("class", "2xx")];
        assert_eq!(value(&samples, "pilar_feature_responses_total", &labels), asked(number) as f64);
    }
}

fn watch(host: &Host, page: &str) -> Client {
    let mut client = host.connect();
    client.send("GET", &format!("/_admin/live?page={page}"), &[BEARER]).unwrap();
    let head = client.receive_head().unwrap();
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    assert!(head.contains("x-accel-buffering: no"), "{head}");
    client
}

#[test]
fn an_open_page_hears_of_figures_and_of_the_next_snapshot_and_does_not_hold_up_the_end() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let host = guarded(&tree).start();
    let mut page = watch(&host, "overview");
    for event in ["answer", "differs", "figures", "fine"] {
        page.receive_until(&format!("event: {event}\n")).unwrap();
    }
    watch(&host, "traffic").receive_until("event: traffic\ndata: ").unwrap();
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    let refreshed = host.connect().post("/_admin/refresh", &[BEARER], "").unwrap().json();
    let id = refreshed["snapshot"].as_str().unwrap();
    page.receive_until(&format!("event: snapshot\ndata: {id}\n\n")).unwrap();
    let (status, log) = host.stop();
    assert!(status.success() && !log.contains("cut off"), "{log}");
}

#[test]
fn so_many_pages_are_kept_current_and_no_more() {
    let tree = Tree::new();
    let host = guarded(&tree).start();
    let mut pages: Vec<Client> = (0..32).map(|_| watch(&host, "overview")).collect();
    let reply = host.request("GET", "/_admin/live", &[BEARER]);
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (503, &"too-many-streams".into()));
    pages.pop();
    support::wait_for("the place of a page that was closed", || {
        let mut client = host.connect();
        client.send("GET", "/_admin/live", &[BEARER]).unwrap();
        client.receive_head().unwrap().starts_with("HTTP/1.1 200").then_some(())
    });
}

#[test]
fn an_open_overview_turns_although_the_same_serves_from_the_same_snapshot() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let host = guarded(&tree).start();
    let id = || host.get("/_health").json()["snapshot"]["id"].clone();
    let (mut page, before) = (watch(&host, "overview"), id());
    page.receive_until("Everything is as released").unwrap();
    tree.write_index("notes", b"{}");
    assert_eq!(host.connect().post("/_admin/refresh", &[BEARER], "").unwrap().status, 200);
    assert_eq!(id(), before);
    page.receive_until("the last good version serving after a failed refresh").unwrap();
    page.receive_until("What differs from what was released").unwrap();
}

#[test]
fn a_page_without_figures_is_told_that_the_host_is_still_there() {
    let tree = Tree::new();
    let host = guarded(&tree).start();
    let mut page = watch(&host, "");
    page.receive_until("event: snapshot\n").unwrap();
    page.receive_until(":\n\n").unwrap();
}
