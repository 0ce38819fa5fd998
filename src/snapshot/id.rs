//! The id of a snapshot.

use std::collections::BTreeMap;

use pilar_artifact::FeatureId;
use sha2::{Digest as _, Sha256};

use crate::catalog::FeatureState;
use crate::shell::{Sdk, Site};

/// Characters of the id: enough that two states of one fleet never share it.
const LENGTH: usize = 16;

/// A hash over the host, its browser side, and (feature, version, manifest hash) of all that serves: replicas
/// that converged show the same id.
pub(super) fn snapshot_id(
    features: &BTreeMap<FeatureId, FeatureState>,
    sdk: &Sdk,
    site: &Site,
) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    part(&site.host_version);
    part(site.root_redirect.as_deref().unwrap_or(""));
    part(if site.live_reload { "live" } else { "" });
    for (path, _) in sdk.assets() {
        part(path);
    }
    for (id, state) in features {
        part(id.as_str());
        match state.serving() {
            Some(loaded) => {
                part(&loaded.manifest.version.to_string());
                part(&loaded.manifest_sha256.hex());
            }
            None => part(""),
        }
    }
    let mut id: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    id.truncate(LENGTH);
    id
}
