//! The version that serves is the active one, else the next lower one that passes, is not revoked and not
//! below the floor (contract §6), and every version gets its reason.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::{MemoryArtifact, context, entry, feature, now, trusted, verify_index};
use pilar_artifact::index::Revocation;
use pilar_artifact::select::{Outcome, select};
use pilar_artifact::verify::{self, DropFiles};
use pilar_artifact::{Limits, Rejection, ReleaseIndex};
use proptest::prelude::*;
use proptest::test_runner::Config;
use semver::Version;
use serde_json::Map;

#[derive(Debug, Clone, Copy)]
struct Fate {
    loads: bool,
    revoked: bool,
}

/// Versions 1.0.0 to 1.(n-1).0 of these fates, lowest first.
fn index(fates: &[Fate], active: usize, floor: Option<usize>) -> ReleaseIndex {
    let versions = fates
        .iter()
        .enumerate()
        .rev()
        .map(|(number, fate)| {
            let mut entry = entry(&numbered(number).to_string(), &[]);
            entry.revoked =
                fate.revoked.then(|| Revocation { reason: "a fault".to_owned(), at: now() });
            entry
        })
        .collect();
    let index = ReleaseIndex {
        schema_version: 1,
        feature_id: feature(),
        sequence: 1,
        active_version: numbered(active),
        versions,
        minimum_version: floor.map(numbered),
        channels: [("stable".to_owned(), numbered(active))].into(),
        rollout: None,
        history: Vec::new(),
        expires_at: None,
        unknown: Map::new(),
    };
    index.check(&feature(), &Limits::default()).unwrap();
    index
}

fn numbered(number: usize) -> Version {
    Version::new(1, number as u64, 0)
}

fn number(version: &Version) -> usize {
    version.minor as usize
}

/// A real refusal, to hand out.
fn rejection() -> Rejection {
    verify_index(&MemoryArtifact::default(), &context(&trusted())).unwrap_err()
}

proptest! {
    #![proptest_config(Config { cases: 4000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn selection_is_what_the_contract_says(
        fates in prop::collection::vec((any::<bool>(), prop::bool::weighted(0.3)), 1..9),
        active in any::<prop::sample::Index>(),
        floor in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let fates: Vec<_> = fates.into_iter().map(|(loads, revoked)| Fate { loads, revoked }).collect();
        let active = active.index(fates.len());
        let floor = floor.map(|floor| floor.index(fates.len()));
        let index = index(&fates, active, floor);
        let rejection = rejection();
        let mut tried = Vec::new();
        let selection = select(&index, |entry| {
            let number = number(&entry.version);
            tried.push(number);
            if fates[number].loads { Ok(number) } else { Err(rejection.clone()) }
        });

        // The model: walk down from the active version, and take the first that may and does.
        let may = |n: usize| !fates[n].revoked && (n == active || floor.is_none_or(|floor| n >= floor));
        let expected = (0..=active).rev().filter(|n| may(*n)).find(|n| fates[*n].loads);
        prop_assert_eq!(selection.serving.as_ref().map(|(_, n)| *n), expected);
        prop_assert_eq!(selection.is_fallback(), expected.is_some_and(|n| n != active));
        prop_assert_eq!(&selection.desired, &numbered(active));
        let asked: Vec<usize> =
            (expected.unwrap_or(0)..=active).rev().filter(|n| may(*n)).collect();
        prop_assert_eq!(tried, asked, "only what may serve is loaded, highest first, until one does");

        prop_assert_eq!(selection.attempts.len(), fates.len());
        for (attempt, n) in selection.attempts.iter().zip((0..fates.len()).rev()) {
            prop_assert_eq!(&attempt.version, &numbered(n));
            let right = match &attempt.outcome {
                Outcome::AboveActive => n > active && !fates[n].revoked,
                Outcome::Revoked { reason, at } => {
                    fates[n].revoked && reason == "a fault" && *at == now()
                }
                Outcome::Serving => expected == Some(n),
                Outcome::Standby => expected.is_some_and(|serving| n < serving) && !fates[n].revoked,
                Outcome::BelowFloor { floor: named } => {
                    !may(n) && !fates[n].revoked && n < active
                        && expected.is_none_or(|serving| n > serving)
                        && Some(number(named)) == floor
                }
                Outcome::Rejected(found) => may(n) && !fates[n].loads && *found == rejection,
            };
            prop_assert!(right, "version {n}: {:?}", attempt.outcome);
        }
    }
}

#[test]
fn an_active_version_below_the_floor_serves_since_a_signature_asks_for_it() {
    let good = Fate { loads: true, revoked: false };
    let selection = select(&index(&[good; 4], 1, Some(3)), |_| Ok(()));
    assert_eq!(selection.serving.unwrap().0, numbered(1));
}

#[test]
fn a_pre_release_and_build_metadata_follow_semver_precedence() {
    let mut index = index(&[Fate { loads: true, revoked: false }; 1], 0, None);
    index.versions =
        ["1.1.0", "1.1.0-rc.10", "1.1.0-rc.9", "1.0.0+build"].map(|v| entry(v, &[])).into();
    index.active_version = "1.1.0".parse().unwrap();
    index.channels.clear();
    index.minimum_version = Some("1.0.0+other".parse().unwrap());
    index.check(&feature(), &Limits::default()).unwrap();
    let bad = rejection();
    let selection =
        select(
            &index,
            |entry| {
                if entry.version.build.is_empty() { Err(bad.clone()) } else { Ok(()) }
            },
        );
    // Build metadata has no precedence: 1.0.0+build is not below the floor 1.0.0+other.
    assert_eq!(selection.serving.unwrap().0, "1.0.0+build".parse().unwrap());
}

#[test]
fn a_version_that_fails_its_checks_falls_back_with_the_rejection_as_reason() {
    let mut artifact = MemoryArtifact::published();
    let manifest = artifact.0["1.2.0/manifest.json"].clone();
    artifact.resign_index(|document| {
        let old = document["versions"][0].clone();
        let mut new = old.clone();
        new["version"] = "1.3.0".into();
        document["versions"] = serde_json::json!([new, old]);
        document["activeVersion"] = "1.3.0".into();
        document.remove("channels");
    });
    // 1.3.0 holds the manifest of 1.2.0: signed, of the right hash, and of another version.
    artifact.0.insert("1.3.0/manifest.json".to_owned(), manifest);
    let keys = trusted();
    let context = context(&keys);
    let index = verify_index(&artifact, &context).unwrap();
    let selection = select(&index, |entry| {
        verify::version(&artifact, &index, &entry.version, &context, &mut DropFiles)
    });
    assert!(selection.is_fallback());
    assert_eq!(selection.serving.as_ref().unwrap().0, "1.2.0".parse().unwrap());
    match &selection.attempts[0].outcome {
        Outcome::Rejected(rejection) => assert_eq!(rejection.code(), "version-mismatch"),
        other => panic!("{other:?}"),
    }
}
