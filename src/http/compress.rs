//! Encoded variants of what the host makes once in the life of the process.

use std::io::Write as _;

use super::Encoding;

/// Below this, a variant saves less than its headers cost.
const SMALLEST: usize = 512;

/// A start waits for them, and each refresh: the highest quality takes twenty times as long for 7 % less. From each to
/// the next the tables double that an encoder clears, from 1 MiB on.
pub(super) const BROTLI_QUALITY: i32 = 5;
const ZSTD_LEVEL: i32 = 12;

/// The variants of `bytes` that save at least 5 %.
pub fn variants(bytes: &[u8]) -> Vec<(Encoding, Vec<u8>)> {
    if bytes.len() < SMALLEST {
        return Vec::new();
    }
    [(Encoding::Br, brotli(bytes)), (Encoding::Zstd, zstd(bytes)), (Encoding::Gzip, gzip(bytes))]
        .into_iter()
        .filter_map(|(encoding, variant)| Some((encoding, variant?)))
        .filter(|(_, variant)| pays(variant.len(), bytes.len()))
        .collect()
}

/// Whether an encoding saves enough to be kept.
pub(super) fn pays(encoded: usize, plain: usize) -> bool {
    encoded as u64 * 100 <= plain as u64 * 95
}

fn brotli(bytes: &[u8]) -> Option<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: brotli_window(bytes.len()),
        ..Default::default()
    };
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &*bytes, &mut out, &params).ok()?;
    Some(out)
}

/// The window that looks back over a text of this length, as its exponent. What an encoder clears at its start is most
/// of its work for a short text: as much as the window takes, and with one of less than 2^17 tables of 32 MiB.
pub(super) fn brotli_window(length: usize) -> i32 {
    (usize::BITS - length.leading_zeros()).clamp(17, 22).cast_signed()
}

fn zstd(bytes: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::compress(bytes, ZSTD_LEVEL).ok()
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}
