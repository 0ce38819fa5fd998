//! The host as a whole: keys, first snapshot, edge, service plane, signals.

mod refresh;
mod sockets;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use pilar_artifact::Limits;
use pilar_host::admin::assets;
use pilar_host::catalog::{Settings, Watching};
use pilar_host::config::{self, Config};
use pilar_host::control::Control;
use pilar_host::edge::{AccessLog, Edge, EdgeOptions, Listeners};
use pilar_host::keys;
use pilar_host::service::admin::{self, Door, Figures};
use pilar_host::service::telemetry::Telemetry;
use pilar_host::service::{self, Host, Loader, Replies, access_log};
use pilar_host::shell::{Sdk, Site};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch as tokio_watch};

use crate::{VERSION, now, random, release_memory, time_of_day};
use refresh::{Asked, refreshing};
use sockets::{admin_listeners, allow_all_descriptors, listen, passed_sockets, place};

/// How long a feature may take to start in the browser, in milliseconds.
const BOOTSTRAP_TIMEOUT_MS: u32 = 10_000;

/// How long the last lines of the access log and the last spans may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Serves until told to stop.
///
/// # Errors
/// What keeps it from starting or going on, with its code.
pub(crate) fn run(config: &Config) -> Result<(), Failure> {
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
    // Encoders took far more than what they made, on this thread and on that of the first look.
    release_memory();
    let first_look = tokio::task::spawn_blocking(move || {
        let control = Control::start(settings, sdk, site, now);
        release_memory();
        control
    });
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
        access_log: match config.access_log {
            true => AccessLog::On { trust_proxy: config.trust_proxy },
            false => AccessLog::Off,
        },
        wall_clock: time_of_day,
        release_memory,
    };
    let mut edge = Edge::start(listeners, options.clone(), control.current(), calls)
        .map_err(|error| coded(&error, error.code()))?;
    let mut access_records = edge.access_records();

    let telemetry = config.telemetry.as_ref();
    let telemetry = telemetry
        .map(|config| Telemetry::start(config, VERSION, &edge.meter()).map(Arc::new))
        .transpose()
        .map_err(|error| coded(&error, "telemetry-refused"))?;
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
        clock: now,
        ready_sentinel: config.ready_sentinel.clone(),
        draining: is_draining,
        watching: is_watching,
        refresh_error: ArcSwap::from_pointee(String::new()),
        snapshot_id: control.ids(),
        live_reload,
        telemetry: telemetry.clone(),
        loader: Loader::of(config.artifacts_dir.clone()),
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
        trusted_keys,
        retain: config.retain,
        trust_proxy: config.trust_proxy,
        refreshes: refresh_calls,
        random,
    };
    let mut admin = admin::router(&config.admin, parts);
    let door = match (door, admin.take_if(|_| config.admin_port.is_some())) {
        (Some(listeners), Some(router)) => {
            let place = listeners.local_addr().map(|address| address.port()).unwrap_or_default();
            let limits = Door::limits(&config.limits);
            let (calls, received) = mpsc::channel(limits.service_depth());
            let options = EdgeOptions { limits, ..options };
            let snapshot =
                Arc::new(ArcSwap::from_pointee(Door::new(current.clone(), admin_assets)));
            let mut edge = Edge::start(listeners, options, snapshot, calls)
                .map_err(|error| coded(&error, error.code()))?;
            access_records.join(edge.access_records());
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
    let access_log = match config.access_log {
        true => Some(access_log::start(access_records, current, now)?),
        false => None,
    };
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
    let exported = telemetry.and_then(shut_down);
    // A reader that has stopped reading is not waited for, nor is a collector.
    let _ = tokio::time::timeout(LAST_WORDS, async {
        let (_, _) = tokio::join!(until(access_log), until(exported));
    })
    .await;
    Ok(())
}

/// Has the collector told what is left, on a thread that may be left behind; the receiver hears when that is done.
fn shut_down(telemetry: Arc<Telemetry>) -> Option<oneshot::Receiver<()>> {
    let (done, is_done) = oneshot::channel();
    let thread = thread::Builder::new().name("telemetry-end".to_owned()).spawn(move || {
        telemetry.shut_down();
        // Whoever waited may have had enough.
        let _ = done.send(());
    });
    thread.ok().map(|_| is_done)
}

/// Waits for what has an end; an error is that of a thread that is gone.
async fn until(end: Option<oneshot::Receiver<()>>) {
    if let Some(end) = end {
        let _ = end.await;
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
