//! Of a CDN comes what its signed index names, each byte held against the digest it was named by, and nothing that
//! is there already.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and writes files of its own"
)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::network;
use common::network::proxy::{BUSY, Fault, Proxy};
use common::network::{FEATURE, Place, limits, plain, released};
use common::server::Server;
use common::tree;
use pilar_artifact::Sha256Digest;
use pilar_artifact::operations::Operation;
use pilar_loader::registration::Origin;
use pilar_loader::transport::Limits;
use serde_json::json;

/// The paths that were asked for since the last time.
fn asked(cdn: &Server) -> Vec<String> {
    cdn.asked().into_iter().map(|(path, _)| path).collect()
}

fn at(address: &str) -> Origin {
    Origin::Cdn(format!("http://{address}/{FEATURE}/").parse().unwrap())
}

#[tokio::test]
async fn everything_comes_once_and_then_only_what_is_new() {
    let tree = released(&["1.0.0"]);
    let cdn = Server::of(&tree.artifacts());
    let place = Place::plain(&[&cdn.host()]);
    let origin = at(&cdn.host());
    let brought = place.fetch(&origin).await;
    let first = brought.whole().result.as_ref().unwrap();
    assert!(first.changed && first.validator.is_some());
    let mut first_asked = asked(&cdn);
    first_asked.sort();
    let named = ["chunk.js", "entry.js", "manifest.json", "noise.bin", "style.css"];
    let mut expected: Vec<_> = named.map(|name| format!("{FEATURE}/1.0.0/{name}")).to_vec();
    expected.push(format!("{FEATURE}/releases.json"));
    assert_eq!(first_asked, expected);
    let manifest = std::fs::read(tree.path("lab/1.0.0/manifest.json")).unwrap();
    let present = BTreeMap::from([("1.0.0".parse().unwrap(), Sha256Digest::of(&manifest))]);
    let validator = first.validator.clone();
    let brought = place.fetch_what_is_new(&origin, &present, validator.as_deref()).await;
    let again = brought.result.as_ref().unwrap();
    assert!(!again.changed && again.validator == validator && brought.transferred == 0);
    assert_eq!(asked(&cdn), [format!("{FEATURE}/releases.json")]);
    assert!(!brought.has("releases.json"));
    tree.publish(&tree::Version::facet(FEATURE, "1.1.0"));
    let brought = place.fetch_what_is_new(&origin, &present, validator.as_deref()).await;
    assert!(brought.result.as_ref().unwrap().changed);
    assert!(brought.has("1.1.0/manifest.json") && !brought.has("1.0.0/manifest.json"));
    assert!(!asked(&cdn).iter().any(|path| path.contains("1.0.0")));
    let reason = "it loses results".to_owned();
    let version = "1.0.0".parse().unwrap();
    tree.apply(FEATURE, &Operation::Revoke { version, reason, even_if_nothing_serves: false });
    let brought = place.fetch(&origin).await;
    assert!(brought.result.is_ok());
    assert!(!asked(&cdn).iter().any(|path| path.contains("1.0.0")), "it never serves");
}

#[tokio::test]
async fn the_network_fails_and_the_files_arrive() {
    let tree = released(&["1.0.0", "1.1.0"]);
    let cdn = Server::of(&tree.artifacts());
    let proxy = Proxy::before(&cdn.host(), []).await;
    for faults in [
        vec![Fault::CutAfter(10)],
        vec![Fault::CutAfter(1_500), BUSY],
        vec![BUSY, Fault::CutAfter(100_000), Fault::CutAfter(100_000)],
        vec![Fault::CutAfter(2_500), Fault::StallAfter(3_000)],
    ] {
        let (before, struck) = (proxy.struck(), faults.len());
        proxy.strike(faults);
        let place = one_by_one(&proxy);
        let brought = place.fetch(&at(&proxy.address)).await;
        assert_eq!(brought.whole().retries as usize, struck);
        assert_eq!(proxy.struck(), before + struck);
    }
    proxy.strike([Fault::Corrupt(100_000)]);
    let place = one_by_one(&proxy);
    assert!(place.fetch(&at(&proxy.address)).await.refused("digest-mismatch").may_pass());
    place.fetch(&at(&proxy.address)).await.whole();
}

/// On one connection, so that it is known what a fault strikes.
fn one_by_one(proxy: &Proxy) -> Place {
    let limits = Limits { parallel_files: 1, idle: Duration::from_millis(500), ..limits() };
    Place::with(plain(&[&proxy.address]), limits)
}

#[tokio::test]
async fn what_the_index_does_not_vouch_for_is_refused() {
    let tree = released(&["1.0.0"]);
    let cdn = Server::of(&tree.artifacts());
    let origin = at(&cdn.host());
    let place = Place::plain(&[&cdn.host()]);
    let noise = tree.path("lab/1.0.0/noise.bin");
    let whole = std::fs::read(&noise).unwrap();
    for other in [&whole[1..], b"".as_slice(), b"<html>"] {
        std::fs::write(&noise, other).unwrap();
        assert!(place.fetch(&origin).await.refused("digest-mismatch").may_pass());
    }
    std::fs::remove_file(&noise).unwrap();
    place.fetch(&origin).await.refused("not-found");
    std::fs::write(&noise, &whole).unwrap();
    place.fetch(&origin).await.whole();
    let manifest = tree.path("lab/1.0.0/manifest.json");
    let signed = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, [signed.as_slice(), b"\n"].concat()).unwrap();
    place.fetch(&origin).await.refused("digest-mismatch");
    std::fs::write(&manifest, &signed).unwrap();
    asked(&cdn);
    let stranger = tree::signing_key(tree::STRANGER);
    tree.edit_index(FEATURE, &stranger, |index| {
        index.insert("activeVersion".into(), json!("1.0.0"));
    });
    place.fetch(&origin).await.refused("key-unknown");
    assert_eq!(asked(&cdn), [format!("{FEATURE}/releases.json")], "nothing more is asked for");
}

#[tokio::test]
async fn a_version_that_is_not_to_serve_holds_up_nothing() {
    let tree = released(&["1.0.0", "1.1.0"]);
    let cdn = Server::of(&tree.artifacts());
    let (origin, place) = (at(&cdn.host()), Place::plain(&[&cdn.host()]));
    let comes = async || {
        asked(&cdn);
        let brought = place.fetch(&origin).await;
        let fetched = brought.result.as_ref().unwrap();
        assert!(fetched.changed && brought.has("1.1.0/noise.bin"));
        assert_eq!(asked(&cdn)[1], format!("{FEATURE}/1.1.0/manifest.json"), "it comes first");
        fetched.validator.is_some()
    };
    // What was altered may be put right, so the index is not taken for known.
    std::fs::write(tree.path("lab/1.0.0/noise.bin"), "noise").unwrap();
    assert!(!comes().await);
    std::fs::remove_dir_all(tree.path("lab/1.0.0")).unwrap();
    assert!(comes().await, "what was removed is not asked for again");
    std::fs::remove_dir_all(tree.path("lab/1.1.0")).unwrap();
    place.fetch(&origin).await.refused("not-found");
}

#[tokio::test]
async fn a_cdn_keeps_within_the_limits() {
    let tree = released(&["1.0.0"]);
    let cdn = Server::of(&tree.artifacts());
    let artifact =
        |limits: pilar_artifact::Limits| Limits { artifact: limits, ..network::limits() };
    let usual = pilar_artifact::Limits::default();
    for limits in [
        artifact(pilar_artifact::Limits { file_bytes: 100_000, ..usual }),
        artifact(pilar_artifact::Limits { json_bytes: 100, ..usual }),
        Limits { compressed_bytes: 100_000, ..limits() },
    ] {
        let place = Place::with(plain(&[&cdn.host()]), limits);
        assert!(!place.fetch(&at(&cdn.host())).await.refused("too-large").may_pass());
    }
}

#[tokio::test]
async fn a_redirect_stays_with_the_server() {
    let tree = released(&["1.0.0"]);
    let cdn = Server::of(&tree.artifacts());
    let proxy = Proxy::before(&cdn.host(), []).await;
    let lead = |to: String| -> Fault {
        let head = "HTTP/1.1 302 Found\r\ncontent-length: 0\r\nconnection: close\r\nlocation: ";
        Fault::Answer(format!("{head}{to}\r\n\r\n").leak())
    };
    let fetch = async || {
        let place = Place::plain(&[&proxy.address, &cdn.host()]);
        place.fetch(&at(&proxy.address)).await
    };
    proxy.strike([lead("/lab/releases.json".into())]);
    fetch().await.whole();
    for to in [format!("http://{}/lab/releases.json", cdn.host()), "https://127.0.0.1/x".into()] {
        proxy.strike([lead(to)]);
        assert!(!fetch().await.refused("redirect-refused").may_pass());
    }
    proxy.strike(std::iter::repeat_n(lead("/lab/releases.json".into()), 6));
    fetch().await.refused("redirect-refused");
}
