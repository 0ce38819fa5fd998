//! What the browser is told of the features: the import map and the bootstrap document (`docs/browser.md`).

use std::collections::BTreeMap;

use pilar_artifact::FeatureId;
use pilar_artifact::manifest::{FeatureType, Manifest};
use serde::Serialize;

use super::{NavigationEntry, Sdk, Site};
use crate::catalog::{FeatureState, LoadedVersion};

/// The parts that all pages of a snapshot share.
#[derive(Debug)]
pub(super) struct Catalogue {
    import_map: String,
    features: BTreeMap<String, FeatureRecord>,
}

#[derive(Debug, Default, Serialize)]
struct ImportMap {
    imports: BTreeMap<String, String>,
    integrity: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct FeatureRecord {
    feature_id: String,
    version: String,
    display_name: String,
    feature_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    basename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dom_element_id: Option<String>,
    js: Vec<String>,
    css: Vec<StyleSheet>,
    mount_export: String,
    unmount_export: String,
    #[serde(rename = "shadowDOM")]
    shadow_dom: bool,
}

#[derive(Debug, Clone, Serialize)]
struct StyleSheet {
    href: String,
    integrity: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bootstrap<'a> {
    host_version: &'a str,
    snapshot: &'a str,
    bootstrap_timeout_ms: u32,
    active_feature_id: Option<&'a str>,
    navigation: &'a [NavigationEntry],
    features: &'a BTreeMap<String, FeatureRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live_reload: Option<&'static str>,
}

/// Where a development page asks whether the snapshot is still its own.
pub(crate) const LIVE_RELOAD_PATH: &str = "/_dev/snapshot";

impl Catalogue {
    pub(super) fn new(features: &BTreeMap<FeatureId, FeatureState>, sdk: &Sdk) -> Self {
        let mut map = ImportMap::default();
        let mut records = BTreeMap::new();
        for file in sdk.modules() {
            map.integrity.insert(file.url.clone(), file.integrity.clone());
        }
        for loaded in features.values().filter_map(FeatureState::serving) {
            for (name, package) in &loaded.manifest.packages {
                map.imports.insert(name.clone(), loaded.url(&package.file));
            }
            // Every module, so that the browser checks each of them by itself, lazy chunks included.
            for (file, integrity) in &loaded.manifest.integrity {
                if matches!(file.extension(), "js" | "mjs")
                    && !is_server_module(&loaded.manifest, file.as_str())
                {
                    map.integrity.insert(loaded.url(file), integrity.0.sri());
                }
            }
            if loaded.manifest.feature_type != FeatureType::Shared {
                records.insert(loaded.manifest.id.to_string(), FeatureRecord::new(loaded));
            }
        }
        // Last, so that no package takes the place of the host's own SDK.
        for (specifier, file) in sdk.imports() {
            map.imports.insert(specifier.to_owned(), file.url.clone());
        }
        Self { import_map: script_json(&map), features: records }
    }

    /// The text of the import map, as it stands in the page and as the policy hashes it.
    pub(super) fn import_map(&self) -> &str {
        &self.import_map
    }

    /// The text of the bootstrap document of one page.
    pub(super) fn bootstrap(
        &self,
        active: Option<&str>,
        site: &Site,
        snapshot: &str,
        navigation: &[NavigationEntry],
    ) -> String {
        script_json(&Bootstrap {
            host_version: &site.host_version,
            snapshot,
            bootstrap_timeout_ms: site.bootstrap_timeout_ms,
            active_feature_id: active,
            navigation,
            features: &self.features,
            live_reload: site.live_reload.then_some(LIVE_RELOAD_PATH),
        })
    }
}

fn is_server_module(manifest: &Manifest, file: &str) -> bool {
    let module = manifest.server_functions.as_ref().and_then(|functions| functions.module.as_ref());
    module.is_some_and(|module| module.as_str() == file)
}

impl FeatureRecord {
    fn new(loaded: &LoadedVersion) -> Self {
        let manifest = &loaded.manifest;
        let mount =
            manifest.mount.as_ref().filter(|_| manifest.feature_type == FeatureType::Domain);
        let integrity = |file| manifest.integrity.get(file).map(|integrity| integrity.0.sri());
        Self {
            feature_id: manifest.id.to_string(),
            version: manifest.version.to_string(),
            display_name: manifest.display_name.clone(),
            feature_type: manifest.feature_type.as_str(),
            basename: mount.map(|mount| mount.path_prefix.trim_end_matches('/').to_owned()),
            dom_element_id: mount.map(|mount| mount.dom_element_id.clone()),
            js: manifest.entrypoints.js().iter().map(|file| loaded.url(file)).collect(),
            css: manifest
                .entrypoints
                .css()
                .iter()
                .filter_map(|file| {
                    Some(StyleSheet { href: loaded.url(file), integrity: integrity(file)? })
                })
                .collect(),
            mount_export: manifest.mount_export().to_owned(),
            unmount_export: manifest.unmount_export().to_owned(),
            shadow_dom: manifest.shadow_dom(),
        }
    }
}

/// JSON for a `script` element: with `<` escaped, no text in it can end the element or open a comment.
fn script_json(value: &impl Serialize) -> String {
    // Maps with string keys and plain values only: serialising them into memory cannot fail.
    serde_json::to_string(value).unwrap_or_default().replace('<', "\\u003c")
}
