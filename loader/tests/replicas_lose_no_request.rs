//! Replicas that follow one cluster and one registry end up serving the same, whatever is deployed and whatever fails,
//! and lose no request on the way there.
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
#[path = "../../tests/support/load.rs"]
mod load;
mod replicas;

use common::network::proxy::BUSY;
use common::program::{get, wait_for};
use common::tree::{STRANGER, Version, signing_key};
use load::{Answered, Asking};
use replicas::{Replica, Site, converged};

const REPLICAS: usize = 3;
const CONNECTIONS: usize = 4;
/// More connections than any loader opens while a test runs.
const ALWAYS: usize = 100_000;

fn notes(version: &str) -> Version {
    Version::domain("notes", version, "/notes")
}

/// Waits until every loader says why it cannot bring the notes.
#[track_caller]
fn refused(replicas: &[Replica], code: &str) {
    wait_for(code, || {
        let mut troubles = replicas.iter().map(|replica| replica.trouble("notes"));
        troubles.all(|trouble| trouble.as_deref() == Some(code)).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_follow_a_cluster_through_everything_and_lose_no_request() {
    let site = Site::start().await;
    site.tree.publish(&notes("1.0.0"));
    site.tree.publish(&Version::domain("letters", "1.0.0", "/letters"));
    let (first, letters) = (site.push("notes").await, site.push("letters").await);
    site.register(&first).await;
    site.register(&letters).await;
    let replicas: Vec<Replica> = (0..REPLICAS).map(|_| site.replica()).collect();
    let both = |version| [("letters", "1.0.0"), ("notes", version)];
    let at_first = converged(&replicas, "the start", &both("1.0.0"));
    // The page, a file of the version that is there all the time, and a dynamic route.
    let paths = ["/notes", "/notes/deep/link", &notes("1.0.0").url("entry.js"), "/_navigation"];
    let load: Vec<Asking> = replicas
        .iter()
        .map(|replica| Asking::start(replica.host.port, CONNECTIONS, &paths))
        .collect();

    site.tree.publish(&notes("1.1.0"));
    site.change(&site.push("notes").await).await;
    let upgraded = converged(&replicas, "an upgrade", &both("1.1.0"));
    assert_ne!(upgraded, at_first);

    site.change(&first).await;
    assert_eq!(converged(&replicas, "a rollback", &both("1.0.0")), at_first);

    // Its manifest is signed by somebody whom nobody trusts.
    site.tree.publish(&notes("1.2.0"));
    site.tree.edit_manifest("notes", "1.2.0", &signing_key(STRANGER), |_| {});
    site.change(&site.push("notes").await).await;
    refused(&replicas, "key-unknown");
    assert_eq!(converged(&replicas, "a bad image", &both("1.0.0")), at_first);

    site.tree.publish(&notes("1.3.0"));
    let good = site.push("notes").await;
    site.way.strike(std::iter::repeat_n(BUSY, ALWAYS));
    site.way.hang_up();
    site.change(&good).await;
    refused(&replicas, "server-error");
    assert_eq!(converged(&replicas, "a registry that is away", &both("1.0.0")), at_first);
    site.way.clear();
    converged(&replicas, "the registry is back", &both("1.3.0"));

    site.unregister(&letters).await;
    converged(&replicas, "a removal", &[("notes", "1.3.0")]);
    for (replica, load) in replicas.iter().zip(load) {
        assert_eq!(get(replica.host.port, "/letters").0, 404);
        let Answered { requests, errors } = load.end();
        assert_eq!(errors, "", "of {requests} requests");
        assert!(requests > 0, "nothing was answered");
    }
}
