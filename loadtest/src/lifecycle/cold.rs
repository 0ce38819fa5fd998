//! The start of a host in front of many features, beside hashing the same bytes, and what it holds in memory.

use std::fs;
use std::hint::black_box;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pilar_artifact::verify::{self, Context, DropFiles};
use pilar_artifact::{FeatureId, Limits, Sha256Digest, TrustedKeys};
use pilar_store::FeatureDir;
use serde_json::Value;

use super::host::{Host, Memory};
use super::tree::Tree;
use crate::Failure;
use crate::http::Connection;
use crate::statistics::Spread;

pub(super) const FEATURES: u32 = 500;
pub(super) const VERSIONS: u32 = 3;
pub(super) const ROUNDS: usize = 9;

/// A start that takes longer than this has failed.
const LONGEST_START: Duration = Duration::from_secs(120);
/// How long a host has to come to rest before its memory is looked at.
const REST: Duration = Duration::from_secs(1);

/// What was seen of all rounds.
#[derive(Debug)]
pub(super) struct Cold {
    /// Bytes of files in all versions.
    pub(super) bytes: u64,
    /// Threads that hash, and cores that the host has.
    pub(super) threads: usize,
    /// Until `/_ready` answers 200, with what serves.
    pub(super) ready: Against,
    /// Until all listed versions are reachable as well.
    pub(super) whole: Against,
    pub(super) memory: Memory,
}

/// A time beside those of hashing the same bytes, and of all 13 checks of the same versions.
#[derive(Debug)]
pub(super) struct Against {
    /// Milliseconds of the host.
    pub(super) host: Spread,
    /// Milliseconds of hashing.
    pub(super) hashing: Spread,
    /// Milliseconds of checking.
    pub(super) checking: Spread,
    /// Of the host ÷ of hashing, of one round each.
    pub(super) to_hashing: Spread,
    /// Of the host ÷ of checking, of one round each.
    pub(super) to_checking: Spread,
}

/// Starts the host and hashes the same files, in turns.
pub(super) fn run(program: &Path, room: &Path) -> Result<Cold, Failure> {
    println!("{ROUNDS} cold starts of {FEATURES} features with {VERSIONS} versions each");
    let tree = Tree::new(room, FEATURES, VERSIONS)?;
    let mut all = Vec::new();
    files(&tree.artifacts, &mut all)?;
    let other = |number| format!("1.0.{number}");
    let is_other = |path: &PathBuf| {
        (1..VERSIONS).any(|number| path.iter().any(|part| *part == *other(number)))
    };
    let served: Vec<PathBuf> = all.iter().filter(|path| !is_other(path)).cloned().collect();
    // Once for the page cache.
    hash(&all)?;
    let mut times = [const { Vec::new() }; 6];
    let mut memory = None;
    for _ in 0..ROUNDS {
        let (ready, whole, seen) = start(program, &tree)?;
        memory = Some(seen);
        let (served, all) = (hash(&served)?, hash(&all)?);
        let round = [ready, served, check(&tree, 1)?, whole, all, check(&tree, VERSIONS as usize)?];
        for (times, time) in times.iter_mut().zip(round) {
            times.push(time.as_secs_f64() * 1000.0);
        }
    }
    let [ready, served, served_checked, whole, all, all_checked] = &times;
    let cold = Cold {
        bytes: tree.bytes,
        threads: threads(),
        ready: Against::of(ready, served, served_checked)?,
        whole: Against::of(whole, all, all_checked)?,
        memory: memory.ok_or("no round")?,
    };
    println!("{cold:.2?}");
    Ok(cold)
}

impl Against {
    fn of(host: &[f64], hashing: &[f64], checking: &[f64]) -> Result<Self, Failure> {
        let spread = |values: &[f64]| Spread::of(values.iter().copied()).ok_or("no round");
        Ok(Self {
            host: spread(host)?,
            hashing: spread(hashing)?,
            checking: spread(checking)?,
            to_hashing: Spread::of_ratios(host, hashing).ok_or("no round")?,
            to_checking: Spread::of_ratios(host, checking).ok_or("no round")?,
        })
    }
}

/// From the start of the program until it is ready, and until it holds all versions.
fn start(program: &Path, tree: &Tree) -> Result<(Duration, Duration, Memory), Failure> {
    let mut command = Command::new(program);
    command
        .env("FEATURE_TRUST_PUBLIC_KEYS_JSON", tree.trusted_keys())
        .env("FEATURE_RETAIN_MAX_BYTES", tree.bytes.to_string())
        .env("FALLBACK_CACHE_MAX_ENTRIES", (FEATURES * VERSIONS).to_string());
    let start = Instant::now();
    let host = Host::start(&mut command, &tree.artifacts)?;
    let ready = start.elapsed();
    let mut connection = Connection::open(host.port)?;
    // They all come with one snapshot, so that any feature tells of all.
    let first = tree.ids().next().ok_or("there is no feature")?;
    while kept(&connection.get_json(&format!("/_health/{first}"))?) < VERSIONS as usize - 1 {
        if start.elapsed() > LONGEST_START {
            return Err("the listed versions were not loaded".to_owned());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let whole = start.elapsed();
    for id in tree.ids() {
        let health = connection.get_json(&format!("/_health/{id}"))?;
        if kept(&health) + 1 != VERSIONS as usize {
            return Err(format!("{id} does not hold {VERSIONS} versions: {health}"));
        }
    }
    thread::sleep(REST);
    Ok((ready, whole, host.memory()?))
}

/// Versions that a feature keeps beside the one that serves.
fn kept(health: &Value) -> usize {
    health.get("retained").and_then(Value::as_array).map_or(0, Vec::len)
}

/// Reads and hashes files on all cores, and returns how long that took.
fn hash(files: &[PathBuf]) -> Result<Duration, Failure> {
    on_all_cores(files, |path| {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        black_box(Sha256Digest::of(&bytes));
        Ok(())
    })
}

/// Verifies the index and so many versions of each feature on all cores, the highest first, and keeps nothing.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
fn check(tree: &Tree, versions: usize) -> Result<Duration, Failure> {
    let limits = Limits::default();
    let keys = TrustedKeys::from_json(tree.trusted_keys().as_bytes(), &limits);
    let keys = keys.map_err(|error| error.to_string())?;
    let context = Context { keys: &keys, now: Timestamp::now(), host_version: None, limits };
    let ids: Vec<&str> = tree.ids().collect();
    on_all_cores(&ids, |id| {
        let source =
            FeatureDir::open(&tree.artifacts.join(id)).map_err(|error| error.to_string())?;
        let id: FeatureId = id.parse().map_err(|error| format!("{id}: {error}"))?;
        let index = verify::index(&source, &id, &context).map_err(|error| error.to_string())?.index;
        for entry in index.versions.iter().take(versions) {
            verify::version(&source, &index, &entry.version, &context, &mut DropFiles)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    })
}

/// Does something with each of these on all cores, and returns how long that took.
fn on_all_cores<T: Sync>(
    all: &[T],
    each: impl Fn(&T) -> Result<(), Failure> + Sync,
) -> Result<Duration, Failure> {
    let next = AtomicUsize::new(0);
    let some = || all.get(next.fetch_add(1, Ordering::Relaxed)).map(&each);
    let some = || std::iter::from_fn(some).collect::<Result<(), Failure>>();
    let start = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads()).map(|_| scope.spawn(some)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;
    Ok(start.elapsed())
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// All files below a directory.
fn files(dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let io = |error: std::io::Error| format!("{}: {error}", dir.display());
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
