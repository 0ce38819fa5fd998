//! The environment, read once and checked whole (contract §11).

mod telemetry;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use pilar_settings::{
    HOST, KeySource, Kind, SettingError, Settings, State, VARIABLES, Variable,
};

pub use telemetry::{Sampler, Telemetry};

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
    /// `HOST_ACCESS_LOG`.
    pub access_log: bool,
    /// `TRUST_PROXY_HEADERS`.
    pub trust_proxy: bool,
    /// `FEATURE_READY_SENTINEL_PATH`.
    pub ready_sentinel: Option<PathBuf>,
    /// `HOST_ROOT_REDIRECT`.
    pub root_redirect: Option<String>,
    /// `HOST_DRAIN_SECONDS`.
    pub drain: Duration,
    /// What keeps versions that no longer serve reachable.
    pub retain: Retain,
    /// Who may use `/_admin`.
    pub admin: Admin,
    /// Where traces and metrics of dynamic requests go, if anywhere: `OTEL_*`.
    pub telemetry: Option<Telemetry>,
    /// `HOST_ADMIN_PORT`; where it is set, `/_admin` is there alone.
    pub admin_port: Option<u16>,
}

/// Who may use `/_admin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admin {
    /// Nobody: there is no such route.
    Off,
    /// Whoever has `ADMIN_AUTH_TOKEN`.
    Token(Secret),
    /// Everybody: `ALLOW_UNAUTHENTICATED_ADMIN`.
    Open,
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret of this text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
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
/// [`SettingError`] of the first variable that is wrong, naming it, its value and what is allowed.
pub fn read(
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Checked, SettingError> {
    let settings = Settings::new(&HOST, environment);
    if let Some(problem) = settings.problems().into_iter().next() {
        return Err(problem);
    }
    let config = config(&settings)?;
    let mut notes = settings.notes();
    notes.extend(settings.weak_admin_token());
    notes.extend(admin_notes(&config));
    Ok(Checked { config, notes })
}

fn admin_notes(config: &Config) -> Option<String> {
    (config.admin == Admin::Off && config.admin_port.is_some()).then(|| {
        "HOST_ADMIN_PORT is set, but nothing listens there without ADMIN_AUTH_TOKEN".to_owned()
    })
}

fn config(settings: &Settings) -> Result<Config, SettingError> {
    let production = settings.production()?;
    let bind = settings.optional("HOST_BIND")?;
    let address: IpAddr = bind.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let driver = match settings.text("HOST_IO_DRIVER").as_deref() {
        Some("io_uring") => DriverChoice::IoUring,
        Some("epoll") => DriverChoice::Epoll,
        _ => DriverChoice::Auto,
    };
    Ok(Config {
        listen: SocketAddr::new(address, settings.number("PORT")?),
        production,
        artifacts_dir: PathBuf::from(settings.text("ARTIFACTS_DIR").unwrap_or_default()),
        watch: settings.flag("HOT_REFRESH_WATCH")?,
        trusted_keys: settings.trusted_keys()?,
        allow_dev_keys: !production && settings.flag("FEATURE_ALLOW_INSECURE_DEV_KEYS")?,
        workers: settings.optional("HOST_WORKERS")?,
        driver,
        sender: match settings.text("HOST_BODY_SENDER").as_deref() {
            Some("send") => BodySender::Send,
            _ => BodySender::Sendfile,
        },
        unix_socket: settings.text("HOST_UNIX_SOCKET").map(PathBuf::from),
        passed: passed(settings)?,
        limits: Limits {
            connections_per_worker: settings.number("HOST_MAX_CONNECTIONS")?,
            connections_per_ip: settings.optional("HOST_MAX_CONNECTIONS_PER_IP")?,
            idle_timeout: Duration::from_secs(settings.number("HOST_IDLE_TIMEOUT_SECONDS")?),
            min_send_rate: settings.number("HOST_MIN_SEND_RATE")?,
            ..Limits::default()
        },
        access_log: settings.flag("HOST_ACCESS_LOG")?,
        trust_proxy: settings.flag("TRUST_PROXY_HEADERS")?,
        ready_sentinel: settings.text("FEATURE_READY_SENTINEL_PATH").map(PathBuf::from),
        root_redirect: settings.text("HOST_ROOT_REDIRECT"),
        drain: Duration::from_secs(settings.number("HOST_DRAIN_SECONDS")?),
        retain: Retain {
            time: Duration::from_secs(settings.number("FEATURE_RETAIN_SECONDS")?),
            bytes: settings.number("FEATURE_RETAIN_MAX_BYTES")?,
            listed: if settings.flag("FALLBACK_CACHE_ENABLED")? {
                settings.number("FALLBACK_CACHE_MAX_ENTRIES")?
            } else {
                0
            },
        },
        admin: admin(settings)?,
        telemetry: telemetry::read(settings)?,
        admin_port: settings.optional("HOST_ADMIN_PORT")?,
    })
}

fn admin(settings: &Settings) -> Result<Admin, SettingError> {
    let token = settings.text("ADMIN_AUTH_TOKEN");
    match (token, settings.flag("ALLOW_UNAUTHENTICATED_ADMIN")?) {
        (Some(_), true) => Err(SettingError::Both {
            one: "ADMIN_AUTH_TOKEN",
            other: "ALLOW_UNAUTHENTICATED_ADMIN",
        }),
        (Some(token), false) => Ok(Admin::Token(Secret::new(token))),
        (None, true) => Ok(Admin::Open),
        (None, false) => Ok(Admin::Off),
    }
}

fn passed(settings: &Settings) -> Result<Option<Passed>, SettingError> {
    let count = settings.optional("LISTEN_FDS")?.filter(|&count| count > 0);
    let process = settings.optional("LISTEN_PID")?;
    Ok(count.zip(process).map(|(count, process)| Passed { count, process }))
}
