//! Whatever happens on the way between a loader and the API server, what is registered stays, the trouble is told
//! and counted, and what changes in the cluster is followed as soon as that is possible. The API server is a real one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;
mod following;
#[path = "../../tests/kubernetes/mod.rs"]
mod kubernetes;

use std::time::Duration;

use common::network::proxy::{BROKEN, BUSY, Fault, Proxy, TOO_MANY, Tls};
use following::{Following, SHORT};
use kubernetes::{Account, Cluster, wait_for};
use serde_json::{Value, json};

const NAMESPACE: &str = "team-a";
/// More connections than a loader opens while a fault lasts.
const LASTING: usize = 1_000;
/// In what the API server answers to the first request, which is for a list.
const IN_THE_STATUS_LINE: usize = 3;
const IN_THE_HEAD: usize = 100;
const IN_THE_LIST: usize = 900;
/// In the handshake of TLS.
const IN_THE_HANDSHAKE: usize = 500;
/// In a watch, after some changes.
const IN_A_WATCH: usize = 5_000;

const UNREACHABLE: Option<&str> = Some("cluster-unreachable");
const ERROR: Option<&str> = Some("cluster-error");
/// What is counted where a watch breaks off, which is no trouble.
const INTERRUPTED: Option<&str> = Some("cluster-interrupted");

/// What befalls the connections, the trouble that there is while it lasts, and the code that is counted.
type Case = (Fault, Option<&'static str>, Option<&'static str>);

fn image(digit: char) -> Value {
    let digest = digit.to_string().repeat(64);
    json!({ "featureId": "notes", "image": format!("registry.test/notes@sha256:{digest}") })
}

#[tokio::test]
async fn what_befalls_the_connections_is_told_and_survived() {
    let cluster = Cluster::start().await;
    cluster.create_namespace(NAMESPACE).await;
    let account = cluster.loader_account(NAMESPACE).await;
    cluster.grant(&account, NAMESPACE).await;
    cluster.register(NAMESPACE, "notes", image('0')).await;
    let api = format!("127.0.0.1:{}", cluster.port);

    let outside = Proxy::before(&api, []).await;
    let late = Fault::Late(Duration::from_millis(50));
    let faults = [
        (late, None, None),
        (Fault::CutAfter(0), UNREACHABLE, UNREACHABLE),
        (Fault::CutAfter(IN_THE_HANDSHAKE), UNREACHABLE, UNREACHABLE),
        (Fault::CutAfter(2 * IN_A_WATCH), None, INTERRUPTED),
        (Fault::Corrupt(IN_THE_HANDSHAKE), UNREACHABLE, UNREACHABLE),
    ];
    assert_survived(&cluster, &account, &outside, &faults).await;

    let file = |name| cluster.path(name);
    let tls = Tls::of(&file("server.crt"), &file("server.key"), &file("ca.crt"));
    let within = Proxy::within(tls, &api).await;
    let faults = [
        (TOO_MANY, ERROR, ERROR),
        (BROKEN, ERROR, ERROR),
        (BUSY, ERROR, ERROR),
        (Fault::CutAfter(IN_THE_HEAD), UNREACHABLE, UNREACHABLE),
        (Fault::CutAfter(IN_THE_LIST), UNREACHABLE, UNREACHABLE),
        (Fault::CutAfter(IN_A_WATCH), None, INTERRUPTED),
        (Fault::Corrupt(IN_THE_STATUS_LINE), UNREACHABLE, UNREACHABLE),
        (Fault::Corrupt(IN_THE_LIST), UNREACHABLE, UNREACHABLE),
    ];
    assert_survived(&cluster, &account, &within, &faults).await;
}

/// Follows the cluster through `way` with each fault, which lasts until there is trouble with this code; where there is
/// to be none, until it has struck.
async fn assert_survived(cluster: &Cluster, account: &Account, way: &Proxy, faults: &[Case]) {
    let (_, port) = way.address.split_once(':').unwrap();
    let seen = Following::start(cluster, account, port.parse().unwrap(), &[], SHORT).await;
    let mut digits = "123456789abcdef".chars().cycle();
    let mut change = async || {
        let digit = digits.next().unwrap();
        cluster.change(NAMESPACE, "notes", image(digit)).await;
        format!("notes={digit} @team-a/notes")
    };
    seen.until("the way is clear", &change().await).await;
    for (fault, trouble, counted) in faults {
        let (what, before, struck) = (format!("{fault:?}"), seen.now(), way.struck());
        let count = counted.map(|code| seen.counted(code));
        way.strike(std::iter::repeat_n(fault.clone(), LASTING));
        way.hang_up();
        if trouble.is_some() {
            wait_for(&what, async || (way.struck() > struck).then_some(())).await;
            seen.until_trouble(*trouble).await;
            assert_eq!(seen.now(), before, "{what}");
        } else {
            while way.struck() == struck {
                seen.until(&what, &change().await).await;
            }
        }
        if let Some((code, before)) = counted.zip(count) {
            seen.until_counted(&what, code, before).await;
        }
        let changed = change().await;
        way.clear();
        seen.until(&what, &changed).await;
        seen.until_trouble(None).await;
    }
}
