//! Decoding and finding a path in a real snapshot of a thousand files.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark of what does not work measures nothing"
)]
#![expect(missing_docs, reason = "the macro of the harness makes a public function")]

mod support;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

use support::site::{PREFIX, Served};

fn lookup(criterion: &mut Criterion) {
    let served = Served::new();
    let asset = served.paths().first().expect("there are files");
    let mut group = criterion.benchmark_group("lookup");
    for (name, path) in [
        ("file", asset.clone()),
        ("file, escaped", asset.replace("chunk", "%63hunk")),
        ("page below its prefix", format!("{PREFIX}/17/appointments")),
        ("no such file", format!("{asset}x")),
    ] {
        let mut scratch = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| served.find(black_box(&path), &mut scratch).status());
        });
    }
    group.finish();
}

criterion_group!(benches, lookup);
criterion_main!(benches);
