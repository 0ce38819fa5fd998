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
