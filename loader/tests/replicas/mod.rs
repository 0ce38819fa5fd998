//! Pairs of a loader and a host, as pods are: each with a directory of its own, all following one cluster and one
//! registry.
#![allow(dead_code, reason = "each test binary uses its own part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helpers of tests, which fail by panicking and write files of their own"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use kube::config::Kubeconfig;
use pilar_artifact::Sha256Digest;
use serde_json::{Value, json};

use crate::common::network::image;
use crate::common::network::proxy::Proxy;
use crate::common::network::registry::Registry;
use crate::common::program::{Place, Running, Setup, get, wait_for};
use crate::common::programs::beside;
use crate::common::tree::Tree;
use crate::kubernetes::{Account, Cluster};

const NAMESPACE: &str = "wards";

/// What the replicas follow: a cluster, a registry, and what teams release.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    account: Account,
    registry: Registry,
    /// The only way from a loader to the registry.
    pub(crate) way: Proxy,
    pub(crate) tree: Tree,
    host: PathBuf,
}

/// A loader and a host.
pub(crate) struct Replica {
    pub(crate) place: Place,
    pub(crate) host: Host,
    _loader: Running,
}

/// A host; it ends with the test.
pub(crate) struct Host {
    child: Child,
    pub(crate) port: u16,
    _stdout: BufReader<ChildStdout>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        let host = beside(env!("CARGO_BIN_EXE_pilar-loader"), "pilar-host", "pilar-host");
        let cluster = Cluster::start().await;
        cluster.create_namespace(NAMESPACE).await;
        let account = cluster.loader_account(NAMESPACE).await;
        cluster.grant(&account, NAMESPACE).await;
        let registry = Registry::open().await;
        let way = Proxy::before(&registry.address, []).await;
        Self { cluster, account, registry, way, tree: Tree::new(), host }
    }

    /// Pushes what the tree has of `feature` now; returns the data of a registration of it.
    pub(crate) async fn push(&self, feature: &str) -> Value {
        let digest = image::push_feature(&self.registry, feature, &self.tree, feature).await;
        self.registration(feature, digest)
    }

    /// The same by `pilar image push`.
    pub(crate) fn push_by_pilar(&self, feature: &str) -> Value {
        let digest = image::push_by_pilar(&self.registry, feature, &self.tree, feature);
        self.registration(feature, digest)
    }

    fn registration(&self, feature: &str, digest: Sha256Digest) -> Value {
        let image = format!("{}/{feature}@sha256:{digest}", self.way.address);
        json!({ "featureId": feature, "image": image })
    }

    pub(crate) async fn register(&self, data: &Value) {
        self.cluster.register(NAMESPACE, feature(data), data.clone()).await;
    }

    pub(crate) async fn change(&self, data: &Value) {
        self.cluster.change(NAMESPACE, feature(data), data.clone()).await;
    }

    pub(crate) async fn unregister(&self, data: &Value) {
        self.cluster.unregister(NAMESPACE, feature(data)).await;
    }

    /// A place for a replica that has nothing yet.
    pub(crate) fn place(&self) -> Place {
        let place = Place::new();
        let kubeconfig = self.cluster.kubeconfig(&self.account, self.cluster.port);
        fs::write(path_of_kubeconfig(&place), json(&kubeconfig)).unwrap();
        place
    }

    /// What a pod does before its host starts.
    pub(crate) fn init(&self, place: &Place) {
        let output = self.loader(place, "init").ends();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The host of a pod, as soon as it is ready.
    pub(crate) fn host(&self, place: &Place) -> Host {
        Host::start(Command::new(&self.host).env_clear(), place)
    }

    /// A whole pod.
    pub(crate) fn replica(&self) -> Replica {
        let place = self.place();
        self.init(&place);
        let host = self.host(&place);
        let loader = self.loader(&place, "watch").start();
        Replica { place, host, _loader: loader }
    }

    pub(crate) fn loader(&self, place: &Place, command: &str) -> Setup {
        place
            .loader(&[command])
            .without("LOADER_REGISTRATIONS_DIR")
            .with("KUBECONFIG", path_of_kubeconfig(place))
            .with("LOADER_PLAIN_HTTP_HOSTS", &self.way.address)
            // Nobody reads its log while it runs.
            .with("RUST_LOG", "error")
    }
}

impl Replica {
    /// The code of the last failure to bring a feature.
    pub(crate) fn trouble(&self, feature: &str) -> Option<String> {
        let said = self.place.status().features.remove(&feature.parse().unwrap())?;
        Some(said.last_error?.code)
    }
}

impl Host {
    fn start(command: &mut Command, place: &Place) -> Self {
        let mut child = command
            .env("HOST_BIND", "127.0.0.1")
            .env("PORT", "0")
            .env("HOT_REFRESH_WATCH", "1")
            .env("ARTIFACTS_DIR", place.artifacts())
            .env("FEATURE_READY_SENTINEL_PATH", place.sentinel())
            .env("FEATURE_TRUST_PUBLIC_KEYS_JSON", Tree::new().trusted_keys())
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the host starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("stdout is readable");
        let port = line.trim_end().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("the host did not start: {line}"));
        wait_for("the host to be ready", || (get(port, "/_ready").0 == 200).then_some(()));
        Self { child, port, _stdout: stdout }
    }

    /// The id of its snapshot, and the version that each feature serves.
    pub(crate) fn serving(&self) -> (String, BTreeMap<String, String>) {
        let (status, body) = get(self.port, "/_health");
        assert_eq!(status, 200, "{body}");
        let health: Value = serde_json::from_str(&body).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let features = health["features"].as_array().unwrap().iter();
        let serving =
            features.map(|each| (text(&each["featureId"]), text(&each["servingVersion"])));
        (text(&health["snapshot"]["id"]), serving.collect())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // One that has ended is no more to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until all replicas serve these versions and nothing else, from the same snapshot; returns its id.
#[track_caller]
pub(crate) fn converged(replicas: &[Replica], what: &str, versions: &[(&str, &str)]) -> String {
    let pair = |(id, version): &(&str, &str)| ((*id).to_owned(), (*version).to_owned());
    let expected: BTreeMap<String, String> = versions.iter().map(pair).collect();
    let ids = wait_for(what, || {
        let serving = replicas.iter().map(|replica| replica.host.serving());
        serving.map(|(id, found)| (found == expected).then_some(id)).collect::<Option<Vec<_>>>()
    });
    assert!(!ids[0].is_empty() && ids.iter().all(|id| *id == ids[0]), "{what}: {ids:?}");
    ids[0].clone()
}

fn feature(data: &Value) -> &str {
    data["featureId"].as_str().unwrap()
}

fn path_of_kubeconfig(place: &Place) -> PathBuf {
    place.registrations().join("kubeconfig")
}

fn json(kubeconfig: &Kubeconfig) -> String {
    serde_json::to_string(kubeconfig).unwrap()
}
