//! The bytes of an image: the same each time for the same feature.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};
use pilar_artifact::verify::{self, Context, FileSink, ReadArtifact, ReadError};
use pilar_artifact::{FeatureId, FileName, MANIFEST_FILE, RELEASES_FILE, Rejection, Sha256Digest};
use semver::Version;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

/// The media types of the OCI image specification.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Tell the loader which version a layer holds, so that it leaves out what it has.
const VERSION: &str = "pilar-runtime/version";
const MANIFEST_SHA256: &str = "pilar-runtime/manifest-sha256";
/// In a gzip header: made on no system in particular (RFC 1952 §2.3.1).
const NO_SYSTEM: u8 = 255;

/// An image of one feature.
#[derive(Debug)]
pub(super) struct Image {
    /// One for each version that may serve, and one with the index above them.
    pub(super) layers: Vec<Layer>,
    pub(super) config: Vec<u8>,
    pub(super) manifest: Vec<u8>,
}

/// One layer, compressed.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Sha256Digest,
    /// What it holds; `None` for the index.
    pub(super) version: Option<Version>,
    manifest: Option<Sha256Digest>,
    /// Of the archive before compression.
    archive: Sha256Digest,
}

impl Image {
    /// Verifies the feature and packs it. A version that was revoked never serves, so it is left out.
    pub(super) fn of(
        dir: &dyn ReadArtifact,
        feature: &FeatureId,
        context: &Context<'_>,
    ) -> Result<Self, Rejection> {
        let kept = Kept { dir, documents: std::cell::RefCell::default() };
        let index = verify::index(&kept, feature, context)?.index;
        let mut layers = Vec::new();
        for entry in index.versions.iter().rev().filter(|entry| entry.revoked.is_none()) {
            let mut files = Files(BTreeMap::new());
            verify::version(&kept, &index, &entry.version, context, &mut files)?;
            let manifest = kept.take(&format!("{}/{MANIFEST_FILE}", entry.version));
            files.0.insert(MANIFEST_FILE.to_owned(), manifest);
            let files = files.0.into_iter();
            let files = files.map(|(name, bytes)| (format!("{}/{name}", entry.version), bytes));
            let packed = Layer::pack(feature, &files.collect());
            let failed = |error: io::Error| {
                Rejection::not_stored(feature, &entry.version, error.to_string())
            };
            layers.push(Layer {
                version: Some(entry.version.clone()),
                manifest: Some(entry.manifest_sha256.0),
                ..packed.map_err(failed)?
            });
        }
        let releases = BTreeMap::from([(RELEASES_FILE.to_owned(), kept.take(RELEASES_FILE))]);
        let packed = Layer::pack(feature, &releases);
        let failed = |error: io::Error| {
            Rejection::not_stored(feature, &index.active_version, error.to_string())
        };
        layers.push(packed.map_err(failed)?);
        let config = config(&layers).to_string().into_bytes();
        let manifest = manifest(&layers, &config).to_string().into_bytes();
        Ok(Self { layers, config, manifest })
    }

    /// What a registration names.
    pub(super) fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.manifest)
    }

    /// Everything but the manifest, each by its digest.
    pub(super) fn blobs(&self) -> impl Iterator<Item = (Sha256Digest, &[u8])> {
        let config = (Sha256Digest::of(&self.config), self.config.as_slice());
        let layers = self.layers.iter().map(|layer| (layer.digest, layer.bytes.as_slice()));
        layers.chain([config])
    }
}

impl Layer {
    /// Packs files, in the order of their names, of no time and nobody.
    fn pack(feature: &FeatureId, files: &BTreeMap<String, Vec<u8>>) -> io::Result<Self> {
        let mut archive = Builder::new(Vec::new());
        let mut directories = Vec::new();
        for (name, bytes) in files {
            let path = format!("artifacts/{feature}/{name}");
            for (end, _) in path.match_indices('/') {
                let directory = path.get(..=end).unwrap_or_default().to_owned();
                if !directories.contains(&directory) {
                    let header = &mut header(EntryType::Directory, 0o755, 0);
                    archive.append_data(header, &directory, io::empty())?;
                    directories.push(directory);
                }
            }
            let header = &mut header(EntryType::Regular, 0o644, bytes.len() as u64);
            archive.append_data(header, &path, bytes.as_slice())?;
        }
        let archive = archive.into_inner()?;
        let gzip = GzBuilder::new().mtime(0).operating_system(NO_SYSTEM);
        let mut gzip = gzip.write(Vec::new(), Compression::default());
        gzip.write_all(&archive)?;
        let bytes = gzip.finish()?;
        Ok(Self {
            digest: Sha256Digest::of(&bytes),
            archive: Sha256Digest::of(&archive),
            bytes,
            version: None,
            manifest: None,
        })
    }

    fn descriptor(&self) -> Value {
        let mut descriptor = json!({
            "mediaType": LAYER,
            "digest": format!("sha256:{}", self.digest),
            "size": self.bytes.len(),
        });
        if let (Some(version), Some(manifest), Value::Object(fields)) =
            (&self.version, self.manifest, &mut descriptor)
        {
            let annotations = json!({ VERSION: version, MANIFEST_SHA256: manifest.hex() });
            fields.insert("annotations".to_owned(), annotations);
        }
        descriptor
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

/// What an image without a system is: nothing runs in it, so the machine is only named because it must be.
fn config(layers: &[Layer]) -> Value {
    let archives: Vec<String> =
        layers.iter().map(|layer| format!("sha256:{}", layer.archive)).collect();
    json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": archives },
    })
}

fn manifest(layers: &[Layer], config: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": CONFIG,
            "digest": format!("sha256:{}", Sha256Digest::of(config)),
            "size": config.len(),
        },
        "layers": layers.iter().map(Layer::descriptor).collect::<Vec<_>>(),
    })
}

/// The verified files of a version.
struct Files(BTreeMap<String, Vec<u8>>);

impl FileSink for Files {
    fn accept(&mut self, name: &FileName, _: Sha256Digest, bytes: Vec<u8>) -> io::Result<()> {
        self.0.insert(name.as_str().to_owned(), bytes);
        Ok(())
    }
}

/// A directory that keeps the documents which were read from it, so that the bytes which were verified are those
/// that are packed, whoever writes there meanwhile.
struct Kept<'d> {
    dir: &'d dyn ReadArtifact,
    documents: std::cell::RefCell<BTreeMap<String, Vec<u8>>>,
}

impl Kept<'_> {
    fn take(&self, path: &str) -> Vec<u8> {
        self.documents.borrow_mut().remove(path).unwrap_or_default()
    }
}

impl ReadArtifact for Kept<'_> {
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        let bytes = self.dir.read(path, limit)?;
        if path.ends_with(MANIFEST_FILE) || path == RELEASES_FILE {
            self.documents.borrow_mut().insert(path.to_owned(), bytes.clone());
        }
        Ok(bytes)
    }
}
