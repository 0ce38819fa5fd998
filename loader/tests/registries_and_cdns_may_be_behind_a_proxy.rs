//! Registries and CDNs are reached through the proxies that the variables name, unless they exempt them, and with the
//! authorities that the machine does not know.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use common::network::proxy::{Fault, Proxy, Tunnel};
use common::network::registry::{Registry, free_address};
use common::network::{FEATURE, Place as Fetching, image, limits, origin, plain};
use common::program::Place;
use common::server::Server;
use common::tree::{Tree, Version};
use common::verified;
use pilar_artifact::Sha256Digest;
use pilar_loader::registration::{Origin, Registration};
use pilar_loader::transport::{Options, Proxies};

const UPPER: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
const LOWER: [&str; 3] = ["http_proxy", "https_proxy", "no_proxy"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_variables_count() {
    let tree = Tree::new();
    tree.publish(&Version::domain("letters", "1.0.0", "/letters"));
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let (registry, authority) = Registry::with_tls().await;
    let digest = image::push_feature(&registry, "letters", &tree, "letters").await;
    let letters = Registration {
        feature: "letters".parse().unwrap(),
        origin: origin(&registry.address, "letters", digest),
    };
    // By another name than the registry, so that one of them can be exempt.
    let cdn = Server::of(&tree.artifacts());
    let host = cdn.host().replace("127.0.0.1", "localhost");
    let notes = Registration {
        feature: "notes".parse().unwrap(),
        origin: Origin::Cdn(format!("http://{host}/notes/").parse().unwrap()),
    };
    for (names, none, carries_cdn, carries_registry) in [
        (UPPER, "other.example.org", true, true),
        (LOWER, "other.example.org", true, true),
        (UPPER, "localhost", false, true),
        (LOWER, "127.0.0.0/8", true, false),
        (UPPER, "127.0.0.1, localhost", false, false),
    ] {
        let (for_cdn, for_registry) = (Tunnel::start().await, Tunnel::start().await);
        let place = Place::new();
        place.register(&letters);
        place.register(&notes);
        let trusted = place.registrations().join("authority.pem");
        std::fs::write(&trusted, &authority).unwrap();
        let loader = place
            .loader(&["init"])
            .with("LOADER_INIT_POLICY", "strict")
            .with("LOADER_PLAIN_HTTP_HOSTS", &host)
            .with("LOADER_EXTRA_CA_PATH", trusted)
            .with(names[0], format!("http://{}", for_cdn.address))
            .with(names[1], format!("http://{}", for_registry.address))
            .with(names[2], none);
        let output = loader.ends();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for feature in ["letters", "notes"] {
            assert!(verified(&place.artifacts(), feature).is_some(), "{feature}");
        }
        let carried = (for_cdn.carried() > 0, for_registry.carried() > 0);
        assert_eq!(carried, (carries_cdn, carries_registry), "{names:?}, {none}");
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_let_through_is_named() {
    let image = origin("registry.example.org", "lab", Sha256Digest::of(b""));
    let cdn = Origin::Cdn(format!("http://cdn.example.org/{FEATURE}/").parse().unwrap());
    let refusing = Proxy::before(&free_address(), []).await;
    let forbidden = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let always = std::iter::repeat_n(Fault::Answer(forbidden), limits().tries as usize);
    refusing.strike(always);
    let dead = free_address();
    for (origin, proxy) in [(&image, &dead), (&cdn, &dead), (&image, &refusing.address)] {
        let through = Some(format!("http://ward:geheim@{proxy}"));
        let proxies = Proxies { http: through.clone(), https: through, none: None };
        let place = Fetching::new(Options { proxies, ..plain(&["cdn.example.org"]) });
        let brought = place.fetch(origin).await;
        let error = brought.refused("unreachable");
        let text = error.to_string();
        assert!(text.contains(&format!("through the proxy http://{proxy}/: ")), "{text}");
        assert!(error.remedy().contains("NO_PROXY"), "{}", error.remedy());
        assert!(!format!("{error:?} {text}").contains("geheim"), "{text}");
    }
    assert_eq!(refusing.struck(), limits().tries as usize);
}

#[tokio::test]
async fn where_no_proxy_is_on_the_way_none_is_named() {
    let dead = free_address();
    let proxies = Proxies {
        http: Some("http://127.0.0.1:1".to_owned()),
        https: None,
        none: Some("127.0.0.1".to_owned()),
    };
    let place = Fetching::new(Options { proxies, ..plain(&[&dead]) });
    let cdn = Origin::Cdn(format!("http://{dead}/{FEATURE}/").parse().unwrap());
    let text = place.fetch(&cdn).await.refused("unreachable").to_string();
    assert!(!text.contains("proxy"), "{text}");
}
