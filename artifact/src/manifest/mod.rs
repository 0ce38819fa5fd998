//! Manifests: what a team writes, and what is published from it (contract §3).

mod parts;
mod published;
mod rules;
mod source;

pub use parts::{
    Arena, Entrypoints, FeatureType, Infrastructure, Isolation, Module, Mount, NamespacedRights,
    OneOrMany, PackageFile, Requirements, Route, Runtime, RuntimePermissions, ServerFunctions,
    SharedRequirement,
};
pub use published::Manifest;
pub use rules::ManifestProblem;
pub use source::SourceManifest;

/// The channel of a manifest that names none.
pub const DEFAULT_CHANNEL: &str = "stable";

pub(crate) use rules::{INDEX_MARK, MANIFEST_MARK, refuse_kind, typed};
