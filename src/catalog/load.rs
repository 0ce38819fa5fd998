//! One version: verified, sealed, and with its replies ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use pilar_artifact::index::IndexEntry;
use pilar_artifact::keys::TrustedKey;
use pilar_artifact::manifest::FeatureType;
use pilar_artifact::verify::{self, Context, ReadArtifact};
use pilar_artifact::{FileName, Manifest, Rejection, ReleaseIndex, Sha256Digest};

use super::imports::static_imports;
use super::seal::{SealedFile, Sealer};
use crate::http::{CachePolicy, Encoding, Resource, ResourceError, content_type_of};

/// A version whose every byte was verified and is held in sealed memory.
#[derive(Debug)]
pub struct LoadedVersion {
    /// Its manifest.
    pub manifest: Manifest,
    /// The digest of its manifest.
    pub manifest_sha256: Sha256Digest,
    /// The key that signed its manifest.
    pub key_id: String,
    /// When that key ends, if it does.
    pub key_not_after: Option<Timestamp>,
    /// Size of its files, in bytes.
    pub bytes: u64,
    /// The reply of every file that browsers may have.
    pub assets: Vec<Asset>,
    /// What each module that browsers may have imports statically, as written in it; by URL path.
    pub imports: BTreeMap<Arc<str>, Vec<Box<str>>>,
}

impl LoadedVersion {
    /// Whether an entry of this feature's index is about this version and these bytes.
    pub(super) fn is_meant_by(&self, entry: &IndexEntry) -> bool {
        let functions = self.manifest.server_functions.as_ref();
        let module = functions.and_then(|functions| functions.module.as_ref());
        let module = module.and_then(|module| self.manifest.integrity.get(module));
        self.manifest.version == entry.version
            && self.manifest_sha256 == entry.manifest_sha256.0
            && entry
                .server_functions_sha256
                .is_none_or(|expected| module.is_some_and(|module| module.0 == expected.0))
    }

    /// The URL path of a file of this version.
    pub fn url(&self, file: &FileName) -> String {
        asset_url(&self.manifest, file)
    }
}

/// A URL path and what answers it.
pub type Asset = (Arc<str>, Arc<Resource>);

/// Precompressed variants by suffix (contract §3).
const VARIANTS: [(&str, Encoding); 3] =
    [("br", Encoding::Br), ("zst", Encoding::Zstd), ("gz", Encoding::Gzip)];

/// Verifies a version and seals it.
///
/// # Errors
/// [`Rejection`] of the first check that fails, or of memory that could not be had.
pub(super) fn load(
    source: &dyn ReadArtifact,
    index: &ReleaseIndex,
    entry: &IndexEntry,
    context: &Context<'_>,
) -> Result<LoadedVersion, Rejection> {
    let not_stored = |error: &dyn std::fmt::Display| {
        Rejection::not_stored(&index.feature_id, &entry.version, error.to_string())
    };
    let mut label = format!("pilar:{}:{}", index.feature_id, entry.version);
    // The kernel takes 249 bytes; it is a name for people alone, and all of it is ASCII.
    label.truncate(200);
    let mut sealer = Sealer::new(&label).map_err(|error| not_stored(&error))?;
    let verified = verify::version(source, index, &entry.version, context, &mut sealer)?;
    let files = sealer.seal().map_err(|error| not_stored(&error))?;
    let assets = assets(&verified.manifest, files).map_err(|error| not_stored(&error))?;
    let imports = imports_of(&assets);
    Ok(LoadedVersion {
        manifest: verified.manifest,
        manifest_sha256: verified.manifest_sha256,
        key_not_after: context.keys.get(&verified.key_id).and_then(TrustedKey::not_after),
        key_id: verified.key_id,
        bytes: verified.bytes,
        assets,
        imports,
    })
}

/// The static imports of every module among these files, as written; by URL path.
pub(crate) fn imports_of(assets: &[Asset]) -> BTreeMap<Arc<str>, Vec<Box<str>>> {
    let modules = assets.iter().filter(|(path, _)| is_module(path));
    modules.map(|(path, resource)| (path.clone(), static_imports(original(resource)))).collect()
}

/// Whether a file of this name is a JavaScript module.
pub(crate) fn is_module(name: &str) -> bool {
    matches!(name.rsplit_once('.'), Some((_, "js" | "mjs")))
}

/// The bytes as they were built, without an encoding.
fn original(resource: &Resource) -> &[u8] {
    let mut representations = resource.representations().iter();
    let identity = representations.find(|one| one.encoding() == Encoding::Identity);
    // A file lies in one piece.
    identity.and_then(|one| one.body().pieces_from(0).next()).unwrap_or_default()
}

fn asset_url(manifest: &Manifest, file: &FileName) -> String {
    if manifest.feature_type == FeatureType::Shared {
        format!("/_shared/{file}")
    } else {
        format!("/_assets/{}/{}/{file}", manifest.id, manifest.version)
    }
}

fn assets(manifest: &Manifest, files: Vec<SealedFile>) -> Result<Vec<Asset>, ResourceError> {
    let by_name: BTreeMap<&str, &SealedFile> =
        files.iter().map(|file| (file.name.as_str(), file)).collect();
    let mut assets = Vec::with_capacity(files.len());
    for file in files.iter().filter(|file| is_public(manifest, &file.name, &by_name)) {
        let content_type = content_type_of(file.name.as_str());
        let mut resource =
            Resource::builder(StatusCode::OK, content_type, CachePolicy::Immutable).negotiable();
        if is_document(content_type) {
            resource = resource.header("content-security-policy", DOCUMENT_POLICY)?;
        }
        resource = resource.identity(file.body.clone(), Some(*file.sha256.as_bytes()));
        for (suffix, encoding) in VARIANTS {
            let name = format!("{}.{suffix}", file.name);
            if let Some(variant) = by_name.get(name.as_str()) {
                let digest = Some(*variant.sha256.as_bytes());
                resource = resource.variant(encoding, variant.body.clone(), digest);
            }
        }
        let path = asset_url(manifest, &file.name);
        assets.push((Arc::from(path), Arc::new(resource.build()?)));
    }
    Ok(assets)
}

/// What a file may do that is opened as a page of its own: nothing. Pages are the shell's alone.
const DOCUMENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

fn is_document(content_type: &str) -> bool {
    ["html", "xml", "pdf"].iter().any(|kind| content_type.contains(kind))
}

/// Whether browsers may have a file: not the server's code, nor its source map, and not a variant, which is
/// served in the name of the file it is a variant of.
fn is_public(manifest: &Manifest, name: &FileName, files: &BTreeMap<&str, &SealedFile>) -> bool {
    let server = manifest.server_functions.as_ref().and_then(|functions| functions.module.as_ref());
    let is_server = server.is_some_and(|module| {
        name == module
            || module.with_suffix("map").as_ref() == Some(name)
            || VARIANTS.iter().any(|(suffix, _)| module.with_suffix(suffix).as_ref() == Some(name))
    });
    let is_variant = VARIANTS.iter().any(|(suffix, _)| {
        name.as_str()
            .strip_suffix(suffix)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|original| files.contains_key(original))
    });
    !is_server && !is_variant
}
