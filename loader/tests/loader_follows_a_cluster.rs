//! What is registered in a cluster is what is wanted, and nothing that befalls the cluster takes anything away that
//! nobody deleted. The API server is a real one, and the loader has the rights that the chart gives it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod following;
#[path = "../../tests/kubernetes/mod.rs"]
mod kubernetes;

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use following::{Following, LONG, RELISTING, SHORT};
use kubernetes::{Cluster, Line, wait_for};

/// The data of a registration of `feature` at the image whose digest consists of this digit.
fn image(feature: &str, digit: char) -> Value {
    let digest = digit.to_string().repeat(64);
    json!({ "featureId": feature, "image": format!("registry.test/{feature}@sha256:{digest}") })
}

#[tokio::test]
async fn what_is_registered_changed_and_deleted_is_followed() {
    let cluster = Cluster::start().await;
    for namespace in ["team-a", "team-b", "elsewhere"] {
        cluster.create_namespace(namespace).await;
    }
    let account = cluster.loader_account("team-a").await;
    cluster.grant(&account, "team-a").await;
    cluster.grant(&account, "team-b").await;
    cluster.register("team-a", "notes", image("notes", '1')).await;
    cluster.register("elsewhere", "foreign", image("foreign", '1')).await;
    let seen =
        Following::start(&cluster, &account, cluster.port, &["team-a", "team-b"], LONG).await;
    seen.until("the first list", "notes=1 @team-a/notes").await;

    cluster.change("team-a", "notes", image("notes", '2')).await;
    seen.until("a change", "notes=2 @team-a/notes").await;
    cluster.register("team-b", "visits", image("visits", '1')).await;
    seen.until("another namespace", "notes=2 @team-a/notes, visits=1 @team-b/visits").await;
    cluster.unregister("team-a", "notes").await;
    seen.until("a deletion", "visits=1 @team-b/visits").await;
    cluster.register("team-a", "notes", image("notes", '3')).await;
    seen.until("the same name again", "notes=3 @team-a/notes, visits=1 @team-b/visits").await;

    // One that is malformed is reported, and the others live.
    let tag_alone = json!({ "featureId": "visits", "image": "registry.test/visits:latest" });
    cluster.change("team-b", "visits", tag_alone).await;
    seen.until("a tag alone", "notes=3 @team-a/notes; registration-image @team-b/visits visits")
        .await;
    cluster.register("team-b", "blank", json!({})).await;
    let both = "registration-no-feature @team-b/blank, registration-image @team-b/visits visits";
    seen.until("no data", &format!("notes=3 @team-a/notes; {both}")).await;
    cluster.unregister("team-b", "blank").await;
    cluster.change("team-b", "visits", image("visits", '4')).await;
    seen.until("it is mended", "notes=3 @team-a/notes, visits=4 @team-b/visits").await;

    // Of two for one feature the older holds, wherever its name stands. Ages are in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    cluster.register("team-a", "a-second", image("visits", '5')).await;
    let second = "registration-duplicate @team-a/a-second visits";
    seen.until(
        "a second one",
        &format!("notes=3 @team-a/notes, visits=4 @team-b/visits; {second}"),
    )
    .await;
    cluster.unregister("team-b", "visits").await;
    seen.until("the first is gone", "notes=3 @team-a/notes, visits=5 @team-a/a-second").await;

    // One that loses the label is no registration any more.
    let api: Api<ConfigMap> = Api::namespaced(cluster.admin(), "team-a");
    let bare = json!({ "metadata": { "labels": { "pilar-runtime/feature-registration": null } } });
    api.patch("notes", &PatchParams::default(), &Patch::Merge(bare)).await.unwrap();
    seen.until("the label is gone", "visits=5 @team-a/a-second").await;
    assert_eq!(seen.trouble(), None);
}

#[tokio::test]
async fn an_api_server_that_is_away_takes_nothing_away() {
    let mut cluster = Cluster::start().await;
    cluster.create_namespace("team-a").await;
    let account = cluster.loader_account("team-a").await;
    cluster.grant(&account, "team-a").await;
    cluster.register("team-a", "notes", image("notes", '1')).await;
    // Without a namespace it is that of the account.
    let seen = Following::start(&cluster, &account, cluster.port, &[], SHORT).await;
    seen.until("the first list", "notes=1 @team-a/notes").await;
    let heard = seen.heard();
    wait_for("it is heard of though nothing changes", async || {
        (seen.heard() > heard).then_some(())
    })
    .await;

    cluster.kill_api();
    seen.until_trouble(Some("cluster-unreachable")).await;
    let heard = seen.heard();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(seen.heard(), heard, "what does not answer counts as heard from");
    assert_eq!(seen.now(), "notes=1 @team-a/notes");

    cluster.start_api().await;
    cluster.change("team-a", "notes", image("notes", '2')).await;
    seen.until("it is back", "notes=2 @team-a/notes").await;
    seen.until_trouble(None).await;
    assert!(seen.heard() > heard);
}

#[tokio::test]
async fn a_silent_connection_is_given_up_and_what_the_cluster_forgot_since_is_listed() {
    let mut cluster = Cluster::start().await;
    cluster.create_namespace("team-a").await;
    let account = cluster.loader_account("team-a").await;
    cluster.grant(&account, "team-a").await;
    cluster.register("team-a", "notes", image("notes", '1')).await;
    let line = Line::to(cluster.port).await;
    let seen = Following::start(&cluster, &account, line.port, &[], LONG).await;
    seen.until("the first list", "notes=1 @team-a/notes").await;

    line.silence();
    cluster.unregister("team-a", "notes").await;
    cluster.register("team-a", "visits", image("visits", '1')).await;
    // Neither the API server nor etcd remembers what happened before.
    cluster.kill_api();
    cluster.compact().await;
    cluster.start_api().await;
    line.mend();
    assert_eq!(seen.now(), "notes=1 @team-a/notes");
    seen.until("what happened meanwhile", "visits=1 @team-a/visits").await;
    assert!(seen.log().contains("410 Gone"), "the watch was not too old: {}", seen.log());
    assert_eq!(seen.trouble(), None);
}

#[tokio::test]
async fn what_a_wiped_cluster_forgot_is_kept_until_it_is_there_again() {
    let mut cluster = Cluster::start().await;
    cluster.age().await;
    cluster.create_namespace("team-a").await;
    let account = cluster.loader_account("team-a").await;
    cluster.grant(&account, "team-a").await;
    cluster.register("team-a", "notes", image("notes", '1')).await;
    cluster.register("team-a", "visits", image("visits", '1')).await;
    let seen = Following::start(&cluster, &account, cluster.port, &[], SHORT).await;
    let all = "notes=1 @team-a/notes, visits=1 @team-a/visits";
    seen.until("the first list", all).await;

    cluster.wipe().await;
    seen.until_trouble(Some("cluster-unauthorized")).await;
    let heard = seen.heard();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(seen.heard(), heard, "a refusal counts as heard from");
    assert_eq!(seen.now(), all);

    // Its operators bring the rights back first.
    cluster.create_namespace("team-a").await;
    let account = cluster.loader_account("team-a").await;
    cluster.grant(&account, "team-a").await;
    let forgotten = |name| format!("registration-forgotten @team-a/{name} {name}");
    let (notes, visits) = (forgotten("notes"), forgotten("visits"));
    seen.until("an empty list", &format!("; {notes}, {visits}")).await;
    cluster.register("team-a", "notes", image("notes", '1')).await;
    seen.until("one is back", &format!("notes=1 @team-a/notes; {visits}")).await;
    cluster.register("team-a", "visits", image("visits", '1')).await;
    seen.until("all are back", all).await;
    cluster.unregister("team-a", "visits").await;
    seen.until("one is deleted", "notes=1 @team-a/notes").await;
    seen.until_trouble(None).await;
}

#[tokio::test]
async fn a_restored_backup_goes_unnoticed_by_the_watch_and_not_by_the_next_list() {
    let mut cluster = Cluster::start().await;
    cluster.create_namespace("team-a").await;
    let account = cluster.loader_account("team-a").await;
    cluster.grant(&account, "team-a").await;
    cluster.register("team-a", "notes", image("notes", '1')).await;
    cluster.back_up().await;
    cluster.age().await;
    cluster.register("team-a", "visits", image("visits", '1')).await;
    let line = Line::to(cluster.port).await;
    let seen = Following::start(&cluster, &account, line.port, &[], RELISTING).await;
    seen.until("the first list", "notes=1 @team-a/notes, visits=1 @team-a/visits").await;

    line.silence();
    cluster.restore().await;
    line.mend();
    // The watch goes on from a number that the store is yet to reach, and says nothing of this.
    cluster.change("team-a", "notes", image("notes", '2')).await;
    let forgotten = "registration-forgotten @team-a/visits visits";
    seen.until("the next list", &format!("notes=2 @team-a/notes; {forgotten}")).await;
    seen.until_trouble(None).await;
}

#[tokio::test]
async fn rights_that_are_taken_away_take_nothing_else_away() {
    let cluster = Cluster::start().await;
    for namespace in ["team-a", "team-b"] {
        cluster.create_namespace(namespace).await;
    }
    let account = cluster.loader_account("team-a").await;
    cluster.grant(&account, "team-a").await;
    cluster.register("team-a", "notes", image("notes", '1')).await;
    cluster.register("team-b", "visits", image("visits", '1')).await;

    // From the start: what can be seen is wanted, and it is said what cannot be.
    let both = &["team-a", "team-b"];
    let seen = Following::start(&cluster, &account, cluster.port, both, SHORT).await;
    seen.until("half of it", "notes=1 @team-a/notes; unseen team-b/").await;
    seen.until_trouble(Some("cluster-forbidden")).await;
    cluster.grant(&account, "team-b").await;
    let all = "notes=1 @team-a/notes, visits=1 @team-b/visits";
    seen.until("the rights are there", all).await;
    seen.until_trouble(None).await;
    the_rights_are_no_more_than_needed(&cluster, &account).await;

    // Later: what was seen stays, and the other namespace is followed all the same.
    cluster.revoke("team-b").await;
    seen.until_trouble(Some("cluster-forbidden")).await;
    assert_eq!(seen.now(), all);
    cluster.unregister("team-b", "visits").await;
    cluster.change("team-a", "notes", image("notes", '2')).await;
    seen.until("the other one changes", "notes=2 @team-a/notes, visits=1 @team-b/visits").await;
    cluster.grant(&account, "team-b").await;
    seen.until("the rights are back", "notes=2 @team-a/notes").await;
    seen.until_trouble(None).await;
}

#[tokio::test]
async fn a_deleted_namespace_takes_its_registrations_along() {
    let cluster = Cluster::start().await;
    for namespace in ["team-a", "team-b"] {
        cluster.create_namespace(namespace).await;
    }
    let account = cluster.loader_account("team-a").await;
    cluster.grant(&account, "team-a").await;
    cluster.grant(&account, "team-b").await;
    cluster.register("team-a", "notes", image("notes", '1')).await;
    cluster.register("team-b", "visits", image("visits", '1')).await;
    let both = &["team-a", "team-b"];
    let seen = Following::start(&cluster, &account, cluster.port, both, LONG).await;
    seen.until("the first list", "notes=1 @team-a/notes, visits=1 @team-b/visits").await;

    cluster.delete_namespace("team-b").await;
    seen.until("a namespace less", "notes=1 @team-a/notes").await;
    cluster.create_namespace("team-b").await;
    cluster.grant(&account, "team-b").await;
    cluster.register("team-b", "visits", image("visits", '2')).await;
    seen.until("it is there again", "notes=1 @team-a/notes, visits=2 @team-b/visits").await;
    assert_eq!(seen.trouble(), None);
}

async fn the_rights_are_no_more_than_needed(cluster: &Cluster, account: &kubernetes::Account) {
    let kubeconfig = cluster.kubeconfig(account, cluster.port);
    let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    let client = Client::try_from(config).unwrap();
    let everything = ListParams::default();
    let forbidden = |error: kube::Error| match error {
        kube::Error::Api(status) => assert_eq!(status.code, 403, "{status:?}"),
        other => panic!("{other}"),
    };
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "team-a");
    maps.list(&everything).await.unwrap();
    let bare = Patch::Merge(json!({ "data": null }));
    forbidden(maps.patch("notes", &PatchParams::default(), &bare).await.unwrap_err());
    forbidden(Api::<ConfigMap>::all(client.clone()).list(&everything).await.unwrap_err());
    let secrets: Api<Secret> = Api::namespaced(client, "team-a");
    forbidden(secrets.list(&everything).await.unwrap_err());
}
