//! What the indexes of this process said that an older one cannot unsay.
//!
//! Over OCI an older index is a legitimate rollback (contract §4), so it counts. But it may also be an old
//! file put back, and a revocation is for ever: what any verified index took back stays taken back.

use std::collections::BTreeMap;

use pilar_artifact::index::Revocation;
use pilar_artifact::{FeatureId, ReleaseIndex, Sha256Digest};

/// What is remembered of every feature, also of one that was taken out.
#[derive(Debug, Default)]
pub(super) struct Memory {
    features: BTreeMap<FeatureId, Said>,
}

#[derive(Debug, Default)]
struct Said {
    highest_sequence: u64,
    revoked: BTreeMap<Sha256Digest, Revocation>,
}

impl Memory {
    /// The highest sequence so far, where `index` has a lower one.
    pub(super) fn higher_sequence(&self, index: &ReleaseIndex) -> Option<u64> {
        let highest = self.features.get(&index.feature_id)?.highest_sequence;
        (highest > index.sequence).then_some(highest)
    }

    /// Revokes in `index` what was revoked before, for the reason and since the time it was then.
    pub(super) fn revoke_again(&self, index: &mut ReleaseIndex) {
        let Some(said) = self.features.get(&index.feature_id) else { return };
        for entry in index.versions.iter_mut().filter(|entry| entry.revoked.is_none()) {
            entry.revoked = said.revoked.get(&entry.manifest_sha256.0).cloned();
        }
    }

    /// Remembers a verified index.
    pub(super) fn remember(&mut self, index: &ReleaseIndex) {
        let said = self.features.entry(index.feature_id.clone()).or_default();
        said.highest_sequence = said.highest_sequence.max(index.sequence);
        for entry in &index.versions {
            if let Some(revocation) = &entry.revoked {
                said.revoked.entry(entry.manifest_sha256.0).or_insert_with(|| revocation.clone());
            }
        }
    }
}
