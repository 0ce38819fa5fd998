//! All that stands between the bytes of a request for a file and the head of its reply.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark of what does not work measures nothing"
)]
#![expect(missing_docs, reason = "the macro of the harness makes a public function")]

mod support;

use criterion::{Criterion, criterion_group, criterion_main};

use support::request::chromium;
use support::site::Served;

fn answer(criterion: &mut Criterion) {
    let served = Served::new();
    let requests: Vec<Vec<u8>> = served.paths().iter().map(|path| chromium(path, "")).collect();
    let mut requests = requests.iter().cycle();
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    criterion.bench_function("answer", |bencher| {
        bencher.iter(|| {
            out.clear();
            let request = requests.next().expect("there are files");
            served.answer(request, &mut scratch, &mut out);
            out.len()
        });
    });
}

criterion_group!(benches, answer);
criterion_main!(benches);
