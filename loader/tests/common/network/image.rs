//! Images made by hand, so that they can say what no tool would write.

use std::process::Command;

use pilar_artifact::Sha256Digest;
use pilar_loader::unpack::Compression;
use serde_json::{Value, json};

use super::registry::Registry;
use super::{FEATURE, files};
use crate::common::archive::{Archive, gzip, zstd};
use crate::common::programs::beside;
use crate::common::tree::{Tree, document};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The feature as one archive.
pub(crate) fn archive(tree: &Tree) -> Vec<u8> {
    archive_of(tree, FEATURE)
}

/// A feature as one archive.
pub(crate) fn archive_of(tree: &Tree, feature: &str) -> Vec<u8> {
    let files = files(&tree.path(feature));
    let add = |archive: Archive, (path, bytes): (&String, &Vec<u8>)| {
        archive.file(&format!("artifacts/{feature}/{path}"), bytes)
    };
    files.iter().fold(Archive::new(), add).end()
}

/// A layer and the descriptor that names it.
pub(crate) struct Blob {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptor: Value,
}

impl Blob {
    pub(crate) fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        let descriptor = json!({
            "mediaType": media_type,
            "digest": format!("sha256:{}", Sha256Digest::of(&bytes)),
            "size": bytes.len(),
        });
        Self { bytes, descriptor }
    }

    pub(crate) fn layer(archive: &[u8], compression: Compression) -> Self {
        match compression {
            Compression::None => Self::new(LAYER, archive.to_vec()),
            Compression::Gzip => Self::new(&format!("{LAYER}+gzip"), gzip(archive)),
            Compression::Zstd => Self::new(&format!("{LAYER}+zstd"), zstd(archive)),
        }
    }

    pub(crate) fn config() -> Self {
        let config = json!({ "os": "linux", "architecture": "amd64", "rootfs": {} });
        let bytes = config.to_string().into_bytes();
        Self::new("application/vnd.oci.image.config.v1+json", bytes)
    }
}

/// The manifest of an image with these layers.
pub(crate) fn manifest(layers: &[Blob]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": Blob::config().descriptor,
        "layers": layers.iter().map(|layer| &layer.descriptor).collect::<Vec<_>>(),
    })
}

/// Pushes an image with these layers.
pub(crate) async fn push(registry: &Registry, repository: &str, layers: &[Blob]) -> Sha256Digest {
    push_as(registry, repository, layers, &manifest(layers)).await
}

/// Pushes these layers and a manifest that says what it likes.
pub(crate) async fn push_as(
    registry: &Registry,
    repository: &str,
    layers: &[Blob],
    manifest: &Value,
) -> Sha256Digest {
    registry.push_blob(repository, &Blob::config().bytes).await;
    for layer in layers {
        registry.push_blob(repository, &layer.bytes).await;
    }
    let media_type = manifest["mediaType"].as_str().unwrap().to_owned();
    registry.push_manifest(repository, &media_type, manifest.to_string().into_bytes()).await
}

/// Pushes the feature as one layer.
pub(crate) async fn push_tree(registry: &Registry, repository: &str, tree: &Tree) -> Sha256Digest {
    push_feature(registry, repository, tree, FEATURE).await
}

/// Pushes a feature as one layer.
pub(crate) async fn push_feature(
    registry: &Registry,
    repository: &str,
    tree: &Tree,
    feature: &str,
) -> Sha256Digest {
    let layer = Blob::layer(&archive_of(tree, feature), Compression::Gzip);
    push(registry, repository, &[layer]).await
}

/// Pushes a feature by `pilar image push`.
pub(crate) fn push_by_pilar(
    registry: &Registry,
    repository: &str,
    tree: &Tree,
    feature: &str,
) -> Sha256Digest {
    let pilar = beside(env!("CARGO_BIN_EXE_pilar-loader"), "pilar-cli", "pilar");
    let image = format!("{}/{repository}", registry.address);
    let mut push = Command::new(pilar);
    push.args(["image", "push", &image, "--plain-http", "--json", "--feature", feature]);
    push.arg("--artifacts").arg(tree.artifacts()).env_clear();
    push.env("FEATURE_TRUST_PUBLIC_KEYS_JSON", tree.trusted_keys());
    let output = push.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    document(&output.stdout)["digest"].as_str().unwrap().parse().unwrap()
}
