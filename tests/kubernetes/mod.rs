//! A real API server: kube-apiserver and etcd, of the release that `go.mod` here pins, on loopback.
//!
//! There is no controller manager and no kubelet. Who needs what they do does it: [`Cluster::delete_namespace`].
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of this")]

mod certificates;
mod line;
mod objects;
mod server;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::config::{AuthInfo, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tempfile::TempDir;

use certificates::Certificates;
use server::{Server, free_port};

pub(crate) use line::Line;
pub(crate) use objects::Account;

/// How long anything may take before a test gives up on it. No test succeeds or fails by time otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A cluster with its data. It ends with the test.
pub(crate) struct Cluster {
    room: TempDir,
    http: reqwest::Client,
    etcd_port: u16,
    /// Where the API server listens, for as long as the cluster is there.
    pub(crate) port: u16,
    etcd: Option<Server>,
    api: Option<Server>,
}

impl Cluster {
    /// Starts one that is empty but for what the API server itself puts there.
    pub(crate) async fn start() -> Self {
        // Whoever was first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let room = tempfile::tempdir().unwrap();
        Certificates::generate().write(room.path());
        let mut cluster = Self {
            room,
            http: reqwest::Client::new(),
            etcd_port: free_port(),
            port: free_port(),
            etcd: None,
            api: None,
        };
        cluster.start_etcd();
        cluster.start_api().await;
        cluster
    }

    /// May do everything.
    pub(crate) fn admin(&self) -> Client {
        let mut config = self.config();
        config.auth_info = AuthInfo {
            client_certificate: Some(self.path("admin.crt")),
            client_key: Some(self.path("admin.key")),
            ..AuthInfo::default()
        };
        Client::try_from(config).unwrap()
    }

    /// Where the cluster is and how it proves that, without a word on who asks.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new(self.url().parse().unwrap());
        config.root_cert_file = Some(self.room.path().join("ca.crt"));
        config
    }

    /// What `account` needs to know to use the cluster through `port`, which leads to [`Cluster::port`].
    pub(crate) fn kubeconfig(&self, account: &Account, port: u16) -> Kubeconfig {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": {
                "server": format!("https://127.0.0.1:{port}"),
                "certificate-authority": self.path("ca.crt"),
            }}],
            "users": [{ "name": "loader", "user": { "tokenFile": account.token_file } }],
            "contexts": [{ "name": "test", "context": {
                "cluster": "test", "user": "loader", "namespace": account.namespace,
            }}],
            "current-context": "test",
        });
        serde_json::from_value(kubeconfig).unwrap()
    }

    /// Kills the API server.
    pub(crate) fn kill_api(&mut self) {
        self.api = None;
    }

    /// Starts the API server where it was, and waits until it serves.
    pub(crate) async fn start_api(&mut self) {
        let etcd = format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port);
        let port = format!("--secure-port={}", self.port);
        let file = |flag: &str, name: &str| format!("--{flag}={}", self.path(name));
        let mut api = Server::start(
            "kube-apiserver",
            &self.room.path().join("kube-apiserver.log"),
            &[
                &etcd,
                &port,
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--authorization-mode=RBAC",
                "--anonymous-auth=false",
                &file("client-ca-file", "ca.crt"),
                &file("tls-cert-file", "server.crt"),
                &file("tls-private-key-file", "server.key"),
                "--service-account-issuer=https://kubernetes.default.svc",
                &file("service-account-key-file", "accounts.pub"),
                &file("service-account-signing-key-file", "accounts.key"),
                // Tests say when.
                "--etcd-compaction-interval=0",
            ],
        );
        let admin = self.admin();
        let ready = async || {
            api.assert_running();
            let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
            admin.request_text(request).await.is_ok_and(|text| text == "ok").then_some(())
        };
        wait_for("the API server serves", ready).await;
        self.api = Some(api);
        let api: Api<Namespace> = Api::all(admin);
        wait_for("the namespace \"default\" is there", async || api.get("default").await.ok())
            .await;
    }

    /// Loses everything that the cluster knew, and starts it anew under the same keys.
    pub(crate) async fn wipe(&mut self) {
        self.stop();
        fs::remove_dir_all(self.path("etcd")).unwrap();
        self.start_etcd();
        self.start_api().await;
    }

    /// Keeps what the cluster knows now for [`Cluster::restore`].
    pub(crate) async fn back_up(&mut self) {
        self.stop();
        self.copy("etcd", "backup");
        self.start_etcd();
        self.start_api().await;
    }

    /// Forgets everything that happened since [`Cluster::back_up`].
    pub(crate) async fn restore(&mut self) {
        self.stop();
        fs::remove_dir_all(self.path("etcd")).unwrap();
        self.copy("backup", "etcd");
        self.start_etcd();
        self.start_api().await;
    }

    /// Makes etcd forget every revision but the last, so that a watch from an earlier one is `410 Gone` once the
    /// API server's memory of them is gone too: [`Cluster::kill_api`] sees to that.
    pub(crate) async fn compact(&self) {
        let now = self.etcd("kv/range", &json!({ "key": "AA==" })).await;
        let revision = now["header"]["revision"].as_str().unwrap().to_owned();
        self.etcd("kv/compaction", &json!({ "revision": revision, "physical": true })).await;
    }

    /// Makes the cluster one that has lived: its store counts higher than that of one that has just begun.
    pub(crate) async fn age(&self) {
        for _ in 0..500 {
            self.etcd("kv/put", &json!({ "key": "YWdl" })).await;
        }
    }

    async fn etcd(&self, what: &str, question: &Value) -> Value {
        let url = format!("http://127.0.0.1:{}/v3/{what}", self.etcd_port);
        let reply = self.http.post(url).body(question.to_string()).send().await;
        let text = reply.unwrap().error_for_status().unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn stop(&mut self) {
        self.api = None;
        self.etcd = None;
    }

    fn copy(&self, from: &str, to: &str) {
        let (from, to) = (self.path(from), self.path(to));
        let copied = Command::new("cp").args(["-a", &from, &to]).status().unwrap();
        assert!(copied.success(), "cp {from} {to}");
    }

    fn start_etcd(&mut self) {
        let url = format!("http://127.0.0.1:{}", self.etcd_port);
        // It has no peers, and yet it listens for them.
        let peers = format!("http://127.0.0.1:{}", free_port());
        let etcd = Server::start(
            "etcd",
            &self.room.path().join("etcd.log"),
            &[
                "--name=test",
                &format!("--data-dir={}", self.path("etcd")),
                &format!("--listen-client-urls={url}"),
                &format!("--advertise-client-urls={url}"),
                &format!("--listen-peer-urls={peers}"),
                &format!("--initial-advertise-peer-urls={peers}"),
                &format!("--initial-cluster=test={peers}"),
                "--unsafe-no-fsync",
            ],
        );
        self.etcd = Some(etcd);
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// One of the files of the cluster, such as `ca.crt`, `server.crt` or `server.key`.
    pub(crate) fn path(&self, name: &str) -> String {
        let path: PathBuf = self.room.path().join(name);
        path.into_os_string().into_string().unwrap()
    }
}

/// Asks again and again until there is an answer.
pub(crate) async fn wait_for<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "gave up waiting: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
