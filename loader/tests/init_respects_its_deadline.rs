//! `init` brings what it can, never waits longer than it may, and makes the sentinel only when it is done.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use common::program::{Place, Setup, wait_for};
use common::server::Server;
use common::tree::{Tree, Version};
use common::{leftovers, verified};

fn released(id: &str) -> Tree {
    let tree = Tree::new();
    tree.publish(&Version::domain(id, "1.0.0", &format!("/{id}")));
    tree
}

fn init(place: &Place, server: &Server) -> Setup {
    place.loader(&["init"]).with("LOADER_PLAIN_HTTP_HOSTS", server.host())
}

#[test]
fn everything_is_in_place_before_the_sentinel_is() {
    let tree = released("notes");
    let (place, server) = (Place::new(), Server::of(&tree.artifacts()));
    place.register(&server.registration("notes"));
    for policy in ["available", "strict"] {
        let output = init(&place, &server).with("LOADER_INIT_POLICY", policy).ends();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(std::fs::read_to_string(place.sentinel()).unwrap(), "ready\n");
        assert_eq!(verified(&place.artifacts(), "notes").unwrap().sequence, 1);
        std::fs::remove_file(place.sentinel()).unwrap();
    }
}

#[test]
fn what_cannot_be_brought_is_recorded_and_left_to_the_sidecar() {
    let tree = released("notes");
    let (place, server) = (Place::new(), Server::of(&tree.artifacts()));
    place.register(&server.registration("notes"));
    place.register(&server.registration("missing"));
    place.say("broken", "featureId: broken\n");
    let output = init(&place, &server).ends();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && log.contains("the rest is left to the sidecar"), "{log}");
    assert!(place.sentinel().exists());
    assert!(verified(&place.artifacts(), "notes").is_some());
    let status = place.status();
    let missing = &status.features[&"missing".parse().unwrap()];
    assert_eq!(missing.last_error.as_ref().unwrap().code, "not-found");
    assert_eq!(missing.actual, None);
    assert_eq!(status.refused[0].error.code, "registration-no-origin");
    assert_eq!(status.refused[0].place, "broken.yaml");
}

#[test]
fn strict_means_all_of_it() {
    let tree = released("notes");
    let server = Server::of(&tree.artifacts());
    let spoil: [fn(&Place, &Server); 2] = [
        |place, server| place.register(&server.registration("missing")),
        |place, _| place.say("broken", "featureId: broken\n"),
    ];
    for spoil in spoil {
        let place = Place::new();
        place.register(&server.registration("notes"));
        spoil(&place, &server);
        let strict = init(&place, &server).with("LOADER_INIT_POLICY", "strict");
        let output = strict.with("LOADER_INIT_DEADLINE_SECONDS", "2").ends();
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains("LOADER_INIT_POLICY is strict") && !log.contains("sidecar"), "{log}");
        assert!(!place.sentinel().exists());
        assert!(verified(&place.artifacts(), "notes").is_some(), "what could be brought is there");
    }
}

#[test]
fn a_source_that_says_nothing_does_not_hold_it_for_ever() {
    let (place, server) = (Place::new(), Server::of(std::path::Path::new("/nonexistent")));
    std::fs::remove_dir(place.registrations()).unwrap();
    for (policy, status) in [("available", 0), ("strict", 1)] {
        let output = init(&place, &server)
            .with("LOADER_INIT_POLICY", policy)
            .with("LOADER_INIT_DEADLINE_SECONDS", "1")
            .ends();
        assert_eq!(output.status.code(), Some(status), "{policy}");
        assert_eq!(place.sentinel().exists(), status == 0, "{policy}");
        let status = place.status();
        assert_eq!(status.source.error.unwrap().code, "registrations-unreadable");
        let _ = std::fs::remove_file(place.sentinel());
    }
}

#[test]
fn a_server_that_says_nothing_does_not_hold_it_for_ever_and_leaves_nothing_behind() {
    let tree = released("notes");
    let (place, server) = (Place::new(), Server::of(&tree.artifacts()));
    server.get_stuck();
    place.register(&server.registration("notes"));
    let output = init(&place, &server).with("LOADER_INIT_DEADLINE_SECONDS", "1").ends();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(place.sentinel().exists());
    assert!(!place.artifacts().join("notes").exists());
    assert_eq!(leftovers(&place.artifacts()), Vec::<String>::new());
}

#[test]
fn stopped_in_mid_pull_it_leaves_a_clean_tree_and_no_sentinel() {
    let tree = released("notes");
    let server = Server::of(&tree.artifacts());
    server.get_stuck();
    for command in ["init", "watch"] {
        let place = Place::new();
        place.register(&server.registration("notes"));
        server.asked();
        let running =
            place.loader(&[command]).with("LOADER_PLAIN_HTTP_HOSTS", server.host()).start();
        wait_for("the pull", || (!server.asked().is_empty()).then_some(()));
        running.terminate();
        let (status, log) = running.wait();
        assert_eq!(status.code(), Some(i32::from(command == "init")), "{command}: {log}");
        assert_eq!(leftovers(&place.artifacts()), Vec::<String>::new(), "{command}");
        assert!(!place.sentinel().exists(), "{command}");
    }
}
