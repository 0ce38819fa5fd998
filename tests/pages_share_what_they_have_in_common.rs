//! Every page names every feature, and still twice the features cost twice the memory and not four times.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pilar_host::catalog::{Catalog, Now};
use pilar_host::config::Retain;
use pilar_host::edge::{Answer, Lookup as _};
use pilar_host::shell::Sdk;
use pilar_host::snapshot::Snapshot;
use support::inside::{settings, site};
use support::tree::{Tree, Version};

fn snapshot(features: usize) -> Snapshot {
    let tree = Tree::new();
    for number in 0..features {
        tree.publish(&Version::domain(&id(number), "1.0.0", &format!("/{}", id(number))));
    }
    let retain = Retain { time: Duration::ZERO, bytes: 0, listed: 0 };
    let mut catalog = Catalog::new(settings(&tree, retain));
    let now = Now { wall: Timestamp::UNIX_EPOCH, monotonic: Instant::now() };
    let contents = catalog.refresh(now).unwrap();
    Snapshot::build(contents, &Sdk::embedded().unwrap(), &site(), now.wall).unwrap()
}

fn id(number: usize) -> String {
    format!("feature-{number:03}")
}

/// Bytes of all pages, as far as they lie in different places, and of the longest page.
fn bytes_of_pages(snapshot: &Snapshot, features: usize) -> (usize, usize) {
    let paths = (0..features).map(|number| format!("/{}/x", id(number)));
    let mut places = BTreeMap::new();
    let mut longest = 0;
    for path in paths.chain(["/".to_owned(), "/nowhere".to_owned()]) {
        let Answer::Resource(page, _) = snapshot.lookup(&path) else { panic!("{path}") };
        for representation in page.representations() {
            longest = longest.max(representation.body().len());
            places.extend(
                representation.body().pieces_from(0).map(|piece| (piece.as_ptr(), piece.len())),
            );
        }
    }
    (places.values().sum(), longest)
}

#[test]
fn twice_the_features_take_twice_the_memory_of_pages() {
    let (few, longest_of_few) = bytes_of_pages(&snapshot(40), 40);
    let (many, longest_of_many) = bytes_of_pages(&snapshot(80), 80);
    assert!(longest_of_many as f64 > longest_of_few as f64 * 1.7, "each page names all features");
    assert!((many as f64) < few as f64 * 2.2, "{few} bytes for 40 features, {many} for 80");
}
