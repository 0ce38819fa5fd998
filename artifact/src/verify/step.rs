//! The steps of `docs/verification.md`, by number.

/// One numbered check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// 1: `releases.json` is there and readable.
    IndexRead,
    /// 2: it is strict JSON.
    IndexJson,
    /// 3: a trusted key that may sign for this feature signed it.
    IndexSignature,
    /// 4: it has the shape of an index.
    IndexSchema,
    /// 5: it keeps the rules of contract §4.
    IndexRules,
    /// 6: the version is listed and not revoked.
    VersionListed,
    /// 7: `manifest.json` has the bytes that the index names.
    ManifestHash,
    /// 8: it is strict JSON.
    ManifestJson,
    /// 9: a trusted key that may sign for this feature signed it.
    ManifestSignature,
    /// 10: it has the published shape and keeps the rules of contract §3.
    ManifestSchema,
    /// 11: manifest, index and directory agree.
    Agreement,
    /// 12: the host is new enough.
    HostVersion,
    /// 13: every listed file has the bytes that the manifest names.
    Files,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 13] = [
        Self::IndexRead,
        Self::IndexJson,
        Self::IndexSignature,
        Self::IndexSchema,
        Self::IndexRules,
        Self::VersionListed,
        Self::ManifestHash,
        Self::ManifestJson,
        Self::ManifestSignature,
        Self::ManifestSchema,
        Self::Agreement,
        Self::HostVersion,
        Self::Files,
    ];

    /// The number in `docs/verification.md`, from 1.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The name in `docs/verification.md`.
    pub fn name(self) -> &'static str {
        match self {
            Self::IndexRead => "index read",
            Self::IndexJson => "index JSON",
            Self::IndexSignature => "index signature",
            Self::IndexSchema => "index schema",
            Self::IndexRules => "index rules",
            Self::VersionListed => "version listed",
            Self::ManifestHash => "manifest hash",
            Self::ManifestJson => "manifest JSON",
            Self::ManifestSignature => "manifest signature",
            Self::ManifestSchema => "manifest schema",
            Self::Agreement => "agreement",
            Self::HostVersion => "host version",
            Self::Files => "files",
        }
    }
}
