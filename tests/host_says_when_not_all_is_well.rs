//! `/_health` says `ok` only while all is well: whoever watches it need not look anywhere else.
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
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pilar_artifact::operations::{Operation, Window};
use pilar_host::catalog::{Catalog, Now, Watching, watch};
use pilar_host::config::Retain;
use pilar_host::shell::{Sdk, Site};
use pilar_host::snapshot::Snapshot;
use rustix::process::Signal;
use serde_json::{Value, json};
use support::inside::{settings, site};
use support::tree::{EXPIRED, RELEASE, Tree, Version, document, signing_key};
use support::{Host, Setup, wait_for};
use tokio::sync::{mpsc, watch as state};

fn notes(version: &str) -> Version {
    Version::domain("notes", version, "/notes")
}

fn shared(packages: &[&str]) -> Version {
    let packages: serde_json::Map<String, Value> = packages
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "file": "entry.js", "version": "19.0.0" })))
        .collect();
    Version::facet("_shared", &format!("{}.0.0", packages.len()))
        .with_field("featureType", json!("shared"))
        .with_field("entrypoints", json!({}))
        .with_field("packages", json!(packages))
}

fn health(host: &Host) -> Value {
    host.get("/_health").json()
}

fn assert_degraded(host: &Host, summary: &str) {
    let health = health(host);
    assert_eq!(health["status"], "degraded", "{health}");
    assert!(health["summary"].as_str().unwrap().contains(summary), "{health}");
}

fn refresh(host: &Host, what: &str, is_done: impl Fn() -> bool) {
    host.signal(Signal::HUP);
    wait_for(what, || is_done().then_some(()));
}

fn revoke(tree: &Tree, version: &str) {
    let reason = "it leaks".to_owned();
    let version = version.parse().unwrap();
    tree.apply("notes", &Operation::Revoke { version, reason, even_if_nothing_serves: false });
}

#[test]
fn whether_changes_are_noticed_is_said() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    assert_eq!(health(&Setup::of(&tree).start())["host"]["watch"], "off");
    let host = Setup::of(&tree).with("HOT_REFRESH_WATCH", "1").start();
    wait_for("the watch", || (health(&host)["host"]["watch"] == "working").then_some(()));
    assert_eq!(health(&host)["status"], "ok");
}

#[test]
fn a_watch_that_the_kernel_refuses_is_said_and_tried_again() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    let host = Setup::of(&tree).with("HOT_REFRESH_WATCH", "1").refused_watches().start();
    wait_for("the failure", || (health(&host)["host"]["watch"] == "failed").then_some(()));
    assert!(health(&host)["host"]["watchError"].as_str().unwrap().contains("open files"));
    assert_degraded(&host, "changes are not all noticed at once");
    // Each time it is tried again counts as a change.
    tree.publish(&notes("1.1.0"));
    host.wait_until_serving("notes", "1.1.0");

    host.allow_watches();
    wait_for("the watch", || (health(&host)["host"]["watch"] == "working").then_some(()));
    assert_eq!(health(&host)["status"], "ok");
    let (_, log) = host.stop();
    assert!(log.contains("watch-failed"), "{log}");
}

#[tokio::test]
async fn a_tree_in_which_nothing_is_noticed_is_looked_at_all_the_same() {
    let tree = Tree::new();
    let (changed, mut changes) = mpsc::channel(1);
    let (watching, is_watching) = state::channel(Watching::Off);
    let watch = tokio::spawn(watch(tree.artifacts(), changed, watching, Duration::from_millis(1)));
    for _ in 0..5 {
        changes.recv().await.unwrap();
    }
    assert_eq!(*is_watching.borrow(), Watching::Working);
    drop(changes);
    watch.await.unwrap();
}

#[test]
fn an_empty_tree_is_ok_and_called_empty() {
    let tree = Tree::new();
    let health = health(&Setup::of(&tree).start());
    assert_eq!(
        (&health["status"], &health["summary"]),
        (&json!("ok"), &json!("no feature is in the artifacts directory"))
    );
}

#[test]
fn names_that_are_ignored_are_counted_and_no_more_than_a_hundred_listed() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    fs::create_dir(tree.path("lost+found")).unwrap();
    let host = Setup::of(&tree).start();
    assert_eq!(
        (&health(&host)["status"], &health(&host)["ignoredCount"]),
        (&json!("ok"), &json!(0))
    );
    for number in 0..120 {
        fs::create_dir(tree.path(&format!("Bad_{number}"))).unwrap();
    }
    refresh(&host, "the names", || health(&host)["ignoredCount"] == 120);
    assert_eq!(health(&host)["ignored"].as_array().unwrap().len(), 100);
    assert_degraded(&host, "120 names are ignored");
}

#[test]
fn a_link_or_a_file_in_the_place_of_a_feature_does_not_take_it_out() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    let host = Setup::of(&tree).start();
    fs::rename(tree.path("notes"), tree.outside("notes")).unwrap();
    symlink(tree.outside("notes"), tree.path("notes")).unwrap();
    let refused = || host.health("notes")["index"]["refused"]["code"] == "not-a-directory";
    refresh(&host, "the link to be seen", refused);
    let still = || {
        assert_eq!(host.health("notes")["state"], "last-good");
        assert_eq!(host.get("/notes").status, 200);
        assert_degraded(&host, "last good");
    };
    still();
    fs::remove_file(tree.path("notes")).unwrap();
    fs::write(tree.path("notes"), "").unwrap();
    host.signal(Signal::HUP);
    still();
    fs::remove_file(tree.path("notes")).unwrap();
    refresh(&host, "notes to be gone", || host.get("/_health/notes").status == 404);
    assert_eq!(host.get("/notes").status, 404);
}

#[test]
fn a_shared_package_that_nobody_provides_is_named() {
    let tree = Tree::new();
    let wanted = json!({ "react": { "singleton": true }, "react-dom": {} });
    tree.publish(&notes("1.0.0").with_field("shared", wanted));
    tree.publish(&shared(&["react"]));
    let host = Setup::of(&tree).start();
    assert_eq!(host.health("notes")["missingShared"], json!(["react-dom"]));
    assert_eq!(host.get("/notes").status, 200, "it serves all the same");
    assert_degraded(&host, "1 feature has a shared package missing");
    tree.publish(&shared(&["react", "react-dom"]));
    refresh(&host, "the package", || health(&host)["status"] == "ok");
    assert_eq!(host.health("notes")["missingShared"], Value::Null);
}

/// Two versions that were released one after the other; returns the index of either time.
fn released_twice(tree: &Tree) -> [Vec<u8>; 2] {
    ["1.0.0", "1.1.0"].map(|version| {
        tree.publish(&notes(version));
        tree.index_bytes("notes")
    })
}

#[test]
fn an_older_index_counts_and_is_reported() {
    let tree = Tree::new();
    let [older, newer] = released_twice(&tree);
    let host = Setup::of(&tree).start();
    assert_eq!(host.health("notes")["index"]["sequenceWentDownFrom"], Value::Null);
    tree.write_index("notes", &older);
    refresh(&host, "the rollback", || host.serving("notes").as_deref() == Some("1.0.0"));
    assert_eq!(host.health("notes")["index"]["sequenceWentDownFrom"], 2);
    assert_degraded(&host, "1 feature has an older release index in place");
    tree.write_index("notes", &newer);
    refresh(&host, "the newer one", || health(&host)["status"] == "ok");
    let (_, log) = host.stop();
    assert!(log.contains("index-sequence-went-down"), "{log}");
}

#[test]
fn an_older_image_is_a_rollback_that_was_asked_for() {
    let tree = Tree::new();
    let [older, newer] = released_twice(&tree);
    let host = Setup::of(&tree).start();
    fs::create_dir(tree.path(".loader")).unwrap();
    for (origin, status, from) in [("image", "ok", Value::Null), ("cdn", "degraded", 2.into())] {
        let said = json!({ "features": { "notes": { "origin": origin } } });
        fs::write(tree.path(".loader/status.json"), said.to_string()).unwrap();
        tree.write_index("notes", &older);
        refresh(&host, "the rollback", || host.serving("notes").as_deref() == Some("1.0.0"));
        assert_eq!(host.health("notes")["index"]["sequenceWentDownFrom"], from, "{origin}");
        assert_eq!(health(&host)["status"], status, "{origin}");
        tree.write_index("notes", &newer);
        refresh(&host, "the newer one", || host.serving("notes").as_deref() == Some("1.1.0"));
    }
}

#[test]
fn an_older_index_does_not_bring_a_revoked_version_back() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    tree.publish(&notes("1.1.0"));
    let older = tree.index_bytes("notes");
    let host = Setup::of(&tree).start();
    revoke(&tree, "1.1.0");
    let newer = tree.index_bytes("notes");
    refresh(&host, "the revocation", || host.serving("notes").as_deref() == Some("1.0.0"));
    let is_older = || host.health("notes")["index"]["sequenceWentDownFrom"] == 3;
    let assert_revoked = || {
        let health = host.health("notes");
        assert_eq!(health["servingVersion"], "1.0.0", "{health}");
        assert_eq!(health["versions"][0]["outcome"], "revoked", "{health}");
        let detail = health["versions"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("it leaks") && detail.contains("2026-01-01"), "{health}");
        assert_eq!(host.get(&notes("1.1.0").url("entry.js")).status, 404);
    };
    tree.write_index("notes", &older);
    refresh(&host, "the older index", is_older);
    assert_revoked();

    // Nor does it by way of a feature that was taken out and put in again.
    fs::rename(tree.path("notes"), tree.outside("notes")).unwrap();
    refresh(&host, "notes to be gone", || host.get("/_health/notes").status == 404);
    fs::rename(tree.outside("notes"), tree.path("notes")).unwrap();
    refresh(&host, "notes to be back", || host.get("/_health/notes").status == 200);
    assert!(is_older());
    assert_revoked();

    tree.write_index("notes", &newer);
    refresh(&host, "the newer index", || !is_older());
    assert_revoked();
}

#[test]
fn a_feature_with_nothing_to_serve_keeps_its_prefix_from_others() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    let host = Setup::of(&tree).start();
    // The one version goes bad, for a host that has never had it in memory.
    drop(host);
    fs::remove_file(tree.path("notes/1.0.0/chunk.js")).unwrap();
    let host = Setup::of(&tree).start();
    assert_eq!(host.get("/notes").status, 503);
    for id in ["alpha", "zulu"] {
        tree.publish(&Version::domain(id, "1.0.0", "/notes"));
        refresh(&host, "the other", || host.health(id)["conflictWith"] == "notes");
        assert_eq!(host.get("/notes").status, 503, "{id}");
    }
}

#[test]
fn prefixes_below_one_another_are_told_to_both_and_are_no_trouble() {
    let tree = Tree::new();
    for (id, prefix) in
        [("all", "/a"), ("part", "/a/part/"), ("deep", "/a/part/x/y"), ("ab", "/ab")]
    {
        tree.publish(&Version::domain(id, "1.0.0", prefix));
    }
    let host = Setup::of(&tree).start();
    assert_eq!(health(&host)["status"], "ok");
    let overlap = |prefix: &str, id: &str| json!({ "prefix": prefix, "featureId": id });
    let (all, part, deep) =
        (overlap("/a", "all"), overlap("/a/part", "part"), overlap("/a/part/x/y", "deep"));
    assert_eq!(host.health("all")["overlaps"], json!([part, deep]));
    assert_eq!(host.health("part")["overlaps"], json!([all, deep]));
    assert_eq!(host.health("deep")["overlaps"], json!([all, part]));
    assert_eq!(host.health("ab")["overlaps"], Value::Null);
}

/// A host's catalog with a clock of its own.
struct At {
    catalog: Catalog,
    sdk: Sdk,
    site: Site,
}

impl At {
    fn new(tree: &Tree) -> Self {
        let retain = Retain { time: Duration::ZERO, bytes: 0, listed: 0 };
        let catalog = Catalog::new(settings(tree, retain));
        Self { catalog, sdk: Sdk::embedded().unwrap(), site: site() }
    }

    fn refresh(&mut self, time: &str) -> Snapshot {
        let now = Now { wall: time.parse().unwrap(), monotonic: Instant::now() };
        let contents = self.catalog.refresh(now).unwrap();
        Snapshot::build(contents, &self.sdk, &self.site, now.wall).unwrap()
    }
}

fn feature_health(snapshot: &Snapshot) -> Value {
    serde_json::from_str(snapshot.health().feature(&"notes".parse().unwrap()).unwrap()).unwrap()
}

#[test]
fn a_key_that_ends_under_a_version_that_serves_is_said_before_a_restart_shows_it() {
    const WORDS: &str = "1 feature has a version serving that was signed by a key that has ended: \
                         will not load after a restart";
    let (before, after) = ("2019-12-31T00:00:00Z", "2020-01-02T00:00:00Z");
    for index_too in [false, true] {
        let tree = Tree::keeping(Window { keep: 0 });
        tree.publish(&notes("1.0.0"));
        tree.edit_manifest("notes", "1.0.0", &signing_key(EXPIRED), |_| ());
        if index_too {
            tree.edit_index("notes", &signing_key(EXPIRED), |_| ());
        }
        let mut host = At::new(&tree);
        assert_eq!(host.refresh(before).health().problems(), [""; 0]);
        let snapshot = host.refresh(after);
        let health = feature_health(&snapshot);
        assert_eq!(health["servingVersion"], "1.0.0", "{health}");
        assert_eq!(
            health["keyExpired"],
            json!({ "keyId": EXPIRED, "notAfter": "2020-01-01T00:00:00Z" })
        );
        assert!(snapshot.health().problems().iter().any(|problem| problem == WORDS), "{health}");
        // And so it is.
        let restarted = feature_health(&At::new(&tree).refresh(after));
        assert_eq!(restarted["servingVersion"], Value::Null, "{restarted}");
    }
}

#[test]
fn a_key_that_ends_beside_one_that_goes_on_is_no_trouble() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    let bytes = fs::read(tree.path("notes/1.0.0/manifest.json")).unwrap();
    let mut manifest = document(&bytes);
    let signatures: Vec<Value> = [EXPIRED, RELEASE]
        .into_iter()
        .map(|key| {
            signing_key(key).sign(&mut manifest);
            manifest["signature"].clone()
        })
        .collect();
    manifest.insert("signature".to_owned(), json!(signatures));
    let bytes = serde_json::to_vec(&manifest).unwrap();
    tree.replace_manifest("notes", "1.0.0", &bytes);
    let mut host = At::new(&tree);
    let first = feature_health(&host.refresh("2019-12-31T00:00:00Z"));
    assert_eq!(first["manifestKeyId"], EXPIRED);
    assert_eq!(host.refresh("2020-01-02T00:00:00Z").health().problems(), [""; 0]);
}

#[test]
fn what_the_loader_says_is_shown_as_it_stands_and_decides_nothing() {
    let tree = Tree::new();
    tree.publish(&notes("1.0.0"));
    let host = Setup::of(&tree).start();
    assert!(health(&host).get("loader").is_none(), "no loader is at work");
    let heard: Timestamp = "2026-03-02T08:12:38Z".parse().unwrap();
    let status = json!({
        "updatedAt": "2026-03-02T08:12:40Z",
        "source": { "kind": "directory", "lastContactAt": heard },
        "refused": [{
            "place": "labs.yaml", "featureId": "labs",
            "error": { "code": "registration-image", "message": "no digest", "remedy": "add it" },
        }],
        "features": { "notes": {
            "desired": "sha256:bb", "actual": "sha256:aa", "origin": "image", "attempts": 3,
            "lastError": { "code": "server-error", "message": "503", "remedy": "wait" },
            "lastAttemptAt": "2026-03-02T08:12:39Z", "ours": "not a word of the contract",
        } },
    });
    let directory = tree.artifacts().join(".loader");
    std::fs::create_dir(&directory).unwrap();
    let write = |text: &str| std::fs::write(directory.join("status.json"), text).unwrap();
    write(&status.to_string());
    let since = || (Timestamp::now() - heard).get_seconds().unsigned_abs();
    let (before, mut said, after) = (since(), health(&host), since());
    let mut expected = status.clone();
    expected["features"]["notes"].as_object_mut().unwrap().remove("ours");
    let age = said["loader"].as_object_mut().unwrap().remove("contactAgeSeconds").unwrap();
    assert!((before..=after + 1).contains(&age.as_u64().unwrap()), "{before} {age} {after}");
    assert_eq!((&said["loader"], &said["status"]), (&expected, &"ok".into()));
    write("{");
    assert!(health(&host)["loader"]["problem"].as_str().is_some());
    write(&" ".repeat(2 << 20));
    assert!(health(&host)["loader"]["problem"].as_str().is_some());
    // No link leads out of the directory.
    std::fs::remove_file(directory.join("status.json")).unwrap();
    let elsewhere = tree.outside("status.json");
    std::fs::write(&elsewhere, status.to_string()).unwrap();
    std::os::unix::fs::symlink(&elsewhere, directory.join("status.json")).unwrap();
    let said = health(&host);
    assert!(said["loader"]["problem"].as_str().is_some(), "{said}");
    assert_eq!(said["loader"]["features"], json!({}));
}
