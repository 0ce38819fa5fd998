//! A signed artifact in memory, and the chain of checks over it.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use pilar_artifact::digest::EntryDigest;
use pilar_artifact::index::IndexEntry;
use pilar_artifact::operations::{Attribution, Channel, Operation, Window, apply_and_sign};
use pilar_artifact::verify::{self, Context, DropFiles, ReadArtifact, ReadError};
use pilar_artifact::{FeatureId, Limits, Sha256Digest, SigningKey, TrustedKeys};
use semver::Version;
use serde_json::{Value, json};

/// Bytes of each file.
pub(crate) const FILE_BYTES: usize = 64 * 1024;

/// A feature with one version.
pub(crate) struct Artifact {
    feature: FeatureId,
    version: Version,
    keys: TrustedKeys,
    files: Memory,
}

struct Memory(HashMap<String, Vec<u8>>);

impl ReadArtifact for Memory {
    fn read(&self, path: &str, _: u64) -> Result<Vec<u8>, ReadError> {
        self.0.get(path).cloned().ok_or(ReadError::Missing)
    }
}

impl Artifact {
    /// A version with this many files.
    pub(crate) fn of(count: usize) -> Result<Self, Box<dyn std::error::Error>> {
        let limits = Limits::default();
        let key = SigningKey::from_seed("bench", &[7; 32]);
        let trusted = json!({ "bench": key.public_key_base64() }).to_string();
        let feature: FeatureId = "bench".parse()?;
        let version = Version::new(1, 0, 0);
        let mut files = HashMap::new();
        let mut integrity = BTreeMap::new();
        for number in 0..count {
            let bytes: Vec<u8> = (0..FILE_BYTES).map(|byte| (byte * (number + 3)) as u8).collect();
            let name = format!("chunk{number}.0123abcd.js");
            integrity.insert(name.clone(), Sha256Digest::of(&bytes).sri());
            files.insert(format!("{version}/{name}"), bytes);
        }
        let manifest = json!({
            "id": feature, "version": version, "displayName": "Bench", "featureType": "facet",
            "channel": "stable", "entrypoints": { "js": "chunk0.0123abcd.js" },
            "integrity": integrity,
        });
        let Value::Object(manifest) = manifest else { return Err("an object was written".into()) };
        let manifest = key.sign_to_bytes(manifest);
        let entry = IndexEntry {
            version: version.clone(),
            manifest_sha256: EntryDigest(Sha256Digest::of(&manifest)),
            server_functions_sha256: None,
            provenance: None,
            revoked: None,
            unknown: serde_json::Map::new(),
        };
        let publish = Operation::Publish { entry: Box::new(entry), channel: Channel::Stable };
        let by = Attribution { at: Timestamp::UNIX_EPOCH, actor: None, reason: None, ticket: None };
        let (_, index) =
            apply_and_sign(None, &feature, &publish, &by, Window::default(), &limits, &key)?;
        files.insert("releases.json".to_owned(), index);
        files.insert(format!("{version}/manifest.json"), manifest);
        let keys = TrustedKeys::from_json(trusted.as_bytes(), &limits)?;
        Ok(Self { feature, version, keys, files: Memory(files) })
    }

    /// Makes every check of contract §5, and returns how many bytes the files have.
    pub(crate) fn verify(&self) -> u64 {
        let context = Context {
            keys: &self.keys,
            now: Timestamp::UNIX_EPOCH,
            host_version: None,
            limits: Limits::default(),
        };
        let index = verify::index(&self.files, &self.feature, &context)
            .expect("the index of the benchmark is valid");
        verify::version(&self.files, &index.index, &self.version, &context, &mut DropFiles)
            .expect("the version of the benchmark is valid")
            .bytes
    }

    /// Hashes the same bytes and does nothing else.
    pub(crate) fn hash(&self) -> Vec<Sha256Digest> {
        self.files.0.values().map(|bytes| Sha256Digest::of(bytes)).collect()
    }
}
