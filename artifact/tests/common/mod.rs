//! One small artifact in memory, the keys it is signed with, and the tables of `docs/verification.md`.

#![allow(dead_code, reason = "each test file uses its own part of this one")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pilar_artifact::digest::{EntryDigest, Sha256Digest};
use pilar_artifact::index::IndexEntry;
use pilar_artifact::operations::{Attribution, Channel, Operation, Window, apply_and_sign};
use pilar_artifact::verify::{self, Context, DropFiles, ReadArtifact, ReadError, VerifiedVersion};
use pilar_artifact::{
    FeatureId, Limits, MANIFEST_FILE, RELEASES_FILE, Rejection, ReleaseIndex, SigningKey,
    TrustedKeys,
};
use serde_json::{Map, Value, json};

pub(crate) const FEATURE: &str = "patientlist";
pub(crate) const VERSION: &str = "1.2.0";
pub(crate) const FILES: [(&str, &[u8]); 3] = [
    ("app.3f1c.css", b"h1{color:teal}"),
    ("app.9b2d.js", b"export const mount = () => {};"),
    ("app.9b2d.js.br", b"\x0b\x0e\x80export const mount = () => {};\x03"),
];

pub(crate) fn feature() -> FeatureId {
    FEATURE.parse().unwrap()
}

pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed("release", &[7; 32])
}

pub(crate) fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn keys(document: Value) -> TrustedKeys {
    TrustedKeys::from_json(document.to_string().as_bytes(), &Limits::default()).unwrap()
}

pub(crate) fn trusted() -> TrustedKeys {
    keys(json!({ "release": key().public_key_base64() }))
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

/// A published manifest without its signature.
pub(crate) fn manifest(version: &str, files: &[(&str, &[u8])]) -> Value {
    let integrity: Map<String, Value> = files
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), Sha256Digest::of(bytes).sri().into()))
        .collect();
    json!({
        "id": FEATURE,
        "version": version,
        "displayName": "Patients",
        "featureType": "domain",
        "mount": { "pathPrefix": "/patientlist", "domElementId": "patientlist" },
        "routes": ["/", { "path": "/:id", "title": "Patient" }],
        "entrypoints": { "js": "app.9b2d.js", "css": ["app.3f1c.css"] },
        "integrity": integrity,
        "channel": "stable",
    })
}

pub(crate) fn entry(version: &str, manifest: &[u8]) -> IndexEntry {
    IndexEntry {
        version: version.parse().unwrap(),
        manifest_sha256: EntryDigest(Sha256Digest::of(manifest)),
        server_functions_sha256: None,
        provenance: None,
        revoked: None,
        unknown: Map::new(),
    }
}

pub(crate) fn attribution() -> Attribution {
    Attribution {
        at: now(),
        actor: Some("ci".to_owned()),
        reason: Some("søknad 7".to_owned()),
        ticket: None,
    }
}

pub(crate) fn publish(entry: IndexEntry) -> Operation {
    Operation::Publish { entry: Box::new(entry), channel: Channel::Stable }
}

/// The files of one feature directory, by path.
#[derive(Clone, Default)]
pub(crate) struct MemoryArtifact(pub(crate) BTreeMap<String, Vec<u8>>);

impl ReadArtifact for MemoryArtifact {
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        let bytes = self.0.get(path).ok_or(ReadError::Missing)?;
        if bytes.len() as u64 > limit {
            Err(ReadError::TooLarge { limit })
        } else {
            Ok(bytes.clone())
        }
    }
}

impl MemoryArtifact {
    /// The artifact as the library itself publishes it: [`VERSION`] with [`FILES`].
    pub(crate) fn published() -> Self {
        Self::of(manifest(VERSION, &FILES))
    }

    /// An artifact with this manifest, signed and published as [`VERSION`].
    pub(crate) fn of(manifest: Value) -> Self {
        Self::of_bytes(key().sign_to_bytes(object(manifest)))
    }

    /// An artifact with these bytes as the manifest of [`VERSION`].
    pub(crate) fn of_bytes(manifest: Vec<u8>) -> Self {
        let operation = publish(entry(VERSION, &manifest));
        let (window, limits) = (Window::default(), Limits::default());
        let (_, index) =
            apply_and_sign(None, &feature(), &operation, &attribution(), window, &limits, &key())
                .unwrap();
        let mut files = BTreeMap::from([
            (RELEASES_FILE.to_owned(), index),
            (format!("{VERSION}/{MANIFEST_FILE}"), manifest),
        ]);
        for (name, bytes) in FILES {
            files.insert(format!("{VERSION}/{name}"), bytes.to_vec());
        }
        Self(files)
    }

    pub(crate) fn index_document(&self) -> Map<String, Value> {
        object(serde_json::from_str(std::str::from_utf8(&self.0[RELEASES_FILE]).unwrap()).unwrap())
    }

    /// Changes the index, signs it again and puts it back.
    pub(crate) fn resign_index(&mut self, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut document = self.index_document();
        change(&mut document);
        self.0.insert(RELEASES_FILE.to_owned(), key().sign_to_bytes(document));
    }
}

pub(crate) fn context(keys: &TrustedKeys) -> Context<'_> {
    Context { keys, now: now(), host_version: None, limits: Limits::default() }
}

pub(crate) fn verify_index(
    source: &MemoryArtifact,
    context: &Context<'_>,
) -> Result<ReleaseIndex, Rejection> {
    verify::index(source, &feature(), context).map(|verified| verified.index)
}

/// The whole chain: the index, then its active version.
pub(crate) fn verify_all(
    source: &MemoryArtifact,
    context: &Context<'_>,
) -> Result<VerifiedVersion, Rejection> {
    let index = verify_index(source, context)?;
    verify::version(source, &index, &index.active_version, context, &mut DropFiles)
}

/// The codes in the first column of the tables below one heading of `docs/verification.md`.
pub(crate) fn documented_codes(heading: &str) -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verification.md");
    let text = std::fs::read_to_string(path).expect("docs/verification.md is there");
    let section = text
        .split("\n## ")
        .find_map(|section| section.strip_prefix(heading))
        .unwrap_or_else(|| panic!("docs/verification.md has no section \"{heading}\""));
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(code, _)| code.to_owned())
        .collect()
}
