//! A change of one feature has its version read and verified, and no other: what the kernel sees of the running host.
//! And what is not verified again does not outlive the key that vouched for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use pilar_host::catalog::{Catalog, Now};
use pilar_host::config::Retain;
use rustix::process::Signal;
use support::Setup;
use support::inside::settings;
use support::tree::{EXPIRED, Tree, Version, signing_key};

const FEATURES: usize = 20;
/// System calls that open a file.
const OPENING: &[&str] = &["open", "openat", "openat2"];

/// A version whose number is that of its feature, so that its path tells which it is.
fn version(feature: usize, number: usize) -> Version {
    Version::facet(&format!("feature-{feature}"), &format!("{number}.{feature}.0"))
}

#[test]
fn a_change_of_one_feature_has_the_files_of_no_other_read() {
    let tree = Tree::new();
    for feature in 0..FEATURES {
        tree.publish(&version(feature, 1));
    }
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let host = Setup::of(&tree).traced(&trace, OPENING).start();
    let all = (0..FEATURES).map(|feature| format!("1.{feature}.0")).collect();
    assert_eq!(versions_read(&std::fs::read_to_string(&trace).unwrap()), all);
    for (number, feature) in [(2, 7), (3, 7), (2, 12)] {
        let begin = std::fs::metadata(&trace).unwrap().len() as usize;
        let next = version(feature, number);
        tree.publish(&next);
        host.signal(Signal::HUP);
        host.wait_until_serving(&next.id, &next.version);
        let read = std::fs::read_to_string(&trace).unwrap()[begin..].to_owned();
        assert_eq!(versions_read(&read), BTreeSet::from([next.version]));
    }
    host.stop();
}

/// The versions of which a file was opened.
fn versions_read(trace: &str) -> BTreeSet<String> {
    let paths = trace.lines().filter_map(|line| line.split('"').nth(1));
    let files = paths.filter_map(|path| path.rsplit_once('/'));
    files
        .filter_map(|(dir, _)| dir.rsplit('/').next())
        .filter(|name| name.parse::<semver::Version>().is_ok())
        .map(str::to_owned)
        .collect()
}

#[test]
fn an_index_that_nobody_touched_is_refused_once_its_key_has_ended() {
    let tree = Tree::new();
    let notes = Version::facet("notes", "1.0.0");
    tree.publish(&notes);
    tree.edit_index("notes", &signing_key(EXPIRED), |_| ());
    let retain = Retain { time: Duration::ZERO, bytes: 0, listed: 0 };
    let mut catalog = Catalog::new(settings(&tree, retain));
    let end: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    let mut look = |since_end: i64| {
        let wall = end + SignedDuration::from_secs(since_end);
        let contents = catalog.refresh(Now { wall, monotonic: Instant::now() }).unwrap();
        let state = &contents.features[&"notes".parse().unwrap()];
        assert!(state.serving().is_some());
        state.index.as_ref().map(|_| ()).map_err(|trouble| trouble.code())
    };
    let looks = [-20, -10, 0, 10, -5].map(&mut look);
    assert_eq!(looks, [Ok(()), Ok(()), Ok(()), Err("key-expired"), Ok(())]);
}
