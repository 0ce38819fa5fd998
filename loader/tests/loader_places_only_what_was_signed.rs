//! What a trusted key has not signed never becomes visible, and what served before stays.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use common::tree::{ELSEWHERE, STRANGER, Tree, Version, signing_key};
use common::{Home, leftovers};
use serde_json::json;

/// 1.0.0, and 1.1.0 after it.
fn released() -> (Tree, Version) {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let next = Version::domain("notes", "1.1.0", "/notes");
    (tree, next)
}

#[tokio::test]
async fn whatever_is_wrong_with_what_comes_the_old_version_stays_alone() {
    type Spoil = fn(&Tree);
    let cases: [(&str, Spoil); 8] = [
        ("file-hash", |tree| {
            std::fs::write(tree.path("notes/1.1.0/entry.js"), "alert(1)").unwrap();
        }),
        ("file-missing", |tree| std::fs::remove_file(tree.path("notes/1.1.0/chunk.js")).unwrap()),
        ("manifest-hash", |tree| {
            std::fs::write(tree.path("notes/1.1.0/manifest.json"), "{}").unwrap();
        }),
        ("file-missing", |tree| std::fs::remove_file(tree.path("notes/releases.json")).unwrap()),
        ("key-unknown", |tree| {
            tree.edit_index("notes", &signing_key(STRANGER), |_| {});
        }),
        ("key-not-allowed", |tree| {
            tree.edit_index("notes", &signing_key(ELSEWHERE), |_| {});
        }),
        ("json-syntax", |tree| tree.write_index("notes", b"{ \"featureId\": ")),
        ("index-feature-id", |tree| {
            tree.edit_index("notes", &signing_key(common::tree::RELEASE), |index| {
                index.insert("featureId".to_owned(), json!("other"));
            });
        }),
    ];
    let mut codes = Vec::new();
    for (number, (code, spoil)) in cases.into_iter().enumerate() {
        let (tree, next) = released();
        let loader = Home::new().start();
        let first = loader.image(&tree, "notes");
        loader.register([first.clone()]);
        loader.in_place(&first).await;
        tree.publish(&next);
        spoil(&tree);
        let second = loader.image(&tree, "notes");
        loader.register([second]);
        let said = loader.until("notes", |said| said.last_error.is_some()).await;
        codes.push((number, code, said.last_error.clone().unwrap().code));
        assert_eq!(said.actual, Some(first.origin.identity()), "{code}");
        let index = loader.index("notes").unwrap();
        assert_eq!(index.active_version.to_string(), "1.0.0", "{code}");
        assert!(!loader.home.artifacts().join("notes/1.1.0").exists(), "{code}");
    }
    for (number, expected, found) in &codes {
        assert_eq!(expected, found, "case {number}: {codes:?}");
    }
}

#[tokio::test]
async fn what_is_put_right_is_placed_without_being_asked_again() {
    let (tree, next) = released();
    let loader = Home::new().start();
    let cdn = loader.cdn(&tree, "notes");
    loader.register([cdn.clone()]);
    loader.in_place(&cdn).await;
    tree.publish(&next);
    let entry = tree.path("notes/1.1.0/entry.js");
    let right = std::fs::read(&entry).unwrap();
    std::fs::write(&entry, "alert(1)").unwrap();
    loader.failed("notes", "file-hash").await;
    std::fs::write(&entry, right).unwrap();
    let is_new = |said: &pilar_artifact::loader_status::LoaderFeature| said.sequence == Some(2);
    let said = loader.until("notes", |said| is_new(said) && said.last_error.is_none()).await;
    assert_eq!(said.attempts, 0);
    assert_eq!(loader.index("notes").unwrap().active_version.to_string(), "1.1.0");
}

#[tokio::test]
async fn a_version_beside_the_active_one_that_is_spoilt_takes_nothing_away() {
    let (tree, next) = released();
    tree.publish(&next);
    std::fs::write(tree.path("notes/1.0.0/entry.js"), "alert(1)").unwrap();
    let loader = Home::new().start();
    let image = loader.image(&tree, "notes");
    loader.register([image.clone()]);
    loader.in_place(&image).await;
    assert!(loader.home.artifacts().join("notes/1.1.0").exists());
    assert!(!loader.home.artifacts().join("notes/1.0.0").exists());
}

#[tokio::test]
async fn a_version_is_never_rewritten_and_the_error_names_both_digests() {
    let (tree, _) = released();
    let loader = Home::new().start();
    let first = loader.image(&tree, "notes");
    loader.register([first.clone()]);
    loader.in_place(&first).await;

    let other = Tree::new();
    other.publish(&Version::domain("notes", "1.0.0", "/elsewhere"));
    let second = loader.image(&other, "notes");
    loader.register([second]);
    let error = loader.failed("notes", "version-taken").await;
    let digest = |tree: &Tree| {
        let bytes = std::fs::read(tree.path("notes/1.0.0/manifest.json")).unwrap();
        pilar_artifact::Sha256Digest::of(&bytes).hex()
    };
    for digest in [digest(&tree), digest(&other)] {
        assert!(error.message.contains(&digest), "{error:?}");
    }
    let served = std::fs::read(loader.home.artifacts().join("notes/releases.json")).unwrap();
    assert_eq!(served, tree.index_bytes("notes"));
}

#[tokio::test]
async fn nothing_is_left_of_what_was_refused() {
    let (tree, _) = released();
    tree.edit_index("notes", &signing_key(STRANGER), |_| {});
    let loader = Home::new().start();
    loader.register([loader.image(&tree, "notes")]);
    loader.failed("notes", "key-unknown").await;
    loader.register([]);
    loader.gone("notes").await;
    let home = loader.stop().await;
    assert_eq!(leftovers(&home.artifacts()), Vec::<String>::new());
}
