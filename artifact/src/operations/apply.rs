//! What each operation does to an index.

use std::collections::BTreeMap;

use semver::Version;
use serde_json::Map;

use super::{Attribution, Channel, Operation, OperationError, Window};
use crate::index::{CANARY, HistoryEntry, IndexEntry, Revocation, Rollout, STABLE};
use crate::json::MAX_SAFE_INTEGER;
use crate::{FeatureId, Limits, ReleaseIndex};

pub(super) fn apply(
    current: Option<&ReleaseIndex>,
    feature: &FeatureId,
    operation: &Operation,
    attribution: &Attribution,
    window: Window,
    limits: &Limits,
) -> Result<ReleaseIndex, OperationError> {
    let (mut next, action, version, from) = match (operation, current) {
        (Operation::Publish { entry, channel }, current) => {
            let next = publish(current, feature, entry, *channel, window)?;
            let from = current.map(|index| index.active_version.clone());
            (next, "publish", entry.version.clone(), from)
        }
        (_, None) => return Err(OperationError::NothingPublished),
        (operation, Some(index)) => change(index, operation, attribution)?,
    };
    let before = current.map_or(0, |index| index.sequence);
    if before >= MAX_SAFE_INTEGER {
        return Err(OperationError::SequenceExhausted);
    }
    next.sequence = before + 1;
    drop_stale_canary(&mut next);
    next.history.insert(
        0,
        HistoryEntry {
            sequence: next.sequence,
            action: action.to_owned(),
            version,
            from,
            actor: attribution.actor.clone(),
            reason: attribution.reason.clone(),
            ticket: attribution.ticket.clone(),
            at: attribution.at,
        },
    );
    next.history.truncate(limits.history);
    Ok(next)
}

type Change = (ReleaseIndex, &'static str, Version, Option<Version>);

fn change(
    index: &ReleaseIndex,
    operation: &Operation,
    attribution: &Attribution,
) -> Result<Change, OperationError> {
    let mut next = index.clone();
    let active = index.active_version.clone();
    match operation {
        Operation::Publish { .. } => Err(OperationError::NothingPublished),
        Operation::Canary { version, percent, soak_seconds } => {
            if *percent > 100 {
                return Err(OperationError::Percent { percent: *percent });
            }
            if *soak_seconds > MAX_SAFE_INTEGER {
                return Err(OperationError::Soak { seconds: *soak_seconds });
            }
            may_serve(index, version)?;
            above_active(index, version)?;
            next.rollout = Some(Rollout {
                version: version.clone(),
                percent: *percent,
                started_at: attribution.at,
                soak_seconds: *soak_seconds,
            });
            let from = next.channels.insert(CANARY.to_owned(), version.clone());
            Ok((next, "canary", version.clone(), from))
        }
        Operation::Promote { version } => {
            let version =
                version.as_ref().or_else(|| index.canary()).ok_or(OperationError::NoCanary)?;
            may_serve(index, version)?;
            above_active(index, version)?;
            activate(&mut next, version);
            Ok((next, "promote", version.clone(), Some(active)))
        }
        Operation::Rollback { version } => {
            let version = match version {
                Some(version) => version.clone(),
                None => next_lower(index, &active).ok_or(OperationError::NothingLeft)?,
            };
            may_serve(index, &version)?;
            if version >= active {
                return Err(OperationError::NotBelowActive { version, active });
            }
            activate(&mut next, &version);
            Ok((next, "rollback", version, Some(active)))
        }
        Operation::Fallback => {
            let canary = next.channels.remove(CANARY).ok_or(OperationError::NoCanary)?;
            next.rollout = None;
            Ok((next, "fallback", active, Some(canary)))
        }
        Operation::Revoke { version, reason, even_if_nothing_serves } => {
            revoke(&mut next, version, reason, *even_if_nothing_serves, attribution)?;
            Ok((next, "revoke", version.clone(), Some(active)))
        }
        Operation::RaiseFloor { version } => {
            may_serve(index, version)?;
            if let Some(floor) = index.minimum_version.clone().filter(|floor| version <= floor) {
                return Err(OperationError::FloorNotRaised { floor });
            }
            if *version > active {
                return Err(OperationError::FloorAboveActive { version: version.clone(), active });
            }
            let from = next.minimum_version.replace(version.clone());
            Ok((next, "raise-floor", version.clone(), from))
        }
    }
}

fn publish(
    current: Option<&ReleaseIndex>,
    feature: &FeatureId,
    entry: &IndexEntry,
    channel: Channel,
    window: Window,
) -> Result<ReleaseIndex, OperationError> {
    let version = &entry.version;
    if let Some(revoked) = &entry.revoked {
        let (version, reason) = (version.clone(), revoked.reason.clone());
        return Err(OperationError::Revoked { version, reason });
    }
    let Some(index) = current else {
        // The first version is the only one there is, whatever channel it came for.
        return Ok(first(feature, entry));
    };
    // By precedence (semver §10): 1.0.0+a and 1.0.0+b are one version.
    let same = |listed: &&IndexEntry| listed.version.cmp_precedence(version).is_eq();
    if let Some(listed) = index.versions.iter().find(same) {
        let (published, offered) = (listed.manifest_sha256.0, entry.manifest_sha256.0);
        return Err(if published == offered {
            OperationError::AlreadyPublished { version: version.clone() }
        } else {
            OperationError::VersionTaken { version: version.clone(), published, offered }
        });
    }
    if let Some(floor) = index.minimum_version.clone().filter(|_| index.is_below_floor(version)) {
        return Err(OperationError::BelowFloor { version: version.clone(), floor });
    }
    above_active(index, version)?;
    let mut next = index.clone();
    next.versions.push(entry.clone());
    next.versions.sort_by(|a, b| b.version.cmp(&a.version));
    match channel {
        Channel::Stable => activate(&mut next, version),
        Channel::Canary => {
            next.channels.insert(CANARY.to_owned(), version.clone());
            next.rollout = None;
        }
    }
    keep_window(&mut next, window);
    Ok(next)
}

fn first(feature: &FeatureId, entry: &IndexEntry) -> ReleaseIndex {
    ReleaseIndex {
        schema_version: 1,
        feature_id: feature.clone(),
        sequence: 0,
        active_version: entry.version.clone(),
        versions: vec![entry.clone()],
        minimum_version: None,
        channels: BTreeMap::from([(STABLE.to_owned(), entry.version.clone())]),
        rollout: None,
        history: Vec::new(),
        expires_at: None,
        unknown: Map::new(),
    }
}

fn revoke(
    next: &mut ReleaseIndex,
    version: &Version,
    reason: &str,
    even_if_nothing_serves: bool,
    attribution: &Attribution,
) -> Result<(), OperationError> {
    if reason.trim().is_empty() {
        return Err(OperationError::NoReason);
    }
    may_be_named(next, version)?;
    for entry in next.versions.iter_mut().filter(|entry| entry.version == *version) {
        entry.revoked = Some(Revocation { reason: reason.to_owned(), at: attribution.at });
    }
    if next.canary() == Some(version) {
        next.channels.remove(CANARY);
        next.rollout = None;
    }
    if next.active_version == *version {
        match next_lower(next, version) {
            Some(lower) => activate(next, &lower),
            None if even_if_nothing_serves => {}
            None => return Err(OperationError::NothingLeft),
        }
    }
    Ok(())
}

fn activate(next: &mut ReleaseIndex, version: &Version) {
    next.active_version = version.clone();
    next.channels.insert(STABLE.to_owned(), version.clone());
}

/// A canary that the stable version has reached or passed is over.
fn drop_stale_canary(next: &mut ReleaseIndex) {
    if next.canary().is_some_and(|canary| *canary <= next.active_version) {
        next.channels.remove(CANARY);
        next.rollout = None;
    }
}

fn keep_window(next: &mut ReleaseIndex, window: Window) {
    let active = next.active_version.clone();
    let mut below = 0_usize;
    let channels = next.channels.clone();
    next.versions.retain(|entry| {
        if entry.version >= active || channels.values().any(|version| *version == entry.version) {
            return true;
        }
        below += 1;
        below <= window.keep
    });
}

fn next_lower(index: &ReleaseIndex, than: &Version) -> Option<Version> {
    index
        .versions
        .iter()
        .find(|entry| {
            entry.version < *than
                && entry.revoked.is_none()
                && !index.is_below_floor(&entry.version)
        })
        .map(|entry| entry.version.clone())
}

fn may_be_named<'i>(
    index: &'i ReleaseIndex,
    version: &Version,
) -> Result<&'i IndexEntry, OperationError> {
    let entry = index
        .entry(version)
        .ok_or_else(|| OperationError::UnknownVersion { version: version.clone() })?;
    match &entry.revoked {
        Some(revoked) => Err(OperationError::Revoked {
            version: version.clone(),
            reason: revoked.reason.clone(),
        }),
        None => Ok(entry),
    }
}

fn may_serve(index: &ReleaseIndex, version: &Version) -> Result<(), OperationError> {
    may_be_named(index, version)?;
    match &index.minimum_version {
        Some(floor) if index.is_below_floor(version) => {
            Err(OperationError::BelowFloor { version: version.clone(), floor: floor.clone() })
        }
        _ => Ok(()),
    }
}

fn above_active(index: &ReleaseIndex, version: &Version) -> Result<(), OperationError> {
    if *version > index.active_version {
        Ok(())
    } else {
        Err(OperationError::NotAboveActive {
            version: version.clone(),
            active: index.active_version.clone(),
        })
    }
}
