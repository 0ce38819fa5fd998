//! What the loader must remember of a feature when it is started again: one small file each, beneath
//! `<ARTIFACTS_DIR>/.loader/records/`.
//!
//! A record says that the loader has put the feature there, so that it may take it out again; what others have
//! published into the directory is never touched. It is written before the index that it speaks of, and believed
//! only where that index is in place.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pilar_artifact::json::parse_object;
use pilar_artifact::loader_status::LOADER_DIRECTORY;
use pilar_artifact::verify::ReadArtifact as _;
use pilar_artifact::{FeatureId, Limits, RELEASES_FILE, Sha256Digest};
use pilar_store::{FeatureDir, Notes, Store, StoreError};
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::problem::Problem;

/// What is remembered of one feature.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// What is in place; `None` once it was taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed: Option<Placement>,
    /// The digest of the index before, as hex, where the loader has placed that one too: it is in the tree still where
    /// a loader was killed between the record and the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// The highest sequence that was accepted over a CDN: a lower one is refused, even after the feature was
    /// taken out and came back (contract §4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest_sequence: Option<u64>,
    /// Versions on the disk that the index does not name any more, and since when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left: BTreeMap<Version, Timestamp>,
}

/// What is in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// The image digest or CDN base URL that it came from.
    pub origin: String,
    /// What the CDN said of its index, to ask whether there is a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator: Option<String>,
    /// The ConfigMap or file that registered it.
    pub registered_in: String,
    /// The digest of the release index, as hex.
    pub index_sha256: String,
    /// The sequence of that index.
    pub sequence: u64,
    /// The active version of that index.
    pub active_version: Version,
    /// By when the index of a CDN is to be replaced, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The versions that passed verification.
    pub versions: Vec<Version>,
    /// When it came.
    pub at: Timestamp,
}

impl Record {
    /// Whether the loader has placed `index`; nobody has published anything where there is none.
    pub fn is_ours(&self, index: Option<Sha256Digest>) -> bool {
        let Some(placed) = &self.placed else { return false };
        index.is_none_or(|found| {
            placed.is_of(index) || self.replaced.as_ref().is_some_and(|hex| found.hex() == *hex)
        })
    }
}

impl Placement {
    /// Whether `index` is the one that it speaks of.
    pub fn is_of(&self, index: Option<Sha256Digest>) -> bool {
        index.is_some_and(|index| index.hex() == self.index_sha256)
    }

    /// A remote index whose time is over keeps serving, and that is said loudly (contract §4).
    pub fn stale(&self, now: Timestamp) -> Option<Problem> {
        let end = self.expires_at.filter(|end| *end < now)?;
        Some(Problem::new(
            "index-stale",
            format!("{RELEASES_FILE}: it was to be replaced by {end}; it goes on serving"),
            "publish a new index, and see whether the CDN serves an old copy",
        ))
    }
}

/// The directory of the records, in that of the loader.
const RECORDS: &str = "records";

/// The records of an artifacts directory.
#[derive(Debug, Clone)]
pub struct Records {
    store: Store,
}

impl Records {
    /// Those in `store`.
    pub fn of(store: Store) -> Self {
        Self { store }
    }

    /// All of them, and takes away what a killed loader was writing. One that cannot be read is logged and left out:
    /// its feature is then one that others have put there, until it is registered again.
    ///
    /// # Errors
    /// A [`Problem`] where the directory cannot be made or listed.
    pub fn load(&self) -> Result<BTreeMap<FeatureId, Record>, Problem> {
        let own = self.own()?;
        sweep(&own)?;
        let records = match own.below(RECORDS) {
            Err(StoreError::NotADirectory { path }) => {
                let aside = format!("{RECORDS}.aside");
                own.put_aside(RECORDS, &aside)?;
                tracing::error!(
                    code = "record-unreadable",
                    "{}: it was no directory and is {aside} now; what was remembered of all features is lost",
                    path.display()
                );
                own.below(RECORDS)?
            }
            records => records?,
        };
        sweep(&records)?;
        let (dir, mut all) = (records.read()?, BTreeMap::new());
        for name in records.names()? {
            let id = name.strip_suffix(".json").map(str::parse::<FeatureId>);
            let Some(Ok(id)) = id else { continue };
            match read(&dir, &name) {
                Ok(record) => {
                    all.insert(id, record);
                }
                Err(reason) => tracing::error!(
                    code = "record-unreadable",
                    feature = id.as_str(),
                    "what was remembered of the feature is lost, its highest sequence with it: {reason}"
                ),
            }
        }
        Ok(all)
    }

    /// Writes one.
    ///
    /// # Errors
    /// A [`Problem`]; the old one is still there.
    pub fn save(&self, feature: &FeatureId, record: &Record) -> Result<(), Problem> {
        let name = format!("{feature}.json");
        let bytes = serde_json::to_vec(record).map_err(|error| {
            let remedy = "it is tried again; please report it";
            Problem::new("internal", format!("{RECORDS}/{name}: {error}"), remedy)
        })?;
        Ok(self.own()?.below(RECORDS)?.replace(&name, &bytes)?)
    }

    fn own(&self) -> Result<Notes, StoreError> {
        self.store.notes(LOADER_DIRECTORY)
    }
}

fn read(dir: &FeatureDir, name: &str) -> Result<Record, String> {
    let limits = Limits::default();
    let bytes = dir.read(name, limits.json_bytes).map_err(|error| error.to_string())?;
    let document = parse_object(&bytes, &limits).map_err(|error| error.to_string())?;
    serde_json::from_value(Value::Object(document)).map_err(|error| error.to_string())
}

/// Takes away what was being written when a loader was killed; whoever has the claim is the only one who writes.
fn sweep(notes: &Notes) -> Result<(), StoreError> {
    let names = notes.names()?;
    let unfinished = names.iter().filter(|name| name.starts_with('.') && name.ends_with(".tmp"));
    unfinished.for_each(|name| notes.clear(name));
    Ok(())
}
