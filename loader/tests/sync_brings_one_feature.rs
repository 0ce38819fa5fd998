//! `pilar-loader sync --once` brings the feature that is there, whatever its name, and says how it went.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use common::archive::Archive;
use common::network;
use common::network::image::{self, Blob};
use common::network::proxy::{Fault, Proxy};
use common::network::registry::{Registry, basic};
use common::network::{FEATURE, released};
use common::program::Place;
use common::server::Server;
use common::tree::{STRANGER, Tree, Version, signing_key};
use pilar_loader::unpack::Compression;
use serde_json::{Value, json};

const REPOSITORY: &str = "features/any";

/// Runs it; returns its exit status and what it says.
fn sync(place: &Place, plain: &str, words: &[&str]) -> (i32, Value) {
    let into = place.artifacts();
    let words = [&["sync", "--once", "--json", "--into", into.to_str().unwrap()], words].concat();
    let output = place.loader(&words).with("LOADER_PLAIN_HTTP_HOSTS", plain).ends();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[track_caller]
fn done((status, said): (i32, Value), place: &Place, feature: &str) {
    assert_eq!((status, &said["featureId"]), (0, &Value::from(feature)), "{said}");
    assert!(common::verified(&place.artifacts(), feature).is_some());
}

#[track_caller]
fn refused((status, said): (i32, Value), code: &str) {
    assert_eq!((status, &said["error"]["code"]), (1, &Value::from(code)), "{said}");
    assert!(!said["error"]["remedy"].as_str().unwrap().is_empty());
}

#[test]
fn from_a_cdn() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let server = Server::of(&tree.artifacts());
    let url = |feature: &str| server.registration(feature).origin.to_string();
    let place = Place::new();
    let sync = |words: &[&str]| sync(&place, &server.host(), words);
    // The second time there is nothing to do.
    for _ in 0..2 {
        done(sync(&["--from", &url("notes")]), &place, "notes");
    }
    done(sync(&["--from", &url("notes"), "--feature", "notes"]), &place, "notes");
    refused(sync(&["--from", &url("notes"), "--feature", "letters"]), "index-feature-id");
    refused(sync(&["--from", &url("missing")]), "not-found");
    refused(sync(&["--from", &url("missing"), "--feature", "other"]), "not-found");
    assert!(
        common::verified(&place.artifacts(), "notes").is_some(),
        "it is nobody's business here"
    );
    assert_eq!(sync(&["--from", "registry.example.org/notes:latest"]).0, 2);
    assert_eq!(sync(&["--from", &url("notes"), "--feature", "Notes"]).0, 2);
    tree.edit_index("notes", &signing_key(STRANGER), |_| {});
    refused(sync(&["--from", &url("notes")]), "key-unknown");
    for (other, code) in [("[]", "json-not-an-object"), ("{}", "schema"), ("<html>", "json-syntax")]
    {
        tree.write_index("notes", other.as_bytes());
        refused(sync(&["--from", &url("notes")]), code);
    }
}

#[test]
fn from_a_cdn_without_an_old_version() {
    let tree = Tree::new();
    for version in ["1.0.0", "1.1.0"] {
        tree.publish(&Version::domain("notes", version, "/notes"));
    }
    std::fs::remove_dir_all(tree.path("notes/1.0.0")).unwrap();
    let (server, place) = (Server::of(&tree.artifacts()), Place::new());
    let (into, from) = (place.artifacts(), server.registration("notes").origin.to_string());
    let words = ["sync", "--once", "--into", into.to_str().unwrap(), "--from", &from];
    let output = place.loader(&words).with("LOADER_PLAIN_HTTP_HOSTS", server.host()).ends();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("a version is left out") && said.contains("not-found"), "{said}");
    assert!(into.join("notes/1.1.0").exists() && !into.join("notes/1.0.0").exists());
}

#[tokio::test]
async fn from_an_image() {
    let registry = Registry::open().await;
    let tree = released(&["1.0.0"]);
    let whole = image::archive(&tree);
    let files = network::files(&tree.artifacts());
    // As `tar -C <directory> .` writes it, with what is no directory of a feature first.
    let dotted = Archive::new().directory("./").directory("./artifacts/");
    let dotted = files
        .iter()
        .fold(dotted, |archive, (path, bytes)| archive.file(&format!("./artifacts/{path}"), bytes));
    let nothing = Blob::layer(&Archive::new().directory("artifacts/").end(), Compression::None);
    for layers in [
        vec![Blob::layer(&whole, Compression::Gzip)],
        vec![Blob::layer(&whole, Compression::Zstd)],
        vec![nothing, Blob::layer(&dotted.end(), Compression::None)],
    ] {
        let digest = image::push(&registry, REPOSITORY, &layers).await;
        // Only what comes first is asked for twice.
        let proxy = Proxy::before(&registry.address, [Fault::CutAfter(700)]).await;
        let from = format!("{}/{REPOSITORY}@sha256:{digest}", proxy.address);
        let place = Place::new();
        let plain = proxy.address.clone();
        let said = in_a_thread(move || {
            let said = sync(&place, &plain, &["--from", &from]);
            let checked = sync(&place, &plain, &["--from", &from, "--feature", "letters"]);
            (said, checked, place)
        });
        let (said, checked, place) = said.await;
        done(said, &place, FEATURE);
        refused(checked, "feature-foreign");
        assert_eq!(proxy.struck(), 1);
    }
}

#[tokio::test]
async fn from_an_image_that_holds_none() {
    let registry = Registry::open().await;
    let empty = Archive::new().directory("artifacts/").end();
    let elsewhere = Archive::new().file("usr/lab/releases.json", b"{}").end();
    let climbing = Archive::new().file("artifacts/../lab/releases.json", b"{}").end();
    let two = Archive::new()
        .file("artifacts/lab/releases.json", b"{}")
        .file("artifacts/other/releases.json", b"{}");
    for (archive, code) in [
        (empty, "image-no-feature"),
        (elsewhere, "image-no-feature"),
        (climbing, "image-no-feature"),
        (two.end(), "feature-foreign"),
        (b"<html>".to_vec(), "archive-damaged"),
    ] {
        let layer = Blob::layer(&archive, Compression::Gzip);
        let digest = image::push(&registry, REPOSITORY, &[layer]).await;
        let (plain, place) = (registry.address.clone(), Place::new());
        let from = format!("{plain}/{REPOSITORY}@sha256:{digest}");
        let said = in_a_thread(move || sync(&place, &plain, &["--from", &from])).await;
        refused(said, code);
    }
}

#[tokio::test]
async fn with_what_docker_login_has_left_unless_told_what_to_use() {
    let registry = Registry::with_password("ward", "correct-horse").await;
    let digest = image::push_tree(&registry, REPOSITORY, &released(&["1.0.0"])).await;
    let (plain, from) =
        (registry.address.clone(), format!("{}/{REPOSITORY}@sha256:{digest}", registry.address));
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [home, empty] = homes.each_ref().map(|home| home.path().to_owned());
    let missing = empty.join("missing");
    let auth = basic("ward", "correct-horse");
    let auths = json!({ "auths": { &plain: { "auth": auth.strip_prefix("Basic ").unwrap() } } });
    std::fs::create_dir(home.join(".docker")).unwrap();
    std::fs::write(home.join(".docker/config.json"), auths.to_string()).unwrap();
    for (told, home, is_let_in) in [
        (None, Some(&home), true),
        (None, Some(&empty), false),
        (None, None, false),
        (Some("DOCKER_CONFIG"), Some(&home), false),
        (Some("LOADER_PULL_SECRETS"), Some(&home), false),
    ] {
        let place = Place::new();
        let into = place.artifacts();
        let words = ["sync", "--once", "--json", "--into", into.to_str().unwrap(), "--from", &from];
        let mut setup = place.loader(&words).with("LOADER_PLAIN_HTTP_HOSTS", &plain);
        for (name, value) in [(Some("HOME"), home), (told, Some(&missing))] {
            if let Some((name, value)) = name.zip(value) {
                setup = setup.with(name, value);
            }
        }
        let output = in_a_thread(move || setup.ends()).await;
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        let said = (output.status.code().unwrap(), said);
        if is_let_in { done(said, &place, FEATURE) } else { refused(said, "unauthorized") }
    }
}

/// Waits for programs while this test's own servers go on.
async fn in_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
