//! The pieces that source and published manifests share.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::FileName;

/// What a feature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FeatureType {
    /// Owns a URL prefix.
    #[default]
    #[serde(alias = "application")]
    Domain,
    /// Is embedded by others.
    #[serde(alias = "module")]
    Facet,
    /// The set of shared packages, under the reserved id `_shared`.
    Shared,
}

impl FeatureType {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Facet => "facet",
            Self::Shared => "shared",
        }
    }
}

/// Where a domain feature lives in the page and in the URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// The URL prefix that the feature owns, such as `/patientlist`.
    pub path_prefix: String,
    /// The id of the element that the shell makes for it.
    pub dom_element_id: String,
}

/// A route of a domain feature, relative to its prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Route {
    /// The path alone.
    Path(String),
    /// The path with a title.
    Titled {
        /// The path.
        path: String,
        /// What people call it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
    },
}

impl Route {
    /// The path, relative to the prefix.
    pub fn path(&self) -> &str {
        match self {
            Self::Path(path) | Self::Titled { path, .. } => path,
        }
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// The values, in order.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// The files that start a feature.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Entrypoints {
    /// ES modules, imported in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub js: Option<OneOrMany<FileName>>,
    /// Style sheets, linked in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub css: Option<OneOrMany<FileName>>,
}

impl Entrypoints {
    /// The ES modules, in order.
    pub fn js(&self) -> &[FileName] {
        self.js.as_ref().map_or(&[], OneOrMany::as_slice)
    }

    /// The style sheets, in order.
    pub fn css(&self) -> &[FileName] {
        self.css.as_ref().map_or(&[], OneOrMany::as_slice)
    }
}

/// What a feature needs of its host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requirements {
    /// Whether people must be signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_required: Option<bool>,
    /// The lowest host version that may load it; enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub min_host_version: Option<Version>,
}

/// Run-time settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Runtime {
    /// What the feature may do with the event bus and the store (contract §9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<RuntimePermissions>,
}

/// Permissions of a feature in the browser.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuntimePermissions {
    /// `publish` and `subscribe`, as `ns:event` or `ns:*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bus: Option<NamespacedRights>,
    /// `read` and `write`, as keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<NamespacedRights>,
}

/// Right → names it covers.
pub type NamespacedRights = BTreeMap<String, Vec<String>>;

/// Functions that run on the server: in the host (`module`) or behind an `endpoint`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerFunctions {
    /// A file of the artifact that runs in the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<FileName>,
    /// An absolute http(s) URL without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The functions that may be called; nothing else can be.
    pub exports: Vec<String>,
}

/// The names under which a module exports its life cycle.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Module {
    /// Default `mount`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_export: Option<String>,
    /// Default `unmount`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmount_export: Option<String>,
}

/// What a feature asks of a shared package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedRequirement {
    /// Whether there may be only one copy in the page.
    #[serde(default)]
    pub singleton: bool,
    /// A range, in npm's syntax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_version: Option<String>,
}

/// One package of the shared set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageFile {
    /// The module that the import map points to.
    pub file: FileName,
    /// The version of the package inside.
    #[schemars(with = "String")]
    pub version: Version,
}

/// How a feature is kept apart from the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Isolation {
    /// Mount inside a shadow root.
    #[serde(rename = "shadowDOM", default)]
    pub shadow_dom: bool,
}

/// What a feature needs around it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Infrastructure {
    /// Names of backends.
    #[serde(default)]
    pub services: Vec<String>,
}

/// A feature's place in the navigation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Arena {
    /// What people read.
    pub title: String,
    /// A name of an icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Lower comes first; absent comes last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<f64>,
    /// A heading to be listed under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// Where it leads; default the feature's prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}
