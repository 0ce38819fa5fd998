//! Choosing a reply and assembling its head: whole, not modified, and one part.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark of what does not work measures nothing"
)]
#![expect(missing_docs, reason = "the macro of the harness makes a public function")]

mod support;

use criterion::{Criterion, criterion_group, criterion_main};

use support::request::read;
use support::site::{asset, request_for, write_head};

fn heads(criterion: &mut Criterion) {
    let asset = asset(0);
    let mut group = criterion.benchmark_group("heads");
    for status in [200, 304, 206] {
        let input = request_for(status, &asset);
        let mut out = Vec::new();
        read(&input, |head| {
            group.bench_function(status.to_string(), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    write_head(&asset.1, head, &mut out);
                    out.len()
                });
            });
        });
    }
    group.finish();
}

criterion_group!(benches, heads);
criterion_main!(benches);
