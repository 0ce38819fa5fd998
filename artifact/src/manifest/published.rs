//! The manifest that is generated, signed and read by hosts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::parts::{
    Arena, Entrypoints, FeatureType, Infrastructure, Isolation, Module, Mount, PackageFile,
    Requirements, Route, Runtime, ServerFunctions, SharedRequirement,
};
use super::rules::{Facts, INDEX_MARK, ManifestProblem, refuse_kind, typed};
use crate::digest::Integrity;
use crate::signature::SignatureField;
use crate::{FeatureId, FileName, Limits};

/// `manifest.json` of a version directory. Unknown fields are covered by the signature and ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The feature.
    pub id: FeatureId,
    /// Equals the version directory and the index entry.
    #[schemars(with = "String")]
    pub version: Version,
    /// What people call it.
    pub display_name: String,
    /// What it is.
    pub feature_type: FeatureType,
    /// Required for a domain feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<Mount>,
    /// Not empty for a domain feature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// The files that start it.
    pub entrypoints: Entrypoints,
    /// Every file of the version directory but this one, with its SHA-256. What is not listed is not served.
    pub integrity: BTreeMap<FileName, Integrity>,
    /// The channel it was published to.
    pub channel: String,
    /// What it needs of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirements: Option<Requirements>,
    /// Run-time settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// Metadata about who sees it; not enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Map<String, Value>>,
    /// Functions that run on the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_functions: Option<ServerFunctions>,
    /// Names of the life-cycle exports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<Module>,
    /// Shared packages that it leaves out of its bundle.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shared: BTreeMap<String, SharedRequirement>,
    /// How it is kept apart from the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// What it needs around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infrastructure: Option<Infrastructure>,
    /// Its place in the navigation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arena: Option<Arena>,
    /// The set of shared packages only: specifier → file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packages: BTreeMap<String, PackageFile>,
    /// Build time, git SHA, builder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// The signature, verified over the document this was read from.
    pub signature: SignatureField,
}

impl Manifest {
    /// Reads a published manifest and checks every rule of contract §3 that needs no other file.
    ///
    /// # Errors
    /// [`ManifestProblem`] naming the field.
    pub fn from_document(
        document: &Map<String, Value>,
        limits: &Limits,
    ) -> Result<Self, ManifestProblem> {
        refuse_kind(document, &[INDEX_MARK])?;
        let manifest: Self = typed(document)?;
        manifest.facts().check_common()?;
        manifest.check_files(limits)?;
        Ok(manifest)
    }

    /// The export that mounts the feature.
    pub fn mount_export(&self) -> &str {
        self.module.as_ref().and_then(|module| module.mount_export.as_deref()).unwrap_or("mount")
    }

    /// The export that unmounts the feature.
    pub fn unmount_export(&self) -> &str {
        self.module
            .as_ref()
            .and_then(|module| module.unmount_export.as_deref())
            .unwrap_or("unmount")
    }

    /// Whether the feature mounts inside a shadow root.
    pub fn shadow_dom(&self) -> bool {
        self.isolation.is_some_and(|isolation| isolation.shadow_dom)
    }

    /// The lowest host version that may load it.
    pub fn min_host_version(&self) -> Option<&Version> {
        self.requirements.as_ref().and_then(|requirements| requirements.min_host_version.as_ref())
    }

    fn check_files(&self, limits: &Limits) -> Result<(), ManifestProblem> {
        let shared = self.feature_type == FeatureType::Shared;
        if self.feature_type == FeatureType::Domain && self.routes.is_empty() {
            return Err(ManifestProblem::new("routes", "a domain feature has at least one route"));
        }
        if self.channel.trim().is_empty() {
            return Err(ManifestProblem::new("channel", "it is empty"));
        }
        if self.entrypoints.js().is_empty() && !shared {
            return Err(ManifestProblem::new("entrypoints.js", "it names no file"));
        }
        if self.integrity.len() > limits.files {
            let problem =
                format!("it lists {} files; {} are allowed", self.integrity.len(), limits.files);
            return Err(ManifestProblem::new("integrity", problem));
        }
        if self.integrity.contains_key(crate::MANIFEST_FILE) {
            return Err(ManifestProblem::new("integrity", "a manifest cannot list its own hash"));
        }
        let listed = |field: &str, file: &FileName| {
            if self.integrity.contains_key(file) {
                Ok(())
            } else {
                Err(ManifestProblem::new(field, format!("\"{file}\" is not listed in integrity")))
            }
        };
        for file in self.entrypoints.js() {
            listed("entrypoints.js", file)?;
        }
        for file in self.entrypoints.css() {
            listed("entrypoints.css", file)?;
        }
        for (name, package) in &self.packages {
            listed(&format!("packages.{name}.file"), &package.file)?;
        }
        if let Some(module) =
            self.server_functions.as_ref().and_then(|functions| functions.module.as_ref())
        {
            listed("serverFunctions.module", module)?;
        }
        match (shared, self.packages.is_empty()) {
            (true, true) => {
                Err(ManifestProblem::new("packages", "the shared set names no package"))
            }
            (false, false) => {
                Err(ManifestProblem::new("packages", "only the shared set has packages"))
            }
            _ => Ok(()),
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            id: &self.id,
            display_name: &self.display_name,
            feature_type: self.feature_type,
            mount: self.mount.as_ref(),
            routes: &self.routes,
            server_functions: self.server_functions.as_ref(),
            arena: self.arena.as_ref(),
        }
    }
}
