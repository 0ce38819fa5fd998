//! The environment of the loader, read once and checked whole (contract §12).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pilar_settings::{KeySource, LOADER, SettingError, Settings};
use reqwest::Url;

use crate::machine::Backoff;
use crate::reconcile::Pace;
use crate::transport::{AzureIdentity, Limits, Proxies};

/// Every setting.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whether `NODE_ENV` is `production`.
    pub production: bool,
    /// `ARTIFACTS_DIR`
    pub artifacts: PathBuf,
    /// `LOADER_REGISTRATIONS_DIR`; `None`: a cluster.
    pub registrations: Option<PathBuf>,
    /// `LOADER_NAMESPACES`; none: the pod's own.
    pub namespaces: Vec<String>,
    /// Where the trusted keys are.
    pub trusted_keys: KeySource,
    /// `FEATURE_ALLOW_INSECURE_DEV_KEYS`, which production ignores.
    pub allow_dev_keys: bool,
    /// `FEATURE_RETAIN_SECONDS`
    pub retain: Duration,
    /// How often and how much at once.
    pub pace: Pace,
    /// What `init` does.
    pub init: Init,
    /// `LOADER_HTTP_PORT`
    pub http_port: Option<u16>,
    /// `LOADER_MAX_CONTACT_AGE_SECONDS`
    pub max_contact_age: Duration,
    /// How what is registered is reached.
    pub network: Network,
    /// `LOADER_MAX_*`
    pub limits: Limits,
    /// Things that are no error, one line each, to be logged once.
    pub notes: Vec<String>,
}

/// What `init` does.
#[derive(Debug, Clone)]
pub struct Init {
    /// `LOADER_INIT_DEADLINE_SECONDS`
    pub deadline: Duration,
    /// Whether `LOADER_INIT_POLICY` is `strict`.
    pub is_strict: bool,
    /// `FEATURE_READY_SENTINEL_PATH`
    pub sentinel: Option<PathBuf>,
}

/// How what is registered is reached.
#[derive(Debug, Clone)]
pub struct Network {
    /// `LOADER_PLAIN_HTTP_HOSTS`
    pub plain_http_hosts: BTreeSet<String>,
    /// `LOADER_EXTRA_CA_PATH`
    pub extra_ca: Option<PathBuf>,
    /// `DOCKER_CONFIG` and `LOADER_PULL_SECRETS`, or what `HOME` has where neither is set. One that is not there
    /// counts as empty.
    pub docker_configs: Vec<PathBuf>,
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`
    pub proxies: Proxies,
    /// `AZURE_*`
    pub azure: Option<AzureIdentity>,
}

/// Reads the configuration from the variables of an environment.
///
/// # Errors
/// [`SettingError`] of the first variable that is wrong, naming it, its value and what is allowed.
pub fn read(
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, SettingError> {
    let settings = Settings::new(&LOADER, environment);
    if let Some(problem) = settings.problems().into_iter().next() {
        return Err(problem);
    }
    let production = settings.production()?;
    let path = |name| settings.text(name).map(PathBuf::from);
    let seconds = |name| settings.number(name).map(Duration::from_secs);
    Ok(Config {
        production,
        artifacts: path("ARTIFACTS_DIR").unwrap_or_default(),
        registrations: path("LOADER_REGISTRATIONS_DIR"),
        namespaces: list(&settings, "LOADER_NAMESPACES").collect(),
        trusted_keys: settings.trusted_keys()?,
        allow_dev_keys: !production && settings.flag("FEATURE_ALLOW_INSECURE_DEV_KEYS")?,
        retain: seconds("FEATURE_RETAIN_SECONDS")?,
        pace: Pace {
            backoff: Backoff { first: FIRST_PAUSE, longest: LONGEST_PAUSE },
            poll: seconds("LOADER_CDN_POLL_SECONDS")?,
            check: CHECK,
            working: WORKING,
        },
        init: Init {
            deadline: seconds("LOADER_INIT_DEADLINE_SECONDS")?,
            is_strict: settings.text("LOADER_INIT_POLICY").as_deref() == Some("strict"),
            sentinel: path("FEATURE_READY_SENTINEL_PATH"),
        },
        http_port: settings.optional("LOADER_HTTP_PORT")?,
        max_contact_age: seconds("LOADER_MAX_CONTACT_AGE_SECONDS")?,
        network: network(&settings)?,
        limits: Limits {
            compressed_bytes: settings.number("LOADER_MAX_COMPRESSED_BYTES")?,
            expanded_bytes: settings.number("LOADER_MAX_EXPANDED_BYTES")?,
            entries: settings.number("LOADER_MAX_FILES")?,
            parallel_pulls: settings.number("LOADER_MAX_PARALLEL")?,
            parallel_files: PARALLEL_FILES,
            ..Limits::default()
        },
        notes: settings.notes(),
    })
}

/// Between what failed and its next try.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Between two times that what is in place is read: damage that nobody asks for may wait, and disks have other work.
const CHECK: Duration = Duration::from_secs(3600);
/// Of one feature. Each holds what its thread has not yet written.
const PARALLEL_FILES: usize = 2;
/// Two cores are kept busy by hashing; more would only hold more files in memory.
const WORKING: usize = 2;

fn network(settings: &Settings) -> Result<Network, SettingError> {
    let path = |name| settings.text(name).map(PathBuf::from);
    let secrets: Vec<PathBuf> = list(settings, "LOADER_PULL_SECRETS").map(PathBuf::from).collect();
    // What `docker login` has left for whoever runs the loader by hand; a pod is told what it may use.
    let home = || settings.value("HOME").map(|home| Path::new(home).join(".docker"));
    let docker = path("DOCKER_CONFIG").or_else(|| home().filter(|_| secrets.is_empty()));
    let docker = docker.map(|directory| directory.join("config.json"));
    let proxy = |upper: &str, lower: &str| {
        settings.value(upper).or_else(|| settings.value(lower)).map(str::to_owned)
    };
    Ok(Network {
        plain_http_hosts: list(settings, "LOADER_PLAIN_HTTP_HOSTS").collect(),
        extra_ca: path("LOADER_EXTRA_CA_PATH"),
        docker_configs: docker.into_iter().chain(secrets).collect(),
        proxies: Proxies {
            http: proxy("HTTP_PROXY", "http_proxy"),
            https: proxy("HTTPS_PROXY", "https_proxy"),
            none: proxy("NO_PROXY", "no_proxy"),
        },
        azure: azure(settings)?,
    })
}

/// All three are set by the webhook of workload identity, or none.
fn azure(settings: &Settings) -> Result<Option<AzureIdentity>, SettingError> {
    let text = |name| settings.text(name);
    let (Some(client), Some(tenant), Some(token_file)) =
        (text("AZURE_CLIENT_ID"), text("AZURE_TENANT_ID"), text("AZURE_FEDERATED_TOKEN_FILE"))
    else {
        return Ok(None);
    };
    Ok(Some(AzureIdentity {
        authority: settings.number::<Url>("AZURE_AUTHORITY_HOST")?,
        tenant,
        client,
        token_file: PathBuf::from(token_file),
        registries: list(settings, "LOADER_AZURE_REGISTRIES").collect(),
    }))
}

/// Words with commas between them.
fn list(settings: &Settings, name: &'static str) -> impl Iterator<Item = String> {
    let text = settings.text(name).unwrap_or_default();
    let words: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
    words.into_iter().filter(|word| !word.is_empty())
}
