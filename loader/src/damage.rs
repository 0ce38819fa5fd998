//! What is in the tree and is not any more what was signed: a bad disk, or somebody who wrote there.

use pilar_artifact::Rejection;
use pilar_artifact::verify::Failure;
use semver::Version;

use crate::problem::Problem;

/// A version in the tree that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The version.
    pub version: Version,
    /// Which file of it, and how.
    pub problem: Problem,
}

impl Damage {
    /// Where the bytes of a version were refused because they cannot be read or are not those that are named.
    /// Whatever else a check may say, of a key or of a revocation, no disk has done.
    pub fn of(rejection: &Rejection) -> Option<Self> {
        let is_of_bytes = matches!(
            rejection.failure(),
            Failure::Read(_) | Failure::ManifestHash { .. } | Failure::FileHash { .. }
        );
        let version = rejection.version().filter(|_| is_of_bytes)?.clone();
        let problem = Problem::new(
            "version-damaged",
            format!("{}/{}: {}", rejection.feature(), rejection.file(), rejection.message()),
            "it is fetched again and put right; where that happens more than once, see the disk, and who else writes \
             to the artifacts directory",
        );
        Some(Self { version, problem })
    }
}
