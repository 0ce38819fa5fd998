//! From a staging directory into the tree: what passed verification, whole, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::slice;
use std::time::Duration;

use jiff::Timestamp;
use pilar_artifact::verify::{self, Context, DropFiles, ReadArtifact, VerifiedIndex};
use pilar_artifact::{
    FeatureId, Limits, MANIFEST_FILE, RELEASES_FILE, Rejection, ReleaseIndex, Sha256Digest,
    TrustedKeys,
};
use pilar_store::{Claim, FeatureDir, FeatureWriter, Incoming, Placed, Store, StoreError};
use semver::Version;

use crate::arrived::{Arrived, verify_versions};
use crate::damage::Damage;
use crate::problem::Problem;
use crate::record::{Placement, Record, Records};
use crate::registration::Origin;
use crate::source::Registered;

/// Everything that placing needs to know. All of it blocks: hashing, and waiting for the disk.
#[derive(Debug)]
pub struct Placer {
    artifacts: PathBuf,
    store: Store,
    records: Records,
    keys: TrustedKeys,
    retain: Duration,
    space: fn(&Path) -> io::Result<Space>,
    clock: fn() -> Timestamp,
    limits: Limits,
    /// Held for as long as anybody may still place something, on whatever thread.
    _claim: Claim,
}

/// How much of a file system there is, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Space {
    /// What this user may still write.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

impl Space {
    /// That of the file system of `path`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn of(path: &Path) -> io::Result<Self> {
        let found = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Self { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
    }

    /// Whether there is less than the next version may need. On a small disk that is a tenth, or nothing would ever
    /// have its time there.
    fn is_short(self) -> bool {
        self.free < Limits::default().version_bytes.min(self.total / 10)
    }
}

/// What is in the tree of one feature.
#[derive(Debug, Clone, Default)]
pub struct Present {
    /// The digest of its index.
    pub index: Option<Sha256Digest>,
    /// Each version, with the digest of its manifest.
    pub versions: BTreeMap<Version, Sha256Digest>,
}

/// What came of placing.
#[derive(Debug)]
pub enum Outcome {
    /// It is in place.
    Placed {
        /// What is remembered from now on.
        record: Box<Record>,
        /// What is no error: a version that may not serve now and failed a check.
        notes: Vec<Rejection>,
    },
    /// Nothing has changed: what did not come because it is in the tree is damaged there, and has to come as well.
    Damaged(Vec<Damage>),
}

impl Placer {
    /// Places into `store`, which is at `artifacts`.
    pub fn new(
        artifacts: PathBuf,
        (store, claim): (Store, Claim),
        keys: TrustedKeys,
        retain: Duration,
        space: fn(&Path) -> io::Result<Space>,
        clock: fn() -> Timestamp,
    ) -> Self {
        let records = Records::of(store.clone());
        let limits = Limits::default();
        Self { artifacts, store, records, keys, retain, space, clock, limits, _claim: claim }
    }

    /// What is remembered.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// The keys whose signatures count.
    pub fn keys(&self) -> &TrustedKeys {
        &self.keys
    }

    /// An empty place for a download.
    ///
    /// # Errors
    /// A [`Problem`] of the disk.
    pub fn incoming(&self, feature: &FeatureId, unique: &str) -> Result<Incoming, Problem> {
        Ok(self.store.incoming(feature, unique)?)
    }

    /// What is in the tree, by what the files are named and what their bytes are. Nothing of it is verified.
    ///
    /// # Errors
    /// A [`Problem`] of the disk.
    pub fn present(&self, feature: &FeatureId) -> Result<Present, Problem> {
        let Some(dir) = self.read(feature)? else { return Ok(Present::default()) };
        let digest = |path: &str| {
            let bytes = dir.read(path, self.limits.json_bytes).ok()?;
            Some(Sha256Digest::of(&bytes))
        };
        let with_digest = |version: Version| {
            let found = digest(&format!("{version}/{MANIFEST_FILE}"))?;
            Some((version, found))
        };
        let versions = self.versions(feature, &dir)?;
        Ok(Present {
            index: digest(RELEASES_FILE),
            versions: versions.into_iter().filter_map(with_digest).collect(),
        })
    }

    /// Reads all of a version that was put in place, and says whether it is damaged. Where another index is in place
    /// than `placed` speaks of, or one that no key vouches for any more, nobody can say.
    pub fn damage(
        &self,
        feature: &FeatureId,
        placed: &Placement,
        version: &Version,
    ) -> Option<Damage> {
        let dir = self.read(feature).ok()??;
        let context = self.context((self.clock)());
        let in_place = verify::index(&dir, feature, &context).ok()?;
        if !placed.is_of(Some(in_place.sha256)) {
            return None;
        }
        let read = verify::version(&dir, &in_place.index, version, &context, &mut DropFiles);
        Damage::of(&read.err()?)
    }

    /// Whether nothing came but the index that is in place.
    ///
    /// # Errors
    /// A [`Problem`] of the disk.
    pub fn is_in_place_already(
        &self,
        feature: &FeatureId,
        incoming: &Incoming,
        placed: &Placement,
    ) -> Result<bool, Problem> {
        let dir = incoming.read()?;
        let index = dir.read(RELEASES_FILE, self.limits.json_bytes).ok();
        let is_known = placed.is_of(index.map(|bytes| Sha256Digest::of(&bytes)));
        Ok(is_known && self.versions(feature, &dir)?.is_empty())
    }

    /// Verifies what came, and makes it visible: versions first, the index last. Nothing of the tree changes where
    /// a check fails. `damaged` are versions of the tree that are known to be and were asked for, so that one of them
    /// that did not come is left out.
    ///
    /// # Errors
    /// A [`Problem`]; what served before still serves.
    pub fn place(
        &self,
        registered: &Registered,
        incoming: &Incoming,
        before: &Record,
        damaged: &BTreeSet<Version>,
        validator: Option<String>,
    ) -> Result<Outcome, Problem> {
        let feature = &registered.registration.feature;
        let arrived = self.arrived(feature, incoming)?;
        let now = (self.clock)();
        let context = self.context(now);
        let VerifiedIndex { index, sha256, .. } = verify::index(&arrived, feature, &context)?;
        let mut record = before.clone();
        let is_remote = matches!(registered.registration.origin, Origin::Cdn(_));
        if is_remote {
            record.highest_sequence = Some(not_lower(&index, before.highest_sequence)?);
        }
        let in_place = arrived.tree().map(|tree| verify::index(tree, feature, &context));
        let in_place = in_place.and_then(Result::ok).map(|verified| verified.index);
        let named = |version: &Version| Some(in_place.as_ref()?.entry(version)?.manifest_sha256.0);
        self.not_taken(feature, &index, named)?;
        let verified = verify_versions(&arrived, &index, &context);
        let refused = verified.as_ref().map_or_else(slice::from_ref, |(_, notes)| notes);
        let found: Vec<Damage> =
            refused.iter().filter_map(|refused| arrived.damage(refused, damaged)).collect();
        if !found.is_empty() {
            return Ok(Outcome::Damaged(found));
        }
        let (verified, notes) = verified?;
        let bytes = arrived.read(RELEASES_FILE, self.limits.json_bytes).map_err(|error| {
            Problem::new(error.code(), format!("{RELEASES_FILE}: {error}"), "try again")
        })?;

        let mut writer = self.store.try_lock(feature)?;
        let previous = writer.readable_index()?;
        for verified in verified.iter().filter(|one| arrived.has(&one.manifest.version)) {
            let version = &verified.manifest.version;
            if writer.adopt(incoming, verified, named(version))? == Placed::Mended {
                tracing::info!(feature = feature.as_str(), %version, "mended");
            }
        }
        record.replaced = previous.filter(|_| before.is_ours(previous)).map(|index| index.hex());
        record.placed = Some(Placement {
            origin: registered.registration.origin.identity(),
            validator,
            registered_in: registered.place.clone(),
            index_sha256: sha256.hex(),
            sequence: index.sequence,
            active_version: index.active_version.clone(),
            // Only what comes from afar can be an old copy (contract §4).
            expires_at: index.expires_at.filter(|_| is_remote),
            versions: verified.iter().map(|one| one.manifest.version.clone()).collect(),
            at: now,
        });
        self.note_who_left(&writer, &index, now, &mut record)?;
        self.records.save(feature, &record)?;
        if previous != Some(sha256) {
            writer.replace_index(previous, &bytes)?;
        }
        self.collect_from(&mut writer, &mut record, now)?;
        Ok(Outcome::Placed { record: Box::new(record), notes })
    }

    /// Remembers that what is in place is registered in another place now.
    ///
    /// # Errors
    /// A [`Problem`] of the disk.
    pub fn moved(&self, registered: &Registered, record: &mut Record) -> Result<(), Problem> {
        match &mut record.placed {
            Some(placed) if placed.registered_in != registered.place => {
                placed.registered_in.clone_from(&registered.place);
                self.records.save(&registered.registration.feature, record)
            }
            _ => Ok(()),
        }
    }

    /// Removes the versions whose time is over since the index does not name them any more, and where space is short
    /// the others of these too, as many as it takes.
    ///
    /// # Errors
    /// A [`Problem`] of the disk.
    pub fn collect(&self, feature: &FeatureId, record: &mut Record) -> Result<(), Problem> {
        let now = (self.clock)();
        if !record.left.values().any(|since| self.is_over(since, now) || self.is_short()) {
            return Ok(());
        }
        let mut writer = self.store.try_lock(feature)?;
        self.collect_from(&mut writer, record, now)
    }

    /// When [`Placer::collect`] has something to do next.
    pub fn next_collection(&self, record: &Record) -> Option<Timestamp> {
        record.left.values().min().and_then(|since| since.checked_add(self.retain).ok())
    }

    /// Takes a feature out that the loader has put there, and says whether it did: where somebody has published over
    /// it since, that stays.
    ///
    /// # Errors
    /// A [`Problem`] of the disk; the feature is there whole, or gone.
    pub fn take_out(&self, feature: &FeatureId, record: &mut Record) -> Result<bool, Problem> {
        let writer = self.store.try_lock(feature)?;
        let is_ours = record.is_ours(writer.index_digest()?);
        if is_ours {
            writer.take_out()?;
        }
        (record.placed, record.replaced) = (None, None);
        record.left.clear();
        self.records.save(feature, record)?;
        Ok(is_ours)
    }

    /// A version directory is never rewritten (contract §2), so another version of the same number cannot come. Where
    /// the index in place has `named` the very manifest that is offered, none was published: what lies there instead
    /// is damage.
    fn not_taken(
        &self,
        feature: &FeatureId,
        index: &ReleaseIndex,
        named: impl Fn(&Version) -> Option<Sha256Digest>,
    ) -> Result<(), Problem> {
        let present = self.present(feature)?;
        for entry in index.versions.iter().filter(|entry| entry.revoked.is_none()) {
            let offered = entry.manifest_sha256.0;
            let Some(&there) = present.versions.get(&entry.version) else { continue };
            let published = named(&entry.version).unwrap_or(there);
            if published != offered {
                let path = self.artifacts.join(feature.as_str()).join(entry.version.to_string());
                return Err(StoreError::ContentDiffers { path, published, offered }.into());
            }
        }
        Ok(())
    }

    fn context(&self, now: Timestamp) -> Context<'_> {
        Context { keys: &self.keys, now, host_version: None, limits: self.limits }
    }

    fn arrived(&self, feature: &FeatureId, incoming: &Incoming) -> Result<Arrived, Problem> {
        let (incoming, tree) = (incoming.read()?, self.read(feature)?);
        let has_come = |version: &Version| {
            incoming.read(&format!("{version}/{MANIFEST_FILE}"), self.limits.json_bytes).is_ok()
        };
        let arrived = self.versions(feature, &incoming)?.into_iter().filter(has_come).collect();
        let kept = tree.as_ref().map(|tree| self.versions(feature, tree)).transpose()?;
        let tree = tree.zip(kept.map(|kept| kept.into_iter().collect()));
        Ok(Arrived::new((incoming, arrived), tree))
    }

    fn read(&self, feature: &FeatureId) -> Result<Option<FeatureDir>, Problem> {
        let path = self.artifacts.join(feature.as_str());
        match FeatureDir::open(&path) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unreadable(feature, &error)),
        }
    }

    fn versions(&self, feature: &FeatureId, dir: &FeatureDir) -> Result<Vec<Version>, Problem> {
        dir.versions().map_err(|error| self.unreadable(feature, &error))
    }

    fn unreadable(&self, feature: &FeatureId, error: &io::Error) -> Problem {
        let path = self.artifacts.join(feature.as_str());
        Problem::new(
            "store-unreadable",
            format!("{}: {error}", path.display()),
            "let the user of this process read and write the artifacts directory; only loader and pilar write there",
        )
    }

    /// Versions on the disk that the next index does not name begin their time now, unless it runs already.
    fn note_who_left(
        &self,
        writer: &FeatureWriter,
        next: &ReleaseIndex,
        now: Timestamp,
        record: &mut Record,
    ) -> Result<(), Problem> {
        let there = match writer.read()? {
            Some(dir) => self.versions(writer.feature(), &dir)?,
            None => Vec::new(),
        };
        let unnamed = there.into_iter().filter(|version| next.entry(version).is_none());
        // A clock that was ahead and was set back keeps nothing for longer.
        let since =
            |version: &Version| record.left.get(version).map_or(now, |since| now.min(*since));
        let left = unnamed.map(|version| (version.clone(), since(&version))).collect();
        record.left = left;
        Ok(())
    }

    /// Never one that the index in place names: it is another one than the record says where a loader was killed
    /// before it replaced it, or where somebody else has published since. Where it cannot be read nothing goes.
    fn collect_from(
        &self,
        writer: &mut FeatureWriter,
        record: &mut Record,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let Some(dir) = writer.read()? else { return Ok(()) };
        let context = self.context(now);
        let Ok(in_place) = verify::index(&dir, writer.feature(), &context) else { return Ok(()) };
        let unnamed = record.left.iter().filter(|(one, _)| in_place.index.entry(one).is_none());
        let mut oldest_first: Vec<(Timestamp, Version)> =
            unnamed.map(|(version, since)| (*since, version.clone())).collect();
        oldest_first.sort();
        for (since, version) in oldest_first {
            let is_over = self.is_over(&since, now);
            if !is_over && !self.is_short() {
                break;
            }
            writer.retain_versions(|other| *other != version)?;
            record.left.remove(&version);
            self.records.save(writer.feature(), record)?;
            if !is_over {
                let feature = writer.feature().as_str();
                tracing::warn!(feature, %version, "removed before its time: space is short");
            }
        }
        Ok(())
    }

    fn is_over(&self, since: &Timestamp, now: Timestamp) -> bool {
        since.checked_add(self.retain).is_ok_and(|end| end <= now)
    }

    /// A file system that does not say how much there is has enough.
    fn is_short(&self) -> bool {
        (self.space)(&self.artifacts).is_ok_and(Space::is_short)
    }
}

/// Over a CDN the signed index is the only authority, so its sequence never goes back (contract §4).
fn not_lower(index: &ReleaseIndex, highest: Option<u64>) -> Result<u64, Problem> {
    match highest.filter(|highest| *highest > index.sequence) {
        None => Ok(index.sequence),
        Some(highest) => Err(Problem::new(
            "index-sequence-lower",
            format!(
                "{RELEASES_FILE}: its sequence is {}, but {highest} was accepted before",
                index.sequence
            ),
            "release again, so that the sequence grows; to go back to an older version use `pilar release rollback`",
        )),
    }
}
