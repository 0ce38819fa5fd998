//! So many features are fetched at a time, and one fewer from any one host, so that one that is dead or slow keeps
//! nobody from the others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::PATIENCE;
use common::network::proxy::{Fault, Proxy};
use common::network::{FEATURE, Place, limits, plain, released};
use common::server::Server;
use pilar_loader::registration::Origin;
use pilar_loader::transport::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// A server that takes requests, and answers each with the same bytes, or one byte after the other.
struct Dead {
    address: String,
    asked: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Dead {
    async fn saying(answer: &'static str, then: Option<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                // That the client goes away is no failure.
                open.spawn(async move { drop(answered(stream, answer, then, &count).await) });
            }
        });
        Self { address, asked, _tasks: tasks }
    }

    async fn asked(&self, times: usize) {
        let reached = async {
            while self.asked.load(Ordering::SeqCst) < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("it is asked");
    }
}

async fn answered(
    mut stream: TcpStream,
    answer: &str,
    then: Option<u8>,
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    count.fetch_add(1, Ordering::SeqCst);
    stream.write_all(answer.as_bytes()).await?;
    while let Some(byte) = then {
        stream.write_u8(byte).await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    std::future::pending().await
}

fn at(address: &str) -> Origin {
    Origin::Cdn(format!("http://{address}/{FEATURE}/").parse().unwrap())
}

async fn arrives(place: &Place, healthy: &Server) {
    let brought = tokio::time::timeout(PATIENCE, place.fetch(&at(&healthy.host()))).await;
    brought.expect("nobody keeps it waiting").whole();
}

#[tokio::test]
async fn a_silent_host_never_has_all_turns() {
    let tree = released(&["1.0.0"]);
    let healthy = Server::of(&tree.artifacts());
    let silent = Dead::saying("", None).await;
    let limits = Limits { idle: FOR_EVER, parallel_pulls: 4, ..limits() };
    let place = Arc::new(Place::with(plain(&[&healthy.host(), &silent.address]), limits));
    let mut waiting = JoinSet::new();
    for _ in 0..5 {
        let (place, origin) = (Arc::clone(&place), at(&silent.address));
        waiting.spawn(async move { place.fetch(&origin).await.result.is_ok() });
    }
    silent.asked(3).await;
    for _ in 0..3 {
        arrives(&place, &healthy).await;
    }
    assert_eq!(silent.asked.load(Ordering::SeqCst), 3, "one turn is left to others");
    assert!(waiting.try_join_next().is_none(), "all of them wait still");
}

#[tokio::test]
async fn who_waits_to_try_again_gives_its_turn_to_another() {
    let tree = released(&["1.0.0"]);
    let healthy = Server::of(&tree.artifacts());
    let busy = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 3000\r\ncontent-length: 0\r\n\r\n";
    let busy = Dead::saying(busy, None).await;
    let limits = Limits { longest_pause: FOR_EVER, parallel_pulls: 1, ..limits() };
    let place = Arc::new(Place::with(plain(&[&healthy.host(), &busy.address]), limits));
    let (waits, origin) = (Arc::clone(&place), at(&busy.address));
    let waiting = tokio::spawn(async move { waits.fetch(&origin).await.result.is_ok() });
    busy.asked(1).await;
    arrives(&place, &healthy).await;
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn a_host_that_sends_hardly_anything_is_given_up() {
    let drip = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let dripping = Dead::saying(drip, Some(b' ')).await;
    let limits = Limits { idle: Duration::from_millis(200), tries: 2, whole: PATIENCE, ..limits() };
    let place = Place::with(plain(&[&dripping.address]), limits);
    let brought = place.fetch(&at(&dripping.address)).await;
    assert!(brought.refused("stalled").may_pass());
    assert_eq!(dripping.asked.load(Ordering::SeqCst), 2);
}

/// Even where each try brings a little more.
#[tokio::test]
async fn a_file_that_hardly_grows_is_given_up() {
    let tree = released(&["1.0.0"]);
    let healthy = Server::of(&tree.artifacts());
    let slow = std::iter::repeat_n(Fault::Late(Duration::from_millis(150)), 100);
    let proxy = Proxy::before(&healthy.host(), slow).await;
    let idle = Duration::from_millis(300);
    let limits = Limits { idle, tries: 2, parallel_files: 1, ..limits() };
    let place = Place::with(plain(&[&proxy.address]), limits);
    assert!(place.fetch(&at(&proxy.address)).await.refused("stalled").may_pass());
}

#[tokio::test]
async fn many_fetches_wait_for_their_turn() {
    let tree = released(&["1.0.0"]);
    let server = Server::of(&tree.artifacts());
    let limits = Limits { parallel_pulls: 4, parallel_files: 1, ..limits() };
    let place = Arc::new(Place::with(plain(&[&server.host()]), limits));
    let mut fetches = JoinSet::new();
    for _ in 0..20 {
        let (place, origin) = (Arc::clone(&place), at(&server.host()));
        fetches.spawn(async move { place.fetch(&origin).await.whole().transferred });
    }
    while let Some(transferred) = fetches.join_next().await {
        assert!(transferred.unwrap() > 300_000);
    }
    assert_eq!(server.busiest(), 3, "all turns but one, since it is one host");
}
