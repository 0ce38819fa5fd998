//! What is wanted: one feature, at one image digest or at one CDN base URL (contract §12).

mod error;
mod image;
mod parse;

use pilar_artifact::{FeatureId, Sha256Digest};
use reqwest::Url;

pub use error::RegistrationError;
pub use image::ImageRefError;
pub use parse::MOST_FILE_BYTES;

/// "This feature, from there."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The feature.
    pub feature: FeatureId,
    /// Where its artifact comes from.
    pub origin: Origin,
}

/// Where an artifact comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `data.image`: the digest is the authority, so an older image is a legitimate rollback (contract §4).
    Image(ImageRef),
    /// `data.cdnBaseUrl`: the signed index is the authority, so its sequence never goes back (contract §4). It
    /// ends with a slash, so that names can be joined to it.
    Cdn(Url),
}

/// `<registry>/<repository>@sha256:<hex>`; a tag beside the digest is dropped, one alone is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    /// Host and port, as written.
    pub registry: String,
    /// The repository, without the registry.
    pub repository: String,
    /// Of the manifest, or of an index of manifests.
    pub digest: Sha256Digest,
}
