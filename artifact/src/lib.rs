//! The signed contract between those who release features and those who serve them.
//!
//! This crate knows what a valid artifact is and nothing about where it comes from: no network, no
//! async, no clock but the one passed in. Everything that reads bytes reads them through
//! [`verify::ReadArtifact`].
//!
//! Read it in this order: [`manifest`] and [`index`] say what is signed, [`keys`] and [`signature`] how,
//! [`verify`] walks the numbered chain of checks of `docs/verification.md`, [`select`] picks what
//! serves, and [`operations`] makes the next signed index.

#![forbid(unsafe_code)]

pub mod canonical;
mod codes;
pub mod digest;
pub mod file_name;
pub mod id;
pub mod index;
pub mod json;
pub mod keys;
pub mod limits;
pub mod loader_status;
pub mod manifest;
pub mod operations;
pub mod remote_index;
pub mod schema;
pub mod select;
pub mod signature;
pub mod signing;
pub mod text;
pub mod verify;

pub use digest::Sha256Digest;
pub use file_name::FileName;
pub use id::FeatureId;
pub use index::ReleaseIndex;
pub use keys::TrustedKeys;
pub use limits::Limits;
pub use manifest::{Manifest, SourceManifest};
pub use signing::SigningKey;
pub use verify::Rejection;

/// The file name of the release index inside a feature's directory (contract §2).
pub const RELEASES_FILE: &str = "releases.json";
/// The file name of the published manifest inside a version directory (contract §2).
pub const MANIFEST_FILE: &str = "manifest.json";
