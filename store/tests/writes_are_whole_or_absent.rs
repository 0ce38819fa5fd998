//! What the store promises to those who write through it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own surroundings"
)]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pilar_artifact::{FeatureId, Sha256Digest};
use pilar_store::{Placed, Store, StoreError, create_file, replace_file};
use semver::Version;
use tempfile::TempDir;

const MANIFEST: &[u8] = b"{\"manifest\":1}";

fn feature() -> FeatureId {
    "lab".parse().unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// Publishes one file and `manifest` as `number`.
fn publish(store: &Store, number: &str, manifest: &[u8]) -> Result<Placed, StoreError> {
    let mut writer = store.lock(&feature())?;
    place(&mut writer, number, manifest)
}

fn place(
    writer: &mut pilar_store::FeatureWriter,
    number: &str,
    manifest: &[u8],
) -> Result<Placed, StoreError> {
    let mut staged = writer.stage(&version(number))?;
    staged.write(&"lib/a.js".parse().unwrap(), b"export {}")?;
    staged.publish(manifest)
}

/// A store in which `1.0.0` is published and the index says `one`.
fn with_one(root: &Path) -> Store {
    let store = Store::open_or_create(root).unwrap();
    let mut writer = store.lock(&feature()).unwrap();
    assert_eq!(place(&mut writer, "1.0.0", MANIFEST).unwrap(), Placed::New);
    writer.replace_index(None, b"one").unwrap();
    drop(writer);
    store
}

#[test]
fn a_feature_appears_with_its_first_index_and_not_before() {
    let root = TempDir::new().unwrap();
    let store = Store::open_or_create(root.path()).unwrap();
    let mut writer = store.lock(&feature()).unwrap();
    place(&mut writer, "1.0.0", MANIFEST).unwrap();
    assert!(!root.path().join("lab").exists());
    writer.replace_index(None, b"one").unwrap();
    assert_eq!(fs::read(root.path().join("lab/1.0.0/lib/a.js")).unwrap(), b"export {}");
    assert_eq!(fs::read(root.path().join("lab/1.0.0/manifest.json")).unwrap(), MANIFEST);
    assert_eq!(fs::read(root.path().join("lab/releases.json")).unwrap(), b"one");
}

#[test]
fn a_version_that_is_never_listed_leaves_no_trace() {
    let root = TempDir::new().unwrap();
    let store = Store::open_or_create(root.path()).unwrap();
    publish(&store, "1.0.0", MANIFEST).unwrap();
    assert!(!root.path().join("lab").exists());
    assert!(!root.path().join(".staging/lab").exists());
}

#[test]
fn equal_content_is_left_alone_and_other_content_is_refused_with_both_digests() {
    let root = TempDir::new().unwrap();
    let store = with_one(root.path());
    assert_eq!(publish(&store, "1.0.0", MANIFEST).unwrap(), Placed::AlreadyThere);
    let error = publish(&store, "1.0.0", b"{\"manifest\":2}").unwrap_err();
    assert_eq!(error.code(), "version-taken");
    for digest in [Sha256Digest::of(MANIFEST), Sha256Digest::of(b"{\"manifest\":2}")] {
        assert!(error.to_string().contains(&digest.hex()), "{error}");
    }
    assert_eq!(fs::read(root.path().join("lab/1.0.0/manifest.json")).unwrap(), MANIFEST);
}

#[test]
fn a_published_file_that_changed_or_got_lost_is_named() {
    let root = TempDir::new().unwrap();
    let store = with_one(root.path());
    let file = root.path().join("lab/1.0.0/lib/a.js");
    replace_file(&file, b"other").unwrap();
    let error = publish(&store, "1.0.0", MANIFEST).unwrap_err();
    assert_eq!((error.code(), error.path()), ("version-damaged", file.as_path()));
    fs::remove_file(&file).unwrap();
    assert_eq!(publish(&store, "1.0.0", MANIFEST).unwrap_err().code(), "version-damaged");
}

#[test]
fn an_index_that_somebody_else_wrote_is_not_replaced() {
    let root = TempDir::new().unwrap();
    let store = with_one(root.path());
    let mut writer = store.lock(&feature()).unwrap();
    let old = Some(Sha256Digest::of(b"one"));
    replace_file(&root.path().join("lab/releases.json"), b"sneaked in").unwrap();
    assert_eq!(writer.replace_index(old, b"two").unwrap_err().code(), "index-changed");
    assert_eq!(writer.replace_index(None, b"two").unwrap_err().code(), "index-changed");
    assert_eq!(fs::read(root.path().join("lab/releases.json")).unwrap(), b"sneaked in");
}

#[test]
fn only_directories_of_versions_that_are_not_kept_are_removed() {
    let root = TempDir::new().unwrap();
    let store = with_one(root.path());
    publish(&store, "1.1.0", MANIFEST).unwrap();
    publish(&store, "2.0.0-rc.1", MANIFEST).unwrap();
    fs::create_dir(root.path().join("lab/not-a-version")).unwrap();
    let mut writer = store.lock(&feature()).unwrap();
    let removed = writer.retain_versions(|there| *there == version("1.1.0")).unwrap();
    assert_eq!(removed, [version("1.0.0"), version("2.0.0-rc.1")]);
    let mut names: Vec<_> = fs::read_dir(root.path().join("lab"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["1.1.0", "not-a-version", "releases.json"]);
}

#[test]
fn what_an_interrupted_writer_left_is_removed_by_the_next_one() {
    let root = TempDir::new().unwrap();
    let store = with_one(root.path());
    fs::create_dir_all(root.path().join(".staging/lab/version/lib")).unwrap();
    replace_file(&root.path().join(".staging/lab/version/lib/half.js"), b"ha").unwrap();
    publish(&store, "1.1.0", MANIFEST).unwrap();
    assert!(!root.path().join("lab/1.1.0/lib/half.js").exists());
    assert!(!root.path().join(".staging/lab").exists());
}

#[test]
fn a_second_writer_of_a_feature_waits_and_one_of_another_feature_does_not() {
    let root = TempDir::new().unwrap();
    let store = with_one(root.path());
    let released = AtomicBool::new(false);
    let first = store.lock(&feature()).unwrap();
    // Would wait for ever if the lock were for the whole directory.
    drop(store.lock(&"wards".parse().unwrap()).unwrap());
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            let writer = store.lock(&feature()).unwrap();
            assert!(released.load(Ordering::SeqCst), "two writers at once");
            drop(writer);
        });
        thread::sleep(std::time::Duration::from_millis(100));
        released.store(true, Ordering::SeqCst);
        drop(first);
        second.join().unwrap();
    });
}

#[test]
fn who_does_not_wait_is_told_which_lock_is_held() {
    let root = TempDir::new().unwrap();
    let store = with_one(root.path());
    let first = store.lock(&feature()).unwrap();
    let error = store.try_lock(&feature()).unwrap_err();
    assert_eq!(error.code(), "store-locked");
    assert_eq!(error.path(), root.path().join(".staging/lab.lock"));
    drop(first);
    store.try_lock(&feature()).unwrap();
}

#[test]
fn an_index_takes_the_place_of_whatever_is_none() {
    let harms: [fn(&std::path::Path); 3] = [
        |index| std::os::unix::fs::symlink("elsewhere", index).unwrap(),
        |index| fs::create_dir_all(index.join("within")).unwrap(),
        |index| fs::File::create(index).unwrap().set_len(1 << 40).unwrap(),
    ];
    for harm in harms {
        let root = TempDir::new().unwrap();
        let store = with_one(root.path());
        let index = root.path().join("lab/releases.json");
        fs::remove_file(&index).unwrap();
        harm(&index);
        let mut writer = store.lock(&feature()).unwrap();
        assert_eq!(writer.readable_index().unwrap(), None);
        writer.replace_index(None, b"two").unwrap();
        drop(writer);
        assert_eq!(fs::read(&index).unwrap(), b"two");
        assert!(!root.path().join(".staging/lab").exists());
    }
}

#[test]
fn an_index_of_which_nobody_knows_what_it_is_is_named() {
    let root = TempDir::new().unwrap();
    let store = with_one(root.path());
    let index = root.path().join("lab/releases.json");
    fs::File::create(&index).unwrap().set_len(1 << 40).unwrap();
    let error = store.lock(&feature()).unwrap().index_digest().unwrap_err();
    assert_eq!((error.code(), error.path()), ("index-unreadable", index.as_path()));
    assert!(error.remedy().contains("remove it"), "{}", error.remedy());
}

#[test]
fn a_replaced_build_is_one_or_the_other_for_every_reader() {
    let root = TempDir::new().unwrap();
    let store = Store::open_or_create(root.path()).unwrap();
    let build = |text: &[u8]| {
        let mut writer = store.lock(&feature()).unwrap();
        let mut staged = writer.stage(&version("1.0.0")).unwrap();
        staged.write(&"a.js".parse().unwrap(), text).unwrap();
        staged.replace(text).unwrap();
    };
    build(b"0");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                // The directory is opened once, so both files come from one build.
                let dir = pilar_store::FeatureDir::open(&root.path().join("lab/1.0.0")).unwrap();
                use pilar_artifact::verify::ReadArtifact as _;
                if let (Ok(a), Ok(manifest)) = (dir.read("a.js", 9), dir.read("manifest.json", 9)) {
                    assert_eq!(a, manifest);
                    reads += 1;
                }
            }
            reads
        });
        (1..200).for_each(|number: i32| build(number.to_string().as_bytes()));
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
}

#[test]
fn a_file_is_created_once_and_replaced_whole() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("key.pem");
    create_file(&path, b"secret", 0o600).unwrap();
    assert_eq!(create_file(&path, b"other", 0o600).unwrap_err().code(), "file-exists");
    assert_eq!(fs::read(&path).unwrap(), b"secret");
    replace_file(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_directory_that_is_a_file_or_a_link_is_refused() {
    let root = TempDir::new().unwrap();
    replace_file(&root.path().join("file"), b"").unwrap();
    assert_eq!(
        Store::open_or_create(&root.path().join("file")).unwrap_err().code(),
        "store-not-a-directory"
    );
    assert_eq!(Store::open(&root.path().join("gone")).unwrap_err().code(), "store-missing");
    let store = Store::open(root.path()).unwrap();
    std::os::unix::fs::symlink("/tmp", root.path().join("lab")).unwrap();
    assert_eq!(store.lock(&feature()).unwrap_err().code(), "store-not-a-directory");
}
