//! What `/_health` says of a snapshot (contract §7), ready when the snapshot is: whoever asks often costs nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pilar_artifact::FeatureId;
use pilar_artifact::select::{Attempt, Outcome};
use pilar_artifact::verify::Report;
use serde::Serialize;

use crate::catalog::{Contents, FeatureState, Ignored, RetainedVersion, Standing};
use crate::shell::Sdk;

/// So many names that are no feature are listed; the others are counted.
const MOST_IGNORED: usize = 100;

/// The part of `/_health` that stays the same while the snapshot does.
#[derive(Debug, PartialEq, Eq)]
pub struct Health {
    problems: Vec<Problem>,
    document: String,
    features: BTreeMap<FeatureId, String>,
    missing_shared: BTreeMap<FeatureId, Vec<String>>,
    overlaps: BTreeMap<FeatureId, Vec<Overlap>>,
    is_empty: bool,
}

/// A way not to be as released, and how many features or names are so; maybe none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// Its stable name; that of the [`Standing`] where it is one.
    pub kind: &'static str,
    /// How many.
    pub count: usize,
    words: &'static str,
}

impl Problem {
    /// The kind of problem that [`FeatureState::sequence_went_down_from`] tells of.
    pub const OLDER_INDEX: &str = "older-index";
    /// The kind of problem that [`FeatureState::serves_on_an_ended_key`] tells of.
    pub const ENDED_KEY: &str = "ended-key";
    /// The kind of problem that [`Health::missing_shared`] tells of.
    pub const MISSING_SHARED: &str = "missing-shared";
    /// A name in the artifacts directory that is no feature.
    const IGNORED_NAME: &str = "ignored-name";

    fn in_words(self) -> String {
        let Self { kind, count, words } = self;
        let subject = match (kind, count) {
            (Self::IGNORED_NAME, 1) => "name is",
            (Self::IGNORED_NAME, _) => "names are",
            (_, 1) => "feature has",
            _ => "features have",
        };
        format!("{count} {subject} {words}")
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    snapshot: SnapshotHealth<'a>,
    features: Vec<FeatureHealth>,
    /// What in the artifacts directory is no feature.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<IgnoredHealth<'a>>,
    ignored_count: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotHealth<'a> {
    id: &'a str,
    built_at: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FeatureHealth {
    feature_id: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_prefix: Option<String>,
    serving_version: Option<String>,
    desired_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_key_id: Option<String>,
    index: IndexHealth,
    versions: Vec<VersionHealth>,
    /// Versions that do not serve and whose files stay reachable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retained: Vec<RetainedHealth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conflict_with: Option<String>,
    /// Shared packages that it leaves out of its bundle, and that nobody provides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_shared: Vec<String>,
    /// Features with a longer prefix below its own, or a shorter one above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    overlaps: Vec<Overlap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_expired: Option<KeyExpiredHealth>,
}

/// A feature whose prefix lies above or below that of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overlap {
    /// Its prefix.
    pub prefix: String,
    /// Its id.
    pub feature_id: FeatureId,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyExpiredHealth {
    key_id: String,
    not_after: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct IndexHealth {
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_went_down_from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Report>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionHealth {
    version: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Report>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RetainedHealth {
    version: String,
    manifest_sha256: String,
    bytes: u64,
    /// When it stopped serving in this process; a version that is only listed has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    served_until: Option<String>,
}

#[derive(Debug, Serialize)]
struct IgnoredHealth<'a> {
    name: &'a str,
    code: &'static str,
    message: &'a str,
}

impl Health {
    pub(super) fn new(id: &str, built_at: Timestamp, contents: &Contents, sdk: &Sdk) -> Self {
        let provided = provided(contents, sdk);
        let overlaps = overlaps(&contents.features);
        let missing_shared: BTreeMap<FeatureId, Vec<String>> = contents
            .features
            .values()
            .map(|state| (state.id.clone(), missing_shared(state, &provided)))
            .filter(|(_, missing)| !missing.is_empty())
            .collect();
        let mut retained = retained(&contents.retained);
        let features: Vec<FeatureHealth> = contents
            .features
            .values()
            .map(|state| FeatureHealth {
                missing_shared: missing_shared.get(&state.id).cloned().unwrap_or_default(),
                overlaps: overlaps.get(&state.id).cloned().unwrap_or_default(),
                retained: retained.remove(&state.id).unwrap_or_default(),
                ..feature_health(state)
            })
            .collect();
        let problems = problems(contents, missing_shared.len());
        let each = features.iter().map(json);
        let each = contents.features.keys().cloned().zip(each).collect();
        let document = Document {
            snapshot: SnapshotHealth { id, built_at: built_at.to_string() },
            features,
            ignored: contents.ignored.iter().take(MOST_IGNORED).map(IgnoredHealth::new).collect(),
            ignored_count: contents.ignored.len(),
        };
        Self {
            problems,
            document: json(&document),
            features: each,
            missing_shared,
            overlaps,
            is_empty: contents.features.is_empty(),
        }
    }

    /// Every way not to be as released, and how many features or names are so.
    pub fn counted_problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What is not as released, in words; empty where all is.
    pub fn problems(&self) -> Vec<String> {
        let some = self.problems.iter().filter(|problem| problem.count > 0);
        some.copied().map(Problem::in_words).collect()
    }

    /// The same, behind what is wrong with the host itself: why changes are not noticed, and why the last
    /// refresh failed as a whole (empty if it did not).
    pub fn all_problems(&self, watch_error: Option<&str>, refresh_error: &str) -> Vec<String> {
        let refresh = (!refresh_error.is_empty())
            .then(|| "the last refresh failed; what served before goes on serving".to_owned());
        let watch =
            watch_error.map(|reason| format!("changes are not all noticed at once: {reason}"));
        refresh.into_iter().chain(watch).chain(self.problems()).collect()
    }

    /// Whether there is no feature at all.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Shared packages that a feature leaves out of its bundle, and that nobody provides.
    pub fn missing_shared(&self, id: &FeatureId) -> &[String] {
        self.missing_shared.get(id).map_or(&[], Vec::as_slice)
    }

    /// Features with a longer prefix below that of a feature, or a shorter one above.
    pub fn overlaps(&self, id: &FeatureId) -> &[Overlap] {
        self.overlaps.get(id).map_or(&[], Vec::as_slice)
    }

    /// A JSON object with the fields `snapshot`, `features`, `ignored` and `ignoredCount`.
    pub fn document(&self) -> &str {
        &self.document
    }

    /// The JSON object of one feature.
    pub fn feature(&self, id: &FeatureId) -> Option<&str> {
        self.features.get(id).map(String::as_str)
    }
}

impl<'a> IgnoredHealth<'a> {
    fn new(ignored: &'a Ignored) -> Self {
        Self { name: &ignored.name, code: ignored.code, message: &ignored.message }
    }
}

fn json(value: &impl Serialize) -> String {
    // Plain values only: serialising them into memory cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

/// What pages can import by name.
fn provided<'a>(contents: &'a Contents, sdk: &'a Sdk) -> BTreeSet<&'a str> {
    let serving = contents.features.values().filter_map(FeatureState::serving);
    let packages = serving.flat_map(|loaded| loaded.manifest.packages.keys());
    packages.map(String::as_str).chain(sdk.imports().map(|(specifier, _)| specifier)).collect()
}

fn missing_shared(state: &FeatureState, provided: &BTreeSet<&str>) -> Vec<String> {
    let wanted = state.serving().into_iter().flat_map(|loaded| loaded.manifest.shared.keys());
    wanted.filter(|name| !provided.contains(name.as_str())).cloned().collect()
}

/// Prefixes that lie below one another. Each owner serves its part (contract §6), which may surprise both.
fn overlaps(features: &BTreeMap<FeatureId, FeatureState>) -> BTreeMap<FeatureId, Vec<Overlap>> {
    let owners: BTreeMap<&str, &FeatureId> = features
        .values()
        .filter(|state| state.standing != Standing::Conflict)
        .filter_map(|state| {
            Some((state.mount.as_ref()?.path_prefix.trim_end_matches('/'), &state.id))
        })
        .collect();
    let mut overlaps: BTreeMap<FeatureId, Vec<Overlap>> = BTreeMap::new();
    let mut tell = |id: &FeatureId, prefix: &str, other: &FeatureId| {
        let overlap = Overlap { prefix: prefix.to_owned(), feature_id: other.clone() };
        overlaps.entry(id.clone()).or_default().push(overlap);
    };
    for (prefix, id) in &owners {
        for (end, _) in prefix.match_indices('/') {
            if let Some((above, owner)) = owners.get_key_value(&prefix[..end]) {
                tell(id, above, owner);
                tell(owner, prefix, id);
            }
        }
    }
    overlaps
}

/// Which together answer the first question of whoever looks, the worst first.
fn problems(contents: &Contents, missing: usize) -> Vec<Problem> {
    let states = || contents.features.values();
    let standing = |standing: Standing, words| Problem {
        kind: standing.as_str(),
        count: states().filter(|state| state.standing == standing).count(),
        words,
    };
    let ended = states().filter(|state| state.serves_on_an_ended_key()).count();
    let older = states().filter(|state| state.sequence_went_down_from().is_some()).count();
    vec![
        standing(Standing::NothingToServe, "nothing to serve"),
        standing(Standing::Conflict, "a prefix that another feature has"),
        standing(Standing::Fallback, "a fallback serving"),
        standing(Standing::LastGood, "the last good version serving after a failed refresh"),
        Problem {
            kind: Problem::MISSING_SHARED,
            count: missing,
            words: "a shared package missing that no shared set provides",
        },
        Problem {
            kind: Problem::OLDER_INDEX,
            count: older,
            words: "an older release index in place than before",
        },
        Problem {
            kind: Problem::ENDED_KEY,
            count: ended,
            words: "a version serving that was signed by a key that has ended: will not load after a restart",
        },
        Problem {
            kind: Problem::IGNORED_NAME,
            count: contents.ignored.len(),
            words: "ignored in the artifacts directory",
        },
    ]
}

/// What each feature retains.
fn retained(versions: &[RetainedVersion]) -> BTreeMap<&FeatureId, Vec<RetainedHealth>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for kept in versions {
        found.entry(&kept.version.manifest.id).or_default().push(RetainedHealth {
            version: kept.version.manifest.version.to_string(),
            manifest_sha256: kept.version.manifest_sha256.hex(),
            bytes: kept.version.bytes,
            served_until: kept.served_until.map(|until| until.wall.to_string()),
        });
    }
    found
}

/// What the state alone has to say.
fn feature_health(state: &FeatureState) -> FeatureHealth {
    let serving = state.serving().map(|loaded| &loaded.manifest);
    let (index, desired) = match &state.index {
        Ok(facts) => (
            IndexHealth {
                sequence: Some(facts.index.sequence),
                sequence_went_down_from: facts.sequence_went_down_from,
                key_id: Some(facts.key_id.clone()),
                refused: None,
            },
            Some(facts.index.active_version.to_string()),
        ),
        Err(trouble) => {
            let refused = Some(trouble.report(&state.id));
            (IndexHealth { refused, ..IndexHealth::default() }, None)
        }
    };
    FeatureHealth {
        feature_id: state.id.to_string(),
        state: state.standing.as_str(),
        display_name: serving.map(|manifest| manifest.display_name.clone()),
        feature_type: serving.map(|manifest| manifest.feature_type.as_str()),
        path_prefix: state.mount.as_ref().map(|mount| mount.path_prefix.clone()),
        serving_version: serving.map(|manifest| manifest.version.to_string()),
        desired_version: desired,
        channel: serving.map(|manifest| manifest.channel.clone()),
        manifest_sha256: state.serving().map(|loaded| loaded.manifest_sha256.hex()),
        manifest_key_id: state.serving().map(|loaded| loaded.key_id.clone()),
        index,
        versions: state.attempts.iter().map(version_health).collect(),
        conflict_with: state.conflict.as_ref().map(ToString::to_string),
        missing_shared: Vec::new(),
        overlaps: Vec::new(),
        retained: Vec::new(),
        key_expired: state.key_expired.as_ref().map(|key| KeyExpiredHealth {
            key_id: key.key_id.clone(),
            not_after: key.not_after.to_string(),
        }),
    }
}

fn version_health(attempt: &Attempt) -> VersionHealth {
    let (outcome, detail, refused) = match &attempt.outcome {
        Outcome::Serving => ("serving", None, None),
        Outcome::Rejected(rejection) => ("refused", None, Some(rejection.report())),
        Outcome::Revoked { reason, at } => {
            ("revoked", Some(format!("{reason} (since {at})")), None)
        }
        Outcome::BelowFloor { floor } => {
            ("below-floor", Some(format!("the index's minimumVersion is {floor}")), None)
        }
        Outcome::AboveActive => ("above-active", None, None),
        Outcome::Standby => ("standby", None, None),
    };
    VersionHealth { version: attempt.version.to_string(), outcome, detail, refused }
}
