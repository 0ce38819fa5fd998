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
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_variables_count() {
    let site = Site::start().await;
    site.tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    site.register(&site.push("notes").await).await;
    let tunnel = Tunnel::start().await;
    let by_address = format!("http://ward:geheim@{}", tunnel.address);
    let by_name = tunnel.address.replace("127.0.0.1", "localhost");
    for (proxy, no_proxy, is_carried) in [
        (&by_address, "other.example.org", true),
        // What exempts the proxy does not exempt the API server, nor the other way round.
        (&by_name, "localhost", true),
        (&by_name, "127.0.0.0/8", false),
        // Nothing between two commas, or after the last, is nothing that is exempt, and so is what is no host.
        (&by_name, "other.example.org,, ", true),
        (&by_name, ",other.example.org , 127.0.0.0/8,", false),
        (&by_name, ",", true),
        (&by_name, "10.0.0.0/33,a b,host/path", true),
        (&by_name, "10.0.0.0/33,a b,host/path,127.0.0.1", false),
    ] {
        let (place, before) = (site.place(), tunnel.carried());
        let loader = site.loader(&place, "init").with("LOADER_INIT_POLICY", "strict");
        let output = loader.with("HTTPS_PROXY", proxy).with("NO_PROXY", no_proxy).ends();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(verified(&place.artifacts(), "notes").is_some());
        assert_eq!(tunnel.carried() > before, is_carried, "NO_PROXY={no_proxy}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hands_out_tokens_learns_what_has_no_proxy() {
    let site = Site::start().await;
    let place = site.place();
    let path = place.registrations().join("kubeconfig");
    let mut kubeconfig: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let user = &mut kubeconfig["users"][0]["user"];
    let version = "client.authentication.k8s.io/v1";
    let reply =
        json!({ "apiVersion": version, "kind": "ExecCredential", "status": { "token": "%s" } });
    let script = format!(
        "[ \"$NO_PROXY $no_proxy\" = '.test .test' ] && printf '{reply}' \"$(cat {})\"",
        user["tokenFile"]
    );
    *user = json!({ "exec": {
        "apiVersion": version, "interactiveMode": "Never", "command": "sh", "args": ["-c", script],
    }});
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let loader = site.loader(&place, "init").with("LOADER_INIT_POLICY", "strict");
    let output = loader.with("no_proxy", ".test").ends();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
