//! A bad artifact costs nobody but itself: never a byte of it is served, the reason has a code, a step and a
//! file, and whatever was good goes on serving.
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
use std::os::unix::fs::PermissionsExt as _;

use pilar_artifact::operations::{Operation, Window};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::{Value, json};
use support::spoil::{BAD, CASES, Case, GOOD, replace_by_link};
use support::tree::{ELSEWHERE, Tree, Version, rename_into_place, signing_key};
use support::{Host, Setup};

fn neighbour(version: &str) -> Version {
    Version::domain("neighbour", version, "/neighbour")
}

/// Neither a file of the bad version nor a page that names it.
fn assert_nothing_of_it_is_served(host: &Host, case: &Case) {
    for file in case.version(BAD).files.keys().map(String::as_str).chain(["manifest.json"]) {
        for encoding in ["identity", "br"] {
            let path = case.version(BAD).url(file);
            let reply = host.request("GET", &path, &[("accept-encoding", encoding)]);
            assert_eq!(reply.status, 404, "{path}");
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        }
    }
    for page in ["/", "/neighbour", &format!("/{}", case.id)] {
        let reply = host.get(page);
        assert!(!reply.text().contains(&format!("/{}/{BAD}/", case.id)), "{page} names it");
    }
}

fn assert_is_explained(refused: &Value, case: &Case) {
    let id = case.id;
    assert_eq!(refused["code"], case.code, "{id}: {refused}");
    assert_eq!(refused["step"], case.step, "{id}: {refused}");
    assert_eq!(refused["file"], format!("{id}/{}", case.file), "{id}: {refused}");
    for field in ["check", "message", "remedy"] {
        assert!(!refused[field].as_str().unwrap().is_empty(), "{id}: {field}: {refused}");
    }
}

fn refusal_of(health: &Value, case: &Case) -> Value {
    if case.is_of_index() {
        return health["index"]["refused"].clone();
    }
    let versions = health["versions"].as_array().unwrap();
    let bad = versions.iter().find(|version| version["version"] == BAD).unwrap();
    assert_eq!(bad["outcome"], "refused", "{}: {health}", case.id);
    bad["refused"].clone()
}

fn assert_neighbour_serves(host: &Host, version: &str) {
    assert_eq!(host.get("/neighbour").status, 200);
    let entry = host.get(&neighbour(version).url("entry.js"));
    assert_eq!((entry.status, &entry.body), (200, &neighbour(version).files["entry.js"]));
    assert_eq!(host.get("/_health").status, 200);
    assert_eq!(host.get("/_ready").status, 200);
}

#[test]
fn with_nothing_else_to_serve_it_serves_nothing() {
    let tree = Tree::new();
    tree.publish(&neighbour(GOOD));
    for case in CASES {
        tree.publish(&case.version(BAD));
        (case.spoil)(&tree, case.id);
    }
    let host = Setup::of(&tree).start();
    assert_neighbour_serves(&host, GOOD);
    assert_eq!(host.get("/_health").json()["status"], "degraded");
    for case in CASES {
        let id = case.id;
        assert_nothing_of_it_is_served(&host, case);
        let reply = host.get(&format!("/_health/{id}"));
        assert_eq!(reply.status, 503, "{id}: {}", reply.text());
        let health = reply.json();
        assert_eq!(health["state"], "nothing-to-serve", "{id}: {health}");
        assert_eq!(health["servingVersion"], Value::Null, "{id}");
        assert_is_explained(&refusal_of(&health, case), case);
        // Only what a good signature says of the prefix is believed.
        let prefix_is_signed = matches!(case.step, 12 | 13);
        let page = host.get(&format!("/{id}/somewhere"));
        if prefix_is_signed {
            assert_eq!(page.status, 503, "{id}");
            assert!(page.header("retry-after").is_some(), "{id}");
            assert_eq!(page.header("cache-control"), Some("no-store"), "{id}");
            assert!(page.text().contains("not available right now"), "{id}");
        } else {
            assert_eq!(page.status, 404, "{id}");
        }
    }
    let navigation = host.get("/_navigation").json();
    assert_eq!(navigation["entries"], json!([]));
    let (_, log) = host.stop();
    for case in CASES {
        let named = log.lines().any(|line| {
            line.contains(&format!("{}/{}", case.id, case.file)) && line.contains(case.code)
        });
        assert!(named, "the log does not say {} of {}", case.code, case.id);
    }
}

#[test]
fn with_a_lower_version_at_hand_that_one_serves_from_the_start() {
    let tree = Tree::new();
    tree.publish(&neighbour(GOOD));
    for case in CASES {
        tree.publish(&case.version(GOOD));
        tree.publish(&case.version(BAD));
        (case.spoil)(&tree, case.id);
    }
    let host = Setup::of(&tree).start();
    assert_neighbour_serves(&host, GOOD);
    for case in CASES {
        let id = case.id;
        assert_nothing_of_it_is_served(&host, case);
        let health = host.health(id);
        assert_is_explained(&refusal_of(&health, case), case);
        if case.is_of_index() {
            // Nothing vouches for the lower version either.
            assert_eq!(health["servingVersion"], Value::Null, "{id}: {health}");
            assert_eq!(host.get(&case.version(GOOD).url("entry.js")).status, 404, "{id}");
            continue;
        }
        assert_eq!(health["state"], "fallback", "{id}: {health}");
        assert_eq!(health["servingVersion"], GOOD, "{id}");
        assert_eq!(health["desiredVersion"], BAD, "{id}");
        assert_eq!(host.get(&format!("/_health/{id}")).status, 200, "{id}");
        let entry = host.get(&case.version(GOOD).url("entry.js"));
        assert_eq!(
            (entry.status, &entry.body),
            (200, &case.version(GOOD).files["entry.js"]),
            "{id}"
        );
        assert_eq!(host.get(&format!("/{id}")).status, 200, "{id}");
    }
}

#[test]
fn at_a_refresh_the_version_before_goes_on_serving() {
    let tree = Tree::new();
    tree.publish(&neighbour(GOOD));
    for case in CASES {
        tree.publish(&case.version(GOOD));
    }
    let host = Setup::of(&tree).start();
    for case in CASES {
        assert_eq!(host.serving(case.id).as_deref(), Some(GOOD));
        tree.publish(&case.version(BAD));
        (case.spoil)(&tree, case.id);
    }
    tree.publish(&neighbour(BAD));
    host.signal(Signal::HUP);
    host.wait_until_serving("neighbour", BAD);
    assert_neighbour_serves(&host, BAD);
    assert_eq!(host.get("/_health").json()["status"], "degraded");
    for case in CASES {
        let id = case.id;
        assert_nothing_of_it_is_served(&host, case);
        let health = host.health(id);
        assert_is_explained(&refusal_of(&health, case), case);
        assert_eq!(health["servingVersion"], GOOD, "{id}: {health}");
        let state = if case.is_of_index() { "last-good" } else { "fallback" };
        assert_eq!(health["state"], state, "{id}");
        let entry = host.get(&case.version(GOOD).url("entry.js"));
        assert_eq!(
            (entry.status, &entry.body),
            (200, &case.version(GOOD).files["entry.js"]),
            "{id}"
        );
        assert_eq!(host.get(&format!("/{id}/somewhere")).status, 200, "{id}");
    }
}

#[test]
fn the_bytes_of_a_version_that_serves_do_not_pass_for_another_one() {
    let tree = Tree::new();
    let case = &CASES[0];
    tree.publish(&case.version(GOOD));
    let host = Setup::of(&tree).start();
    // 1.1.0 is listed with the manifest of 1.0.0, and so is its directory.
    tree.publish(&case.version(BAD));
    let manifest = fs::read(tree.path(&format!("{}/{GOOD}/manifest.json", case.id))).unwrap();
    tree.replace_manifest(case.id, BAD, &manifest);
    tree.publish(&neighbour(GOOD));
    host.signal(Signal::HUP);
    host.wait_until_serving("neighbour", GOOD);
    let health = host.health(case.id);
    let refused = &health["versions"][0]["refused"];
    assert_eq!(
        (&refused["code"], &refused["step"]),
        (&json!("version-mismatch"), &json!(11)),
        "{health}"
    );
    assert_eq!(
        (&health["state"], &health["servingVersion"]),
        (&json!("fallback"), &json!(GOOD)),
        "{health}"
    );
}

#[test]
fn a_revoked_version_and_one_below_the_floor_are_no_fallback() {
    let tree = Tree::new();
    let feature = |id: &str, version: &str| Version::domain(id, version, &format!("/{id}"));
    let version = |text: &str| text.parse().unwrap();
    for id in ["revoked", "floored"] {
        for number in ["1.0.0", "1.1.0", "1.2.0"] {
            tree.publish(&feature(id, number));
        }
        fs::remove_file(tree.path(&format!("{id}/1.2.0/entry.js"))).unwrap();
    }
    tree.apply(
        "revoked",
        &Operation::Revoke {
            version: version("1.1.0"),
            reason: "leaks".to_owned(),
            even_if_nothing_serves: false,
        },
    );
    tree.apply("floored", &Operation::RaiseFloor { version: version("1.2.0") });
    let host = Setup::of(&tree).start();

    let health = host.health("revoked");
    assert_eq!(health["servingVersion"], "1.0.0", "{health}");
    assert_eq!(health["versions"][1]["outcome"], "revoked", "{health}");
    assert!(health["versions"][1]["detail"].as_str().unwrap().contains("leaks"), "{health}");
    assert_eq!(host.get(&feature("revoked", "1.1.0").url("entry.js")).status, 404);

    let health = host.health("floored");
    assert_eq!(host.get("/_health/floored").status, 503);
    assert_eq!(health["state"], "nothing-to-serve", "{health}");
    assert_eq!(health["versions"][1]["outcome"], "below-floor", "{health}");
    assert_eq!(health["versions"][2]["outcome"], "below-floor", "{health}");
    for number in ["1.0.0", "1.1.0", "1.2.0"] {
        assert_eq!(host.get(&feature("floored", number).url("entry.js")).status, 404, "{number}");
    }
    assert_eq!(host.get("/floored").status, 503);
}

#[test]
fn of_two_features_with_one_prefix_the_lower_id_serves_and_a_holder_keeps_it() {
    let tree = Tree::new();
    let at = |id: &str, version: &str, prefix: &str| Version::domain(id, version, prefix);
    let owner = |host: &Host| {
        let page = host.get("/same/page");
        assert_eq!(page.status, 200);
        let active =
            page.text().split("\"activeFeatureId\":\"").nth(1).unwrap().split('"').next().unwrap();
        active.to_owned()
    };
    tree.publish(&at("middle", GOOD, "/same"));
    tree.publish(&at("zulu", GOOD, "/same/"));
    let host = Setup::of(&tree).start();
    assert_eq!(owner(&host), "middle");
    let health = host.health("zulu");
    assert_eq!(
        (&health["state"], &health["conflictWith"]),
        (&json!("conflict"), &json!("middle")),
        "{health}"
    );
    assert_eq!(host.get("/_health/zulu").status, 503);
    assert_eq!(host.get(&at("zulu", GOOD, "").url("entry.js")).status, 404);

    // A lower id comes later: the holder keeps the prefix, and keeps it through its own upgrade.
    tree.publish(&at("alpha", GOOD, "/same"));
    tree.publish(&at("middle", BAD, "/same"));
    host.signal(Signal::HUP);
    host.wait_until_serving("middle", BAD);
    assert_eq!(owner(&host), "middle");
    assert_eq!(host.health("alpha")["conflictWith"], "middle");

    // The holder moves away: of those who wait, the lower id has it.
    tree.publish(&at("middle", "1.2.0", "/elsewhere"));
    host.signal(Signal::HUP);
    host.wait_until_serving("middle", "1.2.0");
    assert_eq!(owner(&host), "alpha");
    assert_eq!(host.health("zulu")["conflictWith"], "alpha");
    assert_eq!(host.get("/elsewhere").status, 200);
    drop(host);

    // A host that starts now finds nobody holding anything.
    assert_eq!(owner(&Setup::of(&tree).start()), "alpha");
}

#[test]
fn what_is_no_feature_directory_is_named_and_left_alone() {
    let tree = Tree::new();
    tree.publish(&neighbour(GOOD));
    tree.publish(&Version::domain("linked", GOOD, "/linked"));
    replace_by_link(&tree, "linked");
    for name in ["Bad_Name", "0digit", ".loader", "ünïcode", "x".repeat(64).as_str()] {
        fs::create_dir(tree.path(name)).unwrap();
        fs::write(tree.path(&format!("{name}/releases.json")), tree.index_bytes("neighbour"))
            .unwrap();
    }
    fs::write(tree.path("a-file"), "").unwrap();
    fs::write(tree.path("README.md"), "").unwrap();
    mknodat(CWD, tree.path("a-pipe"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    let host = Setup::of(&tree).start();
    assert_neighbour_serves(&host, GOOD);
    let health = host.get("/_health").json();
    assert_eq!(health["status"], "degraded", "{health}");
    let ignored: Vec<(&str, &str)> = health["ignored"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ignored| (ignored["name"].as_str().unwrap(), ignored["code"].as_str().unwrap()))
        .collect();
    let long = "x".repeat(64);
    assert_eq!(
        ignored,
        [
            ("0digit", "bad-feature-id"),
            ("Bad_Name", "bad-feature-id"),
            ("a-file", "not-a-directory"),
            ("a-pipe", "not-a-directory"),
            ("linked", "not-a-directory"),
            (long.as_str(), "bad-feature-id"),
            ("ünïcode", "bad-feature-id"),
        ]
    );
    assert_eq!(host.get("/linked").status, 404);
    assert_eq!(host.get("/_assets/linked/1.0.0/entry.js").status, 404);
    assert_eq!(host.get("/_health/linked").status, 404);
}

#[test]
fn what_may_not_be_read_is_refused_and_said_so() {
    let tree = Tree::new();
    tree.publish(&neighbour(GOOD));
    for id in ["closed-directory", "closed-version", "closed-file"] {
        tree.publish(&Version::domain(id, GOOD, &format!("/{id}")));
    }
    let chmod = |path: &str, mode| {
        fs::set_permissions(tree.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("closed-directory", 0o000);
    chmod("closed-version/1.0.0", 0o000);
    chmod("closed-file/1.0.0/chunk.js", 0o000);
    let host = Setup::of(&tree).run_by_nobody().start();
    assert_neighbour_serves(&host, GOOD);
    let directory = host.health("closed-directory")["index"]["refused"].clone();
    assert_eq!(directory["code"], "directory-unreadable", "{directory}");
    assert_eq!(directory["file"], "closed-directory", "{directory}");
    let refused = |id: &str| host.health(id)["versions"][0]["refused"].clone();
    let version = refused("closed-version");
    assert_eq!(
        (&version["code"], &version["file"]),
        (&json!("file-unreadable"), &json!("closed-version/1.0.0/manifest.json"))
    );
    let file = refused("closed-file");
    assert_eq!(
        (&file["code"], &file["file"]),
        (&json!("file-unreadable"), &json!("closed-file/1.0.0/chunk.js"))
    );
    for id in ["closed-directory", "closed-version", "closed-file"] {
        assert_eq!(host.get(&format!("/_health/{id}")).status, 503, "{id}");
        assert_eq!(host.get(&format!("/_assets/{id}/1.0.0/entry.js")).status, 404, "{id}");
        chmod(id, 0o755);
    }
    // Opened again, they serve.
    chmod("closed-version/1.0.0", 0o755);
    chmod("closed-file/1.0.0/chunk.js", 0o644);
    host.signal(Signal::HUP);
    for id in ["closed-directory", "closed-version", "closed-file"] {
        host.wait_until_serving(id, GOOD);
    }
}

#[test]
fn a_key_speaks_for_its_own_features_only() {
    let tree = Tree::new();
    for id in ["elsewhere-one", "here"] {
        tree.publish(&Version::domain(id, GOOD, &format!("/{id}")));
        tree.edit_manifest(id, GOOD, &signing_key(ELSEWHERE), |_| ());
        tree.edit_index(id, &signing_key(ELSEWHERE), |_| ());
    }
    let host = Setup::of(&tree).start();
    assert_eq!(host.serving("elsewhere-one").as_deref(), Some(GOOD));
    assert_eq!(host.health("here")["index"]["refused"]["code"], "key-not-allowed");
}

#[test]
fn a_directory_under_a_good_name_with_the_content_of_another_feature_serves_nothing() {
    let tree = Tree::keeping(Window { keep: 0 });
    tree.publish(&neighbour(GOOD));
    fs::create_dir(tree.path("copy")).unwrap();
    fs::create_dir(tree.path("copy/1.0.0")).unwrap();
    for file in [
        "releases.json",
        "1.0.0/manifest.json",
        "1.0.0/entry.js",
        "1.0.0/chunk.js",
        "1.0.0/style.css",
    ] {
        let bytes = fs::read(tree.path(&format!("neighbour/{file}"))).unwrap();
        rename_into_place(&tree.path(&format!("copy/{file}")), &bytes, &tree.outside("staging"));
    }
    let host = Setup::of(&tree).start();
    assert_neighbour_serves(&host, GOOD);
    assert_eq!(host.health("copy")["index"]["refused"]["code"], "index-feature-id");
    assert_eq!(host.get("/_assets/copy/1.0.0/entry.js").status, 404);
}

#[test]
fn a_facet_with_a_mount_owns_no_address_good_or_bad() {
    let tree = Tree::new();
    let mount = json!({ "pathPrefix": "/taken", "domElementId": "root" });
    for id in ["good-facet", "bad-facet"] {
        tree.publish(&Version::facet(id, GOOD).with_field("mount", mount.clone()));
    }
    fs::remove_file(tree.path("bad-facet/1.0.0/chunk.js")).unwrap();
    let host = Setup::of(&tree).start();
    assert_eq!(host.serving("good-facet").as_deref(), Some(GOOD));
    assert_eq!(host.health("bad-facet")["state"], "nothing-to-serve");
    assert_eq!(host.get("/taken").status, 404);
    tree.publish(&Version::domain("owner", GOOD, "/taken"));
    host.signal(Signal::HUP);
    host.wait_until_serving("owner", GOOD);
    assert_eq!(host.get("/taken").status, 200);
}
