//! A loader has a tree to itself, tidies up after one that was killed, and rewrites nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

use std::fs;
use std::io::Write as _;
use std::path::Path;

use pilar_artifact::FeatureId;
use pilar_store::Store;
use tempfile::TempDir;

fn staged(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join(".staging")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
    names.sort();
    names
}

#[test]
fn a_second_loader_is_refused_until_the_first_ends() {
    let root = TempDir::new().unwrap();
    let store = Store::open_or_create(root.path()).unwrap();
    let claim = store.claim().unwrap();
    assert_eq!(store.claim().unwrap_err().code(), "store-busy");
    drop(claim);
    store.claim().unwrap();
}

#[test]
fn what_a_killed_one_left_goes_and_what_a_writer_holds_stays() {
    let root = TempDir::new().unwrap();
    let store = Store::open_or_create(root.path()).unwrap();
    let held: FeatureId = "held".parse().unwrap();
    let writer = store.lock(&held).unwrap();
    // A killed loader removes nothing.
    let incoming = store.incoming(&held, "1").unwrap();
    incoming.create("1.0.0/app.js").unwrap().write_all(b"half").unwrap();
    std::mem::forget(incoming);
    fs::create_dir_all(root.path().join(".staging/gone/gone/1.0.0")).unwrap();
    assert_eq!(staged(root.path()), [".incoming-held-1", "gone", "held"]);
    let claim = store.claim().unwrap();
    assert_eq!(staged(root.path()), ["held"]);
    drop((writer, claim));
    assert_eq!(staged(root.path()), Vec::<String>::new());
}

#[test]
fn a_download_that_is_dropped_leaves_nothing() {
    let root = TempDir::new().unwrap();
    let store = Store::open_or_create(root.path()).unwrap();
    let incoming = store.incoming(&"lab".parse().unwrap(), "1").unwrap();
    incoming.create("a/b/c/d.js").unwrap().write_all(b"x").unwrap();
    assert_eq!(staged(root.path()), [".incoming-lab-1"]);
    drop(incoming);
    assert_eq!(staged(root.path()), Vec::<String>::new());
}

#[test]
fn a_feature_is_taken_out_whole_and_only_once() {
    let root = TempDir::new().unwrap();
    let store = Store::open_or_create(root.path()).unwrap();
    let lab: FeatureId = "lab".parse().unwrap();
    let mut writer = store.lock(&lab).unwrap();
    writer.replace_index(None, b"index").unwrap();
    drop(writer);
    fs::create_dir_all(root.path().join("lab/1.0.0")).unwrap();
    fs::write(root.path().join("lab/1.0.0/app.js"), b"x").unwrap();
    for _ in 0..2 {
        store.lock(&lab).unwrap().take_out().unwrap();
        assert!(!root.path().join("lab").exists());
        assert_eq!(staged(root.path()), Vec::<String>::new());
    }
}
