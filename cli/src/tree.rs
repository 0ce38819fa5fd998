//! Changing an artifacts directory: verify what is there, make the next index, write it last.

use std::path::{Path, PathBuf};

use pilar_artifact::index::{IndexEntry, Provenance};
use pilar_artifact::json::parse_object;
use pilar_artifact::operations::{
    Attribution, Channel, Operation, OperationError, Window, apply, apply_and_sign,
};
use pilar_artifact::verify::{
    self, Context, DropFiles, Failure, FileSink, ReadArtifact as _, ReadError, VerifiedIndex,
};
use pilar_artifact::{
    FeatureId, FileName, Limits, MANIFEST_FILE, Manifest, RELEASES_FILE, ReleaseIndex,
    Sha256Digest, SigningKey, TrustedKeys, signature,
};
use pilar_store::{FeatureDir, FeatureWriter, Placed, StagedVersion, Store, StoreError};
use semver::Version;
use serde_json::{Map, Value};

use crate::documents::{open_dir, parse, unreadable};
use crate::environment::Environment;
use crate::keyring;
use crate::problem::Problem;

/// An artifacts directory and the keys to change it with.
pub(crate) struct Tree<'e> {
    /// The artifacts directory.
    pub(crate) root: PathBuf,
    /// The key that signs indexes.
    pub(crate) key: SigningKey,
    /// The keys whose signatures count.
    pub(crate) trusted: TrustedKeys,
    /// The clock.
    pub(crate) environment: &'e Environment,
    /// Bounds on what is read and written.
    pub(crate) limits: Limits,
}

/// A version that was built and has not been published.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// The feature's directory in the output of the build.
    dir: PathBuf,
    /// The manifest as it is on disk.
    bytes: Vec<u8>,
    document: Map<String, Value>,
    /// The manifest as it is understood.
    pub(crate) manifest: Manifest,
}

/// What a change did.
#[derive(Debug)]
pub(crate) struct Change {
    /// The index that is in place now.
    pub(crate) index: ReleaseIndex,
    /// The version that was active before.
    pub(crate) before: Option<Version>,
    /// Versions whose directories were removed because no entry names them any more.
    pub(crate) removed: Vec<Version>,
    /// Whether anything was to do.
    pub(crate) changed: bool,
}

impl Candidate {
    /// Reads the one version that is in the build output `dir` of a feature.
    pub(crate) fn read(dir: &Path, limits: &Limits) -> Result<Self, Problem> {
        let version = only_version(dir)?;
        let path = dir.join(version.to_string()).join(MANIFEST_FILE);
        let bytes = open_dir(dir)?
            .read(&format!("{version}/{MANIFEST_FILE}"), limits.json_bytes)
            .map_err(|error| unreadable(&error, &path))?;
        let document = parse(&bytes, &path, limits)?;
        let manifest = Manifest::from_document(&document, limits).map_err(|problem| {
            Problem::new("schema", problem.problem, "build the feature again")
                .file(&path)
                .field(problem.field)
        })?;
        Ok(Self { dir: dir.to_owned(), bytes, document, manifest })
    }

    /// The digest of the manifest.
    pub(crate) fn sha256(&self) -> Sha256Digest {
        Sha256Digest::of(&self.bytes)
    }

    fn entry(&self, attribution: &Attribution) -> IndexEntry {
        let functions = self.manifest.server_functions.as_ref();
        let module = functions.and_then(|functions| functions.module.as_ref());
        let metadata = |field: &str| {
            self.manifest.metadata.as_ref()?.get(field)?.as_str().map(ToOwned::to_owned)
        };
        IndexEntry {
            version: self.manifest.version.clone(),
            manifest_sha256: pilar_artifact::digest::EntryDigest(self.sha256()),
            server_functions_sha256: module
                .and_then(|module| self.manifest.integrity.get(module))
                .map(|integrity| pilar_artifact::digest::EntryDigest(integrity.0)),
            provenance: Some(Provenance {
                built_at: metadata("builtAt")
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(attribution.at),
                git_sha: metadata("gitSha").unwrap_or_default(),
                actor: attribution.actor.clone().unwrap_or_default(),
                reason: attribution.reason.clone(),
                ticket: attribution.ticket.clone(),
            }),
            revoked: None,
            unknown: Map::new(),
        }
    }
}

impl<'e> Tree<'e> {
    /// The artifacts directory at `root`, with the keys of the environment, or with the dev key.
    pub(crate) fn open(
        root: PathBuf,
        dev: bool,
        environment: &'e Environment,
    ) -> Result<Self, Problem> {
        Ok(Self {
            root,
            key: keyring::signing_key(environment, dev)?,
            trusted: keyring::trusted_keys(environment, dev)?,
            environment,
            limits: Limits::default(),
        })
    }

    /// Publishes a built version. What is published already, with the same content, stays as it is.
    pub(crate) fn publish(
        &self,
        candidate: &Candidate,
        channel: Channel,
        window: Window,
        attribution: &Attribution,
    ) -> Result<Change, Problem> {
        let feature = &candidate.manifest.id;
        let version = &candidate.manifest.version;
        let mut writer = Store::open_or_create(&self.root)?.lock(feature)?;
        let current = self.current(writer.read()?.as_ref(), feature)?;
        let index = current.as_ref().map(|current| &current.index);
        if let Some(index) = index.filter(|index| index.entry(version).is_some())
            && self.is_published(&writer, index, candidate)?
        {
            let before = Some(index.active_version.clone());
            return Ok(Change { index: index.clone(), before, removed: vec![], changed: false });
        }
        let entry = Box::new(candidate.entry(attribution));
        let operation = Operation::Publish { entry, channel };
        let next = self.next(index, feature, &operation, attribution, window)?;
        if let Some(index) = index {
            // A publish that was interrupted may have left this very version behind, unlisted.
            writer.retain_versions(|there| index.entry(there).is_some())?;
        }
        self.place(&mut writer, candidate, attribution)?;
        self.write(&mut writer, current.as_ref(), next)
    }

    /// Applies `operation` to the index of `feature`.
    pub(crate) fn change(
        &self,
        feature: &FeatureId,
        operation: &Operation,
        attribution: &Attribution,
    ) -> Result<Change, Problem> {
        let nothing = || {
            Problem::from(OperationError::NothingPublished)
                .file(self.root.join(feature.as_str()).join(RELEASES_FILE))
        };
        if !self.root.join(feature.as_str()).exists() {
            return Err(nothing());
        }
        let mut writer = Store::open(&self.root)?.lock(feature)?;
        let current = self.current(writer.read()?.as_ref(), feature)?.ok_or_else(nothing)?;
        let index = Some(&current.index);
        let next = self.next(index, feature, operation, attribution, Window::default())?;
        if !matches!(operation, Operation::Revoke { .. }) {
            self.can_serve(&writer, &current.index, &next.0)?;
        }
        self.write(&mut writer, Some(&current), next)
    }

    /// The verified index of `feature`; `None` where there is none yet.
    pub(crate) fn current(
        &self,
        dir: Option<&FeatureDir>,
        feature: &FeatureId,
    ) -> Result<Option<VerifiedIndex>, Problem> {
        let Some(dir) = dir else { return Ok(None) };
        match verify::index(dir, feature, &self.context()) {
            Ok(current) => Ok(Some(current)),
            Err(rejection) => match rejection.failure() {
                Failure::Read(ReadError::Missing) => Ok(None),
                _ => Err(self.refused(&rejection)),
            },
        }
    }

    fn context(&self) -> Context<'_> {
        let now = self.environment.now();
        Context { keys: &self.trusted, now, host_version: None, limits: self.limits }
    }

    /// The next index and its bytes. They are verified as hosts will, so that nothing is written that a host
    /// would refuse.
    fn next(
        &self,
        index: Option<&ReleaseIndex>,
        feature: &FeatureId,
        operation: &Operation,
        attribution: &Attribution,
        window: Window,
    ) -> Result<(ReleaseIndex, Vec<u8>), Problem> {
        let path = self.root.join(feature.as_str()).join(RELEASES_FILE);
        let limits = &self.limits;
        let (next, bytes) =
            apply_and_sign(index, feature, operation, attribution, window, limits, &self.key)
                .map_err(|error| Problem::from(error).file(&path))?;
        let document = parse(&bytes, &path, limits)?;
        signature::verify(&document, Some(feature), &self.trusted, self.environment.now(), limits)
            .map_err(|error| {
                Problem::new(error.code(), error.to_string(), error.remedy()).file(&path)
            })?;
        Ok((next, bytes))
    }

    /// Verifies the built files, steps 6 to 13, and writes exactly the bytes that were verified.
    fn place(
        &self,
        writer: &mut FeatureWriter,
        candidate: &Candidate,
        attribution: &Attribution,
    ) -> Result<Placed, Problem> {
        let Manifest { id: feature, version, .. } = &candidate.manifest;
        let entry = Box::new(candidate.entry(attribution));
        let operation = Operation::Publish { entry, channel: Channel::Stable };
        let alone = apply(None, feature, &operation, attribution, Window::default(), &self.limits)?;
        let built = open_dir(&candidate.dir)?;
        let mut staging = Staging { staged: writer.stage(version)?, failed: None };
        let verified = verify::version(&built, &alone, version, &self.context(), &mut staging);
        if let Some(error) = staging.failed {
            return Err(error.into());
        }
        verified.map_err(|rejection| {
            let dir = candidate.dir.parent().unwrap_or(Path::new("."));
            Problem::from(&rejection).file(dir.join(rejection.report().file))
        })?;
        Ok(staging.staged.publish(&candidate.bytes)?)
    }

    /// Whether the listed version is what was built: the same manifest, or one that differs in `metadata` and
    /// `signature` alone. A version directory that got lost is made again.
    fn is_published(
        &self,
        writer: &FeatureWriter,
        index: &ReleaseIndex,
        candidate: &Candidate,
    ) -> Result<bool, Problem> {
        let version = &candidate.manifest.version;
        let Some(dir) = writer.read()? else { return Ok(false) };
        let same = self.has_content(&dir, version, candidate, &["metadata", "signature"]);
        if same && index.entry(version).is_some_and(|entry| entry.revoked.is_none()) {
            verify::version(&dir, index, version, &self.context(), &mut DropFiles)
                .map_err(|rejection| self.refused(&rejection))?;
        }
        Ok(same)
    }

    /// Whether `version` has the content of the candidate under another version number.
    pub(crate) fn is_same_but_version(
        &self,
        dir: &FeatureDir,
        version: &Version,
        candidate: &Candidate,
    ) -> bool {
        self.has_content(dir, version, candidate, &["metadata", "signature", "version"])
    }

    /// Whether the manifest of `version` says what the candidate says, leaving aside the fields `but`.
    fn has_content(
        &self,
        dir: &FeatureDir,
        version: &Version,
        candidate: &Candidate,
        but: &[&str],
    ) -> bool {
        let content = |document: &Map<String, Value>| {
            let mut document = document.clone();
            document.retain(|field, _| !but.contains(&field.as_str()));
            document
        };
        dir.read(&format!("{version}/{MANIFEST_FILE}"), self.limits.json_bytes)
            .ok()
            .and_then(|bytes| parse_object(&bytes, &self.limits).ok())
            .is_some_and(|there| content(&there) == content(&candidate.document))
    }

    /// A version that is about to serve is verified before the index says so.
    fn can_serve(
        &self,
        writer: &FeatureWriter,
        current: &ReleaseIndex,
        next: &ReleaseIndex,
    ) -> Result<(), Problem> {
        let Some(dir) = writer.read()? else { return Ok(()) };
        let active = Some(&next.active_version).filter(|active| **active != current.active_version);
        let canary = next.canary().filter(|canary| Some(*canary) != current.canary());
        for version in active.into_iter().chain(canary) {
            verify::version(&dir, next, version, &self.context(), &mut DropFiles)
                .map_err(|rejection| self.refused(&rejection))?;
        }
        Ok(())
    }

    fn write(
        &self,
        writer: &mut FeatureWriter,
        current: Option<&VerifiedIndex>,
        (index, bytes): (ReleaseIndex, Vec<u8>),
    ) -> Result<Change, Problem> {
        writer.replace_index(current.map(|current| current.sha256), &bytes)?;
        let removed = writer.retain_versions(|version| index.entry(version).is_some())?;
        let before = current.map(|current| current.index.active_version.clone());
        Ok(Change { index, before, removed, changed: true })
    }

    fn refused(&self, rejection: &pilar_artifact::Rejection) -> Problem {
        Problem::from(rejection).file(self.root.join(rejection.report().file))
    }
}

/// Writes each file as soon as it is verified.
struct Staging<'w> {
    staged: StagedVersion<'w>,
    failed: Option<StoreError>,
}

impl FileSink for Staging<'_> {
    fn accept(&mut self, name: &FileName, _: Sha256Digest, bytes: Vec<u8>) -> std::io::Result<()> {
        self.staged.write(name, &bytes).map_err(|error| {
            let message = error.to_string();
            self.failed = Some(error);
            std::io::Error::other(message)
        })
    }
}

fn only_version(dir: &Path) -> Result<Version, Problem> {
    let entries = std::fs::read_dir(dir).map_err(|error| {
        let message = format!("nothing is built there: {error}");
        Problem::new("not-built", message, "run `pilar build` first").file(dir)
    })?;
    let mut versions = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<Version>().ok())
        .collect::<Vec<_>>();
    match (versions.pop(), versions.is_empty()) {
        (Some(version), true) => Ok(version),
        (found, _) => {
            let what = if found.is_some() { "several versions are" } else { "no version is" };
            Err(Problem::new("not-built", format!("{what} built there"), "run `pilar build` again")
                .file(dir))
        }
    }
}
