//! How long it takes until what is registered serves: `cargo xtask measure` runs this and writes down what it finds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;
#[path = "../../tests/kubernetes/mod.rs"]
mod kubernetes;
mod replicas;

use std::thread;
use std::time::{Duration, Instant};

use common::PATIENCE;
use common::program::get;
use common::tree::Version;
use replicas::{Replica, Site, converged};
use serde_json::json;

const REPLICAS: usize = 3;
const CHANGES: usize = 40;
/// Registered at a cold start, and how often that is measured.
const FEATURES: usize = 200;
const STARTS: usize = 3;
/// Of each feature, beside some short files; it does not compress.
const BYTES: usize = 64 * 1024;
/// After a change, so that the next one finds nobody at work on the last.
const REST: Duration = Duration::from_millis(200);
/// Between two questions whether the new version serves.
const PAUSE: Duration = Duration::from_millis(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes: `cargo xtask measure` runs it"]
async fn measure() {
    let to = std::env::var_os("PILAR_MEASURED").expect("PILAR_MEASURED names the file to write");
    let site = Site::start().await;
    let (told, changes) = changes(&site).await;
    let (init, ready) = starts(&site).await;
    let measured = json!({
        "replicas": REPLICAS,
        "told": told,
        "changes": changes,
        "features": FEATURES,
        "bytes": BYTES,
        "init": init,
        "ready": ready,
    });
    std::fs::write(to, measured.to_string()).unwrap();
}

/// Milliseconds from the moment before a ConfigMap is changed until the API server has done so, and until the first page
/// of the new version, of each replica.
async fn changes(site: &Site) -> (Vec<f64>, Vec<f64>) {
    site.tree.publish(&version("notes", 0));
    site.register(&site.push_by_pilar("notes")).await;
    let replicas: Vec<Replica> = (0..REPLICAS).map(|_| site.replica()).collect();
    converged(&replicas, "the start", &[("notes", "1.0.0")]);
    let (mut told, mut milliseconds) = (Vec::new(), Vec::new());
    for number in 1..=CHANGES {
        let next = version("notes", number);
        site.tree.publish(&next);
        let registration = site.push_by_pilar("notes");
        tokio::time::sleep(REST).await;
        let start = Instant::now();
        site.change(&registration).await;
        told.push(in_milliseconds(start.elapsed()));
        let wanted = next.url("entry.js");
        thread::scope(|scope| {
            let served = |replica: &Replica| served(replica.host.port, &wanted, start);
            let served: Vec<_> =
                replicas.iter().map(|replica| scope.spawn(move || served(replica))).collect();
            milliseconds.extend(served.into_iter().map(|thread| thread.join().unwrap()));
        });
    }
    (told, milliseconds)
}

/// Milliseconds from the start of `pilar-loader init` to its end, and to the ready host behind it.
async fn starts(site: &Site) -> (Vec<f64>, Vec<f64>) {
    for number in 1..FEATURES {
        let id = format!("feature-{number:03}");
        site.tree.publish(&version(&id, 0));
        site.register(&site.push(&id).await).await;
    }
    let start = || {
        let place = site.place();
        let start = Instant::now();
        site.init(&place);
        let init = start.elapsed();
        let host = site.host(&place);
        let ready = start.elapsed();
        assert_eq!(host.serving().1.len(), FEATURES);
        (in_milliseconds(init), in_milliseconds(ready))
    };
    (0..STARTS).map(|_| start()).unzip()
}

fn version(id: &str, number: usize) -> Version {
    let mut state = number as u64 + 1;
    let noise = (0..BYTES).map(|_| {
        // An xorshift: any bytes will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    Version::domain(id, &format!("1.{number}.0"), &format!("/{id}"))
        .with_file("picture.bin", noise.collect::<Vec<u8>>())
}

/// Milliseconds from `start` until the page of the notes names `wanted`.
fn served(port: u16, wanted: &str, start: Instant) -> f64 {
    loop {
        let (status, page) = get(port, "/notes");
        assert_eq!(status, 200, "{page}");
        if page.contains(wanted) {
            return in_milliseconds(start.elapsed());
        }
        assert!(start.elapsed() < PATIENCE, "gave up waiting for {wanted}");
        thread::sleep(PAUSE);
    }
}

fn in_milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
