//! The three uses of the loader: `init`, `watch`, `sync`.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use pilar_artifact::{FeatureId, TrustedKeys};
use pilar_settings::keys;
use pilar_store::{Claim, Store};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

use crate::config::{Config, Network};
use crate::http;
use crate::machine::Machine;
use crate::place::{Placer, Space};
use crate::problem::Problem;
use crate::reconcile::Reconciler;
use crate::record::{Record, Records};
use crate::registration::{Origin, Registration};
use crate::source::kubernetes::{self, Patience};
use crate::source::{self, Desired, Feed, Registered, Reporter};
use crate::status::{Board, Progress};
use crate::transport::{Limits, Options, Transports};

/// After so many attempts a feature is left to the sidecar, and so is the tree where nothing can be done in it.
const INIT_ATTEMPTS: u64 = 3;
/// The largest file of certificate authorities, in bytes.
const MOST_CA_BYTES: u64 = 4 << 20;

/// How it ended.
#[derive(Debug)]
pub enum Ended {
    /// Everything that was asked for is done.
    Done(Progress),
    /// Not everything is in place.
    Incomplete(Progress),
    /// Somebody asked it to stop.
    Stopped,
}

/// A loader: its parts at work, and what they say.
struct Work {
    board: Arc<Board>,
    tasks: JoinSet<()>,
    /// Where the status is written, once there is a place for it.
    store: Option<Store>,
}

/// What its variables decide.
struct Means {
    keys: TrustedKeys,
    transports: Transports,
}

/// The tree, which the loader has to itself, and what is remembered of it.
struct Tree {
    artifacts: PathBuf,
    store: Store,
    claim: Claim,
    remembered: BTreeMap<FeatureId, Record>,
}

/// How something ended that anybody may stop.
enum Raced<T> {
    /// By itself.
    Done(T),
    /// Its time was over.
    Late,
    /// Somebody asked for it.
    Stopped,
}

/// `pilar-loader init`: brings what it can within its time, leaves the rest to the sidecar, and makes the sentinel
/// as the last thing. Where nothing can be done in the tree, that is the sidecar's as well: what is in it may be whole.
///
/// # Errors
/// A [`Problem`] that keeps it from working at all.
pub async fn init(
    config: &Config,
    machine: Machine,
    stop: impl Future<Output = ()>,
) -> Result<Ended, Problem> {
    let (begun, mut stop) = (Instant::now(), pin!(stop));
    let left = || config.init.deadline.saturating_sub(begun.elapsed());
    let (reporter, feed) = source::channel();
    let means = Means::of(config, machine)?;
    let mut work = Work::new(kind(config), feed, machine);
    follow(config, reporter, &mut work.tasks).await?;
    let attempts = if config.init.is_strict { u64::MAX } else { INIT_ATTEMPTS };
    let tree = Tree::await_at(config, Arc::clone(&work.board), machine, attempts);
    match work.race(tree, left(), stop.as_mut()).await? {
        Raced::Done(Ok(tree)) => work.begin(config, means, tree, machine),
        Raced::Done(Err(problem)) if is_final(&problem) => return Err(problem),
        given_up @ (Raced::Done(Err(_)) | Raced::Late) => {
            let progress = work.board.progress();
            work.end().await;
            return end_init(config, progress, matches!(given_up, Raced::Done(_)));
        }
        Raced::Stopped => {
            work.end().await;
            return Ok(Ended::Stopped);
        }
    }
    let is_enough = |progress: &Progress| {
        let has_given_up = progress.failing.iter().all(|(_, attempts)| *attempts >= INIT_ATTEMPTS);
        let is_complete = progress.failing.is_empty() && progress.refused == 0;
        progress.is_known
            && progress.pending == 0
            && if config.init.is_strict { is_complete } else { has_given_up }
    };
    let reached = work.until(is_enough, left(), stop).await;
    let progress = work.board.progress();
    work.end().await;
    let is_enough = match reached? {
        Raced::Done(()) => true,
        Raced::Late => false,
        Raced::Stopped => return Ok(Ended::Stopped),
    };
    end_init(config, progress, is_enough)
}

/// Says how far it came, and makes the sentinel where that is enough for the policy.
fn end_init(config: &Config, progress: Progress, is_enough: bool) -> Result<Ended, Problem> {
    let fails = config.init.is_strict && !is_enough;
    report_init(&progress, is_enough, fails);
    if fails {
        return Ok(Ended::Incomplete(progress));
    }
    if let Some(sentinel) = &config.init.sentinel {
        pilar_store::replace_file(sentinel, b"ready\n")?;
    }
    Ok(Ended::Done(progress))
}

/// `pilar-loader watch`: keeps the tree what it is to be until it is stopped. A tree in which nothing can be done is
/// tried again, as a feature is.
///
/// # Errors
/// A [`Problem`] that keeps it from working at all.
pub async fn watch(
    config: &Config,
    machine: Machine,
    says: impl FnOnce(u16),
    stop: impl Future<Output = ()>,
) -> Result<Ended, Problem> {
    let mut stop = pin!(stop);
    let (reporter, feed) = source::channel();
    let means = Means::of(config, machine)?;
    let mut work = Work::new(kind(config), feed, machine);
    if let Some(port) = config.http_port {
        let failed = |error: std::io::Error| {
            Problem::new(
                "port",
                format!("LOADER_HTTP_PORT: cannot listen on port {port}: {error}"),
                "name a port that is free, or 0 for any",
            )
        };
        let listener = http::listen(port).await.map_err(failed)?;
        says(listener.local_addr().map_err(failed)?.port());
        work.tasks.spawn(http::serve(listener, work.board.clone(), config.max_contact_age));
    }
    follow(config, reporter, &mut work.tasks).await?;
    let tree = Tree::await_at(config, Arc::clone(&work.board), machine, u64::MAX);
    let mut ended = work.race(tree, Duration::MAX, stop.as_mut()).await;
    if let Ok(Raced::Done(tree)) = ended {
        work.begin(config, means, tree?, machine);
        ended = work.race(std::future::pending(), Duration::MAX, stop).await;
    }
    tracing::info!("stopping");
    work.end().await;
    ended.map(|_| Ended::Stopped)
}

/// The feature that `origin` says it holds; [`sync`] finds out whether that is so.
///
/// # Errors
/// A [`Problem`] of what is there, or of the way there.
pub async fn feature_of(
    config: &Config,
    machine: Machine,
    origin: &Origin,
) -> Result<FeatureId, Problem> {
    let transports = transports(&config.network, config.limits, machine)?;
    Ok(transports.feature(origin).await?)
}

/// `pilar-loader sync --once`: brings one feature into `into` and ends, at the first failure too.
///
/// # Errors
/// A [`Problem`] that keeps it from working at all.
pub async fn sync(
    config: &Config,
    machine: Machine,
    registration: Registration,
    into: &Path,
    stop: impl Future<Output = ()>,
) -> Result<(Ended, Arc<Board>), Problem> {
    let (reporter, feed) = source::channel();
    let feature = registration.feature.clone();
    let registered = Registered { registration, place: "--from".to_owned() };
    let mut desired = Desired::default();
    desired.registrations.insert(feature.clone(), registered);
    reporter.heard();
    reporter.wanted(desired);
    let means = Means::of(config, machine)?;
    let mut tree = Tree::open(into)?;
    // One feature is brought; the others in the tree are nobody's business here.
    tree.remembered.retain(|id, _| *id == feature);
    let mut work = Work::new("command", feed, machine);
    work.begin(config, means, tree, machine);
    let is_settled = |progress: &Progress| progress.is_known && progress.pending == 0;
    let reached = work.until(is_settled, Duration::MAX, stop).await;
    let progress = work.board.progress();
    let board = work.board.clone();
    work.end().await;
    let ended = match reached? {
        Raced::Stopped => Ended::Stopped,
        _ if progress.failing.is_empty() => Ended::Done(progress),
        _ => Ended::Incomplete(progress),
    };
    Ok((ended, board))
}

impl Means {
    fn of(config: &Config, machine: Machine) -> Result<Self, Problem> {
        let coded = |error: keys::TrustError| {
            Problem::new(error.code(), error.to_string(), "correct the trusted keys")
        };
        let keys = keys::trusted(
            &config.trusted_keys,
            config.allow_dev_keys,
            &pilar_artifact::Limits::default(),
        )
        .map_err(coded)?;
        Ok(Self { keys, transports: transports(&config.network, config.limits, machine)? })
    }
}

impl Tree {
    fn open(artifacts: &Path) -> Result<Self, Problem> {
        let store = Store::open_or_create(artifacts)?;
        let claim = store.claim()?;
        let remembered = Records::of(store.clone()).load()?;
        Ok(Self { artifacts: artifacts.to_owned(), store, claim, remembered })
    }

    /// Opens it, and where that fails again and again, so many times at the most.
    ///
    /// # Errors
    /// The last [`Problem`], each of which was logged, or one that [`is_final`].
    async fn await_at(
        config: &Config,
        board: Arc<Board>,
        machine: Machine,
        attempts: u64,
    ) -> Result<Self, Problem> {
        let mut failures = 0;
        loop {
            let artifacts = config.artifacts.clone();
            let opened = spawn_blocking(move || Self::open(&artifacts)).await;
            let problem = match opened.unwrap_or_else(|error| Err(internal(&error.to_string()))) {
                Ok(tree) => {
                    board.stuck(None);
                    return Ok(tree);
                }
                Err(problem) if is_final(&problem) => return Err(problem),
                Err(problem) => problem,
            };
            failures += 1;
            let pause = config.pace.backoff.pause(failures, (machine.chance)());
            let Problem { code, message, remedy } = &problem;
            let seconds = pause.as_secs_f64();
            tracing::error!(code, remedy, failures, retry_in_seconds = seconds, "{message}");
            board.count(|counts| *counts.failures.entry(problem.code).or_default() += 1);
            board.stuck(Some(problem.clone()));
            if failures >= attempts {
                return Err(problem);
            }
            sleep(pause).await;
        }
    }
}

/// Whether it is no use to wait: two loaders are never to work in one tree.
fn is_final(problem: &Problem) -> bool {
    problem.code == "store-busy"
}

impl Work {
    fn new(kind: &'static str, feed: Feed, machine: Machine) -> Self {
        let board = Arc::new(Board::new(kind, feed, machine.clock));
        Self { board, tasks: JoinSet::new(), store: None }
    }

    /// Begins to work in `tree`.
    fn begin(&mut self, config: &Config, means: Means, tree: Tree, machine: Machine) {
        let Means { keys, transports } = means;
        let Tree { artifacts, store, claim, remembered } = tree;
        let held = (store.clone(), claim);
        let placer = Placer::new(artifacts, held, keys, config.retain, Space::of, machine.clock);
        let reconciler = Reconciler::new(
            transports,
            Arc::new(placer),
            Arc::clone(&self.board),
            config.pace,
            machine,
            remembered,
        );
        self.tasks.spawn(reconciler.run(self.board.feed().clone()));
        self.tasks.spawn(Arc::clone(&self.board).keep_written(store.clone()));
        self.store = Some(store);
    }

    /// Waits until it became enough, within `limit`.
    ///
    /// # Errors
    /// A [`Problem`] where a part of the loader has ended.
    async fn until(
        &mut self,
        is_enough: impl Fn(&Progress) -> bool,
        limit: Duration,
        stop: impl Future<Output = ()>,
    ) -> Result<Raced<()>, Problem> {
        let board = Arc::clone(&self.board);
        let mut changes = board.changes();
        let mut feed = board.feed().clone();
        let reached = async {
            while !is_enough(&board.progress()) {
                tokio::select! {
                    _ = changes.changed() => {}
                    () = feed.changed() => {}
                }
            }
        };
        self.race(reached, limit, stop).await
    }

    /// Does `what` within `limit`, unless it is stopped.
    ///
    /// # Errors
    /// A [`Problem`] where a part of the loader has ended.
    async fn race<T>(
        &mut self,
        what: impl Future<Output = T>,
        limit: Duration,
        stop: impl Future<Output = ()>,
    ) -> Result<Raced<T>, Problem> {
        tokio::select! {
            done = timeout(limit, what) => Ok(done.map_or(Raced::Late, Raced::Done)),
            () = stop => Ok(Raced::Stopped),
            problem = broken(&mut self.tasks) => Err(problem),
        }
    }

    /// Stops everything, and says for the last time how it stands.
    async fn end(mut self) {
        self.tasks.shutdown().await;
        let written = self.store.map_or(Ok(()), |store| self.board.write(&store));
        if let Err(Problem { code, message, remedy }) = written {
            tracing::error!(code, remedy, "the status cannot be written: {message}");
        }
    }
}

/// Returns when one of `tasks` has ended. None does while the loader works, but by a defect: then the process ends, so
/// that whoever looks after it starts it anew. What serves, serves on.
async fn broken(tasks: &mut JoinSet<()>) -> Problem {
    let how = match tasks.join_next().await {
        Some(Err(error)) => error.to_string(),
        Some(Ok(())) | None => "it returned".to_owned(),
    };
    internal(&how)
}

fn internal(how: &str) -> Problem {
    Problem::new(
        "internal",
        format!("a part of the loader has ended: {how}"),
        "start it again, as the kubelet does by itself; please report it with the log",
    )
}

fn kind(config: &Config) -> &'static str {
    if config.registrations.is_some() { "directory" } else { "kubernetes" }
}

async fn follow(
    config: &Config,
    reporter: Reporter,
    tasks: &mut JoinSet<()>,
) -> Result<(), Problem> {
    match &config.registrations {
        Some(directory) => tasks.spawn(source::directory::follow(directory.clone(), reporter)),
        None => {
            let cluster = kubernetes::connection(&config.network.proxies).await?;
            let namespaces = config.namespaces.clone();
            tasks.spawn(kubernetes::follow(cluster, namespaces, Patience::default(), reporter))
        }
    };
    Ok(())
}

fn transports(network: &Network, limits: Limits, machine: Machine) -> Result<Transports, Problem> {
    let read = |path: &PathBuf| {
        keys::read(path, MOST_CA_BYTES).map_err(|error| {
            Problem::new(
                "ca-unreadable",
                format!("LOADER_EXTRA_CA_PATH: {}: {error}", path.display()),
                "create it or allow reading it",
            )
        })
    };
    let options = Options {
        plain_http_hosts: network.plain_http_hosts.clone(),
        extra_ca: network.extra_ca.as_ref().map(read).transpose()?,
        docker_configs: network.docker_configs.clone(),
        proxies: network.proxies.clone(),
        azure: network.azure.clone(),
    };
    Ok(Transports::new(options, limits, machine.chance)?)
}

fn report_init(progress: &Progress, is_enough: bool, fails: bool) {
    let Progress { in_place, pending, failing, refused, is_known } = progress;
    let names: Vec<&str> = failing.iter().map(|(id, _)| id.as_str()).collect();
    let failing = names.join(", ");
    if *is_known && *pending == 0 && failing.is_empty() && *refused == 0 {
        tracing::info!(in_place, "everything is in place");
    } else {
        let outcome = match fails {
            true => "init ends with an error, because LOADER_INIT_POLICY is strict",
            false => "the rest is left to the sidecar",
        };
        tracing::warn!(
            code = "init-incomplete",
            in_place,
            pending,
            refused,
            failing,
            registrations_seen = is_known,
            deadline_passed = !is_enough,
            "not everything is in place; {outcome}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_is_noticed_whichever_it_is() {
        let mut tasks = JoinSet::new();
        tasks.spawn(std::future::pending());
        tasks.spawn(async { panic!("a defect") });
        let problem = broken(&mut tasks).await;
        assert_eq!(problem.code, "internal");
        assert!(problem.message.contains("a defect"), "{problem:?}");
    }
}
