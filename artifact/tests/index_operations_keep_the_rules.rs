//! Whatever is done to an index, every index that the library makes or accepts keeps every rule of
//! contract §4.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{
    MemoryArtifact, attribution, context, documented_codes, entry, feature, key, now, trusted,
    verify_index,
};
use jiff::Timestamp;
use pilar_artifact::index::Revocation;
use pilar_artifact::json::parse_object;
use pilar_artifact::operations::{
    Channel, Operation, OperationError, Window, apply, apply_and_sign,
};
use pilar_artifact::{Limits, RELEASES_FILE, ReleaseIndex};
use proptest::prelude::*;
use proptest::test_runner::Config;
use semver::Version;
use serde_json::{Map, Value, json};

const HISTORY: usize = 6;

fn limits() -> Limits {
    Limits { history: HISTORY, versions: 12, ..Limits::default() }
}

/// Checks a document against the text of contract §4, without the library's own rules.
fn check_against_the_contract(
    document: &Map<String, Value>,
    limits: &Limits,
) -> Result<(), String> {
    let ensure = |holds: bool, rule: &str| if holds { Ok(()) } else { Err(rule.to_owned()) };
    let version = |value: &Value| -> Result<Version, String> {
        let text = value.as_str().ok_or("a version is text")?;
        Version::parse(text).map_err(|error| error.to_string())
    };
    let time = |value: &Value| -> Result<Timestamp, String> {
        value.as_str().ok_or("a time is text")?.parse().map_err(|_| "not a time".to_owned())
    };
    let digest = |value: &Value| {
        value.as_str().is_some_and(|text| {
            text.len() == 64 && text.chars().all(|c| "0123456789abcdef".contains(c))
                || text.starts_with("sha256")
        })
    };

    ensure(document.get("schemaVersion").is_none_or(|v| v == 1), "schemaVersion is 1")?;
    ensure(document["featureId"] == common::FEATURE, "featureId equals the directory")?;
    let sequence = document["sequence"].as_u64().ok_or("sequence is an integer")?;
    ensure(sequence >= 1, "sequence is at least 1")?;

    let entries = document["versions"].as_array().ok_or("versions is a list")?;
    let versions = entries.iter().map(|e| version(&e["version"])).collect::<Result<Vec<_>, _>>()?;
    ensure(!versions.is_empty() && versions.len() <= limits.versions, "the number of versions")?;
    for pair in versions.windows(2) {
        ensure(pair[0].cmp_precedence(&pair[1]).is_gt(), "versions are unique and descending")?;
    }
    for entry in entries {
        ensure(digest(&entry["manifestSha256"]), "manifestSha256 is a digest")?;
        if let Some(revoked) = entry.get("revoked").filter(|value| !value.is_null()) {
            ensure(revoked["reason"].is_string(), "revoked has a reason")?;
            time(&revoked["at"])?;
        }
    }
    let active = version(&document["activeVersion"])?;
    ensure(versions.contains(&active), "activeVersion appears in versions")?;
    if let Some(floor) = document.get("minimumVersion").filter(|value| !value.is_null()) {
        version(floor)?;
    }

    let channels = document.get("channels").cloned().unwrap_or(json!({}));
    for (channel, value) in channels.as_object().ok_or("channels is a map")? {
        let named = version(value)?;
        ensure(versions.contains(&named), "a channel names a listed version")?;
        ensure(channel != "stable" || named == active, "activeVersion is channels.stable")?;
    }
    if let Some(rollout) = document.get("rollout").filter(|value| !value.is_null()) {
        let percent = rollout["percent"].as_u64().ok_or("percent is an integer")?;
        ensure(percent <= 100, "percent is at most 100")?;
        ensure(rollout["version"] == channels["canary"], "a rollout is that of the canary")?;
        time(&rollout["startedAt"])?;
        ensure(rollout["soakSeconds"].is_u64(), "soakSeconds is an integer")?;
    }
    let history = document.get("history").cloned().unwrap_or(json!([]));
    let mut newest = sequence;
    for (position, entry) in history.as_array().ok_or("history is a list")?.iter().enumerate() {
        let this = entry["sequence"].as_u64().ok_or("a history entry has a sequence")?;
        ensure(this < newest || (position == 0 && this == newest), "history is newest first")?;
        newest = this;
        ensure(entry["action"].is_string(), "a history entry has an action")?;
        version(&entry["version"])?;
        time(&entry["at"])?;
    }
    Ok(())
}

fn a_version() -> impl Strategy<Value = Version> {
    // Few and close together, so that operations meet each other; pre-releases and build metadata too.
    (0_u64..2, 0_u64..4, prop::sample::select(vec!["", "", "", "-rc.1", "-rc.2", "+a", "+b"]))
        .prop_map(|(minor, patch, suffix)| format!("1.{minor}.{patch}{suffix}").parse().unwrap())
}

fn an_operation() -> impl Strategy<Value = Operation> {
    let publish = |channel| {
        move |(version, content): (Version, u8)| Operation::Publish {
            entry: Box::new(entry(&version.to_string(), &[content])),
            channel,
        }
    };
    prop_oneof![
        4 => (a_version(), 0_u8..2).prop_map(publish(Channel::Stable)),
        3 => (a_version(), 0_u8..2).prop_map(publish(Channel::Canary)),
        2 => (a_version(), 0_u8..=120, any::<u64>().prop_map(|n| n >> 8)).prop_map(
            |(version, percent, soak_seconds)| Operation::Canary { version, percent, soak_seconds }
        ),
        2 => prop::option::of(a_version()).prop_map(|version| Operation::Promote { version }),
        3 => prop::option::of(a_version()).prop_map(|version| Operation::Rollback { version }),
        1 => Just(Operation::Fallback),
        2 => (a_version(), "[a ]{0,2}", any::<bool>()).prop_map(
            |(version, reason, even_if_nothing_serves)| Operation::Revoke { version, reason, even_if_nothing_serves }
        ),
        1 => a_version().prop_map(|version| Operation::RaiseFloor { version }),
    ]
}

fn is_revoked(index: &ReleaseIndex, version: &Version) -> bool {
    index.entry(version).is_some_and(|entry| entry.revoked.is_some())
}

fn below_floor(index: &ReleaseIndex, version: &Version) -> bool {
    index.minimum_version.as_ref().is_some_and(|floor| version.cmp_precedence(floor).is_lt())
}

/// What a step from one index to the next has to keep besides the rules of the document.
fn check_step(before: Option<&ReleaseIndex>, operation: &Operation, after: &ReleaseIndex) {
    assert_eq!(after.sequence, before.map_or(0, |index| index.sequence) + 1);
    let newest = after.history.first().unwrap();
    assert_eq!(newest.sequence, after.sequence);
    assert!(after.history.len() <= HISTORY);
    let Some(before) = before else { return };
    assert!(after.history[1..].iter().eq(before.history.iter().take(HISTORY - 1)));

    if after.active_version != before.active_version {
        assert!(!is_revoked(after, &after.active_version), "a revoked version became active");
        assert!(!below_floor(after, &after.active_version), "one below the floor became active");
    }
    if is_revoked(after, &after.active_version) {
        let forced = matches!(operation, Operation::Revoke { even_if_nothing_serves: true, .. });
        assert!(forced || is_revoked(before, &before.active_version));
    }
    if let Some(canary) = after.canary() {
        assert!(*canary > after.active_version && !is_revoked(after, canary));
    }
    // What was signed once is never taken back or rewritten.
    for entry in &after.versions {
        if let Some(old) = before.entry(&entry.version) {
            assert_eq!(old.manifest_sha256, entry.manifest_sha256);
            assert!(old.revoked.is_none() || old.revoked == entry.revoked);
        }
    }
    if let Some(floor) = &before.minimum_version {
        assert!(after.minimum_version.as_ref().unwrap() >= floor);
    }
}

static MADE: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);
static ACCEPTED: AtomicUsize = AtomicUsize::new(0);
static REJECTED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn random_operations_only_make_indexes_that_keep_the_rules() {
    random_operations();
    println!("random operations: {MADE:?} made an index, {REFUSED:?} were refused");
    assert!(MADE.load(Ordering::Relaxed) > 1000 && REFUSED.load(Ordering::Relaxed) > 1000);
}

/// Valid indexes, changed anywhere and signed again: what the library accepts keeps the rules.
#[test]
fn an_accepted_document_keeps_the_rules() {
    changed_documents();
    println!("changed and signed indexes: {ACCEPTED:?} accepted, {REJECTED:?} rejected");
    assert!(ACCEPTED.load(Ordering::Relaxed) > 20 && REJECTED.load(Ordering::Relaxed) > 20);
}

proptest! {
    #![proptest_config(Config { cases: 400, failure_persistence: None, ..Config::default() })]

    fn random_operations(
        operations in prop::collection::vec(an_operation(), 1..40),
        keep in 0_usize..4,
    ) {
        let (keys, limits, window) = (trusted(), limits(), Window { keep });
        let mut current: Option<ReleaseIndex> = None;
        for operation in &operations {
            let before = current.clone();
            let made = apply_and_sign(
                current.as_ref(), &feature(), operation, &attribution(), window, &limits, &key(),
            );
            let Ok((next, bytes)) = made else {
                prop_assert_eq!(&current, &before, "a refusal changed the index");
                REFUSED.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let document = parse_object(&bytes, &limits).unwrap();
            prop_assert_eq!(check_against_the_contract(&document, &limits), Ok(()));
            check_step(before.as_ref(), operation, &next);
            // What was written is what a host reads.
            let mut artifact = MemoryArtifact::default();
            artifact.0.insert(RELEASES_FILE.to_owned(), bytes);
            prop_assert_eq!(&verify_index(&artifact, &context(&keys)).unwrap(), &next);
            current = Some(next);
            MADE.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn changed_documents(
        operations in prop::collection::vec(an_operation(), 4..20),
        changes in prop::collection::vec((any::<prop::sample::Index>(), a_value()), 1..3),
    ) {
        let (keys, limits) = (trusted(), limits());
        let mut current = None;
        for operation in &operations {
            if let Ok(next) = apply(
                current.as_ref(), &feature(), operation, &attribution(), Window::default(), &limits,
            ) {
                current = Some(next);
            }
        }
        let Some(index) = current else { return Ok(()) };
        let bytes = index.sign(&key()).unwrap();
        let mut document = Value::Object(parse_object(&bytes, &limits).unwrap());
        for (which, value) in changes {
            let places = pointers(&document);
            *document.pointer_mut(&places[which.index(places.len())]).unwrap() = value;
        }
        let Value::Object(document) = document else { return Ok(()) };
        let mut artifact = MemoryArtifact::default();
        artifact.0.insert(RELEASES_FILE.to_owned(), key().sign_to_bytes(document.clone()));
        let mut context = context(&keys);
        context.limits = limits;
        let broken = check_against_the_contract_or_shape(&document, &limits);
        if verify_index(&artifact, &context).is_ok() {
            prop_assert_eq!(broken, Ok(()), "accepted: {}", Value::Object(document));
            ACCEPTED.fetch_add(1, Ordering::Relaxed);
        } else {
            REJECTED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// As [`check_against_the_contract`], where fields may be missing.
fn check_against_the_contract_or_shape(
    document: &Map<String, Value>,
    limits: &Limits,
) -> Result<(), String> {
    for field in ["featureId", "sequence", "activeVersion", "versions"] {
        if !document.contains_key(field) {
            return Err(format!("{field} is missing"));
        }
    }
    check_against_the_contract(document, limits)
}

fn a_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        a_version().prop_map(|version| version.to_string().into()),
        (0_u64..200).prop_map(Value::from),
        prop::sample::select(vec![
            json!(null),
            json!(-1),
            json!(1.5),
            json!(1e300),
            json!("v1.0.0"),
            json!("1.0"),
            json!([]),
            json!({}),
            json!("_shared"),
            json!("other"),
            json!({ "stable": "1.0.0" }),
        ]),
    ]
}

/// The pointer of every value below the root.
fn pointers(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, child)| (key.clone(), child)).collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(position, child)| (position.to_string(), child))
            .collect(),
        _ => Vec::new(),
    };
    children
        .into_iter()
        .flat_map(|(key, child)| {
            let below =
                pointers(child).into_iter().map(|rest| format!("/{key}{rest}")).collect::<Vec<_>>();
            std::iter::once(format!("/{key}")).chain(below)
        })
        .collect()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn do_to(
    index: Option<&ReleaseIndex>,
    operation: &Operation,
) -> Result<ReleaseIndex, OperationError> {
    apply(index, &feature(), operation, &attribution(), Window::default(), &limits())
}

fn published(text: &str, channel: Channel) -> Operation {
    Operation::Publish { entry: Box::new(entry(text, text.as_bytes())), channel }
}

/// 1.0.0 and 1.2.0 (active), a canary 1.3.0, 1.1.0 revoked, and the floor at 1.1.0.
fn example() -> ReleaseIndex {
    let mut index = None;
    for operation in [
        published("1.0.0", Channel::Stable),
        published("1.1.0", Channel::Stable),
        published("1.2.0", Channel::Stable),
        published("1.3.0", Channel::Canary),
        Operation::RaiseFloor { version: version("1.1.0") },
        revoke("1.1.0", false),
    ] {
        index = Some(do_to(index.as_ref(), &operation).unwrap());
    }
    index.unwrap()
}

fn revoke(text: &str, even_if_nothing_serves: bool) -> Operation {
    Operation::Revoke {
        version: version(text),
        reason: "a fault".to_owned(),
        even_if_nothing_serves,
    }
}

fn canary(text: &str, percent: u8, soak_seconds: u64) -> Operation {
    Operation::Canary { version: version(text), percent, soak_seconds }
}

#[test]
fn every_refusal_has_its_documented_code() {
    let index = example();
    let without_canary = do_to(Some(&index), &Operation::Fallback).unwrap();
    let last = ReleaseIndex { sequence: (1 << 53) - 1, ..index.clone() };
    let revoked_entry = {
        let mut new = entry("1.4.0", b"x");
        new.revoked = Some(Revocation { reason: "a fault".to_owned(), at: now() });
        Operation::Publish { entry: Box::new(new), channel: Channel::Stable }
    };
    let other_content = |text: &str| Operation::Publish {
        entry: Box::new(entry(text, b"other")),
        channel: Channel::Stable,
    };
    let promote = |text: &str| Operation::Promote { version: Some(version(text)) };
    let rollback = |text: &str| Operation::Rollback { version: Some(version(text)) };
    let raise = |text: &str| Operation::RaiseFloor { version: version(text) };
    let table = [
        ("nothing-published", None, promote("1.0.0")),
        ("already-published", Some(&index), published("1.2.0", Channel::Stable)),
        ("version-taken", Some(&index), other_content("1.2.0")),
        ("version-taken", Some(&index), other_content("1.2.0+rebuilt")),
        ("version-taken", Some(&index), other_content("1.3.0+rebuilt")),
        ("unknown-version", Some(&index), promote("1.9.0")),
        ("unknown-version", Some(&index), canary("1.9.0", 5, 60)),
        ("unknown-version", Some(&index), rollback("0.9.0")),
        ("unknown-version", Some(&index), revoke("0.9.0", true)),
        ("unknown-version", Some(&index), raise("1.9.0")),
        ("version-revoked", Some(&index), rollback("1.1.0")),
        ("version-revoked", Some(&index), revoke("1.1.0", false)),
        ("version-revoked", Some(&index), raise("1.1.0")),
        ("version-revoked", Some(&index), revoked_entry.clone()),
        ("version-revoked", None, revoked_entry),
        ("below-floor", Some(&index), rollback("1.0.0")),
        ("below-floor", Some(&index), published("1.0.5", Channel::Stable)),
        ("not-above-active", Some(&index), published("1.1.5", Channel::Stable)),
        ("not-above-active", Some(&index), published("1.2.0-rc.1", Channel::Canary)),
        ("not-above-active", Some(&index), promote("1.2.0")),
        ("not-below-active", Some(&index), rollback("1.3.0")),
        ("no-canary", Some(&without_canary), Operation::Promote { version: None }),
        ("no-canary", Some(&without_canary), Operation::Fallback),
        ("nothing-left", Some(&index), Operation::Rollback { version: None }),
        ("nothing-left", Some(&index), revoke("1.2.0", false)),
        ("floor-not-raised", Some(&do_to(Some(&index), &raise("1.2.0")).unwrap()), raise("1.2.0")),
        ("floor-above-active", Some(&index), raise("1.3.0")),
        ("percent-out-of-range", Some(&index), canary("1.3.0", 101, 60)),
        ("soak-out-of-range", Some(&index), canary("1.3.0", 5, 1 << 53)),
        (
            "no-reason",
            Some(&index),
            Operation::Revoke {
                version: version("1.2.0"),
                reason: " ".to_owned(),
                even_if_nothing_serves: false,
            },
        ),
        ("sequence-exhausted", Some(&last), published("1.4.0", Channel::Stable)),
    ];
    let mut seen = BTreeSet::new();
    let count = table.len();
    for (code, current, operation) in table {
        let error = do_to(current, &operation).unwrap_err();
        assert_eq!(error.code(), code, "{operation:?}: {error}");
        assert!(!error.to_string().is_empty() && !error.remedy().is_empty());
        seen.insert(code.to_owned());
    }

    let mut broken = index.clone();
    broken.sequence = 0;
    let error = do_to(Some(&broken), &Operation::Fallback).unwrap_err();
    assert!(matches!(error, OperationError::BadIndex(_)));
    assert_eq!(error.code(), "index-sequence");

    let small = Limits { json_bytes: 400, ..limits() };
    let (operation, window) = (published("1.4.0", Channel::Stable), Window::default());
    let error = apply_and_sign(
        Some(&index),
        &feature(),
        &operation,
        &attribution(),
        window,
        &small,
        &key(),
    )
    .unwrap_err();
    assert_eq!(error.code(), "index-too-large");
    seen.insert(error.code().to_owned());

    println!("refused operations: {count} cases, {} codes", seen.len());
    assert_eq!(seen, documented_codes("Codes of refused operations"));
}

#[test]
fn a_revoked_active_version_hands_over_to_the_next_one_that_may_serve() {
    let index = do_to(Some(&example()), &Operation::Promote { version: None }).unwrap();
    let index = do_to(Some(&index), &revoke("1.3.0", false)).unwrap();
    assert_eq!(index.active_version, version("1.2.0"));
    let index = do_to(Some(&index), &revoke("1.2.0", true)).unwrap();
    assert_eq!(index.active_version, version("1.2.0"), "1.0.0 is below the floor");
    let index = do_to(Some(&index), &published("1.4.0", Channel::Stable)).unwrap();
    assert_eq!(index.active_version, version("1.4.0"));
}

#[test]
fn unknown_fields_survive_an_operation() {
    let mut document = common::object(serde_json::to_value(example()).unwrap());
    document.insert("x-note".to_owned(), json!({ "kept": [1, 2.5] }));
    document["versions"][0]["x-entry"] = json!("kept");
    let index = ReleaseIndex::from_document(&document).unwrap();
    let next = do_to(Some(&index), &Operation::Fallback).unwrap();
    let written = serde_json::to_value(&next).unwrap();
    assert_eq!(written["x-note"], document["x-note"]);
    assert_eq!(written["versions"][0]["x-entry"], "kept");
}
