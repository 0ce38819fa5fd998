//! Loading listed versions that do not serve, once what serves is in place (contract §6, skew protection).

use std::collections::BTreeMap;
use std::fs;
use std::hash::BuildHasher as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use pilar_artifact::index::IndexEntry;
use pilar_artifact::verify::Context;
use pilar_artifact::{FeatureId, ReleaseIndex, Sha256Digest};
use pilar_store::FeatureDir;
use rayon::prelude::*;
use semver::Version;

use super::load::{self, LoadedVersion};
use super::retain::{ByFeature, Listing};
use super::{Catalog, Contents, Now};

/// The verified indexes of all features, and what is not to be tried again with them.
#[derive(Debug, Default)]
pub(super) struct Listed {
    indexes: BTreeMap<FeatureId, Arc<ReleaseIndex>>,
    /// Versions that failed, or that are larger than any room there was, by manifest.
    given_up: BTreeMap<(FeatureId, Sha256Digest), GivenUp>,
    /// Whether something was loaded that is in no snapshot yet.
    pub(super) unpublished: bool,
}

/// Versions that each thread loads before a refresh can have its turn.
const BATCH: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivenUp {
    /// Failed under the index of this sequence, with these files.
    Failed(u64, Files),
    /// It has this many bytes.
    Large(u64),
}

/// What tells whether anybody has touched the files of a version.
type Files = u64;

/// A version that could be loaded.
struct Candidate<'a> {
    index: &'a ReleaseIndex,
    entry: &'a IndexEntry,
    place: usize,
}

impl Listed {
    /// Takes the indexes of a refresh; a feature without a verified one keeps what it had.
    pub(super) fn update(&mut self, index: Arc<ReleaseIndex>) {
        self.indexes.insert(index.feature_id.clone(), index);
    }

    /// Forgets the features that are gone.
    pub(super) fn keep_only(&mut self, is_there: impl Fn(&FeatureId) -> bool) {
        self.indexes.retain(|id, _| is_there(id));
        let indexes = &self.indexes;
        self.given_up.retain(|(id, manifest), _| {
            indexes.get(id).is_some_and(|index| {
                index.versions.iter().any(|entry| entry.manifest_sha256.0 == *manifest)
            })
        });
    }

    /// What the index of its feature says of a version.
    pub(super) fn listing(&self, loaded: &LoadedVersion) -> Listing {
        let Some(index) = self.indexes.get(&loaded.manifest.id) else { return Listing::Unlisted };
        let version = &loaded.manifest.version;
        let Some(entry) = index.entry(version) else { return Listing::Unlisted };
        if entry.revoked.is_some() {
            return Listing::Forbidden;
        }
        // A version whose bytes are not those of the entry served once; nobody vouches for it any more.
        if !loaded.is_meant_by(entry) || !may_be_listed(index, entry) {
            return Listing::Unlisted;
        }
        Listing::Listed(place(index, entry))
    }

    /// What could be loaded, the nearest to what is released first.
    fn candidates(&self) -> Vec<Candidate<'_>> {
        let mut candidates: Vec<Candidate<'_>> = self
            .indexes
            .values()
            .flat_map(|index| index.versions.iter().map(move |entry| (index, entry)))
            .filter(|(index, entry)| may_be_listed(index, entry))
            .map(|(index, entry)| Candidate { index, entry, place: place(index, entry) })
            .collect();
        candidates.sort_by_key(|candidate| candidate.place);
        candidates
    }

    fn is_hopeless(&self, candidate: &Candidate<'_>, room: u64, artifacts_dir: &Path) -> bool {
        let key = (candidate.index.feature_id.clone(), candidate.entry.manifest_sha256.0);
        match self.given_up.get(&key) {
            Some(GivenUp::Failed(sequence, files)) => {
                *sequence == candidate.index.sequence && *files == candidate.files(artifacts_dir)
            }
            Some(GivenUp::Large(bytes)) => *bytes > room,
            None => false,
        }
    }
}

impl Candidate<'_> {
    fn is_among(&self, in_memory: &ByFeature<'_>) -> bool {
        let versions = in_memory.get(&self.index.feature_id);
        versions.into_iter().flatten().any(|loaded| loaded.is_meant_by(self.entry))
    }

    /// Of each file its name, and what changes with its content. A directory that cannot be read has none.
    fn files(&self, artifacts_dir: &Path) -> Files {
        let version = self.entry.version.to_string();
        let entries =
            fs::read_dir(artifacts_dir.join(self.index.feature_id.as_str()).join(version));
        let mut files: Vec<_> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                let changed = (metadata.ctime(), metadata.ctime_nsec());
                Some((entry.file_name(), metadata.ino(), metadata.len(), changed))
            })
            .collect();
        files.sort();
        foldhash::fast::FixedState::default().hash_one(files)
    }
}

/// Below the floor nothing is fetched anew: whoever raised it wants those versions gone.
fn may_be_listed(index: &ReleaseIndex, entry: &IndexEntry) -> bool {
    entry.revoked.is_none() && !index.is_below_floor(&entry.version)
}

/// How many places a version is from the released one: pages that are still open come from its neighbours,
/// after a rollback from the higher one.
fn place(index: &ReleaseIndex, entry: &IndexEntry) -> usize {
    let position = |version: &Version| {
        index.versions.iter().position(|entry| entry.version == *version).unwrap_or(0)
    };
    position(&entry.version).abs_diff(position(&index.active_version))
}

/// How far loading listed versions has come.
#[derive(Debug)]
pub enum Progress {
    /// There is more to load; what was loaded is in no snapshot yet.
    More,
    /// There is nothing more to load. What a snapshot is built from, if anything was loaded.
    Done(Option<Contents>),
}

impl Catalog {
    /// Loads a few listed versions that are not in memory, as long as there is room.
    ///
    /// Takes no part in which version serves: a version that fails here is tried and reported when a fallback
    /// needs it. A few at a time, so that a refresh need not wait for all of them.
    pub fn load_listed(&mut self, now: Now) -> Progress {
        let (mut room, mut places) = self.retained.room();
        let context = self.settings.context(now);
        let mut in_memory = self.retained.by_feature();
        for (id, state) in &self.features {
            in_memory.entry(id).or_default().extend(&state.picked);
        }
        let batch: Vec<Candidate<'_>> = self
            .listed
            .candidates()
            .into_iter()
            .filter(|candidate| !candidate.is_among(&in_memory))
            .filter(|candidate| {
                room > 0 && !self.listed.is_hopeless(candidate, room, &self.settings.artifacts_dir)
            })
            .take(places.min(rayon::current_num_threads() * BATCH))
            .collect();
        if batch.is_empty() {
            let news = std::mem::take(&mut self.listed.unpublished);
            return Progress::Done(news.then(|| self.contents()));
        }
        let outcomes: Vec<_> = batch
            .par_iter()
            .map(|candidate| {
                let id = candidate.index.feature_id.clone();
                let key = (id, candidate.entry.manifest_sha256.0);
                // Before they are read: what changes meanwhile is tried again.
                let files = candidate.files(&self.settings.artifacts_dir);
                let failed = GivenUp::Failed(candidate.index.sequence, files);
                (key, failed, self.load_one(candidate, &context))
            })
            .collect();
        for (key, failed, outcome) in outcomes {
            match outcome {
                Some(loaded) if loaded.bytes <= room && places > 0 => {
                    room -= loaded.bytes;
                    places -= 1;
                    self.listed.unpublished = true;
                    self.retained.add_listed(loaded);
                }
                Some(loaded) => {
                    self.listed.given_up.insert(key, GivenUp::Large(loaded.bytes));
                }
                None => {
                    self.listed.given_up.insert(key, failed);
                }
            }
        }
        Progress::More
    }

    fn load_one(
        &self,
        candidate: &Candidate<'_>,
        context: &Context<'_>,
    ) -> Option<Arc<LoadedVersion>> {
        let id = &candidate.index.feature_id;
        let source = FeatureDir::open(&self.settings.artifacts_dir.join(id.as_str())).ok()?;
        match load::load(&source, candidate.index, candidate.entry, context) {
            Ok(loaded) => Some(Arc::new(loaded)),
            Err(rejection) => {
                tracing::info!(feature = %id, code = rejection.code(),
                    "a listed version cannot be kept for open pages: {rejection}");
                None
            }
        }
    }
}
