//! What the store promises where somebody else may put links, pipes and huge files into the tree.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use pilar_artifact::{FeatureId, Sha256Digest};
use pilar_store::{Placed, Store, StoreError, create_file, replace_file};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use tempfile::TempDir;

const MANIFEST: &[u8] = b"{\"manifest\":1}";
/// A length that no memory holds; as a sparse file it takes no room.
const HUGE: u64 = 1 << 43;

/// An artifacts directory, and beside it one that is none of the store's business.
struct Scene {
    dir: TempDir,
    store: Store,
}

impl Scene {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir_all(dir.path().join("victim/lab/version")).unwrap();
        fs::write(dir.path().join("victim/lab/version/precious"), "precious").unwrap();
        let store = Store::open_or_create(&dir.path().join("artifacts")).unwrap();
        Self { dir, store }
    }

    fn at(&self, relative: &str) -> PathBuf {
        self.dir.path().join("artifacts").join(relative)
    }

    fn victim(&self, relative: &str) -> PathBuf {
        self.dir.path().join("victim").join(relative)
    }

    fn publish(&self, manifest: &[u8]) -> Result<Placed, StoreError> {
        let mut writer = self.store.lock(&feature())?;
        let mut staged = writer.stage(&"1.0.0".parse().unwrap())?;
        staged.write(&"lib/a.js".parse().unwrap(), b"export {}")?;
        let placed = staged.publish(manifest)?;
        if placed == Placed::New {
            writer.replace_index(None, b"one")?;
        }
        Ok(placed)
    }

    #[track_caller]
    fn assert_refused(&self, code: &str, path: &Path) {
        let error = self.store.lock(&feature()).unwrap_err();
        assert_eq!((error.code(), error.path()), (code, path));
    }

    #[track_caller]
    fn assert_victim_is_as_it_was(&self) {
        let names = |relative: &str| -> Vec<_> {
            let entries = fs::read_dir(self.victim(relative)).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect()
        };
        assert_eq!(names("."), ["lab"]);
        assert_eq!(names("lab"), ["version"]);
        assert_eq!(names("lab/version"), ["precious"]);
        assert_eq!(fs::read(self.victim("lab/version/precious")).unwrap(), b"precious");
    }
}

fn feature() -> FeatureId {
    "lab".parse().unwrap()
}

#[test]
fn a_staging_directory_that_is_a_link_is_refused_and_nothing_behind_it_changes() {
    for target in ["../victim", "../nowhere"] {
        let scene = Scene::new();
        symlink(target, scene.at(".staging")).unwrap();
        scene.assert_refused("store-not-a-directory", &scene.at(".staging"));
        scene.assert_victim_is_as_it_was();
        assert!(!scene.dir.path().join("nowhere").exists());
    }
}

#[test]
fn a_link_that_replaces_a_directory_while_it_is_held_leads_nowhere() {
    let scene = Scene::new();
    let mut writer = scene.store.lock(&feature()).unwrap();
    let mut staged = writer.stage(&"1.0.0".parse().unwrap()).unwrap();
    fs::rename(scene.at(".staging"), scene.at("moved")).unwrap();
    symlink("../victim", scene.at(".staging")).unwrap();
    staged.write(&"a.js".parse().unwrap(), b"export {}").unwrap();
    staged.publish(MANIFEST).unwrap();
    writer.replace_index(None, b"one").unwrap();
    drop(writer);
    assert_eq!(fs::read(scene.at("lab/1.0.0/a.js")).unwrap(), b"export {}");
    scene.assert_victim_is_as_it_was();
}

#[test]
fn links_among_what_an_interrupted_writer_left_are_removed_and_not_what_they_lead_to() {
    let scene = Scene::new();
    fs::create_dir_all(scene.at(".staging/lab/version")).unwrap();
    symlink(scene.victim("lab"), scene.at(".staging/lab/version/inner")).unwrap();
    drop(scene.store.lock(&feature()).unwrap());
    symlink(scene.victim("lab"), scene.at(".staging/lab")).unwrap();
    drop(scene.store.lock(&feature()).unwrap());
    assert!(fs::symlink_metadata(scene.at(".staging/lab")).is_err());
    scene.assert_victim_is_as_it_was();
}

#[test]
fn an_artifacts_directory_may_itself_be_reached_through_a_link() {
    let scene = Scene::new();
    symlink("artifacts", scene.dir.path().join("link")).unwrap();
    let store = Store::open_or_create(&scene.dir.path().join("link")).unwrap();
    store.lock(&feature()).unwrap().replace_index(None, b"one").unwrap();
    assert_eq!(fs::read(scene.at("lab/releases.json")).unwrap(), b"one");
}

#[test]
fn a_link_where_a_file_is_about_to_be_written_is_not_written_through() {
    let scene = Scene::new();
    let precious = scene.victim("lab/version/precious");
    let mut writer = scene.store.lock(&feature()).unwrap();
    symlink(&precious, scene.at(".staging/lab/releases.json")).unwrap();
    assert_eq!(writer.replace_index(None, b"one").unwrap_err().code(), "file-exists");
    let mut staged = writer.stage(&"1.0.0".parse().unwrap()).unwrap();
    symlink(&precious, scene.at(".staging/lab/version/a.js")).unwrap();
    symlink(scene.victim("lab"), scene.at(".staging/lab/version/lib")).unwrap();
    let file = staged.write(&"a.js".parse().unwrap(), b"x").unwrap_err();
    assert_eq!(file.code(), "file-exists");
    let directory = staged.write(&"lib/b.js".parse().unwrap(), b"x").unwrap_err();
    assert_eq!(directory.code(), "store-not-a-directory");
    drop(staged);
    drop(writer);
    scene.assert_victim_is_as_it_was();
}

#[test]
fn temporary_names_that_are_taken_are_left_alone_and_others_are_used() {
    let scene = Scene::new();
    let taken = |attempt: u32| scene.at(&format!(".key.pem.{}-{attempt}.tmp", std::process::id()));
    for attempt in 0..15 {
        symlink(scene.victim("lab/version/precious"), taken(attempt)).unwrap();
    }
    create_file(&scene.at("key.pem"), b"secret", 0o600).unwrap();
    replace_file(&scene.at("key.pem"), b"other").unwrap();
    assert_eq!(fs::read(scene.at("key.pem")).unwrap(), b"other");
    symlink(scene.victim("lab/version/precious"), taken(15)).unwrap();
    let error = replace_file(&scene.at("key.pem"), b"third").unwrap_err();
    assert_eq!((error.code(), error.path()), ("file-exists", taken(15).as_path()));
    scene.assert_victim_is_as_it_was();
}

#[test]
fn a_lock_that_is_no_file_is_refused_at_once() {
    let scene = Scene::new();
    drop(scene.store.lock(&feature()).unwrap());
    let lock = scene.at(".staging/lab.lock");
    fs::remove_file(&lock).unwrap();

    mknodat(CWD, &lock, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    // With a reader the pipe can be opened for writing; without one that would wait.
    let reader = OpenOptions::new().read(true).custom_flags(nonblock).open(&lock).unwrap();
    scene.assert_refused("store-not-a-file", &lock);
    drop(reader);
    scene.assert_refused("store-not-a-file", &lock);
    fs::remove_file(&lock).unwrap();

    symlink(scene.victim("lab/made"), &lock).unwrap();
    scene.assert_refused("store-not-a-file", &lock);
    fs::remove_file(&lock).unwrap();

    fs::create_dir(&lock).unwrap();
    scene.assert_refused("store-not-a-file", &lock);
    scene.assert_victim_is_as_it_was();
}

#[test]
fn a_published_file_that_became_huge_is_damaged_and_is_not_read() {
    for file in ["lib/a.js", "manifest.json"] {
        let scene = Scene::new();
        scene.publish(MANIFEST).unwrap();
        let path = scene.at("lab/1.0.0").join(file);
        File::options().write(true).open(&path).unwrap().set_len(HUGE).unwrap();
        let error = scene.publish(MANIFEST).unwrap_err();
        assert_eq!((error.code(), error.path()), ("version-damaged", path.as_path()));
        assert!(error.to_string().contains("larger than"), "{error}");
    }
}

#[test]
fn a_published_manifest_is_told_by_its_digest_also_where_it_is_longer() {
    let scene = Scene::new();
    scene.publish(b"{\"manifest\":\"longer\"}").unwrap();
    let error = scene.publish(MANIFEST).unwrap_err();
    assert_eq!(error.code(), "version-taken");
    let published = Sha256Digest::of(b"{\"manifest\":\"longer\"}").hex();
    assert!(error.to_string().contains(&published), "{error}");
}
