//! The three uses of the loader: `init`, `watch`, `sync`.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pilar_artifact::FeatureId;
use pilar_settings::keys;
use pilar_store::Store;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{Config, Network};
use crate::http;
use crate::machine::Machine;
use crate::place::{Placer, Space};
use crate::problem::Problem;
use crate::reconcile::Reconciler;
use crate::registration::{Origin, Registration};
use crate::source::kubernetes::{self, Patience};
use crate::source::{self, Desired, Feed, Registered, Reporter};
use crate::status::{Board, Progress};
use crate::transport::{Limits, Options, Transports};

/// After so many attempts a feature is left to the sidecar.
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

/// A loader at work on one tree, which it has to itself.
struct Work {
    artifacts: PathBuf,
    board: Arc<Board>,
    tasks: JoinSet<()>,
}

/// `pilar-loader init`: brings what it can within its time, leaves the rest to the sidecar, and makes the sentinel
/// as the last thing.
///
/// # Errors
/// A [`Problem`] that keeps it from working at all.
pub async fn init(
    config: &Config,
    machine: Machine,
    stop: impl Future<Output = ()>,
) -> Result<Ended, Problem> {
    let (reporter, feed) = source::channel();
    let mut work = Work::begin(config, &config.artifacts, kind(config), feed, machine)?;
    follow(config, reporter, &mut work.tasks).await?;
    let is_enough = |progress: &Progress| {
        let has_given_up = progress.failing.iter().all(|(_, attempts)| *attempts >= INIT_ATTEMPTS);
        let is_complete = progress.failing.is_empty() && progress.refused == 0;
        progress.is_known
            && progress.pending == 0
            && if config.init.is_strict { is_complete } else { has_given_up }
    };
    let reached = work.until(is_enough, config.init.deadline, stop).await;
    let progress = work.board.progress();
    work.end().await;
    let reached = reached?;
    let Some(is_enough) = reached else { return Ok(Ended::Stopped) };
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

/// `pilar-loader watch`: keeps the tree what it is to be until it is stopped.
///
/// # Errors
/// A [`Problem`] that keeps it from working at all.
pub async fn watch(
    config: &Config,
    machine: Machine,
    says: impl FnOnce(u16),
    stop: impl Future<Output = ()>,
) -> Result<Ended, Problem> {
    let (reporter, feed) = source::channel();
    let mut work = Work::begin(config, &config.artifacts, kind(config), feed, machine)?;
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
    let ended = tokio::select! {
        () = stop => Ok(Ended::Stopped),
        problem = broken(&mut work.tasks) => Err(problem),
    };
    tracing::info!("stopping");
    work.end().await;
    ended
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
    desired.registrations.insert(feature, registered);
    reporter.heard();
    reporter.wanted(desired);
    let mut work = Work::begin(config, into, "command", feed, machine)?;
    let is_settled = |progress: &Progress| progress.is_known && progress.pending == 0;
    let reached = work.until(is_settled, Duration::MAX, stop).await;
    let progress = work.board.progress();
    let board = work.board.clone();
    work.end().await;
    let ended = match reached? {
        None => Ended::Stopped,
        Some(_) if progress.failing.is_empty() => Ended::Done(progress),
        Some(_) => Ended::Incomplete(progress),
    };
    Ok((ended, board))
}

impl Work {
    fn begin(
        config: &Config,
        artifacts: &Path,
        kind: &'static str,
        feed: Feed,
        machine: Machine,
    ) -> Result<Self, Problem> {
        let coded = |error: keys::TrustError| {
            Problem::new(error.code(), error.to_string(), "correct the trusted keys")
        };
        let keys = keys::trusted(
            &config.trusted_keys,
            config.allow_dev_keys,
            &pilar_artifact::Limits::default(),
        )
        .map_err(coded)?;
        let transports = transports(&config.network, config.limits, machine)?;
        let store = Store::open_or_create(artifacts)?;
        let claim = store.claim()?;
        let tree = (store, claim);
        let placer =
            Placer::new(artifacts.to_owned(), tree, keys, config.retain, Space::of, machine.clock);
        let mut remembered = placer.records().load()?;
        if kind == "command" {
            // One feature is brought; the others in the tree are nobody's business here.
            let wanted = feed.desired().unwrap_or_default();
            remembered.retain(|id, _| wanted.registrations.contains_key(id));
        }
        let board = Arc::new(Board::new(kind, feed.clone(), machine.clock));
        let reconciler = Reconciler::new(
            transports,
            Arc::new(placer),
            Arc::clone(&board),
            config.pace,
            machine,
            remembered,
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(reconciler.run(feed));
        tasks.spawn(Arc::clone(&board).keep_written(artifacts.to_owned()));
        Ok(Self { artifacts: artifacts.to_owned(), board, tasks })
    }

    /// Whether it became enough within `limit`; `None` where it was stopped.
    ///
    /// # Errors
    /// A [`Problem`] where a part of the loader has ended.
    async fn until(
        &mut self,
        is_enough: impl Fn(&Progress) -> bool,
        limit: Duration,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<bool>, Problem> {
        let mut changes = self.board.changes();
        let mut feed = self.board.feed().clone();
        let reached = async {
            while !is_enough(&self.board.progress()) {
                tokio::select! {
                    _ = changes.changed() => {}
                    () = feed.changed() => {}
                }
            }
        };
        tokio::select! {
            reached = timeout(limit, reached) => Ok(Some(reached.is_ok())),
            () = stop => Ok(None),
            problem = broken(&mut self.tasks) => Err(problem),
        }
    }

    /// Stops everything, and says for the last time how it stands.
    async fn end(mut self) {
        self.tasks.shutdown().await;
        if let Err(Problem { code, message, remedy }) = self.board.write(&self.artifacts) {
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
            let no_proxy = config.network.proxies.none.as_deref();
            let cluster = kubernetes::connection(no_proxy).await?;
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
