//! The rules of contract §4.

use semver::Version;

use super::{CANARY, ReleaseIndex, STABLE};
use crate::codes::codes;
use crate::{FeatureId, Limits};

/// A rule of contract §4 that an index breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexProblem {
    /// A schema version that this host does not read.
    #[error("field schemaVersion: {found} is not 1")]
    SchemaVersion {
        /// The value found.
        found: u32,
    },
    /// An index in the directory of another feature.
    #[error("field featureId: it says \"{found}\", the directory says \"{directory}\"")]
    FeatureId {
        /// The id in the index.
        found: FeatureId,
        /// The directory.
        directory: FeatureId,
    },
    /// A sequence below 1.
    #[error("field sequence: it starts at 1")]
    Sequence,
    /// An index without versions or with too many.
    #[error("field versions: it lists {found}; 1 to {limit} are allowed")]
    VersionCount {
        /// The number found.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Versions that are not unique and descending.
    #[error("field versions: {lower} follows {higher}, but versions are unique and descending")]
    NotDescending {
        /// The entry before.
        higher: Version,
        /// The entry that should be lower.
        lower: Version,
    },
    /// A version that is referred to and not listed.
    #[error("field {field}: {version} is not listed in versions")]
    UnknownVersion {
        /// The field that names it.
        field: String,
        /// The version.
        version: Version,
    },
    /// `channels.stable` and `activeVersion` disagree.
    #[error("field channels.stable: it says {stable}, activeVersion says {active}")]
    StableIsNotActive {
        /// The stable channel.
        stable: Version,
        /// The active version.
        active: Version,
    },
    /// A rollout that no canary channel stands behind, or of an impossible size.
    #[error("field rollout: {problem}")]
    Rollout {
        /// What is wrong with it.
        problem: String,
    },
    /// History that is not newest first, or runs ahead of the index.
    #[error("field history: it is not newest first up to the index's own sequence")]
    History,
}

codes!(IndexProblem {
    Self::SchemaVersion { .. } => "index-schema-version",
    Self::FeatureId { .. } => "index-feature-id",
    Self::Sequence => "index-sequence",
    Self::VersionCount { .. } => "index-version-count",
    Self::NotDescending { .. } => "index-not-descending",
    Self::UnknownVersion { .. } => "index-unknown-version",
    Self::StableIsNotActive { .. } => "index-stable-not-active",
    Self::Rollout { .. } => "index-rollout",
    Self::History => "index-history",
});

pub(super) fn check(
    index: &ReleaseIndex,
    directory: &FeatureId,
    limits: &Limits,
) -> Result<(), IndexProblem> {
    if index.schema_version != 1 {
        return Err(IndexProblem::SchemaVersion { found: index.schema_version });
    }
    if index.feature_id != *directory {
        return Err(IndexProblem::FeatureId {
            found: index.feature_id.clone(),
            directory: directory.clone(),
        });
    }
    if index.sequence == 0 {
        return Err(IndexProblem::Sequence);
    }
    let found = index.versions.len();
    if found == 0 || found > limits.versions {
        return Err(IndexProblem::VersionCount { found, limit: limits.versions });
    }
    for (higher, lower) in index.versions.iter().zip(index.versions.iter().skip(1)) {
        // By precedence (semver §10): 1.0.0+a and 1.0.0+b are one version, so listing both is refused.
        if higher.version.cmp_precedence(&lower.version).is_le() {
            return Err(IndexProblem::NotDescending {
                higher: higher.version.clone(),
                lower: lower.version.clone(),
            });
        }
    }
    let listed = |field: &str, version: &Version| match index.entry(version) {
        Some(_) => Ok(()),
        None => {
            Err(IndexProblem::UnknownVersion { field: field.to_owned(), version: version.clone() })
        }
    };
    listed("activeVersion", &index.active_version)?;
    for (channel, version) in &index.channels {
        listed(&format!("channels.{channel}"), version)?;
    }
    match index.channels.get(STABLE) {
        Some(stable) if *stable != index.active_version => {
            return Err(IndexProblem::StableIsNotActive {
                stable: stable.clone(),
                active: index.active_version.clone(),
            });
        }
        _ => {}
    }
    check_rollout(index)?;
    check_history(index)
}

fn check_rollout(index: &ReleaseIndex) -> Result<(), IndexProblem> {
    let Some(rollout) = &index.rollout else { return Ok(()) };
    let refuse = |problem: String| Err(IndexProblem::Rollout { problem });
    if rollout.percent > 100 {
        return refuse(format!("percent is {}, not 0 to 100", rollout.percent));
    }
    if index.channels.get(CANARY) != Some(&rollout.version) {
        return refuse(format!("{} is not the version of channels.canary", rollout.version));
    }
    Ok(())
}

fn check_history(index: &ReleaseIndex) -> Result<(), IndexProblem> {
    let newest_first = index
        .history
        .iter()
        .zip(index.history.iter().skip(1))
        .all(|(newer, older)| newer.sequence > older.sequence);
    let within = index.history.first().is_none_or(|newest| newest.sequence <= index.sequence);
    if newest_first && within { Ok(()) } else { Err(IndexProblem::History) }
}
