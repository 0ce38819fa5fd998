//! A real registry, a network that fails, and features to bring through both.
pub(crate) mod image;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod tokens;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use pilar_artifact::verify::{self, Context, DropFiles, ReadArtifact as _};
use pilar_artifact::{FeatureId, Sha256Digest, TrustedKeys};
use pilar_loader::registration::{ImageRef, Origin, Registration};
use pilar_loader::transport::{
    FetchError, Fetched, Limits, Options, Tally, Transports, Trust, Wanted,
};
use pilar_store::{Incoming, Store};
use semver::Version;

use super::tree::{self, Tree};

pub(crate) const FEATURE: &str = "lab";

pub(crate) fn feature() -> FeatureId {
    FEATURE.parse().unwrap()
}

/// Short enough that a test does not wait, and all else as in production.
pub(crate) fn limits() -> Limits {
    Limits {
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_secs(5),
        idle: Duration::from_secs(2),
        ..Limits::default()
    }
}

/// A loader's side of things: a tree to bring features into.
pub(crate) struct Place {
    pub(crate) transports: Transports,
    keys: TrustedKeys,
    dir: Arc<tempfile::TempDir>,
    count: AtomicU32,
}

/// What a fetch left.
pub(crate) struct Brought {
    pub(crate) result: Result<Fetched, FetchError>,
    /// Bytes that came over the network.
    pub(crate) transferred: u64,
    /// Requests that were sent again.
    pub(crate) retries: u64,
    pub(crate) incoming: Arc<Incoming>,
    keys: TrustedKeys,
    // The last one: it takes the directory away.
    _dir: Arc<tempfile::TempDir>,
}

impl Place {
    pub(crate) fn new(options: Options) -> Self {
        Self::with(options, limits())
    }

    pub(crate) fn with(options: Options, limits: Limits) -> Self {
        let transports = Transports::new(options, limits, || 0.5).unwrap();
        let keys = Tree::new().trusted_keys();
        let keys = TrustedKeys::from_json(keys.as_bytes(), &Default::default()).unwrap();
        let dir = Arc::new(tempfile::tempdir().unwrap());
        Self { transports, keys, dir, count: AtomicU32::new(0) }
    }

    /// For servers without TLS at these addresses.
    pub(crate) fn plain(addresses: &[&str]) -> Self {
        Self::new(plain(addresses))
    }

    pub(crate) async fn fetch(&self, origin: &Origin) -> Brought {
        self.fetch_what_is_new(origin, &BTreeMap::new(), None).await
    }

    pub(crate) async fn fetch_what_is_new(
        &self,
        origin: &Origin,
        present: &BTreeMap<Version, Sha256Digest>,
        validator: Option<&str>,
    ) -> Brought {
        let store = Store::open(self.dir.path()).unwrap();
        let unique = self.count.fetch_add(1, Ordering::Relaxed).to_string();
        let incoming = Arc::new(store.incoming(&feature(), &unique).unwrap());
        let registration = Registration { feature: feature(), origin: origin.clone() };
        let now = Timestamp::now();
        let trust = Trust { keys: &self.keys, now };
        let (into, tally) = (&incoming, &Tally::default());
        let wanted = Wanted { registration: &registration, present, validator, trust, into, tally };
        let result = self.transports.fetch(&wanted).await;
        Brought {
            result,
            transferred: tally.transferred(),
            retries: tally.retries(),
            incoming,
            keys: self.keys.clone(),
            _dir: Arc::clone(&self.dir),
        }
    }
}

impl Brought {
    /// It is there with every version of its index, and every check of a host passes.
    #[track_caller]
    pub(crate) fn whole(&self) -> &Self {
        if let Err(error) = &self.result {
            panic!("{error} ({}); {}", error.code(), error.remedy());
        }
        let context = Context {
            keys: &self.keys,
            now: Timestamp::now(),
            host_version: None,
            limits: Default::default(),
        };
        let dir = self.incoming.read().unwrap();
        let index = verify::index(&dir, &feature(), &context).unwrap().index;
        for entry in &index.versions {
            verify::version(&dir, &index, &entry.version, &context, &mut DropFiles).unwrap();
        }
        self
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.incoming.read().unwrap().read(path, 1 << 30).is_ok()
    }

    #[track_caller]
    pub(crate) fn refused(&self, code: &str) -> &FetchError {
        let error = self.result.as_ref().expect_err("it is refused");
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.remedy().is_empty());
        error
    }
}

pub(crate) fn plain(addresses: &[&str]) -> Options {
    let plain_http_hosts = addresses.iter().map(|address| (*address).to_owned()).collect();
    Options { plain_http_hosts, ..Options::default() }
}

pub(crate) fn origin(registry: &str, repository: &str, digest: Sha256Digest) -> Origin {
    let (registry, repository) = (registry.to_owned(), repository.to_owned());
    Origin::Image(ImageRef { registry, repository, digest })
}

/// A feature with these versions, the last one active. Each has a file of 300 KB that does not compress.
pub(crate) fn released(versions: &[&str]) -> Tree {
    let tree = Tree::new();
    for version in versions {
        let noise: Vec<u8> = (0..9_600_u32)
            .flat_map(|n| *Sha256Digest::of(format!("{version} {n}").as_bytes()).as_bytes())
            .collect();
        tree.publish(&tree::Version::facet(FEATURE, version).with_file("noise.bin", noise));
    }
    tree
}

/// Every file below `dir`, by its path relative to it.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}
