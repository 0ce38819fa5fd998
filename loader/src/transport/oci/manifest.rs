//! What a manifest says: which layers, and for which machine.

use pilar_artifact::json::parse_object;
use pilar_artifact::{Limits, Sha256Digest};
use reqwest::Url;
use semver::Version;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::transport::FetchError;
use crate::transport::http::shown;
use crate::unpack::{Compression, Layer};

/// What a manifest may be: those of the OCI image specification and their forerunners of Docker.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// Says of a layer which version it holds, and nothing else. `pilar image push` writes both.
const VERSION: &str = "pilar-runtime/version";
/// SHA-256 of that version's `manifest.json`, in hex.
const MANIFEST_SHA256: &str = "pilar-runtime/manifest-sha256";

/// A document that a digest names.
#[derive(Debug)]
pub(super) enum Document {
    /// An image or an artifact.
    Image(Vec<Described>),
    /// Images for several machines.
    Index(Vec<Platform>),
}

/// A layer and what is said of it.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) layer: Layer,
    /// The version that it holds alone, and the digest of that version's manifest. Believed only in so far as
    /// what is left out is in the tree already under that very digest.
    pub(super) holds: Option<(Version, Sha256Digest)>,
}

/// An image of an index.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) digest: Sha256Digest,
    system: String,
    architecture: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: Map<String, Value>,
    #[serde(default)]
    platform: Option<Machine>,
}

#[derive(Debug, Deserialize)]
struct Machine {
    architecture: String,
    os: String,
}

impl Document {
    /// Reads a document that has the digest it was asked for by. What it is, it says itself; that a header says
    /// otherwise makes no difference.
    pub(super) fn parse(bytes: &[u8], url: &Url, json_bytes: u64) -> Result<Self, FetchError> {
        let limits = Limits { json_bytes, ..Limits::default() };
        let refuse = |code, problem: String| FetchError::Image { code, url: shown(url), problem };
        let mut document = parse_object(bytes, &limits)
            .map_err(|error| FetchError::Json { url: shown(url), error })?;
        let mut list = |field: &str| -> Result<Option<Vec<Descriptor>>, FetchError> {
            let wrong = |error| refuse("manifest-schema", format!("field {field}: {error}"));
            let list = document.remove(field).map(serde_json::from_value).transpose();
            list.map_err(wrong)
        };
        match (list("layers")?, list("manifests")?) {
            (Some(layers), None) => {
                let layers = layers.into_iter().map(|layer| layer.into_layer(&refuse));
                layers.collect::<Result<_, _>>().map(Self::Image)
            }
            (None, Some(images)) => {
                let images = images.into_iter().map(|image| image.into_platform(&refuse));
                images.collect::<Result<_, _>>().map(Self::Index)
            }
            // Two readers would see two images.
            (Some(_), Some(_)) => {
                Err(refuse("manifest-schema", "it has both layers and manifests".to_owned()))
            }
            (None, None) => {
                Err(refuse("manifest-schema", "it has neither layers nor manifests".to_owned()))
            }
        }
    }
}

impl Descriptor {
    fn into_layer(
        self,
        refuse: &impl Fn(&'static str, String) -> FetchError,
    ) -> Result<Described, FetchError> {
        let compression = compression(&self.media_type).ok_or_else(|| {
            let found: String = self.media_type.chars().take(120).collect();
            refuse("layer-media-type", format!("a layer is {found:?}, which is no archive"))
        })?;
        let digest = sha256(&self.digest).ok_or_else(|| no_digest(refuse))?;
        let text = |key| self.annotations.get(key).and_then(Value::as_str);
        let holds = text(VERSION)
            .and_then(|version| version.parse().ok())
            .zip(text(MANIFEST_SHA256).and_then(|digest| digest.parse().ok()));
        Ok(Described { layer: Layer { digest, size: self.size, compression }, holds })
    }

    fn into_platform(
        self,
        refuse: &impl Fn(&'static str, String) -> FetchError,
    ) -> Result<Platform, FetchError> {
        let digest = sha256(&self.digest).ok_or_else(|| no_digest(refuse))?;
        let (system, architecture) =
            self.platform.map(|machine| (machine.os, machine.architecture)).unwrap_or_default();
        Ok(Platform { digest, system, architecture })
    }
}

/// The image of an index for this machine. What a feature is does not depend on the machine, so where there is
/// only one image it is taken whatever it is for. Attestations, which stand beside the images they speak of, say
/// that they are for no machine.
pub(super) fn select(images: &[Platform], architecture: &str) -> Option<Sha256Digest> {
    let mut real = images.iter().filter(|image| image.architecture != "unknown");
    let own =
        real.clone().find(|image| image.system == "linux" && image.architecture == architecture);
    let only = match (real.next(), real.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    };
    own.or(only).map(|image| image.digest)
}

/// This machine in the words of an index (those of Go).
pub(super) fn own_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn compression(media_type: &str) -> Option<Compression> {
    match media_type {
        "application/vnd.oci.image.layer.v1.tar"
        | "application/vnd.docker.image.rootfs.diff.tar"
        | "application/x-tar" => Some(Compression::None),
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip"
        | "application/x-tar+gzip" => Some(Compression::Gzip),
        "application/vnd.oci.image.layer.v1.tar+zstd"
        | "application/vnd.docker.image.rootfs.diff.tar.zstd"
        | "application/x-tar+zstd" => Some(Compression::Zstd),
        _ => None,
    }
}

fn sha256(digest: &str) -> Option<Sha256Digest> {
    if digest.starts_with("sha256:") { digest.parse().ok() } else { None }
}

fn no_digest(refuse: &impl Fn(&'static str, String) -> FetchError) -> FetchError {
    refuse("manifest-schema", "a digest in it is none of SHA-256".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(system: &str, architecture: &str) -> Platform {
        let digest = Sha256Digest::of(format!("{system}/{architecture}").as_bytes());
        Platform { digest, system: system.into(), architecture: architecture.into() }
    }

    #[test]
    fn a_document_is_an_image_or_an_index_and_never_both() {
        let url: Url = "https://r.example/v2/lab/manifests/x".parse().unwrap();
        let parse = |text: &str| Document::parse(text.as_bytes(), &url, 1000);
        assert!(
            matches!(parse(r#"{"layers":[]}"#), Ok(Document::Image(layers)) if layers.is_empty())
        );
        assert!(matches!(parse(r#"{"manifests":[]}"#), Ok(Document::Index(_))));
        let layer = |digest| {
            let media_type = "application/vnd.oci.image.layer.v1.tar";
            format!(r#"{{"layers":[{{"mediaType":"{media_type}","size":1,"digest":"{digest}"}}]}}"#)
        };
        for (text, code) in [
            (r#"{"layers":[],"manifests":[]}"#.to_owned(), "manifest-schema"),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(), "manifest-schema"),
            (r#"{"layers":[{"size":1}]}"#.to_owned(), "manifest-schema"),
            (r#"{"layers":[],"layers":[]}"#.to_owned(), "json-duplicate-key"),
            (layer("sha512:00"), "manifest-schema"),
            (layer("sha256:../../../x"), "manifest-schema"),
        ] {
            assert_eq!(parse(&text).unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn the_image_of_this_machine_or_the_only_one() {
        let (amd, arm) = (image("linux", "amd64"), image("linux", "arm64"));
        let attested = || image("unknown", "unknown");
        let digest = arm.digest;
        assert_eq!(select(&[amd, arm, attested()], "arm64"), Some(digest));
        let windows = image("windows", "amd64");
        assert_eq!(select(&[image("linux", "arm64"), windows], "amd64"), None);
        assert_eq!(select(&[attested(), image("linux", "arm64")], "amd64"), Some(digest));
        assert_eq!(select(&[], "amd64"), None);
    }
}
