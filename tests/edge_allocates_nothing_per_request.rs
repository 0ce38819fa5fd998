//! A static request costs no memory allocation, whatever is asked and on whichever driver: measured for the whole
//! process but the client, so that what the I/O library does counts too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected is to fail"
)]

#[path = "edge/client.rs"]
#[allow(dead_code, reason = "this binary needs only a part of it")]
mod client;
#[path = "edge/server.rs"]
#[allow(dead_code, reason = "this binary needs only a part of it")]
mod server;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use client::{Client, request};
use server::{SETUPS, Server};

/// The allocator of the system, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if !IS_CLIENT.get() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: hands everything on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps to the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to the contract of this very function.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps to the contract of this very function.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What is asked in one go and how often, with the method of each reply and its status.
struct Round {
    requests: String,
    replies: Vec<(&'static str, u16)>,
    times: usize,
}

fn round(times: usize, kinds: &[(&'static str, &str, &[&str], u16)]) -> Round {
    let requests = kinds.iter().map(|(method, target, lines, _)| request(method, target, lines));
    let replies = kinds.iter().map(|&(method, _, _, status)| (method, status));
    Round { requests: requests.collect(), replies: replies.collect(), times }
}

#[test]
fn static_requests_allocate_nothing() {
    IS_CLIENT.set(true);
    let encodings: &[&str] = &["accept-encoding: gzip, deflate, br, zstd"];
    for setup in SETUPS {
        let server = Server::start(setup);
        let mut client = Client::connect(server.addr);
        let tag = client.get("/page").header("etag").unwrap().to_owned();
        let condition = format!("if-none-match: {tag}");
        let pipelined = [("GET", "/app.js", encodings, 200); 16];
        let mixed: [(&str, &str, &[&str], u16); 4] = [
            ("GET", "/medium", &[], 200),
            ("GET", "/nowhere", &[], 404),
            ("HEAD", "/large", &[], 200),
            ("GET", "/page", &[], 200),
        ];
        for (kind, round) in [
            ("GET", round(10_000, &[("GET", "/app.js", encodings, 200)])),
            ("HEAD", round(3_000, &[("HEAD", "/app.js", encodings, 200)])),
            ("304", round(3_000, &[("GET", "/page", &[&condition], 304)])),
            ("range", round(2_000, &[("GET", "/medium", &["range: bytes=100-299"], 206)])),
            ("OPTIONS", round(2_000, &[("OPTIONS", "/page", &[], 204)])),
            ("refused", round(2_000, &[("DELETE", "/page", &[], 405)])),
            ("pipelined", round(1_000, &pipelined)),
            ("mixed", round(500, &mixed)),
            ("large", round(8, &[("GET", "/large", &[], 200)])),
        ] {
            assert_eq!(allocations_of(&mut client, &round), 0, "{setup:?} {kind}");
        }
    }
}

/// How often the server allocated in one of a few tries. More than one only counts if this thread was kept from running for so
/// long in the earlier ones that the connection became idle.
fn allocations_of(client: &mut Client, round: &Round) -> u64 {
    let tries = (0..3).map(|_| {
        for _ in 0..round.times.min(50) {
            play(client, round);
        }
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..round.times {
            play(client, round);
        }
        ALLOCATIONS.load(Ordering::Relaxed) - before
    });
    tries.into_iter().find(|&count| count == 0 || count > 20).unwrap_or(u64::MAX)
}

fn play(client: &mut Client, round: &Round) {
    client.send(&round.requests);
    for &(method, status) in &round.replies {
        assert_eq!(client.reply(method).status, status);
    }
}
