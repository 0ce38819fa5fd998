//! What another user has put into the tree, and this one cannot remove, takes up room and stops nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pilar_artifact::FeatureId;
use pilar_store::Store;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use tempfile::TempDir;

/// A tree with things in it that cannot be removed until the end of the test.
struct Scene {
    root: TempDir,
    store: Store,
}

impl Scene {
    fn new() -> Self {
        // Whoever may do everything in spite of permissions gives that up, for this thread.
        let mut own = capabilities(None).unwrap();
        own.effective.remove(CapabilitySet::DAC_OVERRIDE);
        set_capabilities(None, own).unwrap();
        let root = TempDir::new().unwrap();
        let store = Store::open(root.path()).unwrap();
        Self { root, store }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// A directory at `path` that holds one from which nothing can be removed.
    fn fix(&self, path: &str) {
        let fixed = self.at(path).join("of-others");
        fs::create_dir_all(&fixed).unwrap();
        fs::write(fixed.join("file"), "x").unwrap();
        fs::set_permissions(&fixed, Permissions::from_mode(0o555)).unwrap();
        fs::remove_file(fixed.join("file")).expect_err("it was to be impossible");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        loosen(self.root.path());
    }
}

fn loosen(directory: &Path) {
    fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            loosen(&entry.path());
        }
    }
}

fn lab() -> FeatureId {
    "lab".parse().unwrap()
}

#[test]
fn a_loader_begins_beside_it_and_downloads() {
    let scene = Scene::new();
    for name in [".incoming-lab-0", ".incoming-lab-0.1", "lab", "lab.1"] {
        scene.fix(&format!(".staging/{name}"));
    }
    fs::create_dir_all(scene.at(".staging/lab.2/version")).unwrap();
    let _claim = scene.store.claim().unwrap();
    assert!(!scene.at(".staging/lab.2").exists(), "what can be removed is");
    let incoming = scene.store.incoming(&lab(), "0").unwrap();
    incoming.create("1.0.0/app.js").unwrap().write_all(b"x").unwrap();
    assert!(!scene.at(".staging/.incoming-lab-0/1.0.0").exists());
    drop(scene.store.lock(&lab()).unwrap());
}

#[test]
fn a_lock_that_cannot_be_taken_stops_no_other_feature() {
    let scene = Scene::new();
    fs::create_dir_all(scene.at(".staging/lab")).unwrap();
    fs::create_dir_all(scene.at(".staging/lab.lock")).unwrap();
    let _claim = scene.store.claim().unwrap();
    assert_eq!(scene.store.lock(&lab()).unwrap_err().code(), "store-not-a-file");
    drop(scene.store.lock(&"wards".parse().unwrap()).unwrap());
}

#[test]
fn a_version_and_a_feature_go_out_of_sight_all_the_same() {
    let scene = Scene::new();
    scene.store.lock(&lab()).unwrap().replace_index(None, b"one").unwrap();
    for _ in 0..2 {
        scene.fix("lab/1.0.0");
        let mut writer = scene.store.lock(&lab()).unwrap();
        let removed = writer.retain_versions(|_| false).unwrap();
        assert_eq!(removed.len(), 1);
        assert!(!scene.at("lab/1.0.0").exists());
    }
    scene.fix("lab/1.0.0");
    scene.store.lock(&lab()).unwrap().take_out().unwrap();
    assert!(!scene.at("lab").exists());
    scene.store.lock(&lab()).unwrap().replace_index(None, b"two").unwrap();
    assert_eq!(fs::read(scene.at("lab/releases.json")).unwrap(), b"two");
}
