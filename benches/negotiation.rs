//! Choosing an encoding.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark of what does not work measures nothing"
)]
#![expect(missing_docs, reason = "the macro of the harness makes a public function")]

mod support;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pilar_host::http::{Encoding, EncodingSet, negotiate};

use support::request::ACCEPT_ENCODING;

fn negotiation(criterion: &mut Criterion) {
    let mut available = EncodingSet::default();
    Encoding::BY_PREFERENCE.into_iter().for_each(|encoding| available.insert(encoding));
    let mut group = criterion.benchmark_group("negotiation");
    for (name, field) in
        [("Chromium", ACCEPT_ENCODING), ("with weights", "br;q=0.8, gzip;q=0.801, *;q=0.1")]
    {
        group.bench_function(name, |bencher| {
            bencher.iter(|| negotiate(available, [black_box(field.as_bytes())]));
        });
    }
    group.finish();
}

criterion_group!(benches, negotiation);
criterion_main!(benches);
