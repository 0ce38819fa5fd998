//! The files of a directory are what is wanted, whichever way they come there.
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
use std::os::unix::fs::symlink;
use std::path::Path;

use common::tree::{Tree, Version};
use common::{Home, Loader};
use pilar_loader::registration::Registration;
use tempfile::TempDir;

fn scene() -> (Tree, Loader, TempDir) {
    let tree = Tree::new();
    for id in ["notes", "lab"] {
        tree.publish(&Version::domain(id, "1.0.0", &format!("/{id}")));
    }
    (tree, Home::new().start(), tempfile::tempdir().unwrap())
}

fn write(path: &Path, registration: &Registration) {
    let Registration { feature, origin } = registration;
    fs::write(path, format!("featureId: {feature}\nimage: {origin}\n")).unwrap();
}

async fn refused(loader: &Loader, code: &str) {
    let is_so = || {
        let refused = loader.board.status().refused;
        refused.iter().any(|one| one.error.code == code).then_some(())
    };
    loader.wait(code, is_so).await;
}

#[tokio::test]
async fn files_that_come_change_and_go_are_noticed() {
    let (tree, mut loader, directory) = scene();
    let (notes, lab) = (loader.image(&tree, "notes"), loader.image(&tree, "lab"));
    let file = |name: &str| directory.path().join(name);
    write(&file("notes.yaml"), &notes);
    loader.follow(directory.path());
    loader.in_place(&notes).await;
    // By rename, as careful programs do.
    write(&file(".lab.tmp"), &lab);
    fs::rename(file(".lab.tmp"), file("lab.yaml")).unwrap();
    loader.in_place(&lab).await;
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    let next = loader.image(&tree, "notes");
    write(&file("notes.yaml"), &next);
    loader.in_place(&next).await;
    fs::remove_file(file("lab.yaml")).unwrap();
    loader.gone("lab").await;
    assert!(loader.index("notes").is_some());
}

#[tokio::test]
async fn a_mounted_config_map_is_noticed_when_its_link_is_swapped() {
    let (tree, mut loader, directory) = scene();
    let at = |name: &str| directory.path().join(name);
    let first = loader.image(&tree, "notes");
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    let second = loader.image(&tree, "notes");
    for (data, registration) in [("..1", &first), ("..2", &second)] {
        fs::create_dir(at(data)).unwrap();
        write(&at(data).join("notes.yaml"), registration);
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/notes.yaml", at("notes.yaml")).unwrap();
    loader.follow(directory.path());
    loader.in_place(&first).await;
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    loader.in_place(&second).await;
}

#[tokio::test]
async fn a_file_that_is_spoilt_or_cannot_be_read_changes_nothing() {
    let (tree, mut loader, directory) = scene();
    let notes = loader.image(&tree, "notes");
    let file = directory.path().join("notes.yaml");
    write(&file, &notes);
    loader.follow(directory.path());
    loader.in_place(&notes).await;
    fs::write(&file, "featureId: [").unwrap();
    refused(&loader, "registration-syntax").await;
    assert!(loader.index("notes").is_some());
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    refused(&loader, "registration-unreadable").await;
    assert!(loader.index("notes").is_some());
    fs::remove_dir(&file).unwrap();
    loader.gone("notes").await;
}

#[tokio::test]
async fn a_directory_that_goes_changes_nothing_and_one_that_comes_back_is_followed() {
    let (tree, mut loader, directory) = scene();
    let (notes, lab) = (loader.image(&tree, "notes"), loader.image(&tree, "lab"));
    let (here, away) = (directory.path().join("here"), directory.path().join("away"));
    fs::create_dir(&here).unwrap();
    write(&here.join("notes.yaml"), &notes);
    loader.follow(&here);
    loader.in_place(&notes).await;
    fs::rename(&here, &away).unwrap();
    let trouble = || loader.board.status().source.error;
    let error = loader.wait("trouble", trouble).await;
    assert_eq!(error.code, "registrations-unreadable");
    assert!(loader.index("notes").is_some());
    write(&away.join("lab.yaml"), &lab);
    fs::rename(&away, &here).unwrap();
    loader.in_place(&lab).await;
    assert!(loader.board.status().source.error.is_none());
}
