//! A loader at work on a tree of its own, fed by hand, with a transport that copies from directories.
#![allow(dead_code, reason = "each test binary uses its own part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

pub(crate) mod archive;
pub(crate) mod network;
pub(crate) mod program;
#[path = "../../../tests/support/programs.rs"]
pub(crate) mod programs;
pub(crate) mod server;
#[path = "../../../tests/support/tree.rs"]
pub(crate) mod tree;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use pilar_artifact::loader_status::{LoaderError, LoaderFeature};
use pilar_artifact::verify::{self, Context, DropFiles};
use pilar_artifact::{FeatureId, Limits, Rejection, ReleaseIndex, Sha256Digest, TrustedKeys};
use pilar_loader::machine::{Backoff, Machine};
use pilar_loader::place::{Placer, Space};
use pilar_loader::reconcile::{Fetch, Pace, Reconciler};
use pilar_loader::registration::{Origin, Registration};
use pilar_loader::source::{self, Desired, Object, Reporter};
use pilar_loader::status::Board;
use pilar_loader::transport::{FetchError, Fetched, Wanted};
use pilar_store::{FeatureDir, Store};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tree::Tree;

/// How long anything may take before a test gives up on it. No test succeeds or fails by time otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where a fetch panics.
pub(crate) const DEFECT: &str = "/defect";

/// Copies features from directories; each origin leads to one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copying(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    places: Mutex<HashMap<String, PathBuf>>,
    fetches: AtomicU64,
    names_no_validator: AtomicBool,
}

impl Copying {
    /// From now on `origin` leads to `feature`, a directory of a feature.
    pub(crate) fn lead(&self, origin: &Origin, feature: &Path) {
        self.0.places.lock().unwrap().insert(origin.identity(), feature.to_owned());
    }

    /// From now on it sends everything each time.
    pub(crate) fn name_no_validator(&self) {
        self.0.names_no_validator.store(true, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub(crate) fn fetches(&self) -> u64 {
        self.0.fetches.load(Ordering::SeqCst)
    }
}

impl Fetch for Copying {
    async fn fetch(&self, wanted: &Wanted<'_>) -> Result<Fetched, FetchError> {
        self.0.fetches.fetch_add(1, Ordering::SeqCst);
        let origin = wanted.registration.origin.identity();
        let place = self.0.places.lock().unwrap().get(&origin).cloned();
        assert!(place.as_deref() != Some(Path::new(DEFECT)), "a defect of the loader");
        let Some(place) = place else {
            let cause = "no such place".to_owned();
            return Err(FetchError::Unreachable { url: origin, proxy: None, cause });
        };
        // As a CDN says that nothing has changed.
        let index = fs::read(place.join("releases.json")).ok();
        let names_one = !self.0.names_no_validator.load(Ordering::SeqCst);
        let validator = index.filter(|_| names_one).map(|index| Sha256Digest::of(&index).hex());
        if wanted.validator.is_some() && wanted.validator == validator.as_deref() {
            return Ok(Fetched { changed: false, validator, left_out: BTreeMap::new() });
        }
        for path in files(&place) {
            let below = path.strip_prefix(&place).unwrap().to_str().unwrap().to_owned();
            let version = below.split('/').next().unwrap().parse();
            if version.is_ok_and(|version| wanted.present.contains_key(&version)) {
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            wanted.tally.came(bytes.len());
            let mut file = wanted.into.create(&below)?;
            file.write_all(&bytes).unwrap();
        }
        Ok(Fetched { changed: true, validator, left_out: BTreeMap::new() })
    }
}

/// The files below a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

/// A loader at work. It ends with the test, or by [`Loader::stop`].
#[derive(Debug)]
pub(crate) struct Loader<T = Copying> {
    pub(crate) home: Home,
    pub(crate) transport: T,
    pub(crate) board: Arc<Board>,
    reporter: Option<Reporter>,
    task: JoinHandle<()>,
}

/// Where a loader works; it outlives the loader.
#[derive(Debug)]
pub(crate) struct Home {
    root: TempDir,
    pub(crate) retain: Duration,
    check: Duration,
    pub(crate) space: fn(&Path) -> std::io::Result<Space>,
    pub(crate) clock: fn() -> Timestamp,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            retain: Duration::from_secs(86_400),
            check: Duration::from_secs(3600),
            space: |_| Ok(Space { free: 1 << 40, total: 1 << 40 }),
            clock: now,
        }
    }

    /// One whose loader reads all that is in place so often.
    pub(crate) fn checking(check: Duration) -> Self {
        Self { check, ..Self::new() }
    }

    /// What places into it.
    pub(crate) fn placer(&self, store: Store) -> Placer {
        let claim = store.claim().unwrap();
        let (artifacts, tree) = (self.artifacts(), (store, claim));
        Placer::new(artifacts, tree, keys(), self.retain, self.space, self.clock)
    }

    pub(crate) fn artifacts(&self) -> PathBuf {
        self.root.path().join("artifacts")
    }

    /// Waits until nobody places anything any more, on whatever thread.
    async fn left(&self) {
        let store = Store::open(&self.artifacts()).unwrap();
        let let_go = async {
            while store.claim().is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, let_go).await.expect("somebody holds the claim for ever");
    }

    /// Begins with what is there.
    pub(crate) fn start(self) -> Loader {
        let transport = Copying::default();
        self.begin(transport.clone(), transport)
    }

    /// Begins with what is there, and brings the rest by `fetch`.
    pub(crate) fn start_with(self, fetch: impl Fetch) -> Loader<()> {
        self.begin(fetch, ())
    }

    fn begin<T>(self, fetch: impl Fetch, transport: T) -> Loader<T> {
        let store = Store::open_or_create(&self.artifacts()).unwrap();
        let placer = self.placer(store);
        let remembered = placer.records().load().unwrap();
        let (reporter, feed) = source::channel();
        let board = Arc::new(Board::new("command", feed.clone(), self.clock));
        let pace = Pace {
            backoff: Backoff {
                first: Duration::from_millis(20),
                longest: Duration::from_millis(100),
            },
            poll: Duration::from_millis(20),
            check: self.check,
            working: 2,
        };
        let machine = Machine { clock: self.clock, chance: || 0.5 };
        let reconciler =
            Reconciler::new(fetch, Arc::new(placer), Arc::clone(&board), pace, machine, remembered);
        let task = tokio::spawn(reconciler.run(feed));
        Loader { home: self, transport, board, reporter: Some(reporter), task }
    }
}

impl<T> Loader<T> {
    /// From now on it follows the files of `directory`.
    pub(crate) fn follow(&mut self, directory: &Path) {
        let reporter = self.reporter.take().expect("nothing else feeds it");
        tokio::spawn(source::directory::follow(directory.to_owned(), reporter));
    }

    /// Registers these, and nothing else.
    pub(crate) fn register(&self, registrations: impl IntoIterator<Item = Registration>) {
        self.say(registrations.into_iter().map(|registration| Object {
            place: format!("default/{}", registration.feature),
            since: None,
            content: Ok(registration),
        }));
    }

    /// Says that there are these objects, and nothing else.
    pub(crate) fn say(&self, objects: impl IntoIterator<Item = Object>) {
        self.say_but(&[], objects);
    }

    /// Says the same, and that nobody has seen the places that start with one of `unseen`.
    pub(crate) fn say_but(&self, unseen: &[&str], objects: impl IntoIterator<Item = Object>) {
        let reporter = self.reporter.as_ref().expect("nothing else feeds it");
        let unseen = unseen.iter().map(|start| (*start).to_owned()).collect();
        reporter.wanted(Desired { unseen, ..Desired::of(objects) });
    }

    /// Waits until the status of a feature is like that.
    pub(crate) async fn until(
        &self,
        feature: &str,
        is_so: impl Fn(&LoaderFeature) -> bool,
    ) -> LoaderFeature {
        let feature: FeatureId = feature.parse().unwrap();
        self.wait("the status", || {
            self.board.status().features.get(&feature).filter(|said| is_so(said)).cloned()
        })
        .await
    }

    /// Waits until what is registered is in place.
    pub(crate) async fn in_place(&self, registration: &Registration) -> LoaderFeature {
        let wanted = Some(registration.origin.identity());
        self.until(registration.feature.as_str(), |said| {
            said.desired == wanted && said.actual == wanted && said.attempts == 0
        })
        .await
    }

    /// Waits until an attempt failed with this code.
    pub(crate) async fn failed(&self, feature: &str, code: &str) -> LoaderError {
        let is_so =
            |said: &LoaderFeature| said.last_error.as_ref().is_some_and(|error| error.code == code);
        self.until(feature, is_so).await.last_error.unwrap()
    }

    /// Waits until there is nothing of a feature.
    pub(crate) async fn gone(&self, feature: &str) {
        let id: FeatureId = feature.parse().unwrap();
        self.wait("it to be gone", || {
            let is_gone = !self.board.status().features.contains_key(&id);
            (is_gone && !self.home.artifacts().join(feature).exists()).then_some(())
        })
        .await;
    }

    pub(crate) async fn wait<A>(&self, what: &str, mut ask: impl FnMut() -> Option<A>) -> A {
        let asked = async {
            loop {
                if let Some(answer) = ask() {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answer) => answer,
            Err(_) => panic!("gave up waiting for {what}: {:#?}", self.board.status()),
        }
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(mut self) -> Home {
        let ended = tokio::time::timeout(PATIENCE, &mut self.task).await;
        ended.expect("it goes on without one of its tasks").unwrap();
        self.home.left().await;
        self.home
    }

    /// Ends it, and leaves what it did.
    pub(crate) async fn stop(self) -> Home {
        self.task.abort();
        let _ = self.task.await;
        self.home.left().await;
        self.home
    }

    /// What is in place of a feature, verified as a host would.
    pub(crate) fn index(&self, feature: &str) -> Option<ReleaseIndex> {
        verified(&self.home.artifacts(), feature)
    }
}

impl Loader {
    /// An image at a digest that leads to what `tree` has of `feature` now.
    pub(crate) fn image(&self, tree: &Tree, feature: &str) -> Registration {
        let copy = self.home.root.path().join(format!("image-{}", self.transport.places()));
        copy_all(&tree.path(feature), &copy);
        let digest = Sha256Digest::of(copy.to_str().unwrap().as_bytes());
        let origin = Origin::Image(
            format!("registry.example.org/{feature}@sha256:{digest}").parse().unwrap(),
        );
        self.transport.lead(&origin, &copy);
        Registration { feature: feature.parse().unwrap(), origin }
    }

    /// A CDN that serves what `tree` has of `feature` at any time.
    pub(crate) fn cdn(&self, tree: &Tree, feature: &str) -> Registration {
        let origin = Origin::Cdn(format!("https://cdn.example.org/{feature}/").parse().unwrap());
        self.transport.lead(&origin, &tree.path(feature));
        Registration { feature: feature.parse().unwrap(), origin }
    }
}

impl Copying {
    fn places(&self) -> usize {
        self.0.places.lock().unwrap().len()
    }
}

/// Verifies everything that the index of a feature lists, as a host would. `None`: no index.
pub(crate) fn verified(artifacts: &Path, feature: &str) -> Option<ReleaseIndex> {
    try_verified(artifacts, feature).unwrap_or_else(|error| panic!("{error}"))
}

/// The same for those who expect that it may fail.
pub(crate) fn try_verified(
    artifacts: &Path,
    feature: &str,
) -> Result<Option<ReleaseIndex>, Rejection> {
    let id: FeatureId = feature.parse().unwrap();
    let Ok(source) = FeatureDir::open(&artifacts.join(feature)) else { return Ok(None) };
    let keys = keys();
    let context =
        Context { keys: &keys, now: now(), host_version: None, limits: Limits::default() };
    let index = verify::index(&source, &id, &context)?.index;
    for entry in index.versions.iter().filter(|entry| entry.revoked.is_none()) {
        verify::version(&source, &index, &entry.version, &context, &mut DropFiles)?;
    }
    Ok(Some(index))
}

/// The names in the staging directory that a loader may have left.
pub(crate) fn leftovers(artifacts: &Path) -> Vec<String> {
    let entries = fs::read_dir(artifacts.join(".staging")).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

pub(crate) fn keys() -> TrustedKeys {
    let map = Tree::new().trusted_keys();
    TrustedKeys::from_json(map.as_bytes(), &Limits::default()).unwrap()
}

pub(crate) fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn copy_all(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}
