//! Precompressed variants (contract §3): made once at build time, so that hosts never have to.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use pilar_artifact::FileName;
use rayon::prelude::*;

use crate::problem::Problem;

/// Below this size a reply fits one packet either way.
const MIN_BYTES: usize = 1024;
/// What is compressed already gains nothing.
const COMPRESSIBLE: [&str; 17] = [
    "js",
    "mjs",
    "css",
    "html",
    "json",
    "svg",
    "txt",
    "xml",
    "wasm",
    "map",
    "ttf",
    "otf",
    "ico",
    "csv",
    "md",
    "webmanifest",
    "cjs",
];
/// The suffixes of the encodings that hosts negotiate.
pub(crate) const SUFFIXES: [&str; 3] = ["br", "zst", "gz"];

/// The variants that save at least 5 %, as `x.js.br`, `x.js.zst`, `x.js.gz`.
pub(crate) fn variants(
    files: &BTreeMap<FileName, Vec<u8>>,
) -> Result<Vec<(FileName, Vec<u8>)>, Problem> {
    let work: Vec<_> = files
        .iter()
        .filter(|(name, bytes)| is_compressible(name) && bytes.len() >= MIN_BYTES)
        .flat_map(|(name, bytes)| SUFFIXES.map(|suffix| (name, bytes, suffix)))
        .collect();
    let made: Result<Vec<_>, Problem> = work
        .into_par_iter()
        .map(|(name, bytes, suffix)| {
            let encoded = encode(bytes, suffix).map_err(|error| {
                let message = format!("it cannot be compressed as {suffix}: {error}");
                Problem::new("compress-failed", message, "run it again with more memory")
                    .file(name.as_str())
            })?;
            let saves = encoded.len() * 100 <= bytes.len() * 95;
            Ok(name.with_suffix(suffix).filter(|_| saves).map(|name| (name, encoded)))
        })
        .collect();
    Ok(made?.into_iter().flatten().collect())
}

/// Whether files of this name are worth compressing.
pub(crate) fn is_compressible(name: &FileName) -> bool {
    COMPRESSIBLE.contains(&name.extension())
}

fn encode(bytes: &[u8], suffix: &str) -> io::Result<Vec<u8>> {
    match suffix {
        "br" => {
            let params = brotli::enc::BrotliEncoderParams {
                quality: 11,
                size_hint: bytes.len(),
                ..Default::default()
            };
            let mut encoded = Vec::new();
            brotli::BrotliCompress(&mut &bytes[..], &mut encoded, &params)?;
            Ok(encoded)
        }
        // Level 19 keeps its window within the 8 MiB that browsers accept (RFC 9659).
        "zst" => zstd::bulk::compress(bytes, 19),
        _ => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes)?;
            encoder.finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, bytes: Vec<u8>) -> Vec<String> {
        let files = BTreeMap::from([(name.parse().unwrap(), bytes)]);
        variants(&files).unwrap().into_iter().map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn text_gets_three_variants() {
        let text = "const answer = 42;\n".repeat(200).into_bytes();
        assert_eq!(one("a.js", text), ["a.js.br", "a.js.zst", "a.js.gz"]);
    }

    #[test]
    fn what_does_not_shrink_or_is_tiny_gets_none() {
        assert!(one("a.png", vec![0; 5000]).is_empty());
        assert!(one("a.js", b"let a".to_vec()).is_empty());
        // No two bytes alike in a row, no repeats: a linear congruential sequence.
        let noise = (0_u32..5000)
            .scan(1_u32, |state, _| {
                *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Some((*state >> 24) as u8)
            })
            .collect();
        assert!(one("a.js", noise).is_empty());
    }
}
