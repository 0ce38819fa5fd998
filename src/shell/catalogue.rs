//! What the browser is told of the features: the import map and the bootstrap document (`docs/browser.md`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use pilar_artifact::FeatureId;
use pilar_artifact::manifest::{FeatureType, Manifest};
use serde::Serialize;

use super::{NavigationEntry, Sdk, Site};
use crate::catalog::{FeatureState, LoadedVersion, is_module};

/// The parts that all pages of a snapshot share.
#[derive(Debug)]
pub(super) struct Catalogue<'a> {
    map: ImportMap,
    import_map: String,
    module_imports: BTreeMap<&'a str, &'a [Box<str>]>,
    features: BTreeMap<String, FeatureRecord>,
}

#[derive(Debug, Default, Serialize)]
struct ImportMap {
    imports: BTreeMap<String, String>,
    integrity: BTreeMap<String, String>,
}

impl ImportMap {
    /// The module that `specifier` means in the module at `base`, as the browser finds it.
    fn resolve(&self, base: &str, specifier: &str) -> Option<&str> {
        let url = if specifier.starts_with("./") || specifier.starts_with("../") {
            let mut segments: Vec<&str> = base.split('/').collect();
            segments.pop();
            for segment in specifier.split('/') {
                match segment {
                    "." => {}
                    ".." => drop(segments.pop()),
                    name => segments.push(name),
                }
            }
            segments.join("/")
        } else {
            self.imports.get(specifier).map_or(specifier, String::as_str).to_owned()
        };
        self.integrity.get_key_value(&url).map(|(url, _)| url.as_str())
    }
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
    navigation: &'a [NavigationEntry],
    features: &'a BTreeMap<String, FeatureRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live_reload: Option<&'static str>,
}

/// Where a development page asks whether the snapshot is still its own.
pub(crate) const LIVE_RELOAD_PATH: &str = "/_dev/snapshot";

impl<'a> Catalogue<'a> {
    pub(super) fn new(features: &'a BTreeMap<FeatureId, FeatureState>, sdk: &'a Sdk) -> Self {
        let mut map = ImportMap::default();
        let mut module_imports = BTreeMap::new();
        let mut remember = |imports: &'a BTreeMap<Arc<str>, Vec<Box<str>>>| {
            module_imports.extend(imports.iter().map(|(url, found)| (&**url, found.as_slice())));
        };
        remember(sdk.module_imports());
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
                if is_module(file.as_str()) && !is_server_module(&loaded.manifest, file.as_str()) {
                    map.integrity.insert(loaded.url(file), integrity.0.sri());
                }
            }
            remember(&loaded.imports);
            if loaded.manifest.feature_type != FeatureType::Shared {
                records.insert(loaded.manifest.id.to_string(), FeatureRecord::new(loaded));
            }
        }
        // Last, so that no package takes the place of the host's own SDK.
        for (specifier, file) in sdk.imports() {
            map.imports.insert(specifier.to_owned(), file.url.clone());
        }
        Self { import_map: script_json(&map), map, module_imports, features: records }
    }

    /// The URLs of these modules and of all that they import statically, each once with its integrity: the
    /// modules without which the first of them cannot run. Those that are named first come first.
    pub(super) fn needed_by<'m>(
        &'m self,
        modules: &'m [String],
    ) -> impl Iterator<Item = (&'m str, &'m str)> {
        let mut waiting: VecDeque<&str> = modules.iter().map(String::as_str).collect();
        let mut met = BTreeSet::new();
        std::iter::from_fn(move || {
            loop {
                let url = waiting.pop_front()?;
                let Some((url, integrity)) = self.map.integrity.get_key_value(url) else {
                    continue;
                };
                if met.insert(url) {
                    let imports =
                        self.module_imports.get(url.as_str()).copied().unwrap_or_default();
                    waiting.extend(imports.iter().filter_map(|one| self.map.resolve(url, one)));
                    return Some((url.as_str(), integrity.as_str()));
                }
            }
        })
    }

    /// The text of the import map, as it stands in the page and as the policy hashes it.
    pub(super) fn import_map(&self) -> &str {
        &self.import_map
    }

    /// The bootstrap document without its beginning, which all pages share.
    pub(super) fn rest_of_bootstrap(
        &self,
        site: &Site,
        snapshot: &str,
        navigation: &[NavigationEntry],
    ) -> String {
        let text = script_json(&Bootstrap {
            host_version: &site.host_version,
            snapshot,
            bootstrap_timeout_ms: site.bootstrap_timeout_ms,
            navigation,
            features: &self.features,
            live_reload: site.live_reload.then_some(LIVE_RELOAD_PATH),
        });
        // Without the bracket that stands at the beginning.
        text.get(1..).unwrap_or_default().to_owned()
    }
}

/// The beginning of the bootstrap document of one page.
pub(super) fn start_of_bootstrap(active: Option<&str>) -> String {
    format!("{{\"activeFeatureId\":{},", script_json(&active))
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
