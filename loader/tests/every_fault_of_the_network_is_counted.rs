//! Whatever the network does between a loader and a CDN or a registry, what is registered gets in place, and what it took
//! is counted as `/metrics` shows it, whether or not it was of use.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::network::proxy::{BROKEN, BUSY, Fault, Proxy, TOO_MANY};
use common::network::registry::Registry;
use common::network::{FEATURE, feature, files, image, limits, origin, plain, released};
use common::server::Server;
use common::{Home, PATIENCE};
use pilar_loader::registration::{Origin, Registration};
use pilar_loader::transport::{Limits, Transports};

/// How often one request is tried.
const TRIES: usize = 2;
/// In the file of 300 KB, or in the layer that holds it.
const IN_A_FILE: usize = 100_000;
const IN_THE_STATUS_LINE: usize = 3;

/// What the network does, to how many connections in a row, and what is counted: requests that were sent again, and the
/// code of a fetch that failed before the one that succeeded.
type Case = (Fault, usize, u64, Option<&'static str>);

fn cases() -> Vec<Case> {
    let passing = |fault| (fault, 1, 1, None);
    // The second fetch sends nothing again.
    let lasting = |fault, code| (fault, TRIES, TRIES as u64 - 1, Some(code));
    let mut cases = vec![
        (Fault::Late(Duration::from_millis(5)), 1, 0, None),
        (Fault::Corrupt(IN_A_FILE), 1, 0, Some("digest-mismatch")),
        passing(Fault::Corrupt(IN_THE_STATUS_LINE)),
        passing(TOO_MANY),
        passing(BROKEN),
        passing(BUSY),
        lasting(TOO_MANY, "too-many-requests"),
        lasting(BROKEN, "server-error"),
        lasting(BUSY, "server-error"),
        lasting(Fault::CutAfter(0), "unreachable"),
        lasting(Fault::StallAfter(0), "stalled"),
    ];
    // Before the first byte, in the head of a document, in a document, in a file.
    for at in [0, 10, 1_500, IN_A_FILE] {
        cases.extend([passing(Fault::CutAfter(at)), passing(Fault::StallAfter(at))]);
    }
    cases
}

/// Brings the feature from `origin`, which leads through `proxy`, once for each case; each time into an empty tree by a
/// loader that has no connection yet.
async fn assert_all_counted(proxy: &Proxy, origin: Origin) {
    let registration = Registration { feature: feature(), origin };
    let limits = Limits {
        tries: TRIES as u32,
        // On one connection, so that it is known what a fault strikes.
        parallel_files: 1,
        idle: Duration::from_millis(500),
        ..limits()
    };
    for (fault, times, retries, failure) in cases() {
        let what = format!("{fault:?}, {times} times");
        let struck = proxy.struck();
        proxy.strike(std::iter::repeat_n(fault.clone(), times));
        let transports = Transports::new(plain(&[&proxy.address]), limits, || 0.5).unwrap();
        let loader = Home::new().start_with(transports);
        loader.register([registration.clone()]);
        loader.in_place(&registration).await;
        assert!(loader.index(FEATURE).is_some(), "{what}");
        assert_eq!(proxy.struck(), struck + times, "{what}");
        let counts = loader.board.counts();
        let failures = BTreeMap::from_iter(failure.map(|code| (code, 1)));
        assert_eq!((counts.retries, counts.failures), (retries, failures), "{what}");
        assert_eq!(counts.placed, 1, "{what}");
        // What came altered has come as well.
        let least = if matches!(fault, Fault::Corrupt(IN_A_FILE)) { 400_000 } else { 300_000 };
        assert!(counts.transferred > least, "{what}: {}", counts.transferred);
        loader.stop().await;
    }
}

#[tokio::test]
async fn between_a_loader_and_a_cdn() {
    let tree = released(&["1.0.0"]);
    let cdn = Server::of(&tree.artifacts());
    let proxy = Proxy::before(&cdn.host(), []).await;
    let url = format!("http://{}/{FEATURE}/", proxy.address);
    assert_all_counted(&proxy, Origin::Cdn(url.parse().unwrap())).await;
}

#[tokio::test]
async fn between_a_loader_and_a_registry() {
    let registry = Registry::open().await;
    let digest = image::push_tree(&registry, "features/lab", &released(&["1.0.0"])).await;
    let proxy = Proxy::before(&registry.address, []).await;
    assert_all_counted(&proxy, origin(&proxy.address, "features/lab", digest)).await;
}

#[tokio::test]
async fn what_came_before_a_fetch_was_broken_off_is_counted() {
    let tree = released(&["1.0.0"]);
    let cdn = Server::of(&tree.artifacts());
    let proxy = Proxy::before(&cdn.host(), [Fault::StallAfter(IN_A_FILE)]).await;
    let url = format!("http://{}/{FEATURE}/", proxy.address);
    let limits = Limits { parallel_files: 1, idle: PATIENCE, ..limits() };
    let transports = Transports::new(plain(&[&proxy.address]), limits, || 0.5).unwrap();
    let loader = Home::new().start_with(transports);
    let origin = Origin::Cdn(url.parse().unwrap());
    loader.register([Registration { feature: feature(), origin }]);
    let staging = loader.home.artifacts().join(".staging");
    let arrived = || files(&staging).values().map(Vec::len).sum::<usize>();
    let most = IN_A_FILE / 2;
    loader.wait("half of it", || (staging.exists() && arrived() > most).then_some(())).await;
    loader.register([]);
    loader.gone(FEATURE).await;
    let counts = loader.board.counts();
    assert!(counts.transferred > most as u64, "{counts:?}");
    assert_eq!((counts.retries, counts.placed, counts.failures), (0, 0, BTreeMap::new()));
}
