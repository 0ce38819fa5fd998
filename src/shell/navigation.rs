//! The navigation: what features say of their place in it.

use std::collections::BTreeMap;

use pilar_artifact::FeatureId;
use pilar_artifact::manifest::{FeatureType, Manifest};
use serde::Serialize;

use crate::catalog::FeatureState;

/// One entry of `/_navigation` (contract §7).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NavigationEntry {
    /// The feature.
    pub feature_id: FeatureId,
    /// What people read.
    pub title: String,
    /// Where it leads.
    pub path: String,
    /// A name of an icon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// A heading to be listed under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// Lower comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<f64>,
}

/// The entries of what serves: by order, then title. Without an order comes last.
pub(super) fn entries(features: &BTreeMap<FeatureId, FeatureState>) -> Vec<NavigationEntry> {
    let mut entries: Vec<NavigationEntry> = features
        .values()
        .filter_map(FeatureState::serving)
        .filter_map(|loaded| entry(&loaded.manifest))
        .collect();
    let place = |entry: &NavigationEntry| entry.order.unwrap_or(f64::INFINITY);
    entries.sort_by(|a, b| place(a).total_cmp(&place(b)).then_with(|| a.title.cmp(&b.title)));
    entries
}

fn entry(manifest: &Manifest) -> Option<NavigationEntry> {
    let arena = manifest.arena.as_ref()?;
    let prefix = manifest.mount.as_ref().filter(|_| manifest.feature_type == FeatureType::Domain);
    let prefix = prefix.map(|mount| mount.path_prefix.trim_end_matches('/'));
    let path = match (prefix, arena.path.as_deref()) {
        (Some(prefix), None) => prefix.to_owned(),
        (Some(prefix), Some(path)) => below(prefix, path),
        (None, Some(path)) if path.starts_with('/') => path.to_owned(),
        // A facet without a path leads nowhere.
        (None, _) => return None,
    };
    Some(NavigationEntry {
        feature_id: manifest.id.clone(),
        title: arena.title.clone(),
        path,
        icon: arena.icon.clone(),
        section: arena.section.clone(),
        order: arena.order,
    })
}

/// A path may be written with the feature's prefix or relative to it.
fn below(prefix: &str, path: &str) -> String {
    let has_prefix = path
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
    if has_prefix {
        return path.to_owned();
    }
    match path.trim_start_matches('/') {
        "" => prefix.to_owned(),
        rest => format!("{prefix}/{rest}"),
    }
}
