//! Reading request heads: what a browser sends, and the least there can be.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark of what does not work measures nothing"
)]
#![expect(missing_docs, reason = "the macro of the harness makes a public function")]

mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use support::request::{chromium, minimal, read};

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, input) in [
        ("Chromium", chromium("/_assets/patientlist/1.4.2/entry.4f2a91c07be3.js", "")),
        ("minimal", minimal("/")),
    ] {
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| read(black_box(&input), |head| head.length));
        });
    }
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
