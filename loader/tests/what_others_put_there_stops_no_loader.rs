//! Whatever another program has put into the tree, or holds there, is reported, and keeps a loader from nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use common::program::{Place, get, names, wait_for};
use common::server::Server;
use common::tree::{Tree, Version};
use common::{Home, leftovers, verified};
use pilar_store::Store;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

fn released(features: &[&str]) -> Tree {
    let tree = Tree::new();
    for feature in features {
        tree.publish(&Version::domain(feature, "1.0.0", &format!("/{feature}")));
    }
    tree
}

#[tokio::test]
async fn what_is_damaged_and_cannot_be_removed_is_mended_and_the_next_loader_begins() {
    // Whoever may do everything in spite of permissions gives that up, for this thread and those that it starts.
    let mut own = capabilities(None).unwrap();
    own.effective.remove(CapabilitySet::DAC_OVERRIDE);
    set_capabilities(None, own).unwrap();
    let tree = released(&["notes"]);
    let mut home = Home::new();
    let mut fixed = Vec::new();
    for round in 0..3 {
        let loader = home.start();
        let image = loader.image(&tree, "notes");
        loader.register([image.clone()]);
        loader.in_place(&image).await;
        assert!(verified(&loader.home.artifacts(), "notes").is_some(), "{round}");
        let version = loader.home.artifacts().join("notes/1.0.0");
        home = loader.stop().await;
        fs::write(version.join("entry.js"), "alert(1)").unwrap();
        let of_others = version.join("of-others");
        fs::create_dir(&of_others).unwrap();
        fs::write(of_others.join("file"), "x").unwrap();
        fs::set_permissions(&of_others, Permissions::from_mode(0o555)).unwrap();
        fixed.push(of_others);
    }
    let staging = home.artifacts().join(".staging");
    let left = leftovers(&home.artifacts());
    assert_eq!(left.len(), 2, "{left:?}");
    fixed.extend(left.iter().map(|name| staging.join(name).join("1.0.0/of-others")));
    for path in fixed.iter().filter(|path| path.exists()) {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    // Once it can be removed, it is.
    drop(Store::open(&home.artifacts()).unwrap().claim().unwrap());
    assert_eq!(leftovers(&home.artifacts()), Vec::<String>::new());
}

#[tokio::test]
async fn held_locks_keep_no_other_feature_waiting_and_are_named() {
    let tree = released(&["lab", "notes", "wards"]);
    let loader = Home::new().start();
    let store = Store::open(&loader.home.artifacts()).unwrap();
    let held = ["lab", "notes"].map(|feature| store.lock(&feature.parse().unwrap()).unwrap());
    let images = ["lab", "notes", "wards"].map(|feature| loader.image(&tree, feature));
    loader.register(images.clone());
    for feature in ["lab", "notes"] {
        let error = loader.failed(feature, "store-locked").await;
        assert!(error.message.contains(&format!(".staging/{feature}.lock")), "{error:?}");
        assert!(error.remedy.contains("pilar publish"), "{error:?}");
    }
    loader.in_place(&images[2]).await;
    drop(held);
    for image in &images {
        loader.in_place(image).await;
    }
}

/// What befalls an index.
type Harm = fn(&Path);

#[tokio::test]
async fn whatever_is_in_the_place_of_an_index_gives_way_to_the_verified_one() {
    let harms: [(&str, Harm); 3] = [
        ("a directory", |index| fs::create_dir_all(index.join("within")).unwrap()),
        ("a link", |index| symlink("/etc/hostname", index).unwrap()),
        ("far too large", |index| fs::File::create(index).unwrap().set_len(1 << 40).unwrap()),
    ];
    for (what, harm) in harms {
        let tree = released(&["notes"]);
        let loader = Home::new().start();
        let image = loader.image(&tree, "notes");
        loader.register([image.clone()]);
        loader.in_place(&image).await;
        let loader = loader.stop().await.start();
        let index = loader.home.artifacts().join("notes/releases.json");
        fs::remove_file(&index).unwrap();
        harm(&index);
        let image = loader.image(&tree, "notes");
        loader.register([image.clone()]);
        loader.in_place(&image).await;
        assert!(loader.index("notes").is_some(), "{what}");
        let home = loader.stop().await;
        assert_eq!(leftovers(&home.artifacts()), Vec::<String>::new(), "{what}");
    }
}

#[tokio::test]
async fn what_lies_among_the_records_is_put_aside() {
    let tree = released(&["notes"]);
    let home = Home::new();
    let own = home.artifacts().join(".loader");
    fs::create_dir_all(own.join(".status.json.1-0.tmp/within")).unwrap();
    fs::write(own.join("records"), "kept").unwrap();
    let loader = home.start();
    let image = loader.image(&tree, "notes");
    loader.register([image.clone()]);
    loader.in_place(&image).await;
    assert_eq!(names(&own), ["records", "records.aside"]);
    assert_eq!(fs::read(own.join("records.aside")).unwrap(), b"kept");
    assert_eq!(names(&own.join("records")), ["notes.json"]);
}

#[test]
fn a_link_in_the_place_of_its_own_directory_leads_nowhere_and_it_goes_on_without_it() {
    let tree = released(&["notes"]);
    let (place, server) = (Place::new(), Server::of(&tree.artifacts()));
    place.register(&server.registration("notes"));
    let victim = place.registrations().join("victim");
    fs::create_dir(&victim).unwrap();
    fs::create_dir(place.artifacts()).unwrap();
    let own = place.artifacts().join(".loader");
    symlink(&victim, &own).unwrap();
    let watch = place.loader(&["watch"]).with("LOADER_PLAIN_HTTP_HOSTS", server.host());
    let mut running = watch.with("LOADER_HTTP_PORT", "0").start();
    let port = running.port();
    wait_for("the reason", || {
        let (status, body) = get(port, "/readyz");
        (status == 503 && body.contains("store-not-a-directory")).then_some(())
    });
    assert_eq!(get(port, "/healthz").0, 200);
    let counted = "pilar_loader_failures_total{code=\"store-not-a-directory\"}";
    assert!(get(port, "/metrics").1.contains(counted));
    assert_eq!(running.ended(), None);
    fs::remove_file(&own).unwrap();
    wait_for("readiness", || (get(port, "/readyz").0 == 200).then_some(()));
    assert!(verified(&place.artifacts(), "notes").is_some());
    assert_eq!(names(&victim), Vec::<String>::new());
}
