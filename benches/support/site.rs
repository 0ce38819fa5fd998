//! A real snapshot and the way from a request to the head of its reply.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use pilar_artifact::{Manifest, Sha256Digest};
use pilar_host::catalog::{Asset, Contents, FeatureState, IndexTrouble, LoadedVersion, Standing};
use pilar_host::edge::{Answer, Lookup as _};
use pilar_host::http::{
    CachePolicy, Encoding, RequestHead, Resource, Selection, content_type_of, decode_path,
};
use pilar_host::shell::{Sdk, Site};
use pilar_host::snapshot::Snapshot;
use serde_json::json;

use super::request;

/// Files of the one feature that the host serves.
const FILES: usize = 1000;

/// The subtree of the feature's pages.
pub(crate) const PREFIX: &str = "/patients";

/// The `date` line of every reply.
const DATE: &[u8] = b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

/// A host with one feature of many files.
pub(crate) struct Served {
    snapshot: Snapshot,
    paths: Vec<String>,
}

impl Served {
    pub(crate) fn new() -> Self {
        let assets: Vec<Asset> = (0..FILES).map(asset).collect();
        let paths = assets.iter().map(|(path, _)| path.to_string()).collect();
        let site = Site {
            host_version: "1.0.0".to_owned(),
            root_redirect: None,
            live_reload: false,
            bootstrap_timeout_ms: 10_000,
            admin_assets: Vec::new(),
        };
        let sdk = Sdk::embedded().expect("the embedded files belong together");
        let snapshot = Snapshot::build(contents(assets), &sdk, &site, Timestamp::UNIX_EPOCH)
            .expect("every value fits a header");
        Self { snapshot, paths }
    }

    /// The URL path of every file.
    pub(crate) fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Decodes and looks up a path of a request.
    pub(crate) fn find(&self, raw: &str, scratch: &mut Vec<u8>) -> &Resource {
        let path = decode_path(raw, scratch).expect("the paths of the benchmarks are plain");
        match self.snapshot.lookup(path) {
            Answer::Resource(resource, _) => resource,
            Answer::Service | Answer::Probe => {
                panic!("the edge answers every path of the benchmarks")
            }
        }
    }

    /// All that stands between the bytes of a request and the head of its reply.
    pub(crate) fn answer(&self, input: &[u8], scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        request::read(input, |head| write_head(self.find(head.target, scratch), head, out));
    }
}

/// Chooses the reply and appends its head, as the edge does.
pub(crate) fn write_head(resource: &Resource, head: &RequestHead<'_, '_>, out: &mut Vec<u8>) {
    match resource.select(head) {
        Selection::Full(chosen) => out.extend_from_slice(chosen.head()),
        Selection::NotModified(chosen) => out.extend_from_slice(chosen.not_modified_head()),
        Selection::Part(chosen, range) => chosen.write_part_head(&range, out),
        other => panic!("the requests of the benchmarks get 200, 304 or 206: {other:?}"),
    }
    out.extend_from_slice(DATE);
    out.extend_from_slice(b"\r\n");
}

/// The request of Chromium for this file that is answered with this status.
pub(crate) fn request_for(status: u16, (path, resource): &Asset) -> Vec<u8> {
    let [br, _] = resource.representations() else { panic!("a file has two representations") };
    let tag = br.etag().map(|tag| tag.as_str()).unwrap_or_default();
    request::chromium(
        path,
        &match status {
            304 => format!("If-None-Match: {tag}\r\n"),
            206 => "Range: bytes=100-199\r\n".to_owned(),
            _ => String::new(),
        },
    )
}

/// A module of 1 KiB with a smaller variant.
pub(crate) fn asset(number: usize) -> Asset {
    let name = format!("chunk{number}.4f2a91c07be3.js");
    let resource =
        Resource::builder(StatusCode::OK, content_type_of(&name), CachePolicy::Immutable)
            .identity(vec![b'x'; 1024], None)
            .variant(Encoding::Br, vec![b'y'; 300], None)
            .build()
            .expect("the resources of the benchmarks are valid");
    (Arc::from(format!("/_assets/patientlist/1.4.2/{name}")), Arc::new(resource))
}

fn contents(assets: Vec<Asset>) -> Contents {
    let manifest = json!({
        "id": "patientlist", "version": "1.4.2", "displayName": "Patients", "featureType": "domain",
        "channel": "stable", "mount": { "pathPrefix": PREFIX, "domElementId": "root" },
        "routes": ["/"], "entrypoints": { "js": "chunk0.4f2a91c07be3.js" },
        "integrity": { "chunk0.4f2a91c07be3.js": Sha256Digest::of(b"x").sri() },
        "signature": { "algorithm": "ed25519", "keyId": "bench", "value": "" },
    });
    let manifest: Manifest = serde_json::from_value(manifest).expect("it is a manifest");
    let (id, mount) = (manifest.id.clone(), manifest.mount.clone());
    let state = FeatureState {
        id: id.clone(),
        // No reply of an asset or a shell reads the index.
        index: Err(IndexTrouble::NotADirectory),
        picked: Some(Arc::new(LoadedVersion {
            manifest,
            manifest_sha256: Sha256Digest::of(b"manifest"),
            key_id: "bench".to_owned(),
            key_not_after: None,
            bytes: 0,
            imports: BTreeMap::new(),
            assets,
        })),
        standing: Standing::AsReleased,
        attempts: Vec::new(),
        mount,
        conflict: None,
        key_expired: None,
    };
    Contents {
        features: BTreeMap::from([(id, state)]),
        retained: Vec::new(),
        ignored: Vec::new(),
        owners: BTreeMap::new(),
    }
}
