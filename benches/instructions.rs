//! Runs one case at a time for callgrind to count; `cargo xtask instructions` holds the counts against
//! `instructions.txt`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark of what does not work measures nothing"
)]

mod support;

use std::hint::black_box;

use pilar_host::http::{Encoding, EncodingSet, negotiate};

use support::artifact::Artifact;
use support::request::{ACCEPT_ENCODING, chromium, read};
use support::site::{PREFIX, Served, asset, request_for, write_head};

/// A name, how many operations, and what does them.
type Case = (&'static str, u32, fn(u32));

/// A thousand operations visit each file once, which evens out where the randomly seeded hash puts them.
const CASES: [Case; 9] = [
    ("parse-chromium", 1000, parse),
    ("negotiate", 1000, negotiation),
    ("decode-and-lookup", 1000, lookup),
    ("slashes-8-kib", 100, slashes),
    ("head-200", 1000, |operations| head(200, operations)),
    ("head-304", 1000, |operations| head(304, operations)),
    ("head-206", 1000, |operations| head(206, operations)),
    ("answer", 1000, answer),
    ("verify-64-kib", 10, verification),
];

/// Lists the cases, or runs the one that is named.
fn main() {
    let Some(name) = std::env::args().nth(1) else {
        CASES.iter().for_each(|(name, operations, _)| println!("{name} {operations}"));
        return;
    };
    let case = CASES.iter().find(|case| case.0 == name).expect("the case is one of the list");
    case.2(case.1);
}

fn parse(operations: u32) {
    let input = chromium("/_assets/patientlist/1.4.2/entry.4f2a91c07be3.js", "");
    count(operations, || read(black_box(&input), |head| head.length));
}

fn negotiation(operations: u32) {
    let mut available = EncodingSet::default();
    Encoding::BY_PREFERENCE.into_iter().for_each(|encoding| available.insert(encoding));
    count(operations, || negotiate(available, [black_box(ACCEPT_ENCODING.as_bytes())]));
}

fn lookup(operations: u32) {
    let served = Served::new();
    let mut paths = served.paths().iter().cycle();
    let mut scratch = Vec::new();
    count(operations, || {
        let path = paths.next().expect("there are files");
        served.find(black_box(path), &mut scratch).status()
    });
}

/// The longest path that a request can have, of as many segments as it can have, below the prefix of a feature.
fn slashes(operations: u32) {
    let served = Served::new();
    let path = format!("{PREFIX}{}", "/".repeat(8 * 1024 - PREFIX.len()));
    let mut scratch = Vec::new();
    count(operations, || served.find(black_box(&path), &mut scratch).status());
}

fn head(status: u16, operations: u32) {
    let asset = asset(0);
    let input = request_for(status, &asset);
    let mut out = Vec::new();
    read(&input, |head| {
        count(operations, || {
            out.clear();
            write_head(black_box(&asset.1), head, &mut out);
        });
    });
    let status_line = format!("HTTP/1.1 {status} ");
    assert!(out.starts_with(status_line.as_bytes()), "another reply was counted");
}

fn answer(operations: u32) {
    let served = Served::new();
    let requests: Vec<Vec<u8>> = served.paths().iter().map(|path| chromium(path, "")).collect();
    let mut requests = requests.iter().cycle();
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    count(operations, || {
        out.clear();
        let request = requests.next().expect("there are files");
        served.answer(black_box(request), &mut scratch, &mut out);
    });
}

fn verification(operations: u32) {
    let artifact = Artifact::of(1).expect("the artifact of the benchmark is valid");
    count(operations, || artifact.verify());
}

fn count<T>(operations: u32, mut operation: impl FnMut() -> T) {
    // What happens once, like asking the processor what it can do, is not to count.
    black_box(operation());
    counted_operations(operations, &mut || {
        black_box(operation());
    });
}

/// Callgrind counts from where this is entered to where it is left.
#[inline(never)]
fn counted_operations(operations: u32, operation: &mut dyn FnMut()) {
    for _ in 0..operations {
        operation();
    }
}
