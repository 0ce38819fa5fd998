//! A CDN whose index has not changed costs one question a round, and what was lost on the disk comes back all the same.
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
use std::path::Path;

use common::program::{Place, Running, wait_for};
use common::server::{Asked, Server};
use common::tree::{Tree, Version};
use common::{try_verified, verified};

const INDEX: &str = "notes/releases.json";

fn watch(place: &Place, server: &Server) -> Running {
    let loader = place.loader(&["watch"]).with("LOADER_PLAIN_HTTP_HOSTS", server.host());
    loader.with("LOADER_CDN_POLL_SECONDS", "1").start()
}

/// Waits for some rounds, and returns what was asked for in them.
fn rounds(server: &Server) -> Vec<Asked> {
    server.asked();
    let mut asked = Vec::new();
    wait_for("three rounds", || {
        asked.extend(server.asked());
        (asked.len() >= 3).then_some(())
    });
    asked.truncate(3);
    asked
}

fn is_whole(artifacts: &Path) -> Option<()> {
    try_verified(artifacts, "notes").ok().flatten().map(drop)
}

#[test]
fn an_index_that_is_known_costs_one_question_and_lost_files_come_back() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let (place, server) = (Place::new(), Server::of(&tree.artifacts()));
    place.register(&server.registration("notes"));
    let artifacts = place.artifacts();
    let running = watch(&place, &server);
    wait_for("the first version", || is_whole(&artifacts));
    let unchanged = [(); 3].map(|()| (INDEX.to_owned(), true));
    assert_eq!(rounds(&server), unchanged);

    let index = artifacts.join(INDEX);
    let spoil: [&dyn Fn(); 3] =
        [&|| fs::write(&index, "{}").unwrap(), &|| fs::remove_file(&index).unwrap(), &|| {
            fs::remove_dir_all(artifacts.join("notes")).unwrap();
        }];
    for spoil in spoil {
        server.asked();
        spoil();
        wait_for("what was lost", || is_whole(&artifacts));
        assert!(server.asked().contains(&(INDEX.to_owned(), false)));
        assert_eq!(rounds(&server), unchanged);
    }

    // What is new comes, and is known from then on, by the next process too.
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    wait_for("the next version", || {
        (verified(&artifacts, "notes")?.active_version.to_string() == "1.1.0").then_some(())
    });
    assert_eq!(rounds(&server), unchanged);
    running.terminate();
    assert!(running.wait().0.success());
    let _running = watch(&place, &server);
    assert_eq!(rounds(&server), unchanged);
}

#[test]
fn a_version_that_does_not_come_is_named_once_and_not_in_each_round() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    let manifest = tree.artifacts().join("notes/1.0.0/manifest.json");
    let whole = fs::read(&manifest).unwrap();
    let (place, server) = (Place::new(), Server::of(&tree.artifacts()));
    let lost = "notes/1.0.0/manifest.json";
    let becomes = |bytes: &[u8]| {
        let staged = tree.artifacts().join("staged");
        fs::write(&staged, bytes).unwrap();
        fs::rename(staged, &manifest).unwrap();
    };
    // Asked for whole each time, because what is left out may come.
    let round = || {
        server.asked();
        wait_for("a round", || server.asked().iter().any(|(path, _)| path == lost).then_some(()));
    };
    becomes(b"{}");
    place.register(&server.registration("notes"));
    let running = watch(&place, &server);
    wait_for("the other version", || place.artifacts().join(INDEX).exists().then_some(()));
    for _ in 0..3 {
        round();
    }
    becomes(b"[]");
    for _ in 0..3 {
        round();
    }
    becomes(&whole);
    wait_for("the lost version", || place.artifacts().join(lost).exists().then_some(()));
    running.terminate();
    let (status, log) = running.wait();
    assert!(status.success());
    let said: Vec<&str> = log.lines().filter(|line| line.contains("is left out")).collect();
    assert_eq!(said.len(), 2, "{log}");
}
