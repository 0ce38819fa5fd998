//! Wires the host together: environment, keys, first snapshot, edge, service plane, signals.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use pilar_artifact::Limits;
use pilar_host::admin::assets;
use pilar_host::catalog::{Now, Settings, Watching, watch};
use pilar_host::config::{self, Checked, Config};
use pilar_host::control::{Control, RefreshError};
use pilar_host::edge::{BindError, Edge, EdgeOptions, Listeners};
use pilar_host::keys;
use pilar_host::service::admin::{self, Door, Figures, RefreshCall};
use pilar_host::service::{self, Host, Replies};
use pilar_host::shell::{Sdk, Site};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch as tokio_watch};
use tracing_subscriber::EnvFilter;

/// Gives what this thread has freed back to the system.
fn release_memory() {
    // SAFETY: the call takes no memory of ours; it may be made at any time from any thread.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How long a feature may take to start in the browser, in milliseconds.
const BOOTSTRAP_TIMEOUT_MS: u32 = 10_000;
/// How often a watched artifacts directory is looked at where no change was noticed.
const RESCAN: Duration = Duration::from_secs(60);

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    // Lossy: an argument that is not text is refused like any other that is not known.
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|text| text.to_string_lossy().into_owned()).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {}
        ["--version" | "-V"] => {
            println!("pilar-host {VERSION}");
            return ExitCode::SUCCESS;
        }
        ["--help" | "-h"] => {
            println!(
                "pilar-host {VERSION}: serves verified features. It is configured by its environment:\n"
            );
            println!("{}", config::HOST.table());
            return ExitCode::SUCCESS;
        }
        ["--version" | "-V" | "--help" | "-h", other, ..] | [other, ..] => {
            eprintln!("pilar-host takes no argument \"{other}\"; see pilar-host --help");
            return ExitCode::from(2);
        }
    }
    let Checked { config, notes } = match config::read(environment()) {
        Ok(checked) => checked,
        Err(error) => {
            eprintln!("pilar-host cannot start: {error} (code {})", error.code());
            return ExitCode::from(2);
        }
    };
    start_logging(config.production);
    for note in notes {
        tracing::warn!(code = "config-note", "{note}");
    }
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pilar-host cannot go on: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

#[expect(clippy::disallowed_methods, reason = "this is where the clock is")]
fn now() -> Now {
    Now { wall: Timestamp::now(), monotonic: Instant::now() }
}

#[expect(clippy::disallowed_methods, reason = "this is where the clock is")]
fn time_of_day() -> SystemTime {
    SystemTime::now()
}

/// Bytes that nobody can foresee. They are part of what signs sessions apart, and all else of them is keyed, so
/// zeroes of a kernel that has none to give harm nobody.
fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::warn!(%error, code = "no-random-bytes", "the kernel gives no random bytes");
    }
    bytes
}

/// JSON in production, for collectors; lines elsewhere, for people. `RUST_LOG` chooses what is logged.
fn start_logging(production: bool) {
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // What operators change is logged whatever RUST_LOG says.
    if let Ok(audit) = "audit=info".parse() {
        filter = filter.add_directive(audit);
    }
    let colour = std::io::stderr().is_terminal();
    // A log that nobody reads any more is no reason to stop: the default would print about it, and panic.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    if production {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_target(false).with_ansi(colour).compact().init();
    }
}

fn run(config: &Config) -> Result<(), Failure> {
    let passed = passed_sockets(config).map_err(|error| coded(&error, error.code()))?;
    allow_all_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(config, passed));
    // A look at the artifacts that hangs with their file system must not hold up the end.
    runtime.shutdown_background();
    ended
}

fn coded(error: &dyn std::fmt::Display, code: &str) -> String {
    format!("{error} (code {code})")
}

/// Serves until it is told to stop.
async fn serve(config: &Config, passed: Option<Listeners>) -> Result<(), Failure> {
    // Before the first look at the artifacts, which may take a while: as the first process of a container, a
    // program that has no handler is deaf to SIGTERM.
    let mut stop = Stop::new()?;
    let hangup = signal(SignalKind::hangup())?;
    let limits = Limits::default();
    let keys = keys::trusted(&config.trusted_keys, config.allow_dev_keys, &limits)
        .map_err(|error| coded(&error, error.code()))?;
    let trusted_keys = keys.iter().map(|(id, key)| (id.to_owned(), key.not_after())).collect();
    let settings = Settings {
        artifacts_dir: config.artifacts_dir.clone(),
        keys,
        host_version: VERSION.parse()?,
        limits,
        retain: config.retain,
    };
    // Where it has a port of its own, the world gets none of it.
    let is_admin_here = config.admin != config::Admin::Off && config.admin_port.is_none();
    let admin_assets = assets::all()?;
    let site = Site {
        host_version: VERSION.to_owned(),
        root_redirect: config.root_redirect.clone(),
        live_reload: config.watch && !config.production,
        bootstrap_timeout_ms: BOOTSTRAP_TIMEOUT_MS,
        admin_assets: if is_admin_here { admin_assets.to_vec() } else { Vec::new() },
    };
    let live_reload = site.live_reload;
    let sdk = Sdk::embedded()?;
    let first_look = tokio::task::spawn_blocking(move || Control::start(settings, sdk, site, now));
    let control = tokio::select! {
        looked = first_look => looked?.map_err(|error| coded(&error, error.code()))?,
        () = stop.asked() => {
            tracing::info!("stopped before anything was served");
            return Ok(());
        }
    };

    let listeners = listen(config, passed).map_err(|error| coded(&error, error.code()))?;
    let place = place(&listeners, config);
    let door = admin_listeners(config).map_err(|error| coded(&error, error.code()))?;
    let workers = listeners.workers();
    let (calls, received) = mpsc::channel(config.limits.service_depth());
    let options = EdgeOptions {
        driver: config.driver,
        sender: config.sender,
        limits: config.limits.clone(),
        wall_clock: time_of_day,
        release_memory,
    };
    let edge = Edge::start(listeners, options.clone(), control.current(), calls)
        .map_err(|error| coded(&error, error.code()))?;

    let started = now();
    let (draining, is_draining) = tokio_watch::channel(false);
    let (watching, is_watching) = tokio_watch::channel(Watching::Off);
    let host = Arc::new(Host {
        version: VERSION.to_owned(),
        driver: edge.driver().setup.to_string(),
        refused_drivers: edge.driver().refused.len(),
        body_sender: config.sender.name(),
        workers,
        started_at: started.wall,
        started: started.monotonic,
        ready_sentinel: config.ready_sentinel.clone(),
        draining: is_draining,
        watching: is_watching,
        refresh_error: ArcSwap::from_pointee(String::new()),
        snapshot_id: control.ids(),
        live_reload,
        request_id_prefix: RandomState::new().hash_one(started.monotonic) as u32,
        requests: AtomicU64::new(0),
        replies: Replies::default(),
    });
    let (refresh_calls, refresh_asked) = admin::refreshes();
    let current = control.current();
    let figures = Arc::new(Figures::new(edge.meter(), now));
    let parts = admin::Parts {
        host: host.clone(),
        current: current.clone(),
        history: control.history(),
        figures: figures.clone(),
        artifacts_dir: config.artifacts_dir.clone(),
        trusted_keys,
        retain: config.retain,
        refreshes: refresh_calls,
        clock: now,
        random,
    };
    let mut admin = admin::router(&config.admin, parts);
    let door = match (door, admin.take_if(|_| config.admin_port.is_some())) {
        (Some(listeners), Some(router)) => {
            let place = listeners.local_addr().map(|address| address.port()).unwrap_or_default();
            let limits = Door::limits();
            let (calls, received) = mpsc::channel(limits.service_depth());
            let options = EdgeOptions { limits, ..options };
            let snapshot = Arc::new(ArcSwap::from_pointee(Door::new(current, admin_assets)));
            let edge = Edge::start(listeners, options, snapshot, calls)
                .map_err(|error| coded(&error, error.code()))?;
            Some((edge, place, service::admin_router(&host, router), received))
        }
        _ => None,
    };
    // Whoever started this may not read it, which is no reason to stop.
    let _ = writeln!(std::io::stdout(), "pilar-host {VERSION} listens on {place}");
    tokio::spawn(service::run(service::router(&host, admin), received, |snapshot| snapshot));
    let door = door.map(|(edge, port, router, received)| {
        let _ = writeln!(std::io::stdout(), "/_admin listens on http://localhost:{port}");
        tokio::spawn(service::run(router, received, |door: Arc<Door>| door.snapshot()));
        edge
    });
    tokio::spawn(admin::keep_minutes(figures));
    let watched = config.watch.then(|| config.artifacts_dir.clone());
    let asked = Asked { hangup, calls: refresh_asked };
    tokio::spawn(refreshing(control, host.clone(), watched, watching, asked));
    stop.asked().await;
    draining.send_replace(true);
    tracing::info!(seconds = config.drain.as_secs(), "draining");
    let serve_for = config.drain;
    let drained = tokio::task::spawn_blocking(move || {
        let cut = edge.drain(serve_for);
        // Open to the end, since whoever looks there wants to see how it goes; then nothing is waited for.
        drop(door);
        cut
    });
    tokio::select! {
        cut = drained => match cut? {
            0 => tracing::info!("stopped; every request was answered"),
            cut => tracing::warn!(cut, "stopped; some requests were cut off"),
        },
        // Whoever asks twice does not want to wait.
        () = stop.asked() => std::process::exit(1),
    }
    Ok(())
}

/// Raises the soft limit on open descriptors, of which each connection is one, to what is allowed: it is 1024
/// by default only for the sake of programs that use select(2).
fn allow_all_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, code = "descriptor-limit", "the limit on open files stays as it is");
    }
}

/// Takes over what a service manager passed to this process. Must come before anything else opens a descriptor, so that
/// those numbers cannot be anybody else's.
fn passed_sockets(config: &Config) -> Result<Option<Listeners>, BindError> {
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

fn listen(config: &Config, passed: Option<Listeners>) -> Result<Listeners, BindError> {
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
fn admin_listeners(config: &Config) -> Result<Option<Listeners>, BindError> {
    let port = config.admin_port.filter(|_| config.admin != config::Admin::Off);
    port.map(|port| Listeners::bind((config.listen.ip(), port).into(), 1)).transpose()
}

fn workers(config: &Config) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    config.workers.unwrap_or_else(cores)
}

/// Where to reach this host, for whoever started it.
fn place(listeners: &Listeners, config: &Config) -> String {
    match (listeners.local_addr(), &config.unix_socket) {
        (Some(address), _) => format!("http://localhost:{}", address.port()),
        (None, Some(path)) => path.display().to_string(),
        (None, None) => "the unix socket of LISTEN_FDS".to_owned(),
    }
}

/// The signals that end a host.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next of them.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Those who may ask for a refresh.
struct Asked {
    hangup: Signal,
    calls: mpsc::Receiver<RefreshCall>,
}

/// Refreshes when asked to and, if told to watch, whenever the artifacts directory changed.
async fn refreshing(
    control: Control,
    host: Arc<Host>,
    watched: Option<PathBuf>,
    watching: tokio_watch::Sender<Watching>,
    mut asked: Asked,
) {
    let control = Arc::new(Mutex::new(control));
    let (changed, mut changes) = mpsc::channel(1);
    // Keeps the channel open where nothing watches.
    let _unwatched = changed.clone();
    if let Some(artifacts_dir) = watched {
        tokio::spawn(watch(artifacts_dir, changed, watching, RESCAN));
    }
    let mut more_to_keep = true;
    loop {
        let mut waiting = Vec::new();
        tokio::select! {
            biased;
            Some(()) = changes.recv() => {}
            Some(()) = asked.hangup.recv() => tracing::info!("refresh asked for by SIGHUP"),
            1.. = asked.calls.recv_many(&mut waiting, usize::MAX) => {}
            // A few at a time, so that a change never waits for all of them.
            () = std::future::ready(()), if more_to_keep => {
                more_to_keep = blocking(&control, &host, Control::keep_listed).await.unwrap_or(false);
                continue;
            }
            else => return,
        }
        if blocking(&control, &host, Control::refresh).await.is_some() {
            host.refresh_error.store(Arc::default());
        }
        let error = host.refresh_error.load_full();
        let outcome = || if error.is_empty() { Ok(()) } else { Err(error.to_string()) };
        // Who asked may be gone.
        waiting.into_iter().for_each(|call: RefreshCall| drop(call.send(outcome())));
        more_to_keep = true;
    }
}

/// Runs something that blocks; an error is noted and what serves goes on.
async fn blocking<T: Send + 'static>(
    control: &Arc<Mutex<Control>>,
    host: &Arc<Host>,
    action: fn(&mut Control) -> Result<T, RefreshError>,
) -> Option<T> {
    let control = control.clone();
    let outcome = tokio::task::spawn_blocking(move || {
        action(&mut control.lock().unwrap_or_else(PoisonError::into_inner))
    })
    .await;
    let error = match outcome {
        Ok(Ok(done)) => return Some(done),
        Ok(Err(error)) => error.to_string(),
        Err(error) => {
            tracing::error!(%error, code = "refresh-panicked", "refresh failed; what serves goes on");
            error.to_string()
        }
    };
    host.refresh_error.store(Arc::new(error));
    None
}
