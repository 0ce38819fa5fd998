//! How the checks read bytes.

use crate::codes::codes;

/// Reads files of one feature's directory.
pub trait ReadArtifact {
    /// Reads the whole file at `path`, relative to the feature's directory, such as `1.0.0/manifest.json`.
    ///
    /// An implementation never follows a link, never leaves the directory and never returns more than
    /// `limit` bytes.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError>;
}

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("the file is missing")]
    Missing,
    /// A link, a directory or a device where a file belongs, or a way out of the directory.
    #[error("it is not a regular file of the feature's directory (links are not followed)")]
    NotRegular,
    /// More bytes than allowed.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The operating system or the transport refused.
    #[error("the file could not be read: {message}")]
    Failed {
        /// What it said.
        message: String,
    },
}

codes!(ReadError {
    Self::Missing => "file-missing",
    Self::NotRegular => "file-not-regular",
    Self::TooLarge { .. } => "file-too-large",
    Self::Failed { .. } => "file-unreadable",
});
