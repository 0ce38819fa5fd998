//! Nothing that fails removes what serves; what is not registered any more goes, and what others have put there
//! stays.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use common::tree::{Tree, Version};
use common::{Home, Loader, copy_all, leftovers};
use pilar_loader::place::Space;
use pilar_loader::registration::{Registration, RegistrationError};
use pilar_loader::source::Object;

fn released(id: &str) -> Tree {
    let tree = Tree::new();
    tree.publish(&Version::domain(id, "1.0.0", &format!("/{id}")));
    tree
}

/// A loader that has put an image of the feature in place, with the tree that the image is of.
async fn notes_in_place() -> (Tree, Loader) {
    let tree = released("notes");
    let loader = Home::new().start();
    let image = loader.image(&tree, "notes");
    loader.register([image.clone()]);
    loader.in_place(&image).await;
    (tree, loader)
}

fn malformed(data: &[(&str, &str)]) -> RegistrationError {
    let data: BTreeMap<String, String> =
        data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Registration::from_data(&data).unwrap_err()
}

fn object(place: &str, content: Result<Registration, RegistrationError>) -> Object {
    Object { place: place.to_owned(), since: None, content }
}

#[tokio::test]
async fn a_registration_that_disappears_takes_the_feature_out_and_no_other() {
    let (notes, lab) = (released("notes"), released("lab"));
    let loader = Home::new().start();
    let (first, second) = (loader.image(&notes, "notes"), loader.image(&lab, "lab"));
    loader.register([first.clone(), second.clone()]);
    loader.in_place(&first).await;
    loader.in_place(&second).await;
    loader.register([second]);
    loader.gone("notes").await;
    assert!(loader.index("lab").is_some());
    // It may come back.
    loader.register([first.clone()]);
    loader.in_place(&first).await;
    loader.gone("lab").await;
    let home = loader.stop().await;
    assert_eq!(leftovers(&home.artifacts()), Vec::<String>::new());
}

#[tokio::test]
async fn one_that_disappeared_while_no_loader_ran_is_taken_out_by_the_next() {
    let (_tree, loader) = notes_in_place().await;
    let loader = loader.stop().await.start();
    // Nothing goes before the whole set was seen.
    assert!(loader.index("notes").is_some());
    loader.register([]);
    loader.gone("notes").await;
}

#[tokio::test]
async fn what_others_have_published_stays() {
    let home = Home::new();
    copy_all(&released("lab").path("lab"), &home.artifacts().join("lab"));
    let tree = released("notes");
    let loader = home.start();
    let image = loader.image(&tree, "notes");
    loader.register([image.clone()]);
    loader.in_place(&image).await;
    loader.register([]);
    loader.gone("notes").await;
    assert!(loader.index("lab").is_some());
}

#[tokio::test]
async fn what_others_have_published_over_what_it_placed_stays() {
    let (_tree, loader) = notes_in_place().await;
    let theirs = Tree::new();
    theirs.publish(&Version::domain("notes", "2.0.0", "/notes"));
    copy_all(&theirs.path("notes"), &loader.home.artifacts().join("notes"));
    loader.register([]);
    let forgotten = || loader.board.status().features.is_empty().then_some(());
    loader.wait("it to be let go", forgotten).await;
    assert_eq!(loader.index("notes").unwrap().active_version.to_string(), "2.0.0");
    // After a restart it is nobody's business either.
    let loader = loader.stop().await.start();
    loader.register([]);
    loader.wait("the set to be seen", || loader.board.progress().is_known.then_some(())).await;
    assert!(loader.index("notes").is_some());
}

#[tokio::test]
async fn one_that_was_killed_between_record_and_index_is_taken_out_all_the_same() {
    let (tree, loader) = notes_in_place().await;
    let index = loader.home.artifacts().join("notes/releases.json");
    let before = std::fs::read(&index).unwrap();
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    let second = loader.image(&tree, "notes");
    loader.register([second.clone()]);
    loader.in_place(&second).await;
    let home = loader.stop().await;
    std::fs::write(&index, before).unwrap();
    let loader = home.start();
    loader.register([]);
    loader.gone("notes").await;
}

#[tokio::test]
async fn a_registration_that_becomes_malformed_changes_nothing_even_after_a_restart() {
    let tree = released("notes");
    let loader = Home::new().start();
    let image = loader.image(&tree, "notes");
    loader.say([object("team/notes", Ok(image.clone()))]);
    loader.in_place(&image).await;
    let with_a_tag = [("featureId", "notes"), ("image", "registry.example.org/notes:latest")];
    let not_even_a_feature = [("image", "registry.example.org/notes:latest")];
    let mut loader = loader;
    for data in [&with_a_tag[..], &not_even_a_feature[..]] {
        loader.say([object("team/notes", Err(malformed(data)))]);
        let refused =
            loader.wait("the refusal", || loader.board.status().refused.first().cloned()).await;
        assert_eq!(refused.place, "team/notes");
        assert!(loader.index("notes").is_some());
        loader = loader.stop().await.start();
        loader.say([object("team/notes", Err(malformed(data)))]);
        loader.until("notes", |said| said.actual == Some(image.origin.identity())).await;
        assert!(loader.index("notes").is_some());
    }
    // Deleted, at last.
    loader.say([]);
    loader.gone("notes").await;
}

#[tokio::test]
async fn what_a_namespace_registered_that_cannot_be_seen_since_a_restart_stays() {
    let (notes, lab) = (released("notes"), released("lab"));
    let loader = Home::new().start();
    let (first, second) = (loader.image(&notes, "notes"), loader.image(&lab, "lab"));
    loader.say([object("dark/notes", Ok(first.clone())), object("team/lab", Ok(second.clone()))]);
    loader.in_place(&first).await;
    loader.in_place(&second).await;
    let loader = loader.stop().await.start();
    loader.say_but(&["dark/"], []);
    loader.gone("lab").await;
    assert!(loader.index("notes").is_some());
    // Seen, it is empty.
    loader.say([]);
    loader.gone("notes").await;
}

#[tokio::test]
async fn of_two_registrations_the_older_holds_and_both_are_named() {
    let (first, second) = (released("notes"), released("notes"));
    let loader = Home::new().start();
    let (older, younger) = (loader.image(&first, "notes"), loader.image(&second, "notes"));
    let at = |place: &str, since: &str, registration: &Registration| Object {
        since: Some(since.parse().unwrap()),
        ..object(place, Ok(registration.clone()))
    };
    loader.say([
        at("a/notes", "2026-02-01T00:00:00Z", &younger),
        at("b/notes", "2026-01-01T00:00:00Z", &older),
    ]);
    loader.in_place(&older).await;
    let refused = loader.board.status().refused;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].error.code, "registration-duplicate");
    for place in ["a/notes", "b/notes"] {
        assert!(refused[0].error.message.contains(place), "{refused:?}");
    }
    // With the older one gone the other one holds.
    loader.say([at("a/notes", "2026-02-01T00:00:00Z", &younger)]);
    loader.in_place(&younger).await;
}

#[tokio::test]
async fn an_older_one_that_becomes_malformed_makes_no_room_for_the_younger() {
    let (first, second) = (released("notes"), Tree::new());
    second.publish(&Version::domain("notes", "2.0.0", "/notes"));
    let mut loader = Home::new().start();
    let (older, younger) = (loader.image(&first, "notes"), loader.image(&second, "notes"));
    let with_a_tag = [("featureId", "notes"), ("image", "registry.example.org/notes:latest")];
    let not_even_a_feature = [("image", "registry.example.org/notes:latest")];
    let say = |loader: &Loader, of_the_older: Result<Registration, RegistrationError>| {
        let since = |time: &str| Some(time.parse().unwrap());
        loader.say([
            Object { since: since("2026-02-01T00:00:00Z"), ..object("a/new", Ok(younger.clone())) },
            Object { since: since("2026-01-01T00:00:00Z"), ..object("b/old", of_the_older) },
        ]);
    };
    say(&loader, Ok(older.clone()));
    loader.in_place(&older).await;
    for data in [&with_a_tag[..], &not_even_a_feature[..]] {
        for _ in ["in this process", "after a restart"] {
            say(&loader, Err(malformed(data)));
            let both = || (loader.board.status().refused.len() == 2).then_some(());
            loader.wait("both to be refused", both).await;
            let progress = loader.board.progress();
            assert_eq!((progress.pending, progress.refused), (0, 2));
            assert_eq!(loader.index("notes").unwrap().active_version.to_string(), "1.0.0");
            loader = loader.stop().await.start();
            loader.transport.lead(&younger.origin, &second.path("notes"));
        }
    }
    // Deleted, the older one makes room.
    loader.register([younger.clone()]);
    loader.in_place(&younger).await;
}

#[tokio::test]
async fn what_was_deleted_is_not_kept_by_a_malformed_one_elsewhere() {
    let tree = released("notes");
    let loader = Home::new().start();
    let image = loader.image(&tree, "notes");
    loader.say([object("team/notes", Ok(image.clone()))]);
    loader.in_place(&image).await;
    let with_a_tag = [("featureId", "notes"), ("image", "registry.example.org/notes:latest")];
    loader.say([object("other/notes", Err(malformed(&with_a_tag)))]);
    loader.gone("notes").await;
    assert_eq!(loader.board.status().refused[0].place, "other/notes");
}

#[tokio::test]
async fn a_version_that_left_the_index_goes_after_its_time_and_not_before() {
    let tree = Tree::keeping(pilar_artifact::operations::Window { keep: 0 });
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let mut home = Home::new();
    home.retain = Duration::from_secs(86_400);
    let loader = home.start();
    let first = loader.image(&tree, "notes");
    loader.register([first.clone()]);
    loader.in_place(&first).await;
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    let second = loader.image(&tree, "notes");
    loader.register([second.clone()]);
    loader.in_place(&second).await;
    let there = |loader: &common::Loader| loader.home.artifacts().join("notes/1.0.0").exists();
    assert_eq!(loader.index("notes").unwrap().versions.len(), 1);
    assert!(there(&loader), "pages that are open still need it");
    // The time is over when the loader comes back.
    let mut home = loader.stop().await;
    home.retain = Duration::ZERO;
    let loader = home.start();
    loader.register([second.clone()]);
    loader.in_place(&second).await;
    loader.wait("the old version to go", || (!there(&loader)).then_some(())).await;
    assert!(loader.index("notes").is_some());
}

#[tokio::test]
async fn where_space_is_short_the_oldest_that_no_index_names_goes_before_its_time_and_no_other() {
    let tree = Tree::keeping(pilar_artifact::operations::Window { keep: 0 });
    let loader = Home::new().start();
    let mut last = None;
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        tree.publish(&Version::domain("notes", version, "/notes"));
        let image = loader.image(&tree, "notes");
        loader.register([image.clone()]);
        loader.in_place(&image).await;
        last = Some(image);
    }
    let last = last.unwrap();
    let versions = |home: &Home| common::program::names(&home.artifacts().join("notes"));
    assert_eq!(versions(&loader.home), ["1.0.0", "1.1.0", "1.2.0", "releases.json"]);
    let mut home = loader.stop().await;
    // Enough, once the oldest is gone.
    home.space = |artifacts| {
        let is_there = artifacts.join("notes/1.0.0").exists();
        Ok(Space { free: if is_there { 9 } else { 10 }, total: 100 })
    };
    let loader = home.start();
    loader.register([last.clone()]);
    loader.in_place(&last).await;
    let mut home = loader.stop().await;
    assert_eq!(versions(&home), ["1.1.0", "1.2.0", "releases.json"]);
    // Never enough.
    home.space = |_| Ok(Space { free: 0, total: 1 << 40 });
    let loader = home.start();
    loader.register([last.clone()]);
    loader.in_place(&last).await;
    assert_eq!(versions(&loader.home), ["1.2.0", "releases.json"]);
    assert!(loader.index("notes").is_some());
}

#[tokio::test]
async fn a_version_that_the_index_in_place_names_stays_whatever_the_record_says() {
    let tree = Tree::keeping(pilar_artifact::operations::Window { keep: 0 });
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let loader = Home::new().start();
    let first = loader.image(&tree, "notes");
    loader.register([first.clone()]);
    loader.in_place(&first).await;
    let index = loader.home.artifacts().join("notes/releases.json");
    let before = std::fs::read(&index).unwrap();
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    let second = loader.image(&tree, "notes");
    loader.register([second.clone()]);
    loader.in_place(&second).await;
    let mut home = loader.stop().await;
    // As a kill between the record and the index leaves it.
    std::fs::write(&index, before).unwrap();
    home.retain = Duration::ZERO;
    let id = "notes".parse().unwrap();
    let placer = home.placer(pilar_store::Store::open(&home.artifacts()).unwrap());
    let mut record = placer.records().load().unwrap().remove(&id).unwrap();
    assert_eq!(record.left.len(), 1);
    placer.collect(&id, &mut record).unwrap();
    let index = common::verified(&home.artifacts(), "notes").unwrap();
    assert_eq!(index.active_version.to_string(), "1.0.0");
}

#[tokio::test]
async fn one_that_cannot_be_fetched_leaves_what_serves_and_stops_no_other() {
    let (notes, lab) = (released("notes"), released("lab"));
    let loader = Home::new().start();
    let (first, second) = (loader.image(&notes, "notes"), loader.image(&lab, "lab"));
    loader.register([first.clone()]);
    loader.in_place(&first).await;
    let nowhere = Registration {
        origin: pilar_loader::registration::Origin::Image(
            format!("registry.example.org/notes@sha256:{}", "0".repeat(64)).parse().unwrap(),
        ),
        ..first.clone()
    };
    loader.register([nowhere, second.clone()]);
    loader.in_place(&second).await;
    let said = loader.until("notes", |said| said.attempts >= 3).await;
    assert_eq!(said.actual, Some(first.origin.identity()));
    assert!(loader.index("notes").is_some());
}

#[tokio::test]
async fn a_task_that_panics_is_not_forgotten_and_takes_nothing_with_it() {
    let (tree, loader) = notes_in_place().await;
    let next = loader.image(&tree, "notes");
    loader.transport.lead(&next.origin, Path::new(common::DEFECT));
    loader.register([next]);
    let home = loader.ended().await;
    assert!(common::verified(&home.artifacts(), "notes").is_some());
}
