//! A disk that is full, read-only or broken is reported and is no reason to stop; once it is well again the loader goes
//! on by itself.

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

use common::network::registry::Registry;
use common::network::{image, origin};
use common::program::{Place, Setup, get, wait_for};
use common::server::Server;
use common::tree::{Tree, Version};
use common::{leftovers, verified};

fn scene() -> (Tree, Place, Server) {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let (place, server) = (Place::new(), Server::of(&tree.artifacts()));
    place.register(&server.registration("notes"));
    (tree, place, server)
}

fn prepared(setup: Setup, server: &Server) -> Setup {
    setup.with("LOADER_PLAIN_HTTP_HOSTS", server.host())
}

fn init(place: &Place, server: &Server, fault: &str) -> std::process::Output {
    prepared(place.loader_with_fault(fault, &["init"]), server).ends()
}

#[test]
fn each_fault_of_the_disk_has_its_code_and_the_tree_stays_clean() {
    for (fault, code) in [
        // The first renames are those of the status; each one after them fails.
        ("renameat2:error=ENOSPC:when=2+", "store-full"),
        ("renameat2:error=EROFS:when=2+", "store-read-only"),
        ("renameat2:error=EACCES:when=2+", "store-permission"),
        ("fsync:error=EIO:when=2+", "store-io"),
        ("fsync:error=EDQUOT:when=2+", "store-full"),
    ] {
        let (_tree, place, server) = scene();
        let output = init(&place, &server, fault);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(log.contains(code), "{fault}: {log}");
        assert!(!log.contains("panicked"), "{fault}: {log}");
        assert!(!place.artifacts().join("notes").exists(), "{fault}");
        assert_eq!(leftovers(&place.artifacts()), Vec::<String>::new(), "{fault}");
        // Well again.
        let output = prepared(place.loader(&["init"]), &server).ends();
        assert!(output.status.success(), "{fault}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(verified(&place.artifacts(), "notes").is_some(), "{fault}");
    }
}

#[test]
fn a_tree_in_which_nothing_can_be_done_is_left_to_the_sidecar_and_what_serves_serves() {
    for (fault, code) in [
        ("mkdirat:error=ENOSPC:when=1+", "store-full"),
        ("flock:error=EROFS:when=1+", "store-read-only"),
    ] {
        let (_tree, place, server) = scene();
        assert!(prepared(place.loader(&["init"]), &server).ends().status.success());
        fs::remove_file(place.sentinel()).unwrap();
        if code == "store-full" {
            fs::remove_dir_all(place.artifacts().join(".loader")).unwrap();
            fs::remove_dir_all(place.artifacts().join(".staging")).unwrap();
        }
        for (policy, status) in [("strict", 1), ("available", 0)] {
            let output = prepared(place.loader_with_fault(fault, &["init"]), &server)
                .with("LOADER_INIT_POLICY", policy)
                .with("LOADER_INIT_DEADLINE_SECONDS", "5")
                .ends();
            let log = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(status), "{policy}, {fault}: {log}");
            assert!(log.contains(code) && log.contains("init-incomplete"), "{fault}: {log}");
            assert_eq!(place.sentinel().exists(), status == 0, "{policy}, {fault}");
        }
        assert!(verified(&place.artifacts(), "notes").is_some(), "{fault}");
    }
}

/// The file that fills the disk.
const LARGE: &str = "noise.bin";

/// A version with a file that takes many writes.
fn large(version: &str) -> Version {
    let noise: Vec<u8> =
        (0..300_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    Version::domain("notes", version, "/notes").with_file(LARGE, noise)
}

/// Where the first download of a process has the file.
fn on_its_way(place: &Place, version: &str) -> std::path::PathBuf {
    place.artifacts().join(format!(".staging/.incoming-notes-0/{version}/{LARGE}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_in_the_middle_of_a_file_keeps_the_old_version() {
    let (tree, registry) = (Tree::new(), Registry::open().await);
    let cdn = Server::of(&tree.artifacts());
    let push = async || {
        let digest = image::push_feature(&registry, "notes", &tree, "notes").await;
        origin(&registry.address, "notes", digest).to_string()
    };
    let plain = format!("{},{}", cdn.host(), registry.address);
    let (by_cdn, by_registry) = (Place::new(), Place::new());
    let at = |place: &Place| verified(&place.artifacts(), "notes").unwrap().active_version;
    let arguments = |place: &Place, from: &str| {
        let into = place.artifacts().into_os_string().into_string().unwrap();
        ["sync", "--once", "--from", from, "--into", &into].map(str::to_owned)
    };
    let mut versions = (0..).map(|minor| format!("1.{minor}.0"));
    for error in ["ENOSPC", "EDQUOT"] {
        let (old, new) = (versions.next().unwrap(), versions.next().unwrap());
        for version in [&old, &new] {
            tree.publish(&large(version));
            let from_cdn = cdn.registration("notes").origin.to_string();
            for (place, from) in [(&by_cdn, from_cdn), (&by_registry, push().await)] {
                let words = arguments(place, &from);
                let words = words.each_ref().map(String::as_str);
                let what = format!("{error}: {from}");
                if *version == new {
                    let fault = format!("write:error={error}:when=2+");
                    let path = on_its_way(place, version);
                    let output = place
                        .loader_with_fault_at(&path, &fault, &words)
                        .with("LOADER_PLAIN_HTTP_HOSTS", &plain)
                        .ends();
                    let log = String::from_utf8_lossy(&output.stderr).into_owned();
                    assert_eq!(output.status.code(), Some(1), "{what}: {log}");
                    assert!(log.contains("(store-full)") && log.contains(LARGE), "{what}: {log}");
                    assert_eq!(at(place).to_string(), old, "{what}");
                    assert!(!place.artifacts().join("notes").join(version).exists(), "{what}");
                    assert_eq!(leftovers(&place.artifacts()), Vec::<String>::new(), "{what}");
                }
                // Well again.
                let setup = place.loader(&words).with("LOADER_PLAIN_HTTP_HOSTS", &plain);
                let output = setup.ends();
                let log = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{what}: {log}");
                assert_eq!(at(place).to_string(), *version, "{what}");
            }
        }
    }
}

#[test]
fn a_sidecar_goes_on_when_the_disk_is_well_again() {
    let (_tree, place, server) = scene();
    // Each thread fails once.
    let fault = "mkdirat:error=ENOSPC:when=2";
    let watch = place.loader_with_fault(fault, &["watch"]).with("LOADER_HTTP_PORT", "0");
    let mut running = prepared(watch, &server).start();
    let port = running.port();
    wait_for("the feature", || verified(&place.artifacts(), "notes"));
    let in_place = "pilar_loader_feature_converged{feature=\"notes\"} 1";
    wait_for("the metric", || get(port, "/metrics").1.contains(in_place).then_some(()));
    let (status, metrics) = get(port, "/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("pilar_loader_failures_total{code=\"store-full\"}"), "{metrics}");
}
