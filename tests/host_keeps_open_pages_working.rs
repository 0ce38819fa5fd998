//! A page that was loaded with another version than the one that serves now still gets its files: from a version
//! that served here before, and from one that only another replica served.
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

use pilar_artifact::operations::{Operation, Window};
use rustix::process::Signal;
use support::tree::{Tree, Version};
use support::{Host, Setup, wait_for};

fn feature(version: &str) -> Version {
    Version::domain("notes", version, "/notes").with_file("lazy.js", format!("// {version}\n"))
}

fn watching(tree: &Tree) -> Setup {
    Setup::of(tree).with("HOT_REFRESH_WATCH", "1")
}

/// Versions of `notes` that do not serve and are reachable, as `/_health` names them.
fn retained(host: &Host) -> Vec<String> {
    let health = host.health("notes");
    let versions = health["retained"].as_array().cloned().unwrap_or_default();
    versions.iter().map(|one| one["version"].as_str().unwrap().to_owned()).collect()
}

fn wait_until_retained(host: &Host, versions: &[&str]) {
    wait_for("the retained versions", || (retained(host) == versions).then_some(()));
}

fn status_of(host: &Host, version: &str) -> u16 {
    host.get(&feature(version).url("lazy.js")).status
}

#[test]
fn a_page_from_before_an_upgrade_keeps_its_files() {
    let tree = Tree::keeping(Window { keep: 0 });
    tree.publish(&feature("1.0.0"));
    let host = watching(&tree).start();
    tree.publish(&feature("1.1.0"));
    host.wait_until_serving("notes", "1.1.0");
    // Neither the index nor the disk know of it any more.
    fs::remove_dir_all(tree.path("notes/1.0.0")).unwrap();
    tree.publish(&feature("1.2.0"));
    host.wait_until_serving("notes", "1.2.0");
    for version in ["1.0.0", "1.1.0"] {
        for (name, bytes) in &feature(version).files {
            let reply = host.get(&feature(version).url(name));
            assert_eq!((reply.status, &reply.body), (200, bytes), "{version} {name}");
        }
    }
}

#[test]
fn retention_ends_where_its_time_or_its_room_does() {
    for (name, value) in [("FEATURE_RETAIN_SECONDS", "0"), ("FEATURE_RETAIN_MAX_BYTES", "10")] {
        let tree = Tree::keeping(Window { keep: 0 });
        tree.publish(&feature("1.0.0"));
        let host = watching(&tree).with(name, value).start();
        tree.publish(&feature("1.1.0"));
        host.wait_until_serving("notes", "1.1.0");
        assert_eq!(host.get(&feature("1.0.0").url("entry.js")).status, 404, "{name}");
        assert_eq!(host.get(&feature("1.1.0").url("entry.js")).status, 200, "{name}");
    }
}

#[test]
fn a_page_that_another_replica_rendered_gets_its_files_after_an_upgrade_and_after_a_rollback() {
    let tree = Tree::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        tree.publish(&feature(version));
    }
    let host = watching(&tree).start();
    wait_until_retained(&host, &["1.1.0", "1.0.0"]);
    for (name, bytes) in &feature("1.0.0").files {
        let reply = host.get(&feature("1.0.0").url(name));
        assert_eq!((reply.status, &reply.body), (200, bytes), "{name}");
    }
    let before = host.get("/_health").json()["snapshot"]["id"].clone();
    tree.apply("notes", &Operation::Rollback { version: Some("1.1.0".parse().unwrap()) });
    host.wait_until_serving("notes", "1.1.0");
    // A replica that starts now never served the higher one.
    let other = watching(&tree).start();
    wait_until_retained(&other, &["1.2.0", "1.0.0"]);
    assert_eq!(status_of(&other, "1.2.0"), 200);
    // What is retained is no part of what replicas compare.
    let id = |host: &Host| host.get("/_health").json()["snapshot"]["id"].clone();
    assert_ne!(id(&host), before);
    wait_for("equal ids", || (id(&host) == id(&other)).then_some(()));
}

#[test]
fn what_was_taken_back_or_lies_below_the_floor_is_not_fetched_for_anybody() {
    let tree = Tree::new();
    for version in ["1.0.0", "1.1.0", "1.2.0", "1.3.0"] {
        tree.publish(&feature(version));
    }
    let revoke = Operation::Revoke {
        version: "1.2.0".parse().unwrap(),
        reason: "it leaks".to_owned(),
        even_if_nothing_serves: false,
    };
    tree.apply("notes", &revoke);
    tree.apply("notes", &Operation::RaiseFloor { version: "1.1.0".parse().unwrap() });
    let host = watching(&tree).start();
    wait_until_retained(&host, &["1.1.0"]);
    assert_eq!((status_of(&host, "1.2.0"), status_of(&host, "1.0.0")), (404, 404));
    assert_eq!(status_of(&host, "1.1.0"), 200);
    // Revoked while it is retained, it is gone.
    let revoke = Operation::Revoke {
        version: "1.1.0".parse().unwrap(),
        reason: "it leaks too".to_owned(),
        even_if_nothing_serves: false,
    };
    tree.apply("notes", &revoke);
    wait_until_retained(&host, &[]);
    assert_eq!(status_of(&host, "1.1.0"), 404);
}

#[test]
fn an_altered_version_is_retained_by_nobody_and_disturbs_nobody() {
    let tree = Tree::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        tree.publish(&feature(version));
    }
    fs::write(tree.path("notes/1.1.0/lazy.js"), "alert(1)").unwrap();
    let host = Setup::of(&tree).start();
    wait_until_retained(&host, &["1.0.0"]);
    assert_eq!(status_of(&host, "1.1.0"), 404);
    assert_eq!(host.get("/_health").json()["status"], "ok");
    // It is not tried again and again: a refresh under the same index leaves it.
    host.signal(Signal::HUP);
    wait_until_retained(&host, &["1.0.0"]);
}

#[test]
fn a_version_whose_files_were_mended_is_retained_at_the_next_look() {
    let tree = Tree::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        tree.publish(&feature(version));
    }
    let file = tree.path("notes/1.1.0/lazy.js");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, "alert(1)").unwrap();
    let host = Setup::of(&tree).start();
    wait_until_retained(&host, &["1.0.0"]);
    fs::write(&file, bytes).unwrap();
    host.signal(Signal::HUP);
    wait_for("the mended version", || retained(&host).contains(&"1.1.0".to_owned()).then_some(()));
    assert_eq!(retained(&host).len(), 2, "the other one stays");
    assert_eq!(status_of(&host, "1.1.0"), 200);
}

#[test]
fn listed_versions_have_the_room_that_is_left_and_no_more() {
    let tree = Tree::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        tree.publish(&feature(version));
    }
    for (name, value, expected) in [
        ("FALLBACK_CACHE_MAX_ENTRIES", "1", &["1.1.0"][..]),
        ("FALLBACK_CACHE_MAX_ENTRIES", "0", &[]),
        ("FALLBACK_CACHE_ENABLED", "0", &[]),
        ("FEATURE_RETAIN_MAX_BYTES", "10", &[]),
    ] {
        let host = Setup::of(&tree).with(name, value).start();
        host.wait_until_serving("notes", "1.2.0");
        if expected.is_empty() {
            // Nothing is to come, so there is only a time by which it would have.
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        wait_until_retained(&host, expected);
        let reachable = status_of(&host, "1.1.0") == 200;
        assert_eq!(reachable, !expected.is_empty(), "{name}={value}");
        assert_eq!(status_of(&host, "1.0.0"), 404, "{name}={value}");
    }
}

#[test]
fn what_has_no_place_is_not_fetched_again_at_each_look() {
    let tree = Tree::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        tree.publish(&feature(version));
    }
    let host = watching(&tree)
        .with("FALLBACK_CACHE_MAX_ENTRIES", "1")
        .with("FEATURE_RETAIN_SECONDS", "0")
        .start();
    wait_until_retained(&host, &["1.1.0"]);
    // The one that served has the place now.
    tree.publish(&feature("1.3.0"));
    host.wait_until_serving("notes", "1.3.0");
    wait_until_retained(&host, &["1.2.0"]);
    let built_at = || host.get("/_health").json()["snapshot"]["builtAt"].clone();
    let before = built_at();
    host.signal(Signal::HUP);
    // Nothing is to happen, so there is only a time by which it would have.
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert_eq!((built_at(), retained(&host)), (before, vec!["1.2.0".to_owned()]));
}

#[test]
fn the_files_of_a_feature_that_is_gone_go_when_their_time_is_over() {
    let tree = Tree::new();
    tree.publish(&feature("1.0.0"));
    let host = watching(&tree).with("FEATURE_RETAIN_SECONDS", "1").start();
    assert_eq!(status_of(&host, "1.0.0"), 200);
    fs::rename(tree.path("notes"), tree.outside("away")).unwrap();
    wait_for("its removal", || (host.get("/_health/notes").status == 404).then_some(()));
    wait_for("the end of its files", || {
        host.signal(Signal::HUP);
        (status_of(&host, "1.0.0") == 404).then_some(())
    });
}
