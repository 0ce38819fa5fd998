//! What is in place stays what was signed: a version that a bad disk or somebody else has damaged is found when a
//! loader begins and now and then, and is put right from where it is registered. Whoever reads it meanwhile sees the
//! damaged version or the whole one.
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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::program::Place;
use common::server::Server;
use common::tree::{Tree, Version};
use common::{Home, Loader, leftovers, try_verified, verified};
use pilar_artifact::Sha256Digest;
use pilar_artifact::operations::Window;
use pilar_loader::reconcile::Fetch;
use pilar_loader::registration::Registration;
use pilar_loader::transport::{FetchError, Fetched, Wanted};

/// So often that a test sees it.
const OFTEN: Duration = Duration::from_millis(20);

/// 1.0.0, and 1.1.0 after it.
fn released() -> Tree {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    tree
}

/// Where it comes from.
type From = fn(&Loader, &Tree) -> Registration;
const ORIGINS: [(&str, From); 2] = [
    ("an image", |loader, tree| loader.image(tree, "notes")),
    ("a CDN", |loader, tree| loader.cdn(tree, "notes")),
];

/// What befalls the directory of a version.
type Harm = fn(&Path);
const HARMS: [(&str, Harm); 8] = [
    ("a byte is another one", |version| {
        let mut bytes = fs::read(version.join("entry.js")).unwrap();
        bytes[0] ^= 1;
        fs::write(version.join("entry.js"), bytes).unwrap();
    }),
    ("a file is cut off", |version| fs::write(version.join("chunk.js"), "").unwrap()),
    ("a file is gone", |version| fs::remove_file(version.join("entry.js")).unwrap()),
    ("a link is in its place", |version| {
        fs::remove_file(version.join("entry.js")).unwrap();
        symlink("chunk.js", version.join("entry.js")).unwrap();
    }),
    ("the manifest is gone", |version| fs::remove_file(version.join("manifest.json")).unwrap()),
    ("the manifest is another one", |version| {
        fs::write(version.join("manifest.json"), "{}").unwrap();
    }),
    ("everything is gone", |version| fs::remove_dir_all(version).unwrap()),
    ("the directory is a link", |version| {
        fs::remove_dir_all(version).unwrap();
        symlink("..", version).unwrap();
    }),
];

fn spoil(home: &Home, version: &str) {
    fs::write(home.artifacts().join("notes").join(version).join("entry.js"), "alert(1)").unwrap();
}

/// Waits until everything is what was signed.
async fn mended(loader: &Loader, what: &str) {
    let artifacts = loader.home.artifacts();
    let is_whole = || try_verified(&artifacts, "notes").ok().flatten();
    assert_eq!(loader.wait(what, is_whole).await.versions.len(), 2, "{what}");
    loader.until("notes", |said| said.warnings.is_empty() && said.attempts == 0).await;
    assert!(loader.board.counts().failures["version-damaged"] >= 1, "{what}");
}

#[tokio::test]
async fn whatever_was_damaged_while_no_loader_ran_is_put_right_by_the_next() {
    for (origin, from) in ORIGINS {
        for (harm, damage) in HARMS {
            for version in ["1.0.0", "1.1.0"] {
                let what = format!("{origin}, {version}: {harm}");
                let tree = released();
                let loader = Home::new().start();
                let registered = from(&loader, &tree);
                loader.register([registered.clone()]);
                loader.in_place(&registered).await;
                let loader = loader.stop().await.start();
                damage(&loader.home.artifacts().join("notes").join(version));
                let registered = from(&loader, &tree);
                loader.register([registered]);
                mended(&loader, &what).await;
                let home = loader.stop().await;
                assert_eq!(leftovers(&home.artifacts()), Vec::<String>::new(), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn whatever_is_damaged_while_a_loader_watches_is_put_right_in_time() {
    for (origin, from) in ORIGINS {
        let tree = released();
        let loader = Home::checking(OFTEN).start();
        let registered = from(&loader, &tree);
        loader.register([registered.clone()]);
        loader.in_place(&registered).await;
        for (harm, damage) in HARMS {
            for version in ["1.0.0", "1.1.0"] {
                damage(&loader.home.artifacts().join("notes").join(version));
                mended(&loader, &format!("{origin}, {version}: {harm}")).await;
            }
        }
    }
}

/// Says that it was asked, and never answers.
struct Silent(Arc<AtomicBool>);

impl Fetch for Silent {
    async fn fetch(&self, _: &Wanted<'_>) -> Result<Fetched, FetchError> {
        self.0.store(true, Ordering::SeqCst);
        std::future::pending().await
    }
}

#[tokio::test]
async fn what_is_registered_anew_does_not_wait_until_what_is_there_was_read() {
    let tree = released();
    let loader = Home::new().start();
    let [first, second] = [(); 2].map(|()| loader.image(&tree, "notes"));
    loader.register([first.clone()]);
    loader.in_place(&first).await;
    let home = loader.stop().await;
    spoil(&home, "1.0.0");
    let is_asked = Arc::new(AtomicBool::new(false));
    let loader = home.start_with(Silent(Arc::clone(&is_asked)));
    loader.register([second]);
    loader.wait("a fetch", || is_asked.load(Ordering::SeqCst).then_some(())).await;
    assert!(!loader.board.counts().failures.contains_key("version-damaged"));
}

#[tokio::test]
async fn what_is_whole_is_not_fetched_again() {
    let tree = released();
    let loader = Home::checking(OFTEN).start();
    let image = loader.image(&tree, "notes");
    loader.register([image.clone()]);
    loader.in_place(&image).await;
    // It is looked at many times by the time that the second is found.
    for version in ["1.0.0", "1.1.0"] {
        spoil(&loader.home, version);
        mended(&loader, version).await;
        tokio::time::sleep(10 * OFTEN).await;
    }
    assert_eq!(loader.transport.fetches(), 3);
    assert_eq!(loader.board.counts().failures["version-damaged"], 2);
}

#[tokio::test]
async fn while_the_origin_is_away_the_old_state_serves_and_the_status_says_what_is_wrong() {
    let tree = released();
    let loader = Home::new().start();
    let image = loader.image(&tree, "notes");
    loader.register([image.clone()]);
    loader.in_place(&image).await;
    let loader = loader.stop().await.start();
    spoil(&loader.home, "1.1.0");
    loader.register([image.clone()]);
    loader.failed("notes", "unreachable").await;
    let said = loader.until("notes", |said| !said.warnings.is_empty()).await;
    let warning = &said.warnings[0];
    assert_eq!(warning.code, "version-damaged");
    assert!(warning.message.contains("notes/1.1.0/entry.js"), "{warning:?}");
    let found = try_verified(&loader.home.artifacts(), "notes").unwrap_err();
    assert_eq!((found.code(), found.file()), ("file-hash", "1.1.0/entry.js"));
    loader.transport.lead(&image.origin, &tree.path("notes"));
    mended(&loader, "it is back").await;
}

/// No index in place names it, so nothing has looked at it before the rollback.
#[tokio::test]
async fn a_rollback_to_a_version_that_was_damaged_since_brings_it_anew() {
    let tree = Tree::keeping(Window { keep: 0 });
    let loader = Home::new().start();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let first = loader.image(&tree, "notes");
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    let second = loader.image(&tree, "notes");
    for image in [&first, &second] {
        loader.register([image.clone()]);
        loader.in_place(image).await;
    }
    spoil(&loader.home, "1.0.0");
    loader.register([first.clone()]);
    loader.in_place(&first).await;
    assert_eq!(loader.index("notes").unwrap().active_version.to_string(), "1.0.0");
}

#[tokio::test]
async fn another_version_of_the_same_number_does_not_pass_for_the_damaged_one() {
    let (tree, other) = (released(), Tree::new());
    other.publish(&Version::domain("notes", "1.0.0", "/elsewhere"));
    let loader = Home::new().start();
    let image = loader.image(&tree, "notes");
    loader.register([image.clone()]);
    loader.in_place(&image).await;
    let manifest = loader.home.artifacts().join("notes/1.0.0/manifest.json");
    fs::write(&manifest, "{}").unwrap();
    loader.register([loader.image(&other, "notes")]);
    let error = loader.failed("notes", "version-taken").await;
    for tree in [&tree, &other] {
        let signed = fs::read(tree.path("notes/1.0.0/manifest.json")).unwrap();
        assert!(error.message.contains(&Sha256Digest::of(&signed).hex()), "{error:?}");
    }
    assert_eq!(fs::read(&manifest).unwrap(), b"{}");
}

/// What came and what is in the tree are whole only together.
#[tokio::test]
async fn half_a_version_never_takes_the_place_of_a_damaged_one() {
    let tree = released();
    let loader = Home::new().start();
    let cdn = loader.cdn(&tree, "notes");
    loader.register([cdn.clone()]);
    loader.in_place(&cdn).await;
    let loader = loader.stop().await.start();
    spoil(&loader.home, "1.0.0");
    let missing = tree.path("notes/1.0.0/chunk.js");
    let bytes = fs::read(&missing).unwrap();
    fs::remove_file(&missing).unwrap();
    let cdn = loader.cdn(&tree, "notes");
    loader.register([cdn.clone()]);
    loader.in_place(&cdn).await;
    let said = loader.until("notes", |said| said.last_success_at.is_some()).await;
    assert_eq!(said.warnings[0].code, "version-damaged");
    let found = try_verified(&loader.home.artifacts(), "notes").unwrap_err();
    assert_eq!((found.code(), found.file()), ("file-hash", "1.0.0/entry.js"));
    // It is asked for again with whatever comes next.
    fs::write(&missing, bytes).unwrap();
    tree.publish(&Version::domain("notes", "1.2.0", "/notes"));
    loader.until("notes", |said| said.sequence == Some(3) && said.warnings.is_empty()).await;
    assert_eq!(loader.index("notes").unwrap().versions.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_a_whole_version_all_the_while() {
    let tree = released();
    let loader = Home::checking(OFTEN).start();
    let image = loader.image(&tree, "notes");
    loader.register([image.clone()]);
    loader.in_place(&image).await;
    let (artifacts, is_over) = (loader.home.artifacts(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !is_over.load(Ordering::SeqCst) {
                if let Err(error) = try_verified(&artifacts, "notes") {
                    assert_eq!((error.code(), error.file()), ("file-hash", "1.1.0/entry.js"));
                    seen += 1;
                }
            }
            seen
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for _ in 0..20 {
                    spoil(&loader.home, "1.1.0");
                    mended(&loader, "again").await;
                }
            });
        });
        is_over.store(true, Ordering::SeqCst);
        assert!(reader.join().unwrap() > 0, "it has not seen the damage");
    });
}

#[test]
fn a_file_system_that_exchanges_nothing_is_named_and_keeps_what_it_has() {
    let (tree, place) = (released(), Place::new());
    let server = Server::of(&tree.artifacts());
    place.register(&server.registration("notes"));
    let init = |setup: common::program::Setup| {
        setup
            .with("LOADER_PLAIN_HTTP_HOSTS", server.host())
            .with("LOADER_INIT_DEADLINE_SECONDS", "5")
    };
    assert!(init(place.loader(&["init"])).ends().status.success());
    fs::write(place.artifacts().join("notes/1.1.0/entry.js"), "alert(1)").unwrap();
    // Every rename fails, the exchange first.
    let output = init(place.loader_with_fault("renameat2:error=EINVAL:when=1+", &["init"])).ends();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("store-no-exchange"), "{log}");
    assert!(log.contains("notes/1.1.0") && log.contains("ext4"), "{log}");
    let found = try_verified(&place.artifacts(), "notes").unwrap_err();
    assert_eq!((found.code(), found.file()), ("file-hash", "1.1.0/entry.js"));
    assert!(init(place.loader(&["init"])).ends().status.success());
    assert!(verified(&place.artifacts(), "notes").is_some());
}
