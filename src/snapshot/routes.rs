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
    pages: ByPath<Box<str>, (Resource, Owner)>,
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
            table.longest = table.longest.max(prefix.len());
            table.pages.insert(prefix.into(), (page, owner_of(owners, &state.id)));
        }
        Ok(table)
    }

    /// The page of the longest prefix that `path` lies under, and whose it is.
    pub fn find(&self, path: &str) -> Option<(&Resource, Owner)> {
        self.find_entry(path).map(|(_, page, owner)| (page, owner))
    }

    /// The longest prefix that `path` lies under.
    pub fn prefix_of(&self, path: &str) -> Option<&str> {
        self.find_entry(path).map(|(prefix, ..)| prefix)
    }

    fn find_entry(&self, path: &str) -> Option<(&str, &Resource, Owner)> {
        // What is longer than any prefix is not looked up: a client can send thousands of slashes.
        let mut prefix = match path.as_bytes().get(..=self.longest) {
            Some(reach) => path.get(..reach.iter().rposition(|&byte| byte == b'/')?)?,
            None => path,
        };
        while !prefix.is_empty() {
            if let Some((prefix, (page, owner))) = self.pages.get_key_value(prefix) {
                return Some((prefix, page, *owner));
            }
            prefix = &prefix[..prefix.rfind('/')?];
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::collection::{btree_set, vec};

    use super::*;
    use crate::http::CachePolicy;

    proptest::proptest! {
        #[test]
        fn the_longest_prefix_wins_its_subtree(
            prefixes in btree_set("(/[ab]{1,3}){1,3}", 0..6),
            segments in vec("[ab]{0,3}", 1..12),
        ) {
            let mut table = RouteTable::default();
            for (prefix, number) in prefixes.iter().zip(1..) {
                let page = Resource::builder(StatusCode::OK, "text/html", CachePolicy::Revalidate);
                let page = page.identity(prefix.clone(), None).build().unwrap();
                table.longest = table.longest.max(prefix.len());
                table.pages.insert(prefix.as_str().into(), (page, Owner::numbered(number)));
            }
            let path = format!("/{}", segments.join("/"));
            let lies_below = |prefix: &&String| {
                path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let expected = prefixes.iter().zip(1..).filter(|(prefix, _)| lies_below(prefix));
            let expected = expected.max_by_key(|(prefix, _)| prefix.len());
            let found = table.find(&path).map(|(page, owner)| {
                (String::from_utf8(page.representations()[0].body().to_vec()).unwrap(), owner)
            });
            let expected = expected.map(|(prefix, number)| (prefix.clone(), Owner::numbered(number)));
            proptest::prop_assert_eq!(found, expected, "{}", path);
        }
    }
}
