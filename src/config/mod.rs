//! The environment, read once and checked whole (contract §11).

mod error;
mod table;
mod value;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use error::ConfigError;
pub use table::{Kind, State, VARIABLES, Variable, markdown};

use crate::edge::{BodySender, DriverChoice, Limits};

/// Every setting of the host that something acts on.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen: `HOST_BIND` and `PORT`.
    pub listen: SocketAddr,
    /// Whether `NODE_ENV` is `production`.
    pub production: bool,
    /// `ARTIFACTS_DIR`.
    pub artifacts_dir: PathBuf,
    /// `HOT_REFRESH_WATCH`.
    pub watch: bool,
    /// Where the trusted keys are.
    pub trusted_keys: KeySource,
    /// `FEATURE_ALLOW_INSECURE_DEV_KEYS`, which production ignores.
    pub allow_dev_keys: bool,
    /// `HOST_WORKERS`; `None`: one for each core.
    pub workers: Option<usize>,
    /// `HOST_IO_DRIVER`.
    pub driver: DriverChoice,
    /// `HOST_BODY_SENDER`.
    pub sender: BodySender,
    /// `HOST_UNIX_SOCKET`.
    pub unix_socket: Option<PathBuf>,
    /// `LISTEN_FDS` and `LISTEN_PID`.
    pub passed: Option<Passed>,
    /// What clients may cost: `HOST_MAX_CONNECTIONS`, `HOST_MAX_CONNECTIONS_PER_IP`, `HOST_IDLE_TIMEOUT_SECONDS`,
    /// `HOST_MIN_SEND_RATE`.
    pub limits: Limits,
    /// `FEATURE_READY_SENTINEL_PATH`.
    pub ready_sentinel: Option<PathBuf>,
    /// `HOST_ROOT_REDIRECT`.
    pub root_redirect: Option<String>,
    /// `HOST_DRAIN_SECONDS`.
    pub drain: Duration,
    /// What keeps versions that no longer serve reachable.
    pub retain: Retain,
}

/// Where the trusted keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// `FEATURE_TRUST_PUBLIC_KEYS_JSON`.
    Inline(String),
    /// `FEATURE_TRUST_PUBLIC_KEYS_PATH`.
    File(PathBuf),
}

/// Sockets that a service manager passed (sd_listen_fds(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// How many, at least one.
    pub count: u32,
    /// The process that they are for.
    pub process: u32,
}

/// How long, and up to how many bytes, versions that no longer serve stay reachable (contract §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retain {
    /// `FEATURE_RETAIN_SECONDS`.
    pub time: Duration,
    /// `FEATURE_RETAIN_MAX_BYTES`.
    pub bytes: u64,
    /// How many versions that are only listed are kept as well: `FALLBACK_CACHE_MAX_ENTRIES`, or none without
    /// `FALLBACK_CACHE_ENABLED`.
    pub listed: usize,
}

/// A configuration, and what its reader should know about it.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The configuration.
    pub config: Config,
    /// Things that are no error, one line each, to be logged once.
    pub notes: Vec<String>,
}

/// Reads the configuration from the variables of an environment.
///
/// # Errors
/// [`ConfigError`] of the first variable that is wrong, naming it, its value and what is allowed.
pub fn read(
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Checked, ConfigError> {
    // An empty value is how charts and compose files leave a variable unset.
    let set: BTreeMap<String, String> =
        environment.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
    let mut notes = table::check_names(set.keys())?;
    for variable in VARIABLES {
        let Some(value) = set.get(variable.name) else { continue };
        value::check(variable, value)?;
        if variable.state == State::Reserved {
            notes.push(format!(
                "{} is set, but this version of the host does not act on it yet",
                variable.name
            ));
        }
    }
    Ok(Checked { config: Values { set: &set }.config()?, notes })
}

struct Values<'a> {
    set: &'a BTreeMap<String, String>,
}

impl Values<'_> {
    fn config(&self) -> Result<Config, ConfigError> {
        let production = self.production()?;
        if production && self.flag("ALLOW_UNAUTHENTICATED_ADMIN")? {
            return Err(ConfigError::RefusedInProduction { name: "ALLOW_UNAUTHENTICATED_ADMIN" });
        }
        let address: IpAddr = match self.text("HOST_BIND") {
            Some(text) => value::parse("HOST_BIND", &text)?,
            None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let driver = match self.text("HOST_IO_DRIVER").as_deref() {
            Some("io_uring") => DriverChoice::IoUring,
            Some("epoll") => DriverChoice::Epoll,
            _ => DriverChoice::Auto,
        };
        Ok(Config {
            listen: SocketAddr::new(address, self.number("PORT")?),
            production,
            artifacts_dir: PathBuf::from(self.text("ARTIFACTS_DIR").unwrap_or_default()),
            watch: self.flag("HOT_REFRESH_WATCH")?,
            trusted_keys: self.trusted_keys()?,
            allow_dev_keys: !production && self.flag("FEATURE_ALLOW_INSECURE_DEV_KEYS")?,
            workers: self.optional_number("HOST_WORKERS")?,
            driver,
            sender: match self.text("HOST_BODY_SENDER").as_deref() {
                Some("send") => BodySender::Send,
                Some("sendfile") => BodySender::Sendfile,
                _ => BodySender::Auto,
            },
            unix_socket: self.text("HOST_UNIX_SOCKET").map(PathBuf::from),
            passed: self.passed()?,
            limits: Limits {
                connections_per_worker: self.number("HOST_MAX_CONNECTIONS")?,
                connections_per_ip: self.optional_number("HOST_MAX_CONNECTIONS_PER_IP")?,
                idle_timeout: Duration::from_secs(self.number("HOST_IDLE_TIMEOUT_SECONDS")?),
                min_send_rate: self.number("HOST_MIN_SEND_RATE")?,
                ..Limits::default()
            },
            ready_sentinel: self.text("FEATURE_READY_SENTINEL_PATH").map(PathBuf::from),
            root_redirect: self.text("HOST_ROOT_REDIRECT"),
            drain: Duration::from_secs(self.number("HOST_DRAIN_SECONDS")?),
            retain: Retain {
                time: Duration::from_secs(self.number("FEATURE_RETAIN_SECONDS")?),
                bytes: self.number("FEATURE_RETAIN_MAX_BYTES")?,
                listed: if self.flag("FALLBACK_CACHE_ENABLED")? {
                    self.number("FALLBACK_CACHE_MAX_ENTRIES")?
                } else {
                    0
                },
            },
        })
    }

    fn passed(&self) -> Result<Option<Passed>, ConfigError> {
        let count = self.optional_number("LISTEN_FDS")?.filter(|&count| count > 0);
        let process = self.optional_number("LISTEN_PID")?;
        Ok(count.zip(process).map(|(count, process)| Passed { count, process }))
    }

    /// What is nearly `production` must not quietly be development, where dev keys may be trusted.
    fn production(&self) -> Result<bool, ConfigError> {
        let Some(value) = self.text("NODE_ENV") else { return Ok(false) };
        let lower = value.to_ascii_lowercase();
        let near =
            lower.starts_with("prod") || strsim::damerau_levenshtein(&lower, "production") <= 2;
        match (value.as_str(), near) {
            ("production", _) => Ok(true),
            (_, true) => Err(ConfigError::BadValue {
                name: "NODE_ENV",
                value,
                allowed: "\"production\" in exactly this spelling, or another word".to_owned(),
            }),
            (_, false) => Ok(false),
        }
    }

    fn trusted_keys(&self) -> Result<KeySource, ConfigError> {
        let inline = self.text("FEATURE_TRUST_PUBLIC_KEYS_JSON").map(KeySource::Inline);
        let file = self
            .text("FEATURE_TRUST_PUBLIC_KEYS_PATH")
            .map(|path| KeySource::File(PathBuf::from(path)));
        match (inline, file) {
            (Some(_), Some(_)) => Err(ConfigError::Both {
                one: "FEATURE_TRUST_PUBLIC_KEYS_JSON",
                other: "FEATURE_TRUST_PUBLIC_KEYS_PATH",
            }),
            (Some(source), None) | (None, Some(source)) => Ok(source),
            (None, None) => Err(ConfigError::NoTrustedKeys),
        }
    }

    /// The value, or the default of the table.
    fn text(&self, name: &'static str) -> Option<String> {
        let default = || table::find(name).and_then(|variable| variable.default).map(str::to_owned);
        self.set.get(name).map(|value| value.trim().to_owned()).or_else(default)
    }

    fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, ConfigError> {
        value::parse(name, &self.text(name).unwrap_or_default())
    }

    fn optional_number<T: std::str::FromStr>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        self.text(name).map(|text| value::parse(name, &text)).transpose()
    }

    fn flag(&self, name: &'static str) -> Result<bool, ConfigError> {
        match self.text(name) {
            Some(text) => value::flag(name, &text),
            None => Ok(false),
        }
    }
}
