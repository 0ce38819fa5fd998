//! Registrations as ConfigMaps of a cluster (contract §12).
//!
//! Each namespace is followed by itself with kube's watcher, so that rights in these namespaces are enough, and one
//! that cannot be read takes no other with it. What a watch alone would miss, a new list finds: after any error,
//! and every few minutes although nothing went wrong. For an API server whose store was restored from a backup
//! counts from an earlier number, and lets a watch from a later one wait without a word.

mod board;
mod known;
mod trouble;

use std::collections::HashMap;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use http::Uri;
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::client::{ClientBuilder, DynBody};
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::{self, DefaultBackoff, Event, watcher};
use kube::{Api, Client, Config};
use tokio::time::{Instant, sleep, timeout_at};
use tower::util::MapResponseLayer;

use super::Reporter;
use crate::problem::Problem;
use crate::transport::Proxies;
use board::Board;
use known::Known;

/// What makes a ConfigMap a registration.
const SELECTOR: &str = "pilar-runtime/feature-registration=true";
/// ConfigMaps in one reply. Each may be of a mebibyte, of which a registration needs a few hundred bytes, and a reply is
/// held more than once while it is read: as it came, as text, and as objects. Twenty would take all of the 64 MiB that
/// a loader is to stay within; usual ones are so small that the number of requests does not count.
const PAGE: u32 = 4;
/// How much longer than a watch lasts a connection may be silent. kube itself grants a watch five seconds.
const SLACK: Duration = Duration::from_secs(10);

/// How patient the source is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// After so many seconds the API server ends a watch, and the next goes on from there. That a connection went
    /// silent or that a right was taken away is noticed after this time.
    pub watch_seconds: u32,
    /// After this time everything is listed anew.
    pub relist: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { watch_seconds: 60, relist: Duration::from_secs(300) }
    }
}

/// How to reach the cluster: what `KUBECONFIG` or `~/.kube/config` says, otherwise as the service account of this
/// pod. Outside of a cluster it may be behind a proxy, that of its `proxy-url` or of `HTTPS_PROXY`, unless
/// `NO_PROXY` names the cluster.
///
/// # Errors
/// A [`Problem`] where there is neither.
pub async fn connection(proxies: &Proxies) -> Result<Config, Problem> {
    let mut config = Config::infer().await.map_err(|error| {
        Problem::new(
            "cluster-unknown",
            format!("there is no way to a cluster: {}", trouble::chain(&error)),
            "run in a pod with a service account, set KUBECONFIG, or set LOADER_REGISTRATIONS_DIR to read files",
        )
    })?;
    // kube knows `proxy-url` and HTTPS_PROXY; NO_PROXY is kept from it.
    config.proxy_url =
        config.proxy_url.take().and_then(|proxy| way_through(proxy, &config.cluster_url, proxies));
    if let Some(exec) = &mut config.auth_info.exec {
        let hidden = proxies.for_programs().map(|(name, value)| {
            HashMap::from([("name", name), ("value", value)].map(|(k, v)| (k.into(), v.into())))
        });
        // What the kubeconfig sets comes after it, and counts.
        exec.env = Some(hidden.chain(exec.env.take().unwrap_or_default()).collect());
    }
    Ok(config)
}

/// The proxy where it is on the way to the cluster, with a scheme, which kube needs, and with the login, which is sent
/// to it.
fn way_through(proxy: Uri, cluster: &Uri, proxies: &Proxies) -> Option<Uri> {
    let text = Some(proxy.to_string());
    let proxies = Proxies { http: text.clone(), https: text, none: proxies.none.clone() };
    let mut parts = proxies.way_to(cluster)?.uri().clone().into_parts();
    parts.authority = proxy.into_parts().authority;
    Uri::from_parts(parts).ok()
}

/// Says what the ConfigMaps of `namespaces` register, whenever that changed, until nobody listens. An empty list
/// stands for the namespace of `config`.
pub async fn follow(
    mut config: Config,
    mut namespaces: Vec<String>,
    patience: Patience,
    reporter: Reporter,
) {
    if namespaces.is_empty() {
        namespaces.push(config.default_namespace.clone());
    }
    namespaces.sort();
    namespaces.dedup();
    config.read_timeout = Some(Duration::from_secs(patience.watch_seconds.into()) + SLACK);
    config.reset_reader_on_write = true;
    // Trying again is done here, where it is reported.
    config.default_retry = false;
    let board = Arc::new(Board::new(&namespaces, reporter));
    let followers = namespaces.iter().map(|namespace| Follower {
        config: &config,
        namespace,
        patience,
        board: &board,
        known: Known::of(namespace),
        pause: DefaultBackoff::default(),
    });
    tokio::select! {
        _ = join_all(followers.map(Follower::run)) => {}
        () = board.closed() => {}
    }
}

/// What follows one namespace.
struct Follower<'a> {
    config: &'a Config,
    namespace: &'a str,
    patience: Patience,
    board: &'a Arc<Board>,
    known: Known,
    /// Grows with each failure in a row, up to half a minute, and is never the same for two loaders.
    pause: DefaultBackoff,
}

impl Follower<'_> {
    async fn run(mut self) {
        loop {
            let Err(error) = self.round().await else { continue };
            if trouble::is_expiry(&error) {
                tracing::info!(
                    namespace = self.namespace,
                    "the cluster does not remember what the watch was to go on from (410 Gone); listing anew"
                );
            } else {
                self.board.trouble(self.namespace, trouble::problem(self.namespace, &error));
            }
            match self.pause.next() {
                Some(pause) => sleep(pause).await,
                // It has no last one.
                None => self.pause.reset(),
            }
        }
    }

    /// Lists everything, then follows the changes until it is time to list anew.
    async fn round(&mut self) -> watcher::Result<()> {
        // A new client has new connections: one from before may be silent.
        let client = self.client().map_err(watcher::Error::InitialListFailed)?;
        let api: Api<ConfigMap> = Api::namespaced(client, self.namespace);
        let config = watcher::Config::default()
            .labels(SELECTOR)
            .page_size(PAGE)
            .timeout(self.patience.watch_seconds);
        let mut events = pin!(watcher(api.clone(), config));
        let mut listed = Known::of(self.namespace);
        let mut end: Option<Instant> = None;
        loop {
            let event = match end {
                None => events.next().await,
                Some(end) => match timeout_at(end, events.next()).await {
                    Ok(event) => event,
                    Err(_) => return Ok(()),
                },
            };
            // It has no last one.
            let Some(event) = event else { return Ok(()) };
            match event? {
                Event::Init => listed = Known::of(self.namespace),
                Event::InitApply(map) => listed.put(map),
                Event::InitDone => {
                    let now =
                        if self.known.is_ahead_of(&listed) { version(&api).await? } else { None };
                    self.known.replace(mem::replace(&mut listed, Known::of(self.namespace)), now);
                    self.pause.reset();
                    self.board.listed(self.namespace, self.known.objects());
                    end = Some(Instant::now() + self.patience.relist);
                }
                Event::Apply(map) => {
                    self.known.put(map);
                    self.board.changed(self.namespace, self.known.objects());
                }
                Event::Delete(map) => {
                    self.known.remove(&map);
                    self.board.changed(self.namespace, self.known.objects());
                }
            }
        }
    }

    /// A client that tells the board of whatever the API server sends: the watcher keeps to itself that a bookmark
    /// came or that a new watch began, and where nothing changes they are all there is to hear. So it does that a
    /// watch broke off.
    fn client(&self) -> kube::Result<Client> {
        let board = Arc::clone(self.board);
        let namespace = self.namespace.to_owned();
        let layer = MapResponseLayer::new(move |response: http::Response<_>| {
            let is_answer = response.status().is_success();
            let (board, namespace) = (Arc::clone(&board), namespace.clone());
            if is_answer {
                board.heard(&namespace);
            }
            response.map(|body: Box<DynBody>| {
                let of_errors = Arc::clone(&board);
                let body = body.map_frame(move |frame| {
                    if is_answer {
                        board.heard(&namespace);
                    }
                    frame
                });
                body.map_err(move |error| {
                    of_errors.interrupted();
                    error
                })
            })
        });
        Ok(ClientBuilder::try_from(self.config.clone())?.with_layer(&layer).build())
    }
}

/// The number at which the cluster's store is now (`metadata.resourceVersion` of a list).
async fn version(api: &Api<ConfigMap>) -> watcher::Result<Option<u64>> {
    let list = api.list_metadata(&ListParams::default().labels(SELECTOR).limit(1)).await;
    let list = list.map_err(watcher::Error::InitialListFailed)?;
    Ok(list.metadata.resource_version.and_then(|version| version.parse().ok()))
}
