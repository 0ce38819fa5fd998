//! `<registry>/<repository>@sha256:<hex>`.

use std::fmt;
use std::str::FromStr;

use pilar_artifact::Sha256Digest;

use super::ImageRef;

/// The whole name without the digest, as registries bound it (OCI distribution specification, "Pulling
/// manifests": many clients stop at 255 characters for host and repository).
const LONGEST_NAME: usize = 255;

/// Why text is no image reference that can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageRefError {
    /// What a tag names changes.
    #[error("it has no digest, and what a tag names changes")]
    NoDigest,
    /// Something else than `sha256:` and 64 hex digits.
    #[error("what follows the \"@\" is not \"sha256:\" and 64 lower-case hex digits")]
    BadDigest,
    /// No host, so that it would be somebody's default registry.
    #[error("it does not start with a registry, such as \"registry.example.org/\"")]
    NoRegistry,
    /// The repository is not a name that a registry may have.
    #[error(
        "the repository is not lower-case letters, digits and separators, at most 255 characters"
    )]
    BadRepository,
}

impl FromStr for ImageRef {
    type Err = ImageRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digest) = text.split_once('@').ok_or(ImageRefError::NoDigest)?;
        let hex = digest.strip_prefix("sha256:").ok_or(ImageRefError::BadDigest)?;
        let is_hex = hex.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        let digest = Some(hex).filter(|_| is_hex).and_then(|hex| hex.parse().ok());
        let digest: Sha256Digest = digest.ok_or(ImageRefError::BadDigest)?;
        let (registry, path) = name.split_once('/').ok_or(ImageRefError::NoRegistry)?;
        if !is_registry(registry) {
            return Err(ImageRefError::NoRegistry);
        }
        // A tag beside the digest is for people.
        let (repository, tag) = path.split_once(':').unwrap_or((path, "tag"));
        if name.len() > LONGEST_NAME || !repository.split('/').all(is_component) || !is_tag(tag) {
            return Err(ImageRefError::BadRepository);
        }
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned(), digest })
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@sha256:{}", self.registry, self.repository, self.digest)
    }
}

/// A host name or address, and maybe a port. A first part without a dot or a port would be a name on
/// somebody's default registry.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
        && !host.starts_with(['.', '-']);
    let is_host =
        is_address || host == "localhost" || (is_name && (host.contains('.') || port.is_some()));
    is_host && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (OCI distribution specification, `<name>`).
fn is_component(text: &str) -> bool {
    let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let mut bytes = text.bytes();
    ends(bytes.next())
        && ends(text.bytes().next_back())
        && bytes.all(|b| ends(Some(b)) || matches!(b, b'.' | b'_' | b'-'))
        && text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(is_separator)
}

fn is_separator(text: &str) -> bool {
    matches!(text, "" | "." | "_" | "__") || text.bytes().all(|b| b == b'-')
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}
