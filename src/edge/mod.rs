//! The edge plane: one thread per core that answers from the snapshot and hands the rest to the
//! service plane. It opens no file, takes no lock and never waits for anything but its sockets.

mod accept;
mod access;
mod answer;
mod buffers;
mod clients;
mod clock;
mod connection;
mod counters;
mod driver;
mod limits;
mod listen;
mod owners;
mod refusal;
mod reply;
mod sender;
mod service;
mod socket;
mod turned_away;
mod watch;
mod worker;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch as tokio_watch};

pub use access::{AccessLog, AccessRecord, AccessRecords, is_harmless_id};
pub use counters::{CLASSES, Counts, Meter};
pub use driver::{DriverChoice, DriverError, DriverReport, Setup};
pub use limits::{Limit, Limits};
pub use listen::{BindError, Listeners};
pub use owners::{LATENCY_STEPS, Owner, OwnerCounts, latency_bound};
pub use sender::BodySender;
pub use service::ServiceCall;

use crate::http::Resource;
use access::Recorder;
use clients::Clients;
use counters::WorkerCounters;
use listen::{Listener, UnixPath};
use worker::{Equipment, Phase, Worker};

/// Where the edge looks paths up: the snapshot.
pub trait Lookup: Send + Sync + 'static {
    /// What answers this path, which is decoded and has no query and no dot segments.
    fn lookup(&self, path: &str) -> Answer<'_>;
}

/// Who answers a path.
#[derive(Debug)]
pub enum Answer<'a> {
    /// The edge itself, with this; it is counted for its owner.
    Resource(&'a Resource, Owner),
    /// The service plane.
    Service,
    /// The service plane, which keeps places for these that no other request can take: what asks whether this
    /// host should get traffic must not be told that others ask as well.
    Probe,
}

/// The other end of the connection that a request came over; in the extensions of a
/// [`ServiceCall`]'s request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A client on the network: its address, or that of the proxy in front.
    Network(SocketAddr),
    /// A program on this machine that may use the unix socket.
    Unix,
}

impl Peer {
    /// The client that a proxy speaks for, as far as these headers of its request tell; its port is not known.
    pub fn behind(self, headers: &http::HeaderMap) -> Peer {
        let line = headers.get_all("x-forwarded-for").iter().next_back();
        let client = line.and_then(|line| access::forwarded_for(line.to_str().ok()?));
        client.map_or(self, |client| Peer::Network((client, 0).into()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Network(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix"),
        }
    }
}

/// How the edge plane is to run.
#[derive(Clone, Debug)]
pub struct EdgeOptions {
    /// Which I/O driver may be used.
    pub driver: DriverChoice,
    /// How large bodies are sent.
    pub sender: BodySender,
    /// What clients may cost.
    pub limits: Limits,
    /// Whether requests are recorded; who says so has to read [`Edge::access_records`].
    pub access_log: AccessLog,
    /// Where `date` comes from.
    pub wall_clock: fn() -> SystemTime,
    /// Asks the allocator to give freed memory of the calling thread back to the system. Called after many
    /// connections became idle: a thread that then has nothing to do would keep it.
    pub release_memory: fn(),
}

impl EdgeOptions {
    /// Any driver, the default sender and the default limits; freed memory stays with the allocator.
    pub fn new(wall_clock: fn() -> SystemTime) -> EdgeOptions {
        EdgeOptions {
            driver: DriverChoice::Auto,
            sender: BodySender::default(),
            limits: Limits::default(),
            access_log: AccessLog::Off,
            wall_clock,
            release_memory: || {},
        }
    }
}

/// Why the edge plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The kernel has no driver that is allowed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// A thread could not be had.
    #[error(
        "cannot start a worker thread: {0}. Raise the limit on processes, or lower HOST_WORKERS"
    )]
    Thread(#[source] io::Error),
    /// A worker ended before it could say how it runs.
    #[error("a worker ended while it was starting; its panic message is above")]
    Worker,
}

impl EdgeError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            EdgeError::Driver(error) => error.code(),
            EdgeError::Thread(_) => "worker-thread-refused",
            EdgeError::Worker => "worker-start-failed",
        }
    }
}

/// The running edge plane. Dropping it stops it at once; see [`Edge::drain`] for the gentle way.
#[derive(Debug)]
pub struct Edge {
    driver: DriverReport,
    meter: Meter,
    access_records: AccessRecords,
    phase: tokio_watch::Sender<Phase>,
    threads: Vec<JoinHandle<usize>>,
    unix_path: Option<UnixPath>,
}

impl Edge {
    /// Starts the workers that the listeners were made for.
    ///
    /// Workers answer from whatever `snapshot` holds when a request arrives, and hand what it leaves
    /// to the service plane to `service`, whose depth should be [`Limits::service_depth`].
    pub fn start<S: Lookup>(
        listeners: Listeners,
        options: EdgeOptions,
        snapshot: Arc<ArcSwap<S>>,
        service: mpsc::Sender<ServiceCall<S>>,
    ) -> Result<Edge, EdgeError> {
        let (phase, phases) = tokio_watch::channel(Phase::Serve);
        let (report, reports) = std_mpsc::channel();
        let clients = options.limits.connections_per_ip.map(|most| Arc::new(Clients::new(most)));
        let (sockets, unix_path) = listeners.into_parts();
        let mut meter = Meter::default();
        let mut access_records = AccessRecords::default();
        let mut threads = Vec::new();
        for (number, sockets) in sockets.into_iter().enumerate() {
            let worker_counters = Arc::<WorkerCounters>::default();
            meter.add(Arc::clone(&worker_counters));
            let start = Start {
                recorder: access_records.add(options.access_log, &worker_counters),
                options: options.clone(),
                snapshot: Arc::clone(&snapshot),
                service: service.clone(),
                counters: worker_counters,
                clients: clients.clone(),
                phases: phases.clone(),
                report: report.clone(),
            };
            let thread = thread::Builder::new()
                .name(format!("edge-{number}"))
                .spawn(move || start.run(sockets))
                .map_err(EdgeError::Thread)?;
            threads.push(thread);
        }
        drop(report);
        let mut weakest: Option<DriverReport> = None;
        for _ in &threads {
            // An early return drops `phase`, which ends the workers that did start.
            let report = reports.recv().map_err(|_| EdgeError::Worker)??;
            if weakest.as_ref().is_none_or(|weakest| report.setup > weakest.setup) {
                weakest = Some(report);
            }
        }
        let driver = weakest.ok_or(EdgeError::Worker)?;
        log_driver(&driver, threads.len());
        Ok(Edge { driver, meter, access_records, phase, threads, unix_path })
    }

    /// How the workers talk to the kernel; if they differ, the weakest.
    pub fn driver(&self) -> &DriverReport {
        &self.driver
    }

    /// What goes on counting, also while the edge drains.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// What was recorded, for one reader; nothing without [`EdgeOptions::access_log`].
    pub fn access_records(&mut self) -> AccessRecords {
        std::mem::take(&mut self.access_records)
    }

    /// Stops without taking anything out of a client's hands, and returns how many requests had to
    /// be cut off all the same.
    ///
    /// For `serve_for`, connections are still accepted and requests answered, because whoever sends
    /// them may not know yet; each reply says `connection: close`. An idle connection stays until then, since its next
    /// request may be on the way. It takes that long
    /// even where no connection is open: a load balancer that has not asked yet whether this host is ready would
    /// send the next one here.
    /// Then nothing is accepted any more, idle connections are closed, and what is in flight has [`Limits::finish_timeout`].
    /// Blocks its thread meanwhile; the service plane has to go on working on others.
    pub fn drain(mut self, serve_for: Duration) -> usize {
        self.phase.send_replace(Phase::Drain);
        thread::sleep(serve_for);
        self.stop(Phase::Finish)
    }

    fn stop(&mut self, phase: Phase) -> usize {
        // Before nobody accepts there any more.
        self.unix_path = None;
        self.phase.send_replace(phase);
        self.threads.drain(..).map(|thread| thread.join().unwrap_or_default()).sum()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop(Phase::Abort);
    }
}

/// All that a worker's thread is given.
struct Start<S> {
    options: EdgeOptions,
    snapshot: Arc<ArcSwap<S>>,
    service: mpsc::Sender<ServiceCall<S>>,
    counters: Arc<WorkerCounters>,
    recorder: Option<Recorder>,
    clients: Option<Arc<Clients>>,
    phases: tokio_watch::Receiver<Phase>,
    report: std_mpsc::Sender<Result<DriverReport, DriverError>>,
}

impl<S: Lookup> Start<S> {
    fn run(self, listeners: Vec<Listener>) -> usize {
        let (mut runtime, report) = match driver::build(self.options.driver) {
            Ok(built) => built,
            Err(error) => {
                // Nobody listens any more if another worker failed first.
                let _ = self.report.send(Err(error));
                return 0;
            }
        };
        let on_ring = report.setup != Setup::Epoll;
        let _ = self.report.send(Ok(report));
        drop(self.report);
        let equipment = Equipment {
            limits: self.options.limits,
            wall_clock: self.options.wall_clock,
            release_memory: self.options.release_memory,
            on_ring,
            sender: self.options.sender.sender(),
            snapshot: self.snapshot,
            service: self.service,
            counters: self.counters,
            recorder: self.recorder,
            clients: self.clients,
        };
        runtime.block_on(async move { Worker::new(equipment).run(listeners, self.phases).await })
    }
}

fn log_driver(report: &DriverReport, workers: usize) {
    tracing::info!(setup = %report.setup, workers, "edge plane started");
    for (setup, reason) in &report.refused {
        tracing::info!(%setup, %reason, "set-up refused by the kernel");
    }
}
