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
