//! Outside of a cluster its API server is reached through the proxy that the variables name, unless they exempt it.
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

use common::network::proxy::Tunnel;
use common::tree::Version;
use common::verified;
use replicas::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_variables_count() {
    let site = Site::start().await;
    site.tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    site.register(&site.push("notes").await).await;
    let tunnel = Tunnel::start().await;
    // By a name, so that what exempts the API server does not exempt the proxy.
    let proxy = format!("http://{}", tunnel.address.replace("127.0.0.1", "localhost"));
    for (no_proxy, is_carried) in [
        ("other.example.org", true),
        ("127.0.0.0/8", false),
        // Nothing between two commas, or after the last, is nothing that is exempt.
        ("other.example.org,, ", true),
        (",other.example.org , 127.0.0.0/8,", false),
        (",", true),
    ] {
        let (place, before) = (site.place(), tunnel.carried());
        let loader = site.loader(&place, "init").with("LOADER_INIT_POLICY", "strict");
        let output = loader.with("HTTPS_PROXY", &proxy).with("NO_PROXY", no_proxy).ends();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(verified(&place.artifacts(), "notes").is_some());
        assert_eq!(tunnel.carried() > before, is_carried, "NO_PROXY={no_proxy}");
    }
}
