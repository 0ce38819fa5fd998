//! What a transport is told by the program that runs it. Nothing below `main` reads a variable.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::Url;

/// How a transport reaches what it fetches.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `host` or `host:port` that are spoken to without TLS (`LOADER_PLAIN_HTTP_HOSTS`). All others are not.
    pub plain_http_hosts: BTreeSet<String>,
    /// Certificates in PEM that count beside those of the machine (`LOADER_EXTRA_CA_PATH`).
    pub extra_ca: Option<Vec<u8>>,
    /// Docker configuration files, `config.json` or a mounted `.dockerconfigjson`. They are read anew for each
    /// pull, so that a secret that was changed counts at once; one that is missing counts as empty.
    pub docker_configs: Vec<PathBuf>,
    /// Which proxies to go through.
    pub proxies: Proxies,
    /// Workload identity, where the pod has one.
    pub azure: Option<AzureIdentity>,
}

/// The proxy variables, as text.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// `HTTP_PROXY`
    pub http: Option<String>,
    /// `HTTPS_PROXY`
    pub https: Option<String>,
    /// `NO_PROXY`
    pub none: Option<String>,
}

impl Proxies {
    /// The proxy on the way to an address, by the rules that reqwest goes by.
    pub fn way_to(&self, address: &Uri) -> Option<Intercept> {
        let text = |variable: &Option<String>| variable.clone().unwrap_or_default();
        let (http, https, none) = (text(&self.http), text(&self.https), text(&self.none));
        Matcher::builder().http(http).https(https).no(none).build().intercept(address)
    }

    /// What `main` has taken out of the environment, for programs that are run by this one.
    pub fn for_programs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let none = self.none.as_deref();
        none.into_iter().flat_map(|none| ["NO_PROXY", "no_proxy"].map(|name| (name, none)))
    }
}

/// What the workload identity of Azure sets in the environment of a pod, and which registries it is for.
#[derive(Debug, Clone)]
pub struct AzureIdentity {
    /// `AZURE_AUTHORITY_HOST`
    pub authority: Url,
    /// `AZURE_TENANT_ID`
    pub tenant: String,
    /// `AZURE_CLIENT_ID`
    pub client: String,
    /// `AZURE_FEDERATED_TOKEN_FILE`, read anew each time because it is replaced every hour.
    pub token_file: PathBuf,
    /// Globs of registry hosts whose tokens are exchanged, part by part, such as `*.azurecr.io`.
    pub registries: Vec<String>,
}

/// Bounds on what is fetched (`LOADER_MAX_*`). The defaults leave room for ten times what a team would ship by
/// intention.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// All layers of an image, or all files of a CDN fetch, as they come over the network, in bytes.
    pub compressed_bytes: u64,
    /// All layers of an image after decompression, in bytes.
    pub expanded_bytes: u64,
    /// How many times larger a layer may become by decompression. The first 8 MiB of a layer are not judged.
    pub ratio: u64,
    /// Entries of all archives of an image, and the directories that have none of their own.
    pub entries: usize,
    /// Segments of a path in an archive.
    pub path_depth: usize,
    /// Bytes of a path in an archive.
    pub path_bytes: usize,
    /// A manifest or an index of a registry, or the reply of a token endpoint, in bytes.
    pub document_bytes: u64,
    /// Layers of an image.
    pub layers: usize,
    /// Bounds of the signed contract: single files, signed documents.
    pub artifact: pilar_artifact::Limits,
    /// Features that are fetched at the same time; from one host, one fewer.
    pub parallel_pulls: usize,
    /// Files of one feature that are fetched from a CDN at the same time.
    pub parallel_files: usize,
    /// How often one request is tried without any progress before the fetch fails.
    pub tries: u32,
    /// The pause before the second try, which doubles with each one after it.
    pub first_pause: Duration,
    /// The longest pause; a server that asks for a longer one ends the fetch, with [`FetchError::retry_after`]
    /// saying so.
    ///
    /// [`FetchError::retry_after`]: super::FetchError::retry_after
    pub longest_pause: Duration,
    /// How long connecting may take.
    pub connect: Duration,
    /// How long a credential helper may take; then it is killed.
    pub helper: Duration,
    /// How long no byte may come, and hardly any.
    pub idle: Duration,
    /// How long one fetch may take, without the time it waits for its first turn.
    pub whole: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            compressed_bytes: 256 << 20,
            expanded_bytes: 1 << 30,
            ratio: 200,
            entries: 20_000,
            path_depth: 20,
            path_bytes: 768,
            document_bytes: 1 << 20,
            layers: 128,
            artifact: pilar_artifact::Limits::default(),
            parallel_pulls: 4,
            parallel_files: 4,
            tries: 5,
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(10),
            connect: Duration::from_secs(10),
            helper: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            whole: Duration::from_secs(30 * 60),
        }
    }
}
