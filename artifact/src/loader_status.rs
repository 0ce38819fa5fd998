//! What the loader says of its work, in `<ARTIFACTS_DIR>/.loader/status.json` (contract §12).
//!
//! It is for people and dashboards: it is not signed, and nothing of it decides what serves. Who reads it may be of
//! another version than who wrote it, so whatever is missing, unknown or of another type is left out, and the rest
//! is read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use semver::Version;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::json::{JsonError, parse_object};
use crate::{FeatureId, Limits};

/// What a loader keeps for itself is here, in the artifacts directory.
pub const LOADER_DIRECTORY: &str = ".loader";

/// Where the status is, in the artifacts directory.
pub const LOADER_STATUS_FILE: &str = ".loader/status.json";

/// So many features and refused registrations are read.
const MOST_ENTRIES: usize = 1000;

/// Readers look at so many bytes of it; a longer one is none.
pub const LOADER_STATUS_BYTES: usize = 1 << 20;

/// So many of them at most are for features; where the loader gets its registrations from and how many are left out takes
/// the last, and refused registrations have the rest.
const MOST_FEATURE_BYTES: usize = LOADER_STATUS_BYTES / 4 * 3;
const MOST_HEAD_BYTES: usize = 64 << 10;

/// Longer texts are cut, when they are written as when they are read. No value of a registration is longer.
const MOST_CHARACTERS: usize = 2048;

/// Everything that the loader says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoaderStatus {
    /// When it was written.
    #[serde(default, deserialize_with = "or_default")]
    #[schemars(with = "String")]
    pub updated_at: Option<Timestamp>,
    /// Where registrations come from.
    #[serde(default, deserialize_with = "or_default")]
    pub source: SourceStatus,
    /// Each feature that the loader looks after.
    #[serde(default, deserialize_with = "features")]
    pub features: BTreeMap<FeatureId, LoaderFeature>,
    /// Registrations that are not acceptable. What was taken from such a place before stays.
    #[serde(default, deserialize_with = "entries", skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedRegistration>,
    /// For how many features and refused registrations there was no room: the file has up to 1000 of each, and 1 MiB.
    /// What is in place is left out first.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

/// Where registrations come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// `kubernetes`, `directory` or `command`.
    #[serde(default, deserialize_with = "or_default")]
    pub kind: String,
    /// When it was last heard from, as of `updatedAt`.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_contact_at: Option<Timestamp>,
    /// Why it is not heard from.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub error: Option<LoaderError>,
}

/// One feature.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoaderFeature {
    /// The image digest or CDN base URL that is registered; absent while the feature is being taken out.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
    /// The one that is in place.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// Who says which release index is the right one: `image`, the registered digest, so that an older index is a
    /// rollback; `cdn`, the sequence of the index itself, which never goes back.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginKind>,
    /// The ConfigMap or file that registers it.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub registered_in: Option<String>,
    /// The digest of the release index that is in place.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub index_sha256: Option<String>,
    /// The sequence of that index.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The active version of that index.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub active_version: Option<Version>,
    /// How often it was tried since it last succeeded.
    #[serde(default, deserialize_with = "or_default")]
    pub attempts: u64,
    /// Why it did not succeed.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LoaderError>,
    /// What is wrong with what is in place, though it serves on: `index-stale`, `version-damaged`.
    #[serde(default, deserialize_with = "entries", skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<LoaderError>,
    /// When it was last tried.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_attempt_at: Option<Timestamp>,
    /// When it last succeeded.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_success_at: Option<Timestamp>,
    /// When it is tried again.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub next_attempt_at: Option<Timestamp>,
    /// How long the last success took, in milliseconds.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How many bytes came over the network for it.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub transferred_bytes: Option<u64>,
}

/// What kind of place an artifact comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OriginKind {
    /// An image at a digest.
    Image,
    /// A CDN base URL.
    Cdn,
}

/// A registration that is not acceptable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedRegistration {
    /// The ConfigMap or file.
    #[serde(default, deserialize_with = "or_default")]
    pub place: String,
    /// The feature that it names, where that much could be read.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub feature_id: Option<FeatureId>,
    /// Why.
    #[serde(default, deserialize_with = "or_default")]
    pub error: LoaderError,
}

/// What went wrong, and what to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoaderError {
    /// The stable code.
    #[serde(default, deserialize_with = "or_default")]
    pub code: String,
    /// What went wrong.
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
    /// What to do.
    #[serde(default, deserialize_with = "or_default")]
    pub remedy: String,
}

impl LoaderStatus {
    /// The bytes of the file, as many as readers take.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut listed: Vec<_> = self.features.iter().collect();
        listed.sort_by_key(|(_, feature)| feature.has_converged());
        let mut room = Room(MOST_FEATURE_BYTES);
        let written = listed.into_iter().take(MOST_ENTRIES).map_while(|(id, feature)| {
            let fields = room.written(feature)?;
            Some((id.to_string(), fields))
        });
        let features: Map<String, Value> = written.collect();
        let mut room = Room(room.0 + LOADER_STATUS_BYTES - MOST_FEATURE_BYTES - MOST_HEAD_BYTES);
        let first = self.refused.iter().take(MOST_ENTRIES);
        let refused: Vec<Value> = first.map_while(|one| room.written(one)).collect();
        let all = self.features.len() + self.refused.len();
        let left_out = all - features.len() - refused.len();
        let mut document = to_value(&Self {
            updated_at: self.updated_at,
            source: self.source.clone(),
            left_out: self.left_out + left_out as u64,
            ..Self::default()
        });
        if let Value::Object(document) = &mut document {
            document.insert("features".to_owned(), features.into());
            if !refused.is_empty() {
                document.insert("refused".to_owned(), refused.into());
            }
        }
        // Maps with text as keys, text and numbers: nothing in it can fail to be written.
        let mut bytes = serde_json::to_vec(&document).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads the content of the file, of up to 1 MiB.
    ///
    /// # Errors
    /// A [`JsonError`] where it is no JSON object at all.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JsonError> {
        let mut document = Value::Object(parse_object(bytes, &Limits::default())?);
        shorten(&mut document);
        Ok(serde_json::from_value(document).unwrap_or_default())
    }
}

impl SourceStatus {
    /// Whether the loader says where registrations come from.
    pub fn is_known(&self) -> bool {
        !self.kind.is_empty()
    }
}

impl LoaderFeature {
    /// Whether an image is registered: then the registered digest says which index is the right one, and an older
    /// one is a rollback (contract §4).
    pub fn is_image(&self) -> bool {
        self.origin == Some(OriginKind::Image)
    }

    /// Whether the loader keeps it from before without knowing yet what is registered: it was started again, and has not
    /// heard from where registrations come from, or not so that it could be understood.
    pub fn is_kept(&self) -> bool {
        self.desired.is_none() && self.registered_in.is_some()
    }

    /// Whether what is registered is in place, as far as that is known.
    pub fn has_converged(&self) -> bool {
        (self.desired == self.actual || self.is_kept()) && self.last_error.is_none()
    }
}

/// So many bytes of the file.
struct Room(usize);

impl Room {
    /// A feature or a refused registration; none where there is no room for it.
    fn written(&mut self, entry: &impl Serialize) -> Option<Value> {
        let value = to_value(entry);
        // With the id of a feature, and what stands between two.
        let bytes = value.to_string().len() + 128;
        self.0 = self.0.checked_sub(bytes)?;
        Some(value)
    }
}

/// As the file has it.
fn to_value(part: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(part).unwrap_or_default();
    shorten(&mut value);
    value
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What has another type than it should counts as missing.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

fn features<'de, D>(deserializer: D) -> Result<BTreeMap<FeatureId, LoaderFeature>, D::Error>
where
    D: Deserializer<'de>,
{
    let listed: Map<String, Value> = or_default(deserializer)?;
    let feature = |(id, fields): (String, Value)| Some((id.parse().ok()?, entry(fields)?));
    Ok(listed.into_iter().filter_map(feature).take(MOST_ENTRIES).collect())
}

fn entries<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let listed: Vec<Value> = or_default(deserializer)?;
    Ok(listed.into_iter().filter_map(entry).take(MOST_ENTRIES).collect())
}

/// One of several; what is no object is none.
fn entry<T: DeserializeOwned>(fields: Value) -> Option<T> {
    fields.is_object().then(|| serde_json::from_value(fields).ok()).flatten()
}

/// Cuts long texts, and takes out what would move the cursor of whoever reads them.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => {
            *text = text.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect();
        }
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> LoaderStatus {
        LoaderStatus::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_missing_or_strange_is_left_out_and_the_rest_is_read() {
        assert_eq!(read("{}"), LoaderStatus::default());
        let status = read(
            r#"{ "updatedAt": 7, "source": { "kind": "directory", "lastContactAt": "yesterday" }, "more": [],
                "features": {
                    "notes": { "desired": "sha256:aa", "actual": "sha256:aa", "attempts": -1, "durationMs": 12,
                        "origin": "carrier-pigeon", "activeVersion": "next" },
                    "broken": [], "Not an id": {},
                    "gone": { "actual": "sha256:cc", "warnings": [7, { "code": "index-stale" }] },
                    "kept": { "actual": "sha256:dd", "registeredIn": "kept.yaml" },
                    "alpha": { "desired": "sha256:bb", "lastError": { "code": "unreachable", "message": "no route" } } },
                "refused": [7, { "place": "b.yaml", "error": { "code": "registration-value", "message": 1 } }] }"#,
        );
        let ids: Vec<&str> = status.features.keys().map(FeatureId::as_str).collect();
        assert_eq!((ids, status.updated_at), (vec!["alpha", "gone", "kept", "notes"], None));
        assert_eq!((&*status.source.kind, status.source.last_contact_at), ("directory", None));
        let of = |id: &str| &status.features[&id.parse().unwrap()];
        assert!(of("notes").has_converged() && !of("notes").is_image());
        assert_eq!((of("notes").attempts, of("notes").duration_ms), (0, Some(12)));
        assert!(!of("alpha").has_converged() && !of("gone").has_converged());
        assert!(of("kept").has_converged(), "what is registered is not known");
        let [warning] = &*of("gone").warnings else { panic!("{status:?}") };
        assert_eq!(warning.code, "index-stale");
        let [refused] = &*status.refused else { panic!("{status:?}") };
        assert_eq!((&*refused.place, &*refused.error.code), ("b.yaml", "registration-value"));
    }

    #[test]
    fn what_was_written_is_read_again() {
        let time = Some("2026-03-02T08:12:40Z".parse().unwrap());
        let error = LoaderError {
            code: "cluster-unreachable".to_owned(),
            message: "no route".to_owned(),
            remedy: "see the network".to_owned(),
        };
        let feature = LoaderFeature {
            desired: Some("sha256:bb".to_owned()),
            origin: Some(OriginKind::Image),
            active_version: Some("1.2.3".parse().unwrap()),
            attempts: 3,
            last_error: Some(error.clone()),
            next_attempt_at: time,
            ..LoaderFeature::default()
        };
        let status = LoaderStatus {
            updated_at: time,
            source: SourceStatus {
                kind: "kubernetes".to_owned(),
                last_contact_at: time,
                error: Some(error.clone()),
            },
            features: [("notes".parse().unwrap(), feature)].into(),
            refused: vec![RefusedRegistration {
                place: "ward/notes".to_owned(),
                feature_id: Some("notes".parse().unwrap()),
                error,
            }],
            left_out: 0,
        };
        assert_eq!(LoaderStatus::from_bytes(&status.to_bytes()), Ok(status));
    }

    #[test]
    fn no_file_is_written_that_readers_refuse_and_what_fails_is_in_it() {
        let long = "\u{10348}".repeat(2000);
        let error = LoaderError { code: long.clone(), message: long.clone(), remedy: long.clone() };
        let place = |number: usize| format!("{number}/{long}");
        let refused = |number| RefusedRegistration {
            place: place(number),
            feature_id: None,
            error: error.clone(),
        };
        let feature = |number| LoaderFeature {
            desired: Some(place(number)),
            actual: Some(place(number)),
            registered_in: Some(long.clone()),
            index_sha256: Some(long.clone()),
            last_error: (number == 4999).then(|| error.clone()),
            ..LoaderFeature::default()
        };
        let id = |number: usize| format!("feature-{number}").parse::<FeatureId>().unwrap();
        let source =
            SourceStatus { kind: long.clone(), error: Some(error.clone()), ..Default::default() };
        for (features, refusals) in [(5000, 5000), (5000, 0), (0, 5000)] {
            let status = LoaderStatus {
                source: source.clone(),
                features: (0..features).rev().map(|number| (id(number), feature(number))).collect(),
                refused: (0..refusals).map(refused).collect(),
                ..LoaderStatus::default()
            };
            let bytes = status.to_bytes();
            assert!(bytes.len() < LOADER_STATUS_BYTES, "{}", bytes.len());
            let read = LoaderStatus::from_bytes(&bytes).unwrap();
            let there = read.features.len() + read.refused.len();
            assert!(there > 20 && there + read.left_out as usize == features + refusals);
            assert!(features == 0 || read.features.contains_key(&id(4999)));
            assert!(refusals == 0 || !read.refused.is_empty());
        }
        // Usual ones are all there, up to what readers take.
        let small = LoaderFeature { desired: Some("sha256:aa".to_owned()), ..Default::default() };
        let status = LoaderStatus {
            features: (0..1001).map(|number| (id(number), small.clone())).collect(),
            ..LoaderStatus::default()
        };
        let read = LoaderStatus::from_bytes(&status.to_bytes()).unwrap();
        assert_eq!((read.features.len(), read.left_out), (1000, 1));
    }

    #[test]
    fn no_file_is_too_bad_or_too_large_to_be_refused_or_cut() {
        for bytes in [&b"[]"[..], b"{", b"\xff", &vec![b'['; 200_000], &vec![b' '; 2 << 20]] {
            assert!(LoaderStatus::from_bytes(bytes).is_err());
        }
        let long = "é".repeat(5000);
        let status = read(&format!(
            r#"{{ "refused": [{{ "place": "a\n\u001b[31mb", "error": {{ "message": "{long}" }} }}] }}"#
        ));
        assert_eq!(status.refused[0].place, "a[31mb");
        assert_eq!(status.refused[0].error.message.chars().count(), MOST_CHARACTERS);
    }
}
