//! Encoded variants of what the host itself makes.

use std::io::Write as _;

use super::Encoding;

/// How much time a variant is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// For what is made anew with each snapshot.
    Fast,
    /// For what is made once in the life of the process.
    Best,
}

/// Below this, a variant saves less than its headers cost.
const SMALLEST: usize = 512;

/// The variants of `bytes` that save at least 5 %.
pub fn variants(bytes: &[u8], effort: Effort) -> Vec<(Encoding, Vec<u8>)> {
    if bytes.len() < SMALLEST {
        return Vec::new();
    }
    [
        (Encoding::Br, brotli(bytes, effort)),
        (Encoding::Zstd, zstd(bytes, effort)),
        (Encoding::Gzip, gzip(bytes, effort)),
    ]
    .into_iter()
    .filter_map(|(encoding, variant)| Some((encoding, variant?)))
    .filter(|(_, variant)| variant.len() as u64 * 100 <= bytes.len() as u64 * 95)
    .collect()
}

fn brotli(bytes: &[u8], effort: Effort) -> Option<Vec<u8>> {
    let quality = if effort == Effort::Best { 11 } else { 4 };
    let params = brotli::enc::BrotliEncoderParams { quality, ..Default::default() };
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &*bytes, &mut out, &params).ok()?;
    Some(out)
}

fn zstd(bytes: &[u8], effort: Effort) -> Option<Vec<u8>> {
    zstd::bulk::compress(bytes, if effort == Effort::Best { 19 } else { 3 }).ok()
}

fn gzip(bytes: &[u8], effort: Effort) -> Option<Vec<u8>> {
    let level = if effort == Effort::Best {
        flate2::Compression::best()
    } else {
        flate2::Compression::fast()
    };
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}
