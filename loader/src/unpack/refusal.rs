//! Why a layer was refused.

use std::io;

use pilar_artifact::Sha256Digest;
use pilar_artifact::text::for_people;
use pilar_store::StoreError;

/// Why a layer was refused. Nothing of it counts.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The archive says something that no artifact needs.
    #[error("entry \"{path}\": {rule}")]
    Entry {
        /// The path as the archive has it, shortened and with what cannot be shown escaped.
        path: String,
        /// The rule.
        rule: Rule,
    },
    /// More than is allowed.
    #[error("{what} exceed the limit of {limit}")]
    TooMuch {
        /// The code.
        code: &'static str,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The bytes are not those that the manifest of the image names.
    #[error("the layer is not what its manifest names: expected {expected}, found {found}")]
    Digest {
        /// What the manifest of the image says.
        expected: Sha256Digest,
        /// What came.
        found: Sha256Digest,
    },
    /// The layer has another length than the manifest of the image says.
    #[error("the layer has {found} bytes and its manifest says {expected}")]
    Size {
        /// What the manifest of the image says, in bytes.
        expected: u64,
        /// What came, in bytes; no more than one byte beyond is looked at.
        found: u64,
    },
    /// The bytes are the ones that were named, and they are no archive.
    // The reader of archives quotes the name of an entry as it is.
    #[error("the layer cannot be read as an archive: {}", for_people(&.0.to_string()))]
    Damaged(io::Error),
    /// The staging directory could not be written.
    #[error("{}: {_0}", _0.path().display())]
    Store(#[from] StoreError),
}

/// The rules of an archive, one for each thing that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself what it is")]
pub enum Rule {
    #[error("it is a link")]
    Link,
    #[error("it is a device")]
    Device,
    #[error("it is a named pipe")]
    Pipe,
    #[error("it is a sparse file")]
    Sparse,
    #[error("it is neither a regular file nor a directory")]
    Type,
    #[error("it has a setuid, setgid or sticky bit")]
    Mode,
    #[error("it is a whiteout, which takes away what a layer below it brought")]
    Whiteout,
    #[error("the archive has it twice")]
    Duplicate,
    #[error("it is a file in one place and a directory in another")]
    Conflict,
    #[error(
        "its extended header is too large, not readable, or says something else than the entry"
    )]
    Header,
    #[error("something comes after the end of the archive")]
    Behind,
    #[error("its path is empty or has an empty segment")]
    PathEmpty,
    #[error("its path is absolute")]
    PathAbsolute,
    #[error("its path has the segment \"..\"")]
    PathParent,
    #[error("its path has the segment \".\"")]
    PathDot,
    #[error("its path is not UTF-8")]
    PathNotUtf8,
    #[error("its path holds a NUL")]
    PathNul,
    #[error("its path holds a backslash")]
    PathBackslash,
    #[error("its path is too long")]
    PathTooLong,
    #[error("its path is too deep")]
    PathTooDeep,
    #[error("it does not lie below artifacts/")]
    Outside,
    #[error("it belongs to another feature")]
    Foreign,
    #[error("a feature has releases.json and version directories, and nothing else")]
    Unexpected,
    #[error("its name is none that a manifest could list")]
    Name,
}

impl Rule {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Link => "entry-link",
            Self::Device => "entry-device",
            Self::Pipe => "entry-pipe",
            Self::Sparse => "entry-sparse",
            Self::Type => "entry-type",
            Self::Mode => "entry-mode",
            Self::Whiteout => "entry-whiteout",
            Self::Duplicate => "entry-duplicate",
            Self::Conflict => "entry-conflict",
            Self::Header => "entry-header",
            Self::Behind => "archive-trailing-bytes",
            Self::PathEmpty => "path-empty",
            Self::PathAbsolute => "path-absolute",
            Self::PathParent => "path-parent",
            Self::PathDot => "path-dot",
            Self::PathNotUtf8 => "path-not-utf8",
            Self::PathNul => "path-nul",
            Self::PathBackslash => "path-backslash",
            Self::PathTooLong => "path-too-long",
            Self::PathTooDeep => "path-too-deep",
            Self::Outside => "entry-outside",
            Self::Foreign => "feature-foreign",
            Self::Unexpected => "entry-unexpected",
            Self::Name => "path-name",
        }
    }
}

impl Refusal {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Entry { rule, .. } => rule.code(),
            Self::TooMuch { code, .. } => code,
            Self::Digest { .. } => "digest-mismatch",
            Self::Size { .. } => "size-mismatch",
            Self::Damaged(_) => "archive-damaged",
            Self::Store(error) => error.code(),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Entry { rule: Rule::Foreign, .. } => {
                "register the image under the feature that it holds, or build it for this one"
            }
            Self::Entry { .. } => {
                "build the image with `pilar image push` or with Dockerfile.feature, from nothing but the artifact directory"
            }
            Self::TooMuch { .. } => {
                "make the artifact smaller, or raise the LOADER_MAX_* limit that the code names"
            }
            Self::Digest { .. } | Self::Size { .. } => {
                "it is fetched again; should it stay, the registry or something before it alters the bytes: push the image again"
            }
            Self::Damaged(_) => "build the image again, with gzip, zstd or no compression",
            Self::Store(error) => error.remedy(),
        }
    }

    /// What a reader said. One that goes through several of them may carry a refusal of the first.
    pub(super) fn of(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Damaged)
    }

    /// To be carried through readers that know only [`io::Error`].
    pub(super) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// Whether the same bytes may well be accepted next time.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Entry { .. } | Self::TooMuch { .. } | Self::Damaged(_) => false,
            Self::Digest { .. } | Self::Size { .. } | Self::Store(_) => true,
        }
    }
}
