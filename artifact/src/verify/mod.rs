//! The numbered chain of checks (contract §5, `docs/verification.md`).
//!
//! Two functions walk it: [`index`] does steps 1 to 5, [`version`] steps 6 to 13. Each step cites its
//! number; a failure is a [`Rejection`] that names the step, the file and what to do.

mod read;
mod rejection;
mod step;

use jiff::Timestamp;
use semver::Version;
use serde_json::{Map, Value};

use crate::index::IndexEntry;
use crate::json::parse_object;
use crate::manifest::Manifest;
use crate::{
    FeatureId, FileName, Limits, MANIFEST_FILE, RELEASES_FILE, ReleaseIndex, Sha256Digest,
};
use crate::{TrustedKeys, signature};

pub use read::{ReadArtifact, ReadError};
pub use rejection::{Failure, Rejection, Report};
pub use step::Step;

/// What the checks are made against.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The keys whose signatures count.
    pub keys: &'a TrustedKeys,
    /// The time that decides about key expiry.
    pub now: Timestamp,
    /// The host that would load it; `None` skips step 12, for tools that are no host.
    pub host_version: Option<&'a Version>,
    /// Bounds on what is read.
    pub limits: Limits,
}

/// An index that passed steps 1 to 5.
#[derive(Debug, Clone)]
pub struct VerifiedIndex {
    /// The index.
    pub index: ReleaseIndex,
    /// The key that signed it.
    pub key_id: String,
    /// The digest of its exact bytes.
    pub sha256: Sha256Digest,
}

/// A version that passed steps 6 to 13.
#[derive(Debug, Clone)]
pub struct VerifiedVersion {
    /// The manifest.
    pub manifest: Manifest,
    /// The digest of its exact bytes.
    pub manifest_sha256: Sha256Digest,
    /// The key that signed it.
    pub key_id: String,
    /// Size of all its files, in bytes.
    pub bytes: u64,
}

/// Takes the bytes of a verified file, once.
pub trait FileSink {
    /// Takes one file whose digest has been checked.
    ///
    /// # Errors
    /// What kept the bytes from being stored; it ends the verification of the version.
    fn accept(
        &mut self,
        name: &FileName,
        sha256: Sha256Digest,
        bytes: Vec<u8>,
    ) -> std::io::Result<()>;
}

/// Drops the bytes: for those who only want to know.
#[derive(Debug, Clone, Copy, Default)]
pub struct DropFiles;

impl FileSink for DropFiles {
    fn accept(&mut self, _: &FileName, _: Sha256Digest, _: Vec<u8>) -> std::io::Result<()> {
        Ok(())
    }
}

/// Steps 1 to 5: reads and verifies the release index of `feature`.
///
/// # Errors
/// [`Rejection`] of the first step that fails.
pub fn index(
    source: &dyn ReadArtifact,
    feature: &FeatureId,
    context: &Context<'_>,
) -> Result<VerifiedIndex, Rejection> {
    let bytes = index_bytes(source, feature, context)?;
    index_of(&bytes, feature, context)
}

/// Step 1 alone: the bytes of the release index of `feature`. For those who know what they verified before, and ask
/// whether it is still the same.
///
/// # Errors
/// [`Rejection`] where they cannot be read.
pub fn index_bytes(
    source: &dyn ReadArtifact,
    feature: &FeatureId,
    context: &Context<'_>,
) -> Result<Vec<u8>, Rejection> {
    // Step 1
    source.read(RELEASES_FILE, context.limits.json_bytes).map_err(|error| {
        Rejection::new(Step::IndexRead, feature, None, RELEASES_FILE, Failure::Read(error))
    })
}

/// Steps 2 to 5: verifies the bytes of the release index of `feature`.
///
/// # Errors
/// [`Rejection`] of the first step that fails.
pub fn index_of(
    bytes: &[u8],
    feature: &FeatureId,
    context: &Context<'_>,
) -> Result<VerifiedIndex, Rejection> {
    let limits = &context.limits;
    let reject = |step, failure| Rejection::new(step, feature, None, RELEASES_FILE, failure);
    // Step 2
    let document = parse_object(bytes, limits)
        .map_err(|error| reject(Step::IndexJson, Failure::Json(error)))?;
    // Step 3
    let key_id = signature::verify(&document, Some(feature), context.keys, context.now, limits)
        .map_err(|error| reject(Step::IndexSignature, Failure::Signature(error)))?;
    // Step 4
    let index = ReleaseIndex::from_document(&document)
        .map_err(|problem| reject(Step::IndexSchema, Failure::Schema(problem)))?;
    // Step 5
    index
        .check(feature, limits)
        .map_err(|problem| reject(Step::IndexRules, Failure::Index(problem)))?;
    Ok(VerifiedIndex { index, key_id, sha256: Sha256Digest::of(bytes) })
}

/// Steps 6 to 13: reads and verifies one version, handing each verified file to `sink`.
///
/// # Errors
/// [`Rejection`] of the first step that fails. What `sink` took by then must not be used.
pub fn version(
    source: &dyn ReadArtifact,
    index: &ReleaseIndex,
    version: &Version,
    context: &Context<'_>,
    sink: &mut dyn FileSink,
) -> Result<VerifiedVersion, Rejection> {
    let check = VersionCheck { source, index, version, context };
    let entry = check.listed()?;
    let (bytes, manifest_sha256) = check.manifest_bytes(entry)?;
    let document = check.manifest_document(&bytes)?;
    let (manifest, key_id) = check.manifest(&document)?;
    check.agreement(entry, &manifest)?;
    check.host_version(&manifest)?;
    let bytes = check.files(&manifest, sink)?;
    Ok(VerifiedVersion { manifest, manifest_sha256, key_id, bytes })
}

/// Steps 7 to 11 alone: the manifest of a listed version, whether or not the version may serve.
///
/// For those who must know what a version *would* be, such as the URL prefix of a feature that has nothing
/// to serve. It says nothing about the files.
///
/// # Errors
/// [`Rejection`] of the first step that fails.
pub fn manifest(
    source: &dyn ReadArtifact,
    index: &ReleaseIndex,
    entry: &IndexEntry,
    context: &Context<'_>,
) -> Result<Manifest, Rejection> {
    let check = VersionCheck { source, index, version: &entry.version, context };
    let (bytes, _) = check.manifest_bytes(entry)?;
    let document = check.manifest_document(&bytes)?;
    let (manifest, _) = check.manifest(&document)?;
    check.agreement(entry, &manifest)?;
    Ok(manifest)
}

struct VersionCheck<'a> {
    source: &'a dyn ReadArtifact,
    index: &'a ReleaseIndex,
    version: &'a Version,
    context: &'a Context<'a>,
}

impl<'a> VersionCheck<'a> {
    /// Step 6: the version is listed and not revoked.
    fn listed(&self) -> Result<&'a IndexEntry, Rejection> {
        let reject = |failure| {
            let feature = &self.index.feature_id;
            Rejection::new(Step::VersionListed, feature, Some(self.version), RELEASES_FILE, failure)
        };
        let entry = self.index.entry(self.version).ok_or_else(|| reject(Failure::NotListed))?;
        match &entry.revoked {
            Some(revoked) => Err(reject(Failure::Revoked(revoked.clone()))),
            None => Ok(entry),
        }
    }

    /// Step 7: the bytes of the manifest are those that the index names.
    fn manifest_bytes(&self, entry: &IndexEntry) -> Result<(Vec<u8>, Sha256Digest), Rejection> {
        let bytes =
            self.source.read(&self.path(MANIFEST_FILE), self.context.limits.json_bytes).map_err(
                |error| self.reject(Step::ManifestHash, MANIFEST_FILE, Failure::Read(error)),
            )?;
        let (expected, found) = (entry.manifest_sha256.0, Sha256Digest::of(&bytes));
        if expected == found {
            Ok((bytes, found))
        } else {
            let failure = Failure::ManifestHash { expected, found };
            Err(self.reject(Step::ManifestHash, MANIFEST_FILE, failure))
        }
    }

    /// Step 8: the manifest is strict JSON.
    fn manifest_document(&self, bytes: &[u8]) -> Result<Map<String, Value>, Rejection> {
        parse_object(bytes, &self.context.limits)
            .map_err(|error| self.reject(Step::ManifestJson, MANIFEST_FILE, Failure::Json(error)))
    }

    /// Steps 9 and 10: a trusted key signed the manifest, and it has the published shape.
    fn manifest(&self, document: &Map<String, Value>) -> Result<(Manifest, String), Rejection> {
        let context = self.context;
        let feature = Some(&self.index.feature_id);
        let key_id =
            signature::verify(document, feature, context.keys, context.now, &context.limits)
                .map_err(|error| {
                    self.reject(Step::ManifestSignature, MANIFEST_FILE, Failure::Signature(error))
                })?;
        let manifest = Manifest::from_document(document, &context.limits).map_err(|problem| {
            self.reject(Step::ManifestSchema, MANIFEST_FILE, Failure::Schema(problem))
        })?;
        Ok((manifest, key_id))
    }

    /// Step 11: manifest, index and directory speak of the same thing.
    fn agreement(&self, entry: &IndexEntry, manifest: &Manifest) -> Result<(), Rejection> {
        let reject = |failure| Err(self.reject(Step::Agreement, MANIFEST_FILE, failure));
        if manifest.id != self.index.feature_id {
            return reject(Failure::IdMismatch {
                expected: self.index.feature_id.clone(),
                found: manifest.id.clone(),
            });
        }
        if manifest.version != *self.version {
            return reject(Failure::VersionMismatch {
                expected: self.version.clone(),
                found: manifest.version.clone(),
            });
        }
        let module =
            manifest.server_functions.as_ref().and_then(|functions| functions.module.as_ref());
        let found =
            module.and_then(|module| manifest.integrity.get(module)).map(|integrity| integrity.0);
        match entry.server_functions_sha256.map(|digest| digest.0) {
            Some(expected) if found != Some(expected) => {
                reject(Failure::ServerFunctionsHash { expected, found })
            }
            _ => Ok(()),
        }
    }

    /// Step 12: the host is new enough.
    fn host_version(&self, manifest: &Manifest) -> Result<(), Rejection> {
        match (manifest.min_host_version(), self.context.host_version) {
            (Some(needs), Some(host)) if host.cmp_precedence(needs).is_lt() => {
                let failure = Failure::HostTooOld { needs: needs.clone(), host: host.clone() };
                Err(self.reject(Step::HostVersion, MANIFEST_FILE, failure))
            }
            _ => Ok(()),
        }
    }

    /// Step 13: every listed file has the bytes that the manifest names.
    fn files(&self, manifest: &Manifest, sink: &mut dyn FileSink) -> Result<u64, Rejection> {
        let limits = &self.context.limits;
        let mut total = 0_u64;
        for (name, integrity) in &manifest.integrity {
            let reject = |failure| self.reject(Step::Files, name.as_str(), failure);
            let bytes = self
                .source
                .read(&self.path(name.as_str()), limits.file_bytes)
                .map_err(|error| reject(Failure::Read(error)))?;
            let (expected, found) = (integrity.0, Sha256Digest::of(&bytes));
            if expected != found {
                return Err(reject(Failure::FileHash { expected, found }));
            }
            total = total.saturating_add(bytes.len() as u64);
            if total > limits.version_bytes {
                return Err(reject(Failure::VersionTooLarge { limit: limits.version_bytes }));
            }
            sink.accept(name, found, bytes)
                .map_err(|error| reject(Failure::NotStored { message: error.to_string() }))?;
        }
        Ok(total)
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.version)
    }

    fn reject(&self, step: Step, file: &str, failure: Failure) -> Rejection {
        Rejection::new(step, &self.index.feature_id, Some(self.version), &self.path(file), failure)
    }
}
