//! What untrusted metadata and artifacts may cost at the most.

/// Bounds on input, passed in by the program that reads it.
///
/// The defaults are those of contract §3; a field that the contract leaves open is chosen so that no
/// artifact a team would build by intention comes near it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of one JSON document, in bytes (contract §3: 1 MiB).
    pub json_bytes: u64,
    /// Nesting of JSON objects and arrays (contract §3: 64).
    pub json_depth: usize,
    /// Files of one version, besides `manifest.json`.
    pub files: usize,
    /// Size of one file, in bytes.
    pub file_bytes: u64,
    /// Size of all files of one version, in bytes.
    pub version_bytes: u64,
    /// Versions in one release index.
    pub versions: usize,
    /// History entries kept when an index is written; more are accepted when read.
    pub history: usize,
    /// Signatures on one document.
    pub signatures: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_bytes: 1024 * 1024,
            json_depth: 64,
            files: 4096,
            file_bytes: 64 * 1024 * 1024,
            version_bytes: 256 * 1024 * 1024,
            versions: 256,
            history: 50,
            signatures: 8,
        }
    }
}
