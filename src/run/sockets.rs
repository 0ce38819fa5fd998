//! The sockets that the host listens on, and the descriptors that it may have.

use pilar_host::config::{self, Config};
use pilar_host::edge::{BindError, Listeners};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit on open descriptors, of which each connection is one, to what is allowed: it is 1024
/// by default only for the sake of programs that use select(2).
pub(super) fn allow_all_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, code = "descriptor-limit", "the limit on open files stays as it is");
    }
}

/// Takes over what a service manager passed to this process. Must come before anything else opens a descriptor, so that
/// those numbers cannot be anybody else's.
pub(super) fn passed_sockets(config: &Config) -> Result<Option<Listeners>, BindError> {
    let own = std::process::id();
    let passed = config.passed.filter(|passed| {
        let is_ours = passed.process == own;
        if !is_ours {
            let meant = passed.process;
            tracing::warn!(
                code = "activation-for-another-process",
                "LISTEN_FDS is ignored: LISTEN_PID is {meant}, and this is process {own}. Start the host by exec \
                 from what was passed the sockets, or unset both"
            );
        }
        is_ours
    });
    // SAFETY: nothing in this process has opened a descriptor yet.
    passed.map(|passed| unsafe { Listeners::passed(passed.count, workers(config)) }).transpose()
}

pub(super) fn listen(config: &Config, passed: Option<Listeners>) -> Result<Listeners, BindError> {
    let listeners = match passed {
        Some(listeners) => listeners,
        None => Listeners::bind(config.listen, workers(config))?,
    };
    match &config.unix_socket {
        Some(path) => listeners.with_unix_socket(path),
        None => Ok(listeners),
    }
}

/// Where `/_admin` listens, if it is there at all and has a port of its own. One thread is enough for it.
pub(super) fn admin_listeners(config: &Config) -> Result<Option<Listeners>, BindError> {
    let port = config.admin_port.filter(|_| config.admin != config::Admin::Off);
    let listen = |port| Listeners::bind((config.listen.ip(), port).into(), 1);
    port.map(listen).transpose().map_err(|error| error.of("HOST_ADMIN_PORT"))
}

fn workers(config: &Config) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    config.workers.unwrap_or_else(cores)
}

/// Where to reach this host, for whoever started it.
pub(super) fn place(listeners: &Listeners, config: &Config) -> String {
    match (listeners.local_addr(), &config.unix_socket) {
        (Some(address), _) => format!("http://localhost:{}", address.port()),
        (None, Some(path)) => path.display().to_string(),
        (None, None) => "the unix socket of LISTEN_FDS".to_owned(),
    }
}
