//! Artifacts in any number, signed in this process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pilar_artifact::digest::{EntryDigest, Integrity};
use pilar_artifact::index::IndexEntry;
use pilar_artifact::operations::{Attribution, Channel, Operation, Window, apply_and_sign};
use pilar_artifact::{FeatureId, Limits, MANIFEST_FILE, RELEASES_FILE};
use pilar_artifact::{ReleaseIndex, Sha256Digest, SigningKey};
use serde_json::{Map, Value, json};

use crate::Failure;
use crate::corpus::{Numbers, script, write};

const KEY_ID: &str = "loadtest";
/// Sizes of files, in bytes: as many between one and its double as between that and its own.
const SMALLEST: f64 = 4096.0;
const LARGEST: f64 = 98_304.0;

/// An artifacts directory, with the key that signs what is in it.
pub(super) struct Tree {
    /// The artifacts directory of our host.
    pub(super) artifacts: PathBuf,
    /// What is not yet in it, on the same file system.
    staging: PathBuf,
    key: SigningKey,
    features: Vec<Feature>,
    numbers: Numbers,
    /// Bytes of all files of all versions, without manifests and indexes.
    pub(super) bytes: u64,
}

struct Feature {
    id: FeatureId,
    index: Option<ReleaseIndex>,
    /// Versions that were placed.
    placed: u32,
}

/// A version that is in place, and the index that is going to name it.
pub(super) struct Placed {
    /// The feature.
    pub(super) id: String,
    /// The version, as its URLs have it.
    pub(super) version: String,
    /// Where the index lies until it is renamed, and where it goes.
    index: (PathBuf, PathBuf),
}

impl Tree {
    /// Makes so many features with so many versions each, of which the highest is released.
    pub(super) fn new(room: &Path, features: u32, versions: u32) -> Result<Self, Failure> {
        let mut tree = Self {
            artifacts: room.join("artifacts"),
            staging: room.join("staging"),
            key: SigningKey::from_seed(KEY_ID, Sha256Digest::of(KEY_ID.as_bytes()).as_bytes()),
            features: Vec::new(),
            numbers: Numbers::default(),
            bytes: 0,
        };
        for number in 0..features {
            let id = format!("feature-{number:03}");
            let id: FeatureId = id.parse().map_err(|error| format!("{id}: {error}"))?;
            make_dir(&tree.artifacts.join(id.as_str()))?;
            tree.features.push(Feature { id, index: None, placed: 0 });
            for _ in 0..versions {
                tree.place(number as usize)?.release()?;
            }
        }
        Ok(tree)
    }

    /// The trusted keys, as `FEATURE_TRUST_PUBLIC_KEYS_JSON` takes them.
    pub(super) fn trusted_keys(&self) -> String {
        json!({ KEY_ID: self.key.public_key_base64() }).to_string()
    }

    /// URL paths of the shell and of all files of each feature's first version.
    pub(super) fn urls(&self) -> Vec<String> {
        let of_feature = |feature: &Feature| {
            let id = feature.id.as_str();
            let files = FILES.map(|name| format!("/_assets/{id}/1.0.1/{name}"));
            files.into_iter().chain([format!("/{id}")]).collect::<Vec<_>>()
        };
        self.features.iter().flat_map(of_feature).collect()
    }

    /// The ids of all features.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.features.iter().map(|feature| feature.id.as_str())
    }

    /// Places the next version of any feature.
    pub(super) fn place_any(&mut self) -> Result<Placed, Failure> {
        let number = usize::try_from(self.numbers.next()).unwrap_or(0) % self.features.len();
        self.place(number)
    }

    /// Places the next version of a feature, complete, by one rename, and makes its index ready.
    fn place(&mut self, number: usize) -> Result<Placed, Failure> {
        let feature = self.features.get_mut(number).ok_or("there is no such feature")?;
        feature.placed += 1;
        let id = feature.id.as_str().to_owned();
        let version = format!("1.0.{}", feature.placed);
        let staged = self.staging.join("version");
        make_dir(&staged)?;
        let mut integrity = BTreeMap::new();
        for name in FILES {
            let mut bytes = script(size(&mut self.numbers));
            // No two files are the same.
            bytes.extend(format!("// {id} {version}\n").bytes());
            self.bytes += bytes.len() as u64;
            write(&staged.join(name), &bytes)?;
            integrity.insert(name, String::from(Integrity(Sha256Digest::of(&bytes))));
        }
        let manifest = manifest(&id, &version, &json!(integrity));
        let manifest = self.key.sign_to_bytes(manifest);
        write(&staged.join(MANIFEST_FILE), &manifest)?;
        let home = self.artifacts.join(&id);
        rename(&staged, &home.join(&version))?;

        let parsed = version.parse().map_err(|error| format!("{version}: {error}"))?;
        let entry = Box::new(IndexEntry {
            version: parsed,
            manifest_sha256: EntryDigest(Sha256Digest::of(&manifest)),
            server_functions_sha256: None,
            provenance: None,
            revoked: None,
            unknown: Map::new(),
        });
        let (index, bytes) = apply_and_sign(
            feature.index.as_ref(),
            &feature.id,
            &Operation::Publish { entry, channel: Channel::Stable },
            &Attribution { at: Timestamp::UNIX_EPOCH, actor: None, reason: None, ticket: None },
            Window::default(),
            &Limits::default(),
            &self.key,
        )
        .map_err(|error| format!("{id}: {error}"))?;
        feature.index = Some(index);
        let staged = self.staging.join(RELEASES_FILE);
        write(&staged, &bytes)?;
        Ok(Placed { id, version, index: (staged, home.join(RELEASES_FILE)) })
    }
}

impl Placed {
    /// Replaces the index by one rename, which is the moment of the release.
    pub(super) fn release(&self) -> Result<(), Failure> {
        rename(&self.index.0, &self.index.1)
    }
}

/// The files of each version.
const FILES: [&str; 3] = ["entry.js", "view.js", "style.css"];

fn manifest(id: &str, version: &str, integrity: &Value) -> Map<String, Value> {
    let manifest = json!({
        "id": id,
        "version": version,
        "displayName": id,
        "featureType": "domain",
        "channel": "stable",
        "mount": { "pathPrefix": format!("/{id}"), "domElementId": "root" },
        "routes": ["/"],
        "entrypoints": { "js": "entry.js", "css": "style.css" },
        "integrity": integrity,
    });
    match manifest {
        Value::Object(manifest) => manifest,
        // It is written as an object.
        _ => Map::new(),
    }
}

fn size(numbers: &mut Numbers) -> usize {
    let part = (numbers.next() >> 11) as f64 / (1_u64 << 53) as f64;
    (SMALLEST * (LARGEST / SMALLEST).powf(part)) as usize
}

fn make_dir(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).map_err(|error| format!("{}: {error}", to.display()))
}
