//! Archives made by hand, entry by entry, so that they can say what no tool would write.

use std::io::Write as _;

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use pilar_artifact::Sha256Digest;
use pilar_loader::unpack::{Compression, Layer};
use tar::{EntryType, Header};

/// An archive that grows.
#[derive(Debug, Default, Clone)]
pub(crate) struct Archive(Vec<u8>);

impl Archive {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A regular file.
    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(path.as_bytes(), EntryType::Regular, 0o644, content)
    }

    /// A directory.
    pub(crate) fn directory(self, path: &str) -> Self {
        self.entry(path.as_bytes(), EntryType::Directory, 0o755, b"")
    }

    /// An entry of any kind. The path is written as it is, up to the 100 bytes that fit.
    pub(crate) fn entry(self, path: &[u8], kind: EntryType, mode: u32, content: &[u8]) -> Self {
        self.claiming(path, kind, mode, content.len() as u64, content)
    }

    /// An entry whose header claims a size of its own.
    pub(crate) fn claiming(
        mut self,
        path: &[u8],
        kind: EntryType,
        mode: u32,
        size: u64,
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..path.len().min(100)].copy_from_slice(&path[..path.len().min(100)]);
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.bytes(content)
    }

    /// PAX records for what follows.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.extended(EntryType::XHeader, &pax_records(records))
    }

    /// An extended header with these bytes.
    pub(crate) fn extended(self, kind: EntryType, content: &[u8]) -> Self {
        self.entry(b"extended", kind, 0o644, content)
    }

    /// Content, filled up to a whole block.
    pub(crate) fn bytes(mut self, content: &[u8]) -> Self {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// With the two empty blocks that end an archive.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// `<length> <key>=<value>\n` each, where the length counts itself.
pub(crate) fn pax_records(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in records {
        let rest = 3 + key.len() + value.len();
        let length = (1..).map(|digits| rest + digits).find(|l| l.to_string().len() + rest == *l);
        bytes.extend_from_slice(format!("{} {key}=", length.unwrap()).as_bytes());
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
    bytes
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// What an honest manifest says of these bytes.
pub(crate) fn layer(bytes: &[u8], compression: Compression) -> Layer {
    Layer { digest: Sha256Digest::of(bytes), size: bytes.len() as u64, compression }
}
