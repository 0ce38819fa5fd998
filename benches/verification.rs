//! What verifying costs: the chain of checks over one artifact in memory, against hashing the same bytes.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark of what does not work measures nothing"
)]
#![expect(missing_docs, reason = "the macro of the harness makes a public function")]

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use support::artifact::{Artifact, FILE_BYTES};

/// What a feature of middle size weighs: 1.25 MiB.
const FILES: usize = 20;

fn verification(criterion: &mut Criterion) {
    let artifact = Artifact::of(FILES).expect("the artifact of the benchmark is valid");
    let mut group = criterion.benchmark_group("verification");
    group.throughput(Throughput::Bytes((FILES * FILE_BYTES) as u64));
    group.bench_function("chain of checks", |bencher| bencher.iter(|| artifact.verify()));
    group.bench_function("SHA-256 alone", |bencher| bencher.iter(|| artifact.hash()));
    group.finish();
}

criterion_group!(benches, verification);
criterion_main!(benches);
