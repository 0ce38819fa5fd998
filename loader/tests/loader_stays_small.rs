//! What a loader holds in memory does not grow with what it brings.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use std::io::Write as _;

use common::archive::gzip;
use common::network::image::{self, Blob, archive_of};
use common::network::origin;
use common::network::registry::Registry;
use common::program::{Place, get, wait_for};
use common::server::Server;
use common::tree::{Tree, Version};
use pilar_loader::registration::Registration;

const FEATURES: usize = 100;
const MIB: usize = 1 << 20;
/// The largest window that a loader takes, as a power of two. It holds that much for as long as it reads the layer.
const LARGEST_WINDOW: u32 = 23;
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

type Compress = fn(&[u8]) -> Vec<u8>;

fn id(number: usize) -> String {
    format!("feature-{number}")
}

/// A hundred features, each with a file of a mebibyte that does not compress.
fn released() -> Tree {
    let tree = Tree::new();
    for number in 0..FEATURES {
        let version = Version::domain(&id(number), "1.0.0", &format!("/{}", id(number)));
        let mut state = number as u64 + 1;
        let noise = std::iter::repeat_with(|| {
            // Xorshift (Marsaglia 2003): each is another one.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        let noise: Vec<u8> = noise.take(MIB / 8).flatten().collect();
        tree.publish(&version.with_file("large.bin", noise));
    }
    tree
}

/// The value of a line of `/proc/<process>/status`, in KiB.
fn kibibytes(process: u32, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// Brings all that is registered in `place`, and holds the process to 64 MiB: the most it ever had in memory at once, its
/// program included.
fn assert_small(what: &str, place: &Place, plain: &str) {
    let mut running = place
        .loader(&["watch"])
        .with("LOADER_PLAIN_HTTP_HOSTS", plain)
        .with("LOADER_HTTP_PORT", "0")
        .start();
    let port = running.port();
    let all = format!("pilar_loader_registered{{state=\"in_place\"}} {FEATURES}");
    wait_for("all features", || get(port, "/metrics").1.contains(&all).then_some(()));
    let peak = kibibytes(running.id(), "VmHWM:");
    let program = kibibytes(running.id(), "RssFile:");
    println!("{what}: {peak} KiB at the peak, of which some {program} are the program");
    assert!(peak * 1024 <= 64 * MIB, "{what}: {peak} KiB");
}

/// One after the other, so that each has the machine to itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_features_at_once_stay_within_64_mib() {
    let (tree, registry, place) = (released(), Registry::open().await, Place::new());
    let server = Server::of(&tree.artifacts());
    for number in 0..FEATURES {
        place.register(&server.registration(&id(number)));
    }
    assert_small("a CDN", &place, &server.host());
    let compressed: [(&str, Compress); 2] = [("gzip", gzip), ("zstd", wide_zstd)];
    for (compression, compress) in compressed {
        let place = Place::new();
        for number in 0..FEATURES {
            let (feature, repository) = (id(number), format!("{}-{compression}", id(number)));
            let layer = compress(&archive_of(&tree, &feature));
            let layer = Blob::new(&format!("{LAYER}+{compression}"), layer);
            let digest = image::push(&registry, &repository, &[layer]).await;
            let origin = origin(&registry.address, &repository, digest);
            place.register(&Registration { feature: feature.parse().unwrap(), origin });
        }
        assert_small(compression, &place, &registry.address);
    }
}

/// With the largest window, which a frame claims whatever its size.
fn wide_zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(LARGEST_WINDOW).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
