//! An artifact tree, signed for real, and ways to spoil it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pilar_artifact::digest::{EntryDigest, Integrity};
use pilar_artifact::index::IndexEntry;
use pilar_artifact::operations::{Attribution, Channel, Operation, Window, apply_and_sign};
use pilar_artifact::{FeatureId, Limits, ReleaseIndex, Sha256Digest, SigningKey};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// The key that is trusted for everything.
pub(crate) const RELEASE: &str = "release";
/// A trusted key whose time is over.
pub(crate) const EXPIRED: &str = "expired";
/// A trusted key for features of another team.
pub(crate) const ELSEWHERE: &str = "elsewhere";
/// A key that nobody trusts.
pub(crate) const STRANGER: &str = "stranger";

/// The key with this id, the same in every run.
pub(crate) fn signing_key(id: &str) -> SigningKey {
    SigningKey::from_seed(id, Sha256Digest::of(id.as_bytes()).as_bytes())
}

/// An artifacts directory of its own.
#[derive(Debug)]
pub(crate) struct Tree {
    root: TempDir,
    indexes: RefCell<HashMap<String, ReleaseIndex>>,
    window: Window,
}

/// A version before it is published.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) version: String,
    manifest: Map<String, Value>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Version {
    /// A domain feature with an entry, a lazy chunk and a style sheet, whose bytes name id and version.
    pub(crate) fn domain(id: &str, version: &str, prefix: &str) -> Self {
        Self::facet(id, version)
            .with_field("featureType", json!("domain"))
            .with_field("mount", json!({ "pathPrefix": prefix, "domElementId": "root" }))
            .with_field("routes", json!(["/"]))
    }

    /// A facet with the same files.
    pub(crate) fn facet(id: &str, version: &str) -> Self {
        let code =
            |what: &str| format!("export const {what} = \"{id} {version} {what}\";\n").into_bytes();
        let manifest = json!({
            "id": id,
            "version": version,
            "displayName": format!("Feature {id}"),
            "featureType": "facet",
            "channel": "stable",
            "entrypoints": { "js": "entry.js", "css": "style.css" },
        });
        let Value::Object(manifest) = manifest else { unreachable!("it is written as an object") };
        Self { id: id.to_owned(), version: version.to_owned(), manifest, files: BTreeMap::new() }
            .with_file("entry.js", code("entry"))
            .with_file("chunk.js", code("chunk"))
            .with_file("style.css", format!(".{id} {{ color: navy }}\n").into_bytes())
    }

    pub(crate) fn with_field(mut self, name: &str, value: Value) -> Self {
        self.manifest.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn with_file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.to_owned(), bytes.into());
        self
    }

    /// The URL path of one of its files.
    pub(crate) fn url(&self, file: &str) -> String {
        format!("/_assets/{}/{}/{file}", self.id, self.version)
    }

    fn signed_manifest(&self) -> Vec<u8> {
        let integrity: BTreeMap<&str, String> = self
            .files
            .iter()
            .map(|(name, bytes)| (name.as_str(), String::from(Integrity(Sha256Digest::of(bytes)))))
            .collect();
        let mut manifest = self.manifest.clone();
        manifest.entry("integrity").or_insert(json!(integrity));
        signing_key(RELEASE).sign_to_bytes(manifest)
    }
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self::keeping(Window::default())
    }

    /// A tree whose indexes keep `window` of the past.
    pub(crate) fn keeping(window: Window) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        // Other users may read it: a test may run its host as one.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        for name in ["artifacts", "staging"] {
            fs::create_dir(root.path().join(name)).expect("it is empty");
        }
        Self { root, indexes: RefCell::default(), window }
    }

    /// The artifacts directory.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.root.path().join("artifacts")
    }

    /// A place outside of the artifacts directory, on the same file system.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A path below the artifacts directory.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.artifacts().join(below)
    }

    pub(crate) fn trusted_keys(&self) -> String {
        json!({
            RELEASE: signing_key(RELEASE).public_key_base64(),
            EXPIRED: {
                "publicKey": signing_key(EXPIRED).public_key_base64(),
                "notAfter": "2020-01-01T00:00:00Z",
            },
            ELSEWHERE: {
                "publicKey": signing_key(ELSEWHERE).public_key_base64(),
                "features": ["elsewhere-*"],
            },
        })
        .to_string()
    }

    /// Publishes a version: puts it in place and makes it the active one.
    pub(crate) fn publish(&self, version: &Version) {
        self.place(version);
        self.release(version);
    }

    /// Makes a version that is in place the active one.
    pub(crate) fn release(&self, version: &Version) {
        let manifest =
            fs::read(self.path(&format!("{}/{}/manifest.json", version.id, version.version)));
        let entry = IndexEntry {
            version: version.version.parse().expect("a version"),
            manifest_sha256: EntryDigest(Sha256Digest::of(&manifest.expect("it was just written"))),
            server_functions_sha256: None,
            provenance: None,
            revoked: None,
            unknown: Map::new(),
        };
        let entry = Box::new(entry);
        self.apply(&version.id, &Operation::Publish { entry, channel: Channel::Stable });
    }

    /// Puts the version directory in place, complete, by one rename; the index does not know of it yet.
    pub(crate) fn place(&self, version: &Version) {
        let staged = self.outside("staging").join("version");
        fs::create_dir(&staged).expect("the last one was renamed");
        for (name, bytes) in &version.files {
            let path = staged.join(name);
            fs::create_dir_all(path.parent().expect("below the version")).expect("it is ours");
            fs::write(path, bytes).expect("it is ours");
        }
        fs::write(staged.join("manifest.json"), version.signed_manifest()).expect("it is ours");
        fs::create_dir_all(self.path(&version.id)).expect("it is ours");
        fs::rename(staged, self.path(&format!("{}/{}", version.id, version.version)))
            .expect("a version is placed once");
    }

    /// Makes and writes the next index.
    pub(crate) fn apply(&self, id: &str, operation: &Operation) {
        let feature: FeatureId = id.parse().expect("a feature id");
        let by = Attribution {
            at: "2026-01-01T00:00:00Z".parse::<Timestamp>().expect("a time"),
            actor: None,
            reason: None,
            ticket: None,
        };
        let mut indexes = self.indexes.borrow_mut();
        let limits = Limits::default();
        let key = signing_key(RELEASE);
        let (next, bytes) =
            apply_and_sign(indexes.get(id), &feature, operation, &by, self.window, &limits, &key)
                .unwrap_or_else(|error| panic!("{id}: {error}"));
        indexes.insert(id.to_owned(), next);
        self.write_index(id, &bytes);
    }

    /// Replaces the index by these bytes, by one rename.
    pub(crate) fn write_index(&self, id: &str, bytes: &[u8]) {
        rename_into_place(
            &self.path(&format!("{id}/releases.json")),
            bytes,
            &self.outside("staging"),
        );
    }

    /// The bytes of the index as they are on disk.
    pub(crate) fn index_bytes(&self, id: &str) -> Vec<u8> {
        fs::read(self.path(&format!("{id}/releases.json"))).expect("the index is there")
    }

    /// Changes the index and signs it, whatever comes of it.
    pub(crate) fn edit_index(
        &self,
        id: &str,
        key: &SigningKey,
        edit: impl FnOnce(&mut Map<String, Value>),
    ) {
        let mut index = document(&self.index_bytes(id));
        edit(&mut index);
        self.write_index(id, &key.sign_to_bytes(index));
    }

    /// Changes a manifest and signs it, whatever comes of it; the index is made to name it.
    pub(crate) fn edit_manifest(
        &self,
        id: &str,
        version: &str,
        key: &SigningKey,
        edit: impl FnOnce(&mut Map<String, Value>),
    ) {
        let path = self.path(&format!("{id}/{version}/manifest.json"));
        let mut manifest = document(&fs::read(path).expect("the manifest is there"));
        edit(&mut manifest);
        self.replace_manifest(id, version, &key.sign_to_bytes(manifest));
    }

    /// Replaces the bytes of a manifest, and makes the index name them.
    pub(crate) fn replace_manifest(&self, id: &str, version: &str, bytes: &[u8]) {
        let path = self.path(&format!("{id}/{version}/manifest.json"));
        rename_into_place(&path, bytes, &self.outside("staging"));
        self.edit_index(id, &signing_key(RELEASE), |index| {
            let entries = index["versions"].as_array_mut().expect("a list");
            let entry =
                entries.iter_mut().find(|entry| entry["version"] == version).expect("listed");
            entry["manifestSha256"] = json!(Sha256Digest::of(bytes).hex());
        });
    }
}

/// A write that readers see whole or not at all.
pub(crate) fn rename_into_place(path: &Path, bytes: &[u8], staging: &Path) {
    let staged = staging.join("file");
    fs::write(&staged, bytes).expect("it is ours");
    fs::rename(staged, path).expect("on one file system");
}

/// A JSON object.
pub(crate) fn document(bytes: &[u8]) -> Map<String, Value> {
    match serde_json::from_str(std::str::from_utf8(bytes).expect("UTF-8")).expect("JSON") {
        Value::Object(document) => document,
        other => panic!("not an object: {other}"),
    }
}
