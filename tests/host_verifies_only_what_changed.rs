//! A change of one feature has its version read and verified, and no other: what the kernel sees of the running host.
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

use rustix::process::Signal;
use support::Setup;
use support::tree::{Tree, Version};

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
