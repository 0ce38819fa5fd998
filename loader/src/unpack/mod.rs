//! From the bytes of a layer to files in a staging directory, in one pass and in bounded memory.
//!
//! ```text
//! compressed bytes → length and SHA-256 → gzip, zstd → size and ratio → tar entries → rules → openat2
//! ```
//! What an artifact does not need is refused, each with its own code ([`Rule`]); nothing is repaired or left out.

mod entries;
mod measure;
mod path;
mod pax;
mod refusal;

use std::cell::Cell;
use std::io::Read;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use pilar_artifact::{FeatureId, Sha256Digest};
use pilar_store::Incoming;

use crate::transport::Limits;
use measure::{Expanded, Measured};
use path::Paths;

pub use refusal::{Refusal, Rule};

/// The largest window of a zstd frame that is decoded, as a power of two: 8 MiB, which level 19 asks for. The
/// window is kept in memory.
const ZSTD_WINDOW_LOG: u32 = 23;

/// What the manifest of an image says of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Of the bytes as they are sent.
    pub digest: Sha256Digest,
    /// Of the same bytes.
    pub size: u64,
    /// How the archive is compressed.
    pub compression: Compression,
}

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Takes the layers of one image, from the lowest to the highest.
#[derive(Debug)]
pub struct Unpacker {
    feature: FeatureId,
    limits: Limits,
    into: Arc<Incoming>,
    entries: usize,
    expanded: u64,
    paths: Paths,
}

impl Unpacker {
    /// For an image that holds `feature`.
    pub fn new(feature: &FeatureId, limits: Limits, into: Arc<Incoming>) -> Self {
        let feature = feature.clone();
        Self { feature, limits, into, entries: 0, expanded: 0, paths: Paths::default() }
    }

    /// Takes one layer. It reads `source` to its end even where an entry is refused, because only the digest
    /// tells whether the image is at fault or the network.
    ///
    /// # Errors
    /// [`Refusal`]; what is in the staging directory then is of no use.
    pub fn layer(&mut self, source: impl Read, layer: &Layer) -> Result<(), Refusal> {
        let compressed = Cell::new(0);
        let mut measured = Measured::new(source, layer, &compressed);
        let unpacked = decompressed(&mut measured, layer.compression, |archive| {
            let mut expanded = Expanded::new(archive, &compressed, self.limits, self.expanded);
            let taken = self.entries(&mut expanded);
            self.expanded = expanded.total();
            taken
        });
        match unpacked {
            // No need to look further: it is the disk.
            Err(refusal @ Refusal::Store(_)) => Err(refusal),
            unpacked => measured.finish().and(unpacked),
        }
    }
}

/// The feature that a layer says it holds: the one in whose directory its first entry lies that lies in one. It reads no
/// further, and holds nothing against a digest: whether it is so, [`Unpacker`] finds out.
///
/// # Errors
/// [`Refusal`] where the layer cannot be read so far.
pub fn feature_of(
    source: impl Read,
    layer: &Layer,
    limits: Limits,
) -> Result<Option<FeatureId>, Refusal> {
    let compressed = Cell::new(0);
    let measured = Measured::new(source, layer, &compressed);
    decompressed(measured, layer.compression, |archive| {
        entries::first_feature(&mut Expanded::new(archive, &compressed, limits, 0), &limits)
    })
}

fn decompressed<T>(
    mut source: impl Read,
    compression: Compression,
    take: impl FnOnce(&mut dyn Read) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    match compression {
        Compression::None => take(&mut source),
        Compression::Gzip => take(&mut MultiGzDecoder::new(source)),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::new(source).map_err(Refusal::of)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(Refusal::of)?;
            take(&mut decoder)
        }
    }
}
