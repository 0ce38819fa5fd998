//! URL prefixes of domain features.

use std::collections::BTreeMap;

use pilar_artifact::FeatureId;

use super::owner_of;
use crate::catalog::{FeatureState, Standing};
use crate::edge::Owner;
use crate::http::{Resource, ResourceError};
use crate::shell::Pages;
use crate::snapshot::ByPath;

/// Prefix → shell. The longest prefix wins its subtree (contract §6).
#[derive(Debug, Default)]
pub struct RouteTable {
    pages: ByPath<Box<str>, Resource>,
    /// Bytes of the longest prefix.
    longest: usize,
}

impl RouteTable {
    /// Makes the page of each prefix: the shell, or "come back later" where its feature has nothing to serve.
    ///
    /// # Errors
    /// [`ResourceError`] should a value not fit a header.
    pub fn build(
        features: &BTreeMap<FeatureId, FeatureState>,
        owners: &BTreeMap<FeatureId, Owner>,
        pages: &Pages<'_>,
    ) -> Result<Self, ResourceError> {
        let mut table = Self::default();
        for state in features.values().filter(|state| state.standing != Standing::Conflict) {
            let Some(mount) = &state.mount else { continue };
            let prefix = mount.path_prefix.trim_end_matches('/');
            let page = match state.serving() {
                Some(loaded) => match pages.shell(loaded)? {
                    Some(page) => page,
                    // A facet with a mount: it is embedded, it owns no URL.
                    None => continue,
                },
                None => pages.nothing_to_serve(state)?,
            };
            page.set_owner(owner_of(owners, &state.id));
            table.longest = table.longest.max(prefix.len());
            table.pages.insert(prefix.into(), page);
        }
        Ok(table)
    }

    /// The page of the longest prefix that `path` lies under.
    pub fn find(&self, path: &str) -> Option<&Resource> {
        let mut prefix = path.trim_end_matches('/');
        loop {
            // What is longer than any prefix is not worth a lookup: a client can send thousands of slashes.
            if prefix.len() <= self.longest
                && let Some(page) = self.pages.get(prefix)
            {
                return Some(page);
            }
            prefix = &prefix[..prefix.rfind('/')?];
            if prefix.is_empty() {
                return None;
            }
        }
    }
}
