//! What serves goes on serving, whatever happens to the directory: upgrades lose no request, damage reaches no
//! browser.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pilar_artifact::operations::Operation;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use support::tree::{EXPIRED, RELEASE, Tree, Version, signing_key};
use support::{Client, Host, Setup, wait_for};

fn feature(version: &str) -> Version {
    // More than fits one write, so that a reply is under way for a while.
    let filler = format!("// {version} {}\n", "x".repeat(300 * 1024));
    Version::domain("notes", version, "/notes").with_file("big.js", filler)
}

fn watching(tree: &Tree) -> Setup {
    Setup::of(tree).with("HOT_REFRESH_WATCH", "1")
}

fn revoke(tree: &Tree, version: &str, even_if_nothing_serves: bool) {
    let version = version.parse().unwrap();
    tree.apply(
        "notes",
        &Operation::Revoke { version, reason: "it leaks".to_owned(), even_if_nothing_serves },
    );
}

/// Waits until the host says that it could not use the index.
fn wait_for_refused_index(host: &Host, code: &str) {
    wait_for(code, || (host.health("notes")["index"]["refused"]["code"] == code).then_some(()));
}

#[test]
fn what_is_published_is_served_without_a_restart() {
    let tree = Tree::new();
    let host = watching(&tree).start();
    assert_eq!(host.get("/notes").status, 404);
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        tree.publish(&feature(version));
        host.wait_until_serving("notes", version);
        let entry = host.get(&feature(version).url("entry.js"));
        assert_eq!((entry.status, &entry.body), (200, &feature(version).files["entry.js"]));
        assert!(host.get("/notes").text().contains(&feature(version).url("entry.js")));
    }
    // Another feature, in a directory that the watch has not seen before.
    tree.publish(&Version::facet("badge", "1.0.0"));
    host.wait_until_serving("badge", "1.0.0");
}

#[test]
fn a_version_that_arrives_file_by_file_serves_once_it_is_whole() {
    for name in ["chunk.js", "locales/de/.hidden/texts.js"] {
        let tree = Tree::new();
        tree.publish(&feature("1.0.0").with_file(name, "export const whole = true;\n"));
        let path = tree.path(&format!("notes/1.0.0/{name}"));
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let host = watching(&tree).start();
        let watch = || host.get("/_health").json()["host"]["watch"].clone();
        wait_for("the watch", || (watch() == "working").then_some(()));
        assert_eq!(host.get("/notes").status, 503, "{name}");
        fs::write(path, whole).unwrap();
        host.wait_until_serving("notes", "1.0.0");
        assert_eq!(host.get("/notes").status, 200, "{name}");
    }
}

#[test]
fn a_bad_release_leaves_the_one_before_and_a_good_one_takes_over() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    let host = watching(&tree).start();
    let bad = feature("1.1.0");
    tree.place(&bad);
    fs::write(tree.path("notes/1.1.0/entry.js"), "alert(1)").unwrap();
    tree.release(&bad);
    wait_for("the fallback", || (host.health("notes")["state"] == "fallback").then_some(()));
    assert_eq!(host.serving("notes").as_deref(), Some("1.0.0"));
    assert_eq!(host.get(&bad.url("entry.js")).status, 404);
    tree.publish(&feature("1.2.0"));
    host.wait_until_serving("notes", "1.2.0");
    assert_eq!(host.health("notes")["state"], "as-released");
}

#[test]
fn a_broken_index_changes_nothing_but_what_is_said() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    let host = watching(&tree).start();
    let good = tree.index_bytes("notes");
    let page = host.get("/notes").body;
    tree.write_index("notes", b"{");
    wait_for_refused_index(&host, "json-syntax");
    let health = host.health("notes");
    assert_eq!(
        (&health["state"], &health["servingVersion"]),
        (&json!("last-good"), &json!("1.0.0"))
    );
    assert_eq!(host.get("/_health/notes").status, 200);
    assert_eq!(host.get("/notes").body, page);
    assert!(host.get("/_health").json()["summary"].as_str().unwrap().contains("last good"));

    // A second failure is no reason to let go either.
    fs::remove_file(tree.path("notes/releases.json")).unwrap();
    wait_for_refused_index(&host, "file-missing");
    assert_eq!(host.get("/notes").body, page);

    tree.write_index("notes", &good);
    wait_for("the index to count again", || {
        (host.health("notes")["state"] == "as-released").then_some(())
    });
    let (_, log) = host.stop();
    assert!(log.contains("notes/releases.json") && log.contains("json-syntax"), "{log}");
}

#[test]
fn a_revoked_version_is_not_served_from_memory_either() {
    let tree = Tree::new();
    for version in ["1.0.0", "1.1.0"] {
        tree.publish(&feature(version));
    }
    let host = watching(&tree).start();
    assert_eq!(host.get(&feature("1.1.0").url("entry.js")).status, 200);
    revoke(&tree, "1.1.0", false);
    host.wait_until_serving("notes", "1.0.0");
    for file in ["entry.js", "chunk.js", "big.js"] {
        assert_eq!(host.get(&feature("1.1.0").url(file)).status, 404, "{file}");
    }
    let health = host.health("notes");
    assert_eq!(health["versions"][0]["version"], "1.1.0", "{health}");

    // The last one is taken back as well, and then the index is broken: still nothing of them.
    revoke(&tree, "1.0.0", true);
    wait_for("nothing to serve", || (host.get("/_health/notes").status == 503).then_some(()));
    assert_eq!(host.get("/notes").status, 503);
    tree.write_index("notes", b"{");
    wait_for_refused_index(&host, "json-syntax");
    assert_eq!(host.get("/notes").status, 503);
    for version in ["1.0.0", "1.1.0"] {
        assert_eq!(host.get(&feature(version).url("entry.js")).status, 404, "{version}");
    }
}

#[test]
fn a_version_that_was_rolled_back_and_then_revoked_is_gone_at_once() {
    let tree = Tree::new();
    for version in ["1.0.0", "1.1.0"] {
        tree.publish(&feature(version));
    }
    let host = watching(&tree).start();
    tree.apply("notes", &Operation::Rollback { version: None });
    host.wait_until_serving("notes", "1.0.0");
    assert_eq!(
        host.get(&feature("1.1.0").url("entry.js")).status,
        200,
        "pages of before still need it"
    );
    revoke(&tree, "1.1.0", false);
    wait_for("1.1.0 to be gone", || {
        (host.get(&feature("1.1.0").url("entry.js")).status == 404).then_some(())
    });
    assert_eq!(host.serving("notes").as_deref(), Some("1.0.0"));
}

#[test]
fn a_version_below_a_raised_floor_stops_serving_where_it_was_a_fallback() {
    let tree = Tree::new();
    for version in ["1.0.0", "1.1.0"] {
        tree.publish(&feature(version));
    }
    fs::remove_file(tree.path("notes/1.1.0/entry.js")).unwrap();
    let host = watching(&tree).start();
    assert_eq!(host.serving("notes").as_deref(), Some("1.0.0"));
    tree.apply("notes", &Operation::RaiseFloor { version: "1.1.0".parse().unwrap() });
    wait_for("nothing to serve", || (host.get("/_health/notes").status == 503).then_some(()));
    assert_eq!(host.get("/notes").status, 503);
}

#[test]
fn a_directory_that_is_taken_away_takes_the_feature_out_and_no_other() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    tree.publish(&Version::domain("tasks", "1.0.0", "/tasks"));
    let host = watching(&tree).start();
    fs::rename(tree.path("notes"), tree.outside("notes")).unwrap();
    wait_for("notes to be gone", || (host.get("/_health/notes").status == 404).then_some(()));
    assert_eq!(host.get("/notes").status, 404);
    assert_eq!(host.get("/tasks").status, 200);
    assert_eq!(
        host.get(&feature("1.0.0").url("chunk.js")).status,
        200,
        "pages of before still need it"
    );
    fs::rename(tree.outside("notes"), tree.path("notes")).unwrap();
    host.wait_until_serving("notes", "1.0.0");
}

#[test]
fn no_write_to_the_directory_reaches_a_browser() {
    let tree = Tree::new();
    let version = feature("1.0.0");
    tree.publish(&version);
    let host = watching(&tree).start();
    let done = AtomicBool::new(false);
    let asked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = host.connect();
                while !done.load(Ordering::Relaxed) {
                    for (name, bytes) in &version.files {
                        let reply = client.request("GET", &version.url(name), &[]).unwrap();
                        assert_eq!(reply.status, 200, "{name}");
                        assert_eq!(
                            reply.sha256(),
                            <[u8; 32]>::from(Sha256::digest(bytes)),
                            "{name}"
                        );
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let rounds = |more: usize| {
            let until = asked.load(Ordering::Relaxed) + more;
            wait_for("more rounds", || (asked.load(Ordering::Relaxed) >= until).then_some(()));
        };
        let big = tree.path("notes/1.0.0/big.js");
        rounds(3);
        fs::OpenOptions::new().write(true).open(&big).unwrap().set_len(10).unwrap();
        rounds(6);
        fs::write(&big, "y".repeat(400 * 1024)).unwrap();
        rounds(6);
        fs::write(tree.path("notes/1.0.0/entry.js"), "alert(1)").unwrap();
        fs::write(tree.path("notes/1.0.0/manifest.json"), "{}").unwrap();
        rounds(6);
        fs::remove_dir_all(tree.path("notes/1.0.0")).unwrap();
        rounds(6);
        host.signal(Signal::HUP);
        rounds(6);
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(host.serving("notes").as_deref(), Some("1.0.0"));
}

#[test]
fn a_refresh_can_be_asked_for_where_nothing_watches() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    let host = Setup::of(&tree).start();
    tree.publish(&feature("1.1.0"));
    assert_eq!(host.serving("notes").as_deref(), Some("1.0.0"));
    host.signal(Signal::HUP);
    host.wait_until_serving("notes", "1.1.0");
}

#[test]
fn an_artifacts_directory_that_vanishes_takes_nothing_with_it() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    let host = Setup::of(&tree).start();
    fs::rename(tree.artifacts(), tree.outside("away")).unwrap();
    host.signal(Signal::HUP);
    let health = wait_for("the failure to show", || {
        let health = host.get("/_health").json();
        health["refreshError"].is_string().then_some(health)
    });
    assert_eq!(health["status"], "degraded");
    assert!(health["refreshError"].as_str().unwrap().contains("ARTIFACTS_DIR"), "{health}");
    assert_eq!(host.get("/notes").status, 200);
    assert_eq!(host.get(&feature("1.0.0").url("big.js")).status, 200);
    fs::rename(tree.outside("away"), tree.artifacts()).unwrap();
    host.signal(Signal::HUP);
    wait_for("the failure to end", || {
        (host.get("/_health").json()["status"] == "ok").then_some(())
    });
}

#[test]
fn an_artifacts_directory_that_is_made_anew_is_watched_anew() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    let host = watching(&tree).start();
    fs::rename(tree.artifacts(), tree.outside("away")).unwrap();
    wait_for("the failure to show", || {
        host.get("/_health").json()["refreshError"].is_string().then_some(())
    });
    fs::create_dir(tree.artifacts()).unwrap();
    tree.publish(&feature("1.1.0"));
    host.wait_until_serving("notes", "1.1.0");
    tree.publish(&feature("1.2.0"));
    host.wait_until_serving("notes", "1.2.0");
}

#[test]
fn an_artifacts_directory_that_is_named_by_a_link_is_watched() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    let link = tree.outside("link");
    std::os::unix::fs::symlink(tree.artifacts(), &link).unwrap();
    let host = watching(&tree).with("ARTIFACTS_DIR", link).start();
    host.wait_until_serving("notes", "1.0.0");
    tree.publish(&feature("1.1.0"));
    host.wait_until_serving("notes", "1.1.0");
}

#[test]
fn a_key_that_ends_while_the_host_runs_takes_nothing_out_and_lets_nothing_new_in() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    let host = Setup::of(&tree).start();
    // As if signed after the key's end: the index of a key that is over.
    tree.publish(&feature("1.1.0"));
    tree.edit_index("notes", &signing_key(EXPIRED), |_| ());
    host.signal(Signal::HUP);
    wait_for_refused_index(&host, "key-expired");
    assert_eq!(host.serving("notes").as_deref(), Some("1.0.0"));
    assert_eq!(host.get(&feature("1.1.0").url("entry.js")).status, 404);
    tree.edit_index("notes", &signing_key(RELEASE), |_| ());
    host.signal(Signal::HUP);
    host.wait_until_serving("notes", "1.1.0");
}

#[test]
fn a_host_that_has_no_descriptors_left_goes_on_and_recovers() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    let host = Setup::of(&tree).start();
    let mut client = host.connect();
    let pid = Pid::from_raw(i32::try_from(host.process().0).unwrap());
    let most = getrlimit(Resource::Nofile).maximum;
    let limit =
        |current| prlimit(pid, Resource::Nofile, Rlimit { current, maximum: most }).unwrap();
    let mut failed = 0;
    // One after the other fails: listing the directory, opening that of the feature, a file, a memory file.
    for spare in 0..6 {
        let (before, state) = (host.serving("notes").unwrap(), host.health("notes"));
        let next = format!("1.{}.0", spare + 1);
        tree.publish(&feature(&next));
        limit(Some(host.process().limit_to_open(spare)));
        host.signal(Signal::HUP);
        wait_for("the refresh", || {
            let health = client.request("GET", "/_health", &[]).unwrap().json();
            (health["refreshError"].is_string() || health["features"][0] != state).then_some(())
        });
        let serving = serving_version(&mut client);
        assert!(
            serving == before || serving == next,
            "{serving} with {spare} descriptors to spare"
        );
        failed += usize::from(serving == before);
        let entry = client.request("GET", &feature(&serving).url("entry.js"), &[]).unwrap();
        assert_eq!((entry.status, &entry.body), (200, &feature(&serving).files["entry.js"]));
        limit(most);
        host.signal(Signal::HUP);
        host.wait_until_serving("notes", &next);
        wait_for("the refresh to count", || {
            host.get("/_health").json()["refreshError"].is_null().then_some(())
        });
    }
    assert!(failed >= 3, "it had what it needed in {} of 6 rounds", 6 - failed);
}

/// The version of the feature that this connection is told of.
fn serving_version(client: &mut Client) -> String {
    let health = client.request("GET", "/_health/notes", &[]).unwrap().json();
    health["servingVersion"].as_str().unwrap().to_owned()
}

#[test]
fn no_request_is_lost_while_versions_change() {
    const CLIENTS: usize = 48;
    const RELEASES: usize = 8;
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    for driver in ["auto", "epoll"] {
        let host = watching(&tree).with("HOST_IO_DRIVER", driver).start();
        let done = AtomicBool::new(false);
        let answered = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (host, done, answered) = (&host, &done, &answered);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        browse(&mut host.connect(), number);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let minor = if driver == "auto" { 1 } else { 2 };
            for patch in 0..RELEASES {
                let version = format!("1.{minor}.{patch}");
                tree.publish(&feature(&version));
                host.wait_until_serving("notes", &version);
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(answered.load(Ordering::Relaxed) >= CLIENTS, "every client browsed");
        let (status, log) = host.stop();
        assert!(status.success(), "{log}");
    }
}

/// As a browser does: a page, then what that page names, however old it is by then.
fn browse(client: &mut Client, number: usize) {
    for _ in 0..10 {
        let page = client.request("GET", &format!("/notes/{number}"), &[]).unwrap();
        assert_eq!(page.status, 200);
        let base = page.text().split("href=\"/_assets/notes/").nth(1).unwrap();
        let version = feature(base.split('/').next().unwrap());
        for name in ["entry.js", "chunk.js", "style.css", "big.js"] {
            client.send("GET", &version.url(name), &[]).unwrap();
        }
        for name in ["entry.js", "chunk.js", "style.css", "big.js"] {
            let reply = client.receive("GET").unwrap();
            assert_eq!(reply.status, 200, "{} {name}", version.version);
            assert_eq!(
                reply.sha256(),
                <[u8; 32]>::from(Sha256::digest(&version.files[name])),
                "{name}"
            );
        }
    }
}

#[test]
fn a_development_page_hears_of_the_next_snapshot() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    let host = watching(&tree).start();
    let page = host.get("/notes");
    assert!(page.text().contains("\"liveReload\":\"/_dev/snapshot\""));
    let current = page.header("x-pilar-snapshot").unwrap().to_owned();

    // Whoever has another snapshot hears at once.
    let at_once = host.get("/_dev/snapshot?current=another");
    assert_eq!(
        (at_once.status, at_once.json()["snapshot"].as_str()),
        (200, Some(current.as_str()))
    );

    let mut waiting = host.connect();
    waiting.send("GET", &format!("/_dev/snapshot?current={current}"), &[]).unwrap();
    tree.publish(&feature("1.1.0"));
    let reply = waiting.receive("GET").unwrap();
    assert_eq!(reply.status, 200);
    let next = reply.json()["snapshot"].as_str().unwrap().to_owned();
    assert_ne!(next, current);
    assert_eq!(host.get("/notes").header("x-pilar-snapshot"), Some(next.as_str()));
    assert_eq!(host.get("/_dev/snapshot").status, 400);
}

#[test]
fn a_production_page_waits_for_nothing() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    let host = watching(&tree).with("NODE_ENV", "production").start();
    assert!(!host.get("/notes").text().contains("liveReload"));
    let reply = host.get("/_dev/snapshot?current=another");
    assert_eq!(
        (reply.status, reply.json()["error"]["code"].as_str()),
        (404, Some("no-such-route"))
    );
    tree.publish(&feature("1.1.0"));
    host.wait_until_serving("notes", "1.1.0");
}

#[test]
fn a_look_that_finds_nothing_new_makes_nothing_new() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    let host = Setup::of(&tree).start();
    let built_at = || host.get("/_health").json()["snapshot"]["builtAt"].clone();
    let before = built_at();
    host.signal(Signal::HUP);
    // Nothing is to happen, so there is only a time by which it would have.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(built_at(), before);
    fs::create_dir(tree.artifacts().join("No Feature")).unwrap();
    host.signal(Signal::HUP);
    let ignored = || host.get("/_health").json()["ignoredCount"] == json!(1);
    wait_for("what is new to be said", || ignored().then_some(()));
    assert_ne!(built_at(), before);
}
