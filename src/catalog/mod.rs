//! The control side: discover → verify → seal → select → detect conflicts → build a snapshot (contract §6).
//!
//! A [`Catalog`] remembers what it verified before. A refresh verifies only what changed, and whatever
//! fails leaves what serves as it is.

mod discover;
mod imports;
mod large_pages;
mod listed;
mod load;
mod memory;
mod retain;
mod seal;
mod state;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use pilar_artifact::keys::TrustedKey;
use pilar_artifact::manifest::{FeatureType, Mount};
use pilar_artifact::select::select;
use pilar_artifact::verify::{self, Context, VerifiedIndex};
use pilar_artifact::{
    FeatureId, Limits, Manifest, Rejection, ReleaseIndex, Sha256Digest, TrustedKeys,
};
use pilar_store::FeatureDir;
use rayon::prelude::*;
use semver::Version;

pub use listed::Progress;
pub use load::{Asset, LoadedVersion};
pub(crate) use load::{imports_of, is_module};
pub use retain::RetainedVersion;
pub use seal::SealedFile;
pub use state::{FeatureState, Ignored, IndexFacts, IndexTrouble, KeyExpired, Standing};
pub use watch::{Watching, watch};

use crate::config::Retain;
use crate::edge::Owner;
use crate::loader_report::LoaderReport;
use listed::Listed;
use memory::Memory;
use retain::Retained;

/// What a catalog is made for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory of artifacts.
    pub artifacts_dir: PathBuf,
    /// The keys whose signatures count.
    pub keys: TrustedKeys,
    /// This host's version.
    pub host_version: Version,
    /// Bounds on what is read.
    pub limits: Limits,
    /// What keeps versions that no longer serve.
    pub retain: Retain,
}

/// Everything that is known of the artifacts, and what was known before.
#[derive(Debug)]
pub struct Catalog {
    settings: Settings,
    features: BTreeMap<FeatureId, FeatureState>,
    retained: Retained,
    listed: Listed,
    memory: Memory,
    ignored: Vec<Ignored>,
    /// Every feature that ever was, as far as there are numbers: what was counted stays with whom it was counted for.
    owners: BTreeMap<FeatureId, Owner>,
}

/// What a snapshot is built from.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Every feature, the shared set included.
    pub features: BTreeMap<FeatureId, FeatureState>,
    /// Versions that do not serve but stay reachable: those that served the latest first, then listed ones.
    pub retained: Vec<RetainedVersion>,
    /// What in the artifacts directory is no feature.
    pub ignored: Vec<Ignored>,
    /// For whom the replies of each feature are counted, those that are gone included.
    pub owners: BTreeMap<FeatureId, Owner>,
}

/// The time of a refresh: of day, for key expiry, and monotonic, for retention.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The time of day.
    pub wall: Timestamp,
    /// The monotonic clock, which no clock step moves.
    pub monotonic: Instant,
}

impl Settings {
    fn context(&self, now: Now) -> Context<'_> {
        Context {
            keys: &self.keys,
            now: now.wall,
            host_version: Some(&self.host_version),
            limits: self.limits,
        }
    }
}

impl Catalog {
    /// A catalog that knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            features: BTreeMap::new(),
            retained: Retained::default(),
            listed: Listed::default(),
            memory: Memory::default(),
            ignored: Vec::new(),
            owners: BTreeMap::new(),
        }
    }

    /// Looks at the artifacts directory again.
    ///
    /// # Errors
    /// What the operating system says of the artifacts directory itself; everything stays as it was.
    pub fn refresh(&mut self, now: Now) -> io::Result<Contents> {
        let (ids, not_features) = discover::discover(&self.settings.artifacts_dir)?;
        let context = self.settings.context(now);
        // Only a name that is gone takes a feature out: a link in its place is more likely a mistake.
        let known = |ignored: &Ignored| {
            ignored.name.parse().ok().filter(|id| self.features.contains_key(id))
        };
        let (replaced, ignored): (Vec<Ignored>, Vec<Ignored>) =
            not_features.into_iter().partition(|ignored| known(ignored).is_some());
        let replaced = replaced.iter().filter_map(known).map(|id| {
            let before = self.features.get(&id);
            keep_last_good(id, IndexTrouble::NotADirectory, before, &context)
        });
        let images = registered_images(&self.settings.artifacts_dir);
        let kept = self.retained.by_feature();
        let looks: Vec<(FeatureState, Option<Arc<ReleaseIndex>>)> = ids
            .into_par_iter()
            .map(|id| {
                let kept = kept.get(&id).map(Vec::as_slice).unwrap_or_default();
                self.look_at(id, &context, &images, kept)
            })
            .collect();
        let mut features: BTreeMap<FeatureId, FeatureState> =
            replaced.map(|state| (state.id.clone(), state)).collect();
        for (state, index) in looks {
            if let Some(index) = index {
                self.memory.remember(&index);
                self.listed.update(index);
            }
            features.insert(state.id.clone(), state);
        }
        self.listed.keep_only(|id| features.contains_key(id));
        settle_conflicts(&mut features, &self.features);
        self.retire(&features, now);
        for id in features.keys() {
            if !self.owners.contains_key(id)
                && let Ok(next) = u32::try_from(self.owners.len() + 1)
            {
                self.owners.insert(id.clone(), Owner::numbered(next));
            }
        }
        self.features = features;
        self.ignored = ignored;
        self.listed.unpublished = false;
        Ok(self.contents())
    }

    /// What a snapshot of this moment is built from.
    fn contents(&self) -> Contents {
        Contents {
            features: self.features.clone(),
            retained: self.retained.versions().to_vec(),
            ignored: self.ignored.clone(),
            owners: self.owners.clone(),
        }
    }

    /// The state of a feature now, and its index where that is verified.
    fn look_at(
        &self,
        id: FeatureId,
        context: &Context<'_>,
        images: &BTreeSet<String>,
        kept: &[&Arc<LoadedVersion>],
    ) -> (FeatureState, Option<Arc<ReleaseIndex>>) {
        let before = self.features.get(&id);
        let source = match FeatureDir::open(&self.settings.artifacts_dir.join(id.as_str())) {
            Ok(source) => source,
            Err(error) => {
                let trouble = IndexTrouble::Directory(error.to_string());
                return (keep_last_good(id, trouble, before, context), None);
            }
        };
        let mut facts = match self.index_of(&source, &id, before, context) {
            Ok(facts) => facts,
            Err(rejection) => {
                let trouble = IndexTrouble::Rejected(rejection);
                return (keep_last_good(id, trouble, before, context), None);
            }
        };
        let index = facts.index.clone();
        let is_image = images.contains(id.as_str());
        facts.sequence_went_down_from = self.memory.higher_sequence(&index).filter(|_| !is_image);
        // A version that is in memory already. Its manifest hash pins every byte of it; that the index speaks of the
        // same version (step 11) is a matter of each index anew.
        let picked_before = before.and_then(|state| state.picked.as_ref());
        let in_memory = || picked_before.into_iter().chain(kept.iter().copied());
        let selection =
            select(&index, |entry| match in_memory().find(|loaded| loaded.is_meant_by(entry)) {
                Some(known) => Ok(known.clone()),
                None => load::load(&source, &index, entry, context).map(Arc::new),
            });
        let fallback = selection.is_fallback();
        let (picked, standing) = match selection.serving {
            Some((_, loaded)) if fallback => (Some(loaded), Standing::Fallback),
            Some((_, loaded)) => (Some(loaded), Standing::AsReleased),
            None => match last_good(before, &index) {
                Some(loaded) => (Some(loaded), Standing::LastGood),
                None => (None, Standing::NothingToServe),
            },
        };
        let mount = match &picked {
            Some(loaded) => domain_mount(&loaded.manifest),
            None => signed_mount(&source, &index, context)
                .or_else(|| before.and_then(|state| state.mount.clone())),
        };
        // Another signature of the same manifest may still count: that is how keys are rotated.
        let key_expired = picked.as_ref().and_then(|loaded| {
            let loads_again = || {
                let entry = index.entry(&loaded.manifest.version)?;
                verify::manifest(&source, &index, entry, context).ok()
            };
            expired(loaded, context).filter(|_| loads_again().is_none())
        });
        let state = FeatureState {
            id,
            index: Ok(facts),
            picked,
            standing,
            attempts: selection.attempts,
            mount,
            conflict: None,
            key_expired,
        };
        (state, Some(index))
    }

    /// The verified index of a feature. One whose bytes are those from before is not verified again, as long as the
    /// key counts that it was verified with.
    fn index_of(
        &self,
        source: &FeatureDir,
        id: &FeatureId,
        before: Option<&FeatureState>,
        context: &Context<'_>,
    ) -> Result<IndexFacts, Rejection> {
        let bytes = verify::index_bytes(source, id, context)?;
        let sha256 = Sha256Digest::of(&bytes);
        if let Some(Ok(known)) = before.map(|state| &state.index)
            && known.sha256 == sha256
            && known.key_not_after.is_none_or(|end| context.now <= end)
        {
            return Ok(known.clone());
        }
        let VerifiedIndex { mut index, key_id, sha256 } = verify::index_of(&bytes, id, context)?;
        self.memory.revoke_again(&mut index);
        Ok(IndexFacts {
            index: Arc::new(index),
            sequence_went_down_from: None,
            key_not_after: context.keys.get(&key_id).and_then(TrustedKey::not_after),
            key_id,
            sha256,
        })
    }

    /// Retains what no longer serves, and lets go of what must not be served any more.
    fn retire(&mut self, features: &BTreeMap<FeatureId, FeatureState>, now: Now) {
        for (id, before) in &self.features {
            let Some(old) = before.serving() else { continue };
            let new = features.get(id).and_then(FeatureState::serving);
            if new.is_none_or(|new| new.manifest_sha256 != old.manifest_sha256) {
                self.retained.retire(old.clone(), now);
            }
        }
        self.retained.forget(|kept| {
            let serving = features.get(&kept.manifest.id).and_then(FeatureState::serving);
            serving.is_some_and(|serving| serving.manifest_sha256 == kept.manifest_sha256)
        });
        self.retained
            .prune(self.settings.retain, now.monotonic, |loaded| self.listed.listing(loaded));
    }
}

/// The features that the loader says are registered by the digest of an image, so that an older index is a rollback that
/// was asked for (contract §4). It decides what is reported and nothing else: revoked stays revoked.
fn registered_images(artifacts_dir: &Path) -> BTreeSet<String> {
    let report = LoaderReport::read(artifacts_dir).unwrap_or_default();
    let images = report.status.features.into_iter().filter(|(_, feature)| feature.is_image());
    images.map(|(id, _)| id.into()).collect()
}

/// A feature whose index cannot be trusted goes on with what it had (contract §6).
fn keep_last_good(
    id: FeatureId,
    trouble: IndexTrouble,
    before: Option<&FeatureState>,
    context: &Context<'_>,
) -> FeatureState {
    let picked = before.and_then(|state| state.picked.clone());
    let key_expired = picked.as_ref().and_then(|loaded| expired(loaded, context));
    let standing = if picked.is_some() { Standing::LastGood } else { Standing::NothingToServe };
    FeatureState {
        id,
        index: Err(trouble),
        picked,
        standing,
        attempts: Vec::new(),
        mount: before.and_then(|state| state.mount.clone()),
        conflict: None,
        key_expired,
    }
}

/// The key that a version was loaded by, if its time is over: what is in memory goes on serving.
fn expired(loaded: &LoadedVersion, context: &Context<'_>) -> Option<KeyExpired> {
    let not_after = context.keys.get(&loaded.key_id)?.not_after()?;
    (context.now > not_after).then(|| KeyExpired { key_id: loaded.key_id.clone(), not_after })
}

/// The version from before, unless the new, verified index forbids it.
fn last_good(before: Option<&FeatureState>, index: &ReleaseIndex) -> Option<Arc<LoadedVersion>> {
    let loaded = before?.picked.clone()?;
    let version = &loaded.manifest.version;
    let revoked = index.entry(version).is_some_and(|entry| entry.revoked.is_some());
    (!revoked && !index.is_below_floor(version)).then_some(loaded)
}

/// Where a feature with nothing to serve would live, so that its URLs say "come back later" and not "no such
/// page". Only a signed manifest is believed.
fn signed_mount(source: &FeatureDir, index: &ReleaseIndex, context: &Context<'_>) -> Option<Mount> {
    index
        .versions
        .iter()
        .filter(|entry| entry.version <= index.active_version)
        .find_map(|entry| verify::manifest(source, index, entry, context).ok())
        .and_then(|manifest| domain_mount(&manifest))
}

/// Only a domain feature owns a URL prefix; what else may have a `mount` is embedded by others.
fn domain_mount(manifest: &Manifest) -> Option<Mount> {
    manifest.mount.clone().filter(|_| manifest.feature_type == FeatureType::Domain)
}

/// Equal prefixes: whoever held it keeps it, otherwise the lower id (contract §6). A feature that has nothing
/// to serve holds its prefix as well: nobody else gets its URLs while it is broken.
fn settle_conflicts(
    features: &mut BTreeMap<FeatureId, FeatureState>,
    before: &BTreeMap<FeatureId, FeatureState>,
) {
    let prefix_of = |state: &FeatureState| {
        Some(state.mount.as_ref()?.path_prefix.trim_end_matches('/').to_owned())
    };
    let held = |id: &FeatureId, prefix: &str| {
        before.get(id).is_some_and(|state| {
            state.standing != Standing::Conflict && prefix_of(state).as_deref() == Some(prefix)
        })
    };
    let mut owners: BTreeMap<String, FeatureId> = BTreeMap::new();
    for (id, state) in features.iter() {
        let Some(prefix) = prefix_of(state) else { continue };
        // In order of ids, so the first to come is the lower one.
        let replaces =
            owners.get(&prefix).is_none_or(|owner| held(id, &prefix) && !held(owner, &prefix));
        if replaces {
            owners.insert(prefix, id.clone());
        }
    }
    for (id, state) in features.iter_mut() {
        let Some(owner) = prefix_of(state).and_then(|prefix| owners.get(&prefix)) else { continue };
        if owner != id {
            state.conflict = Some(owner.clone());
            state.standing = Standing::Conflict;
        }
    }
}
