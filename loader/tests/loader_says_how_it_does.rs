//! Whoever looks at a loader learns what is registered, what is in place, what fails and what to do: in its status, its
//! metrics and its readiness.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::Home;
use common::program::{Place, Running, get, names, wait_for};
use common::server::Server;
use common::tree::{RELEASE, Tree, Version, signing_key};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Reads with the reference parser of OpenMetrics, which is strict: name, labels and value of each sample.
const READER: &str = "
import json, sys
sys.path.insert(0, '/usr/lib/python3/dist-packages')
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read
print(json.dumps([[s.name, s.labels, s.value] for f in read(sys.stdin.read()) for s in f.samples]))
";

fn released() -> (Tree, Place, Server) {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let server = Server::of(&tree.artifacts());
    (tree, Place::new(), server)
}

fn watch(place: &Place, server: &Server) -> Running {
    place
        .loader(&["watch"])
        .with("LOADER_PLAIN_HTTP_HOSTS", server.host())
        .with("LOADER_CDN_POLL_SECONDS", "1")
        .with("LOADER_HTTP_PORT", "0")
        .start()
}

fn samples(port: u16) -> Vec<Value> {
    let (status, text) = get(port, "/metrics");
    assert_eq!(status, 200);
    let mut reader = Command::new("/usr/bin/python3")
        .args(["-I", "-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 with prometheus_client is needed for this test");
    reader.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    let read = serde_json::from_str::<Value>(std::str::from_utf8(&output.stdout).unwrap());
    read.unwrap().as_array().unwrap().clone()
}

/// The value of the sample with this label.
#[track_caller]
fn value(samples: &[Value], name: &str, label: Option<(&str, &str)>) -> f64 {
    let is_it = |sample: &&Value| {
        sample[0] == name && label.is_none_or(|(label, value)| sample[1][label] == value)
    };
    let sample = samples.iter().find(is_it);
    let sample = sample.unwrap_or_else(|| panic!("no {name} {label:?}: {samples:?}"));
    sample[2].as_f64().unwrap()
}

#[test]
fn status_and_metrics_tell_what_is_in_place_and_what_fails() {
    let (tree, place, server) = released();
    place.register(&server.registration("notes"));
    place.register(&server.registration("missing"));
    place.say("broken", "featureId: broken\nimage: registry.example.org/broken:latest\n");
    let mut running = watch(&place, &server);
    let port = running.port();
    wait_for("readiness", || (get(port, "/readyz").0 == 200).then_some(()));
    assert_eq!(get(port, "/healthz"), (200, "alive\n".to_owned()));
    let settled = |found: &Vec<Value>| {
        value(found, "pilar_loader_registered", Some(("state", "in_place"))) == 1.0
            && value(found, "pilar_loader_registered", Some(("state", "failing"))) == 1.0
    };
    let found = wait_for("both", || Some(samples(port)).filter(settled));
    assert_eq!(value(&found, "pilar_loader_registered", Some(("state", "pending"))), 0.0);
    assert_eq!(
        value(&found, "pilar_loader_refused_registrations", Some(("code", "registration-image"))),
        1.0
    );
    assert_eq!(value(&found, "pilar_loader_feature_converged", Some(("feature", "notes"))), 1.0);
    assert_eq!(value(&found, "pilar_loader_feature_converged", Some(("feature", "missing"))), 0.0);
    assert_eq!(value(&found, "pilar_loader_placed_total", None), 1.0);
    assert!(value(&found, "pilar_loader_failures_total", Some(("code", "not-found"))) >= 1.0);
    assert!(value(&found, "pilar_loader_transferred_bytes_total", None) > 0.0);
    assert_eq!(value(&found, "pilar_loader_source_trouble", None), 0.0);

    let status = wait_for("the status", || {
        let status = place.status();
        let said = |id: &str| status.features.get(&id.parse().unwrap());
        let is_settled =
            said("notes")?.last_success_at.is_some() && said("missing")?.last_error.is_some();
        is_settled.then_some(status)
    });
    let notes = &status.features[&"notes".parse().unwrap()];
    let origin = server.registration("notes").origin.identity();
    assert_eq!(notes.actual.as_ref(), Some(&origin));
    assert_eq!(notes.registered_in.as_deref(), Some("notes.yaml"));
    assert_eq!(notes.active_version.as_ref().unwrap().to_string(), "1.0.0");
    assert_eq!(status.source.kind, "directory");
    assert!(status.source.last_contact_at.is_some());
    let refused = &status.refused[0];
    assert_eq!(
        (refused.place.as_str(), refused.error.code.as_str()),
        ("broken.yaml", "registration-image")
    );
    assert!(refused.error.remedy.contains("sha256"), "{refused:?}");

    // A release on the CDN comes by itself.
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    wait_for("the release", || {
        let said = place.status().features.remove(&"notes".parse().unwrap())?;
        (said.sequence == Some(2)).then_some(())
    });
    running.terminate();
    let (status, log) = running.wait();
    assert!(status.success(), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_whose_time_ends_while_it_serves_is_called_stale() {
    static IS_LATE: AtomicBool = AtomicBool::new(false);
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    tree.edit_index("notes", &signing_key(RELEASE), |index| {
        index.insert("expiresAt".to_owned(), "2026-06-02T00:00:00Z".into());
    });
    let mut home = Home::checking(Duration::from_millis(20));
    home.clock = || match IS_LATE.load(Ordering::SeqCst) {
        false => common::now(),
        true => "2026-06-03T00:00:00Z".parse().unwrap(),
    };
    let loader = home.start();
    let listener = pilar_loader::http::listen(0).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (board, age) = (loader.board.clone(), common::PATIENCE);
    tokio::spawn(pilar_loader::http::serve(listener, board, age));
    let metric = |found: &[Value]| {
        value(found, "pilar_loader_feature_index_stale", Some(("feature", "notes")))
    };
    let cdn = loader.cdn(&tree, "notes");
    loader.register([cdn.clone()]);
    assert_eq!(loader.in_place(&cdn).await.warnings, []);
    assert_eq!(metric(&samples(port)), 0.0);
    IS_LATE.store(true, Ordering::SeqCst);
    let said = loader.until("notes", |said| !said.warnings.is_empty()).await;
    let warning = &said.warnings[0];
    assert_eq!(warning.code, "index-stale");
    assert!(warning.message.contains("2026-06-02"), "{warning:?}");
    assert!(said.has_converged(), "it goes on serving: {said:?}");
    assert_eq!(metric(&samples(port)), 1.0);
    // Damage that cannot be mended now hides nothing of it.
    let (chunk, placed) =
        (tree.path("notes/1.0.0/chunk.js"), loader.home.artifacts().join("notes"));
    let bytes = fs::read(&chunk).unwrap();
    fs::remove_file(&chunk).unwrap();
    fs::write(placed.join("1.0.0/entry.js"), "alert(1)").unwrap();
    loader.failed("notes", "file-missing").await;
    let said = loader.until("notes", |said| said.warnings.len() == 2).await;
    let codes: Vec<&str> = said.warnings.iter().map(|one| one.code.as_str()).collect();
    assert_eq!((codes, metric(&samples(port))), (vec!["version-damaged", "index-stale"], 1.0));
    fs::write(&chunk, bytes).unwrap();
    // A new one ends it.
    tree.edit_index("notes", &signing_key(RELEASE), |index| {
        index.insert("expiresAt".to_owned(), "2026-06-09T00:00:00Z".into());
        index.insert("sequence".to_owned(), 2.into());
    });
    loader.until("notes", |said| said.sequence == Some(2) && said.warnings.is_empty()).await;
}

#[tokio::test]
async fn a_cdn_without_validators_is_not_placed_anew_each_time_that_it_is_asked() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let loader = Home::new().start();
    loader.transport.name_no_validator();
    let cdn = loader.cdn(&tree, "notes");
    loader.register([cdn.clone()]);
    loader.in_place(&cdn).await;
    loader.wait("some looks", || (loader.transport.fetches() > 4).then_some(())).await;
    assert_eq!(loader.board.counts().placed, 1);
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    loader.until("notes", |said| said.sequence == Some(2) && said.attempts == 0).await;
    assert_eq!(loader.board.counts().placed, 2);
}

#[tokio::test]
async fn a_version_that_a_cdn_without_validators_lacked_is_placed_when_it_is_there() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    let (there, away) = (tree.path("notes/1.0.0"), tree.path("away"));
    std::fs::rename(&there, &away).unwrap();
    let loader = Home::new().start();
    loader.transport.name_no_validator();
    let cdn = loader.cdn(&tree, "notes");
    loader.register([cdn.clone()]);
    loader.in_place(&cdn).await;
    let late = loader.home.artifacts().join("notes/1.0.0");
    assert!(!late.exists());
    std::fs::rename(&away, &there).unwrap();
    loader.wait("the version", || late.exists().then_some(())).await;
    assert!(loader.index("notes").is_some());
}

#[test]
fn a_loader_that_cannot_see_what_is_wanted_is_not_ready_and_says_why() {
    let (_tree, place, server) = released();
    std::fs::remove_dir(place.registrations()).unwrap();
    let mut running = watch(&place, &server);
    let port = running.port();
    wait_for("trouble", || {
        (value(&samples(port), "pilar_loader_source_trouble", None) == 1.0).then_some(())
    });
    assert_eq!(get(port, "/readyz"), (503, "the registrations were not seen yet\n".to_owned()));
    assert_eq!(get(port, "/healthz").0, 200);
    std::fs::create_dir(place.registrations()).unwrap();
    place.register(&server.registration("notes"));
    let is_in_place = |found: &Value| found[0] == "pilar_loader_feature_converged";
    wait_for("the feature", || {
        samples(port).iter().any(|one| is_in_place(one) && one[2] == 1.0).then_some(())
    });
    running.terminate();
    running.wait();
    // Started again while it cannot see, it keeps the feature and does not call it late.
    std::fs::remove_dir_all(place.registrations()).unwrap();
    let mut running = watch(&place, &server);
    let port = running.port();
    let id = "notes".parse().unwrap();
    wait_for("what is kept", || {
        let kept = place.status().features.remove(&id).filter(|said| said.is_kept())?;
        kept.has_converged().then_some(())
    });
    assert!(!samples(port).iter().any(is_in_place));
    std::fs::create_dir(place.registrations()).unwrap();
    wait_for("readiness", || (get(port, "/readyz").0 == 200).then_some(()));
}

#[test]
fn a_loader_that_has_not_heard_of_what_is_wanted_for_too_long_is_not_ready_and_keeps_what_it_has() {
    let (_tree, place, server) = released();
    place.register(&server.registration("notes"));
    let mut running = place
        .loader(&["watch"])
        .with("LOADER_PLAIN_HTTP_HOSTS", server.host())
        // A directory that does not change is looked at every 10 s.
        .with("LOADER_MAX_CONTACT_AGE_SECONDS", "11")
        .with("LOADER_HTTP_PORT", "0")
        .start();
    let port = running.port();
    wait_for("readiness", || (get(port, "/readyz").0 == 200).then_some(()));
    let away = place.registrations().with_file_name("away");
    std::fs::rename(place.registrations(), &away).unwrap();
    let said = wait_for("its end", || {
        let (status, said) = get(port, "/readyz");
        (status == 503).then_some(said)
    });
    assert!(said.starts_with("the source of registrations was not heard from for 1"), "{said}");
    assert!(value(&samples(port), "pilar_loader_contact_age_seconds", None) > 11.0);
    assert!(common::verified(&place.artifacts(), "notes").is_some());
    std::fs::rename(away, place.registrations()).unwrap();
    wait_for("readiness again", || (get(port, "/readyz").0 == 200).then_some(()));
}

/// A write of the status that takes long is not the last one because it ends last.
#[test]
fn the_status_that_a_loader_leaves_is_the_last_one() {
    let (_tree, place, _server) = released();
    // Each thread is held up in its renames but the first, and the main thread has only that one: at its end.
    let fault = "renameat2:delay_enter=2000000:when=2+";
    let running = place.loader_with_fault(fault, &["watch"]).with("LOADER_HTTP_PORT", "0");
    let mut running = running.start();
    let port = running.port();
    let refused = || -> f64 {
        let name = "pilar_loader_refused_registrations{code=\"registration-no-origin\"} ";
        let page = get(port, "/metrics").1;
        page.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap_or_default()
    };
    let own = place.artifacts().join(".loader");
    let half = || names(&own).into_iter().find(|name| name.ends_with(".tmp"));
    let mut said = 0;
    let mut say = || {
        place.say(&format!("broken-{said}"), "featureId: broken\n");
        said += 1;
        wait_for("what was said", || (refused() >= said as f64).then_some(said))
    };
    wait_for("a write that is held up", || {
        say();
        let before = half()?;
        std::thread::sleep(std::time::Duration::from_millis(200));
        half().filter(|after| *after == before)
    });
    let said = say();
    // What was started is strace, and the loader its only child.
    let strace = running.id();
    let children = format!("/proc/{strace}/task/{strace}/children");
    let loader = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(loader).unwrap(), Signal::TERM).unwrap();
    let (_, log) = running.wait();
    assert_eq!(place.status().refused.len(), said, "{log}");
}

#[test]
fn clients_that_say_nothing_keep_no_probe_out() {
    let (_tree, place, server) = released();
    place.register(&server.registration("notes"));
    let mut running = watch(&place, &server);
    let port = running.port();
    wait_for("readiness", || (get(port, "/readyz").0 == 200).then_some(()));
    let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    let open = || names(Path::new(&format!("/proc/{}/fd", running.id()))).len();
    let at_rest = open();
    // More than there is room for, some of them in the middle of a head.
    let mut silent: Vec<TcpStream> = (0..200).map(|_| connect()).collect();
    for stream in silent.iter_mut().step_by(2) {
        // One that gave way already takes nothing more.
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: loc");
    }
    assert_eq!(get(port, "/healthz"), (200, "alive\n".to_owned()));
    let youngest = silent.last().unwrap();
    youngest.set_nonblocking(true).unwrap();
    let error = youngest.peek(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "the oldest give way");
    assert!(open() <= at_rest + 65, "{} descriptors", open());
    wait_for("the end of all", || (open() <= at_rest).then_some(()));
    drop(silent);
    let mut long = connect();
    long.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").unwrap();
    // It may be closed before all is sent.
    let _ = long.write_all(&[b'x'; 64 << 10]);
    let mut reply = String::new();
    let _ = long.read_to_string(&mut reply);
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 431"), "{reply}");
}

#[test]
fn a_kernel_without_ipv6_is_no_obstacle() {
    let place = Place::new();
    // The first socket of the process is the one that it listens on.
    let fault = "socket:error=EAFNOSUPPORT:when=1";
    let mut running =
        place.loader_with_fault(fault, &["watch"]).with("LOADER_HTTP_PORT", "0").start();
    assert_eq!(get(running.port(), "/healthz"), (200, "alive\n".to_owned()));
}

#[test]
fn a_second_loader_is_turned_away_with_the_reason() {
    let (_tree, place, server) = released();
    let mut running = watch(&place, &server);
    running.port();
    let output = place.loader(&["init"]).ends();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("store-busy"), "{message}");
    assert!(!place.sentinel().exists());
}

#[test]
fn a_setting_that_is_wrong_stops_the_start_and_is_named() {
    let place = Place::new();
    for (name, value, words) in [
        ("LOADER_HTTP_PORT", "http", "LOADER_HTTP_PORT is \"http\""),
        ("LOADER_INIT_POLICY", "strikt", "did you mean \"strict\""),
        ("LOADER_HTTP_PROT", "1", "LOADER_HTTP_PORT"),
        ("LOADER_INIT_DEADLINE_SECONDS", "0", "from 1"),
    ] {
        let output = place.loader(&["init"]).with(name, value).ends();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(words) && message.contains("config-"), "{message}");
    }
    let output = place.loader(&["init"]).without("FEATURE_TRUST_PUBLIC_KEYS_JSON").ends();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("config-no-trusted-keys"), "{message}");
    assert_eq!(place.loader(&["fetch"]).ends().status.code(), Some(2));
}

#[test]
fn a_cluster_that_is_away_is_told_with_code_and_remedy_and_in_no_other_words() {
    let place = Place::new();
    let kubeconfig = place.registrations().join("kubeconfig");
    let cluster = json!({
        "clusters": [{ "name": "away", "cluster": { "server": "https://127.0.0.1:1" } }],
        "users": [{ "name": "loader", "user": { "token": "none" } }],
        "contexts": [{ "name": "away", "context": { "cluster": "away", "user": "loader" } }],
        "current-context": "away",
    });
    fs::write(&kubeconfig, cluster.to_string()).unwrap();
    let loader = place.loader(&["init"]).without("LOADER_REGISTRATIONS_DIR");
    let output = loader
        .with("KUBECONFIG", kubeconfig)
        .with("LOADER_INIT_DEADLINE_SECONDS", "3")
        .with("NODE_ENV", "production")
        .ends();
    let log = String::from_utf8(output.stderr).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let loud: Vec<Value> =
        lines.filter(|line| line["level"] == "ERROR" || line["level"] == "WARN").collect();
    assert!(loud.iter().any(|line| line["code"] == "cluster-unreachable"), "{log}");
    assert!(loud.iter().all(|line| line["code"].is_string()), "{log}");
}
