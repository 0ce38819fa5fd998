//! Whatever the network does, a pull ends with the image that was named or with a code that says why not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use common::network::image::{self, Blob};
use common::network::proxy::{BROKEN, BUSY, Fault, Proxy, TOO_MANY};
use common::network::registry::Registry;
use common::network::{Place, limits, origin, plain, released};
use pilar_loader::unpack::Compression;

const REPOSITORY: &str = "features/lab";
const MUCH_LATER: &str = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

async fn pushed() -> (Registry, pilar_artifact::Sha256Digest) {
    let registry = Registry::open().await;
    let digest = image::push_tree(&registry, REPOSITORY, &released(&["1.0.0"])).await;
    (registry, digest)
}

#[tokio::test]
async fn it_goes_on_where_a_connection_broke() {
    let (registry, digest) = pushed().await;
    let proxy = Proxy::before(&registry.address, []).await;
    let place = Place::plain(&[&proxy.address]);
    let origin = origin(&proxy.address, REPOSITORY, digest);
    let undisturbed = place.fetch(&origin).await.whole().transferred;
    // In the head of the manifest, in the manifest, in the head of the layer, in the layer, at its last byte.
    for at in [1, 100, 500, 1_000, 2_000, 20_000, 100_000, 200_000, 300_000] {
        let before = proxy.struck();
        let place = Place::plain(&[&proxy.address]);
        proxy.strike([Fault::CutAfter(at)]);
        let brought = place.fetch(&origin).await;
        let fetched = brought.whole();
        assert_eq!((proxy.struck(), fetched.retries), (before + 1, 1), "cut after {at}");
        // What came before the cut does not come again, but for a manifest.
        assert!(fetched.transferred <= undisturbed + 2_000, "cut after {at}");
    }
}

#[tokio::test]
async fn it_is_patient_with_a_server_that_cannot_now() {
    let (registry, digest) = pushed().await;
    let faults = [
        BUSY,
        BROKEN,
        TOO_MANY,
        Fault::CutAfter(5_000),
        BROKEN,
        Fault::CutAfter(9_000),
        BUSY,
        Fault::Late(Duration::from_millis(5)),
    ];
    let proxy = Proxy::before(&registry.address, faults).await;
    let place = Place::plain(&[&proxy.address]);
    let brought = place.fetch(&origin(&proxy.address, REPOSITORY, digest)).await;
    assert_eq!(brought.whole().retries, 7);
    assert_eq!(proxy.struck(), 8);
}

#[tokio::test]
async fn it_gives_a_silent_connection_up() {
    let (registry, digest) = pushed().await;
    let faults = [Fault::StallAfter(0), Fault::StallAfter(700), Fault::StallAfter(50_000)];
    let proxy = Proxy::before(&registry.address, faults).await;
    let limits = pilar_loader::transport::Limits { idle: Duration::from_millis(300), ..limits() };
    let place = Place::with(plain(&[&proxy.address]), limits);
    let brought = place.fetch(&origin(&proxy.address, REPOSITORY, digest)).await;
    assert_eq!(brought.whole().retries, 3);
    assert_eq!(proxy.struck(), 3);
}

#[tokio::test]
async fn altered_bytes_are_noticed_and_fetched_again() {
    let (registry, digest) = pushed().await;
    let proxy = Proxy::before(&registry.address, []).await;
    let origin = origin(&proxy.address, REPOSITORY, digest);
    for at in [50_000, 150_000, 250_000] {
        let place = Place::plain(&[&proxy.address]);
        proxy.strike([Fault::Corrupt(at)]);
        let brought = place.fetch(&origin).await;
        assert!(brought.refused("digest-mismatch").may_pass());
        place.fetch(&origin).await.whole();
    }
    assert_eq!(proxy.struck(), 3);
}

#[tokio::test]
async fn what_stays_broken_ends_with_a_code() {
    let (registry, digest) = pushed().await;
    let proxy = Proxy::before(&registry.address, []).await;
    let place = Place::plain(&[&proxy.address]);
    let origin = origin(&proxy.address, REPOSITORY, digest);
    let always = |fault: Fault| std::iter::repeat_n(fault, limits().tries as usize);
    for (fault, code) in [
        (BUSY, "server-error"),
        (BROKEN, "server-error"),
        (Fault::CutAfter(0), "unreachable"),
        (Fault::Answer("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"), "not-found"),
        (Fault::Answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"), "digest-mismatch"),
        (Fault::Answer("what is this?\r\n\r\n"), "unreachable"),
    ] {
        // A fresh pool of connections, and no fault left over.
        let place = Place::plain(&[&proxy.address]);
        proxy.strike(always(fault));
        place.fetch(&origin).await.refused(code);
        proxy.clear();
    }
    proxy.strike([Fault::Answer(MUCH_LATER)]);
    let brought = place.fetch(&origin).await;
    let error = brought.refused("too-many-requests");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert!(error.may_pass());
    drop(registry);
    let fresh = Place::plain(&[&proxy.address]);
    assert!(fresh.fetch(&origin).await.refused("unreachable").may_pass());
}

#[tokio::test]
async fn a_fetch_ends_when_its_time_is_over() {
    let (registry, digest) = pushed().await;
    let slow = std::iter::repeat_n(Fault::Late(Duration::from_millis(200)), 10);
    let proxy = Proxy::before(&registry.address, slow).await;
    let limits = pilar_loader::transport::Limits { whole: Duration::from_millis(500), ..limits() };
    let place = Place::with(plain(&[&proxy.address]), limits);
    let brought = place.fetch(&origin(&proxy.address, REPOSITORY, digest)).await;
    assert!(brought.refused("too-slow").may_pass());
}

#[tokio::test]
async fn a_registry_that_lies_is_found_out() {
    let registry = Registry::open().await;
    let layer = Blob::layer(&image::archive(&released(&["1.0.0"])), Compression::Gzip);
    let digest = image::push(&registry, REPOSITORY, std::slice::from_ref(&layer)).await;
    let mut other = layer.bytes.clone();
    let middle = other.len() / 2;
    other[middle] ^= 1;
    let named = pilar_artifact::Sha256Digest::of(&layer.bytes);
    let place = Place::plain(&[&registry.address]);
    let origin = origin(&registry.address, REPOSITORY, digest);
    registry.spoil(named, &other);
    place.fetch(&origin).await.refused("digest-mismatch");
    registry.spoil(named, &layer.bytes[..middle]);
    assert!(place.fetch(&origin).await.result.is_err());
    registry.spoil(named, &[layer.bytes.as_slice(), b"more"].concat());
    assert!(place.fetch(&origin).await.result.is_err());
    registry.spoil(named, &layer.bytes);
    place.fetch(&origin).await.whole();
}
