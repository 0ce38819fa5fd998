//! Texts that have most of their parts in common, each part encoded once.
//!
//! The pages of a snapshot differ in a line or two and share all the rest, which grows with the number of features:
//! to encode each page whole takes features × features of time and memory. The formats allow for parts: both are
//! sequences of blocks, and a block that ends on a byte and refers to nothing before it fits behind any other.
//!
//! zstd is left out: its blocks depend on those before them, and who takes zstd takes brotli.

use std::io::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use flate2::Crc;
use sha2::{Digest as _, Sha256};

use super::Encoding;
use super::body::Body;
use super::compress::{BROTLI_QUALITY, brotli_window, pays};

/// A part of a text.
#[derive(Debug, Clone)]
pub enum Part {
    /// Stands as it is in every encoding: for what is short or in one text only.
    Plain(Arc<str>),
    /// Compressed beforehand.
    Compressed(Arc<Compressed>),
}

/// A part in all its encodings, which texts share.
#[derive(Debug)]
pub struct Compressed {
    identity: Form,
    gzip: Form,
    br: Form,
    crc: Crc,
}

#[derive(Debug)]
struct Form {
    bytes: Bytes,
    sha256: [u8; 32],
}

impl From<Vec<u8>> for Form {
    fn from(bytes: Vec<u8>) -> Self {
        Form { sha256: Sha256::digest(&bytes).into(), bytes: bytes.into() }
    }
}

impl Part {
    /// A part that is written as it is.
    pub fn plain(text: impl Into<Arc<str>>) -> Part {
        Part::Plain(text.into())
    }

    /// A part that is long or that texts share, compressed now.
    pub fn compressed(text: impl Into<String>) -> Part {
        let text = text.into();
        match (deflated(text.as_bytes()), brotli(text.as_bytes())) {
            (Ok(gzip), Ok(br)) => {
                let mut crc = Crc::new();
                crc.update(text.as_bytes());
                let identity = text.into_bytes().into();
                Part::Compressed(Arc::new(Compressed {
                    identity,
                    gzip: gzip.into(),
                    br: br.into(),
                    crc,
                }))
            }
            // Encoders that write to memory have no reason to fail; the text does not depend on them.
            _ => Part::plain(text),
        }
    }
}

/// The encodings of the text that these parts make up, as far as they save something, each with a digest for its tag.
///
/// The digest is one over the digests of the pieces as they are sent: equal bytes in equal pieces, and no others, have
/// the same.
pub fn encodings(parts: &[Part]) -> Vec<(Encoding, Body, [u8; 32])> {
    let mut crc = Crc::new();
    let mut identity = Pieces::default();
    let mut gzip = Pieces::default();
    let mut br = Pieces::default();
    gzip.copy(GZIP_HEAD);
    for part in parts {
        match part {
            Part::Plain(text) => {
                let text = text.as_bytes();
                crc.update(text);
                identity.copy(text);
                for chunk in text.chunks(MOST_STORED) {
                    gzip.copy(&stored_in_gzip(chunk));
                    gzip.copy(chunk);
                    let is_first = br.is_empty();
                    br.copy(&stored_in_brotli(chunk, is_first));
                    br.copy(chunk);
                }
            }
            Part::Compressed(part) => {
                crc.combine(&part.crc);
                identity.share(&part.identity);
                gzip.share(&part.gzip);
                if br.is_empty() {
                    br.copy(BROTLI_HEAD);
                }
                br.share(&part.br);
            }
        }
    }
    gzip.copy(DEFLATE_END);
    gzip.copy(&crc.sum().to_le_bytes());
    gzip.copy(&crc.amount().to_le_bytes());
    if br.is_empty() {
        br.copy(BROTLI_HEAD);
    }
    br.copy(BROTLI_END);
    let (body, sha256) = identity.finish();
    let plain = body.len();
    let encoded = [(Encoding::Br, br.finish()), (Encoding::Gzip, gzip.finish())];
    encoded
        .into_iter()
        .filter(|(_, (body, _))| pays(body.len(), plain))
        .map(|(encoding, (body, sha256))| (encoding, body, sha256))
        .chain([(Encoding::Identity, body, sha256)])
        .collect()
}

/// What is sent, in pieces: those that are shared, and what lies between two of them in one.
#[derive(Debug)]
struct Pieces {
    done: Vec<Bytes>,
    own: Vec<u8>,
    digests: Sha256,
}

impl Default for Pieces {
    fn default() -> Self {
        Pieces { done: Vec::new(), own: Vec::new(), digests: Sha256::new() }
    }
}

impl Pieces {
    fn is_empty(&self) -> bool {
        self.done.is_empty() && self.own.is_empty()
    }

    fn copy(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
    }

    fn share(&mut self, form: &Form) {
        self.end_own();
        self.digests.update(form.sha256);
        self.done.push(form.bytes.clone());
    }

    fn end_own(&mut self) {
        if !self.own.is_empty() {
            self.digests.update(Sha256::digest(&self.own));
            self.done.push(std::mem::take(&mut self.own).into());
        }
    }

    fn finish(mut self) -> (Body, [u8; 32]) {
        self.end_own();
        (Body::of_pieces(self.done), self.digests.finalize().into())
    }
}

/// RFC 1952 §2.3: deflate, no name, no time, any system.
const GZIP_HEAD: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The last block, of fixed codes and empty (RFC 1951 §3.2.6).
const DEFLATE_END: &[u8] = &[0x03, 0x00];

/// The most that one block holds as it is, in either format.
const MOST_STORED: usize = 0xffff;

/// What precedes a block that is stored as it is (RFC 1951 §3.2.4), where the one before it ended on a byte.
fn stored_in_gzip(chunk: &[u8]) -> [u8; 5] {
    let [low, high] = length_of(chunk).to_le_bytes();
    [0, low, high, !low, !high]
}

/// A window of 4 MiB (RFC 7932 §9.1), the largest that a part is encoded with.
const BROTLI_WINDOW: u32 = 0b1011;
const BROTLI_WINDOW_BITS: u32 = 4;

/// The window and an empty block of metadata, which ends on a byte (RFC 7932 §9.2).
const BROTLI_HEAD: &[u8] = &[(0b11 << (BROTLI_WINDOW_BITS + 1)) | BROTLI_WINDOW as u8, 0];

/// The last block, and empty.
const BROTLI_END: &[u8] = &[0b11];

/// What precedes a block that is stored as it is (RFC 7932 §9.2): that it is not the last, that its length has four
/// nibbles, the length less one, that it is not compressed. In front of the first stands the window.
fn stored_in_brotli(chunk: &[u8], is_first: bool) -> [u8; 3] {
    let block = (u32::from(length_of(chunk)) - 1) << 3 | 1 << 19;
    let bits = if is_first { block << BROTLI_WINDOW_BITS | BROTLI_WINDOW } else { block };
    let [a, b, c, _] = bits.to_le_bytes();
    [a, b, c]
}

fn length_of(chunk: &[u8]) -> u16 {
    u16::try_from(chunk.len()).unwrap_or(u16::MAX)
}

/// Blocks that end on a byte, none of them the last.
fn deflated(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder =
        flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text)?;
    encoder.flush()?;
    Ok(std::mem::take(encoder.get_mut()))
}

/// Blocks that end on a byte, none of them the last, and without the window before them.
fn brotli(text: &[u8]) -> io::Result<Vec<u8>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let params = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: brotli_window(text.len()),
        catable: true,
        appendable: true,
        bare_stream: true,
        byte_align: true,
        use_dictionary: false,
        size_hint: text.len(),
        ..Default::default()
    };
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &*text, &mut out, &params)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn decoded(encoding: Encoding, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match encoding {
            Encoding::Br => {
                let mut input = body;
                brotli::BrotliDecompress(&mut input, &mut out).unwrap();
                assert!(input.is_empty(), "bytes behind the end");
            }
            Encoding::Gzip => {
                let mut decoder = flate2::read::GzDecoder::new(body);
                decoder.read_to_end(&mut out).unwrap();
                assert!(decoder.into_inner().is_empty(), "bytes behind the end");
            }
            _ => out.extend_from_slice(body),
        }
        out
    }

    /// Texts with and without repetition, of lengths about those at which the formats change.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z/\"{}:,é<]{0,40}",
            ("[a-f]{0,9}", 0..20_000_usize).prop_map(|(one, times)| one.repeat(times)),
            (0..3_usize, 65_534..65_538_usize).prop_map(|(n, length)| "abc"[n..=n].repeat(length)),
            vec("/_assets/[a-z]{4}/[0-9]\\.js sha256-[a-zA-Z0-9+/]{43}=", 0..200)
                .prop_map(|lines| lines.concat()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_encoding_is_the_text_and_the_tag_is_of_the_bytes(
            texts in vec((text(), any::<bool>()), 0..7),
            changed in any::<prop::sample::Index>(),
        ) {
            let assemble = |texts: &[(String, bool)]| {
                let part = |(text, shared): &(String, bool)| match shared {
                    true => Part::compressed(text.as_str()),
                    false => Part::plain(text.as_str()),
                };
                encodings(&texts.iter().map(part).collect::<Vec<_>>())
            };
            let whole: String = texts.iter().map(|(text, _)| text.as_str()).collect();
            let encodings = assemble(&texts);
            prop_assert_eq!(encodings.last().map(|(encoding, ..)| *encoding), Some(Encoding::Identity));
            for (encoding, body, _) in encodings {
                prop_assert!(decoded(encoding, &body.to_vec()) == whole.as_bytes(), "{encoding:?}");
            }
            if !texts.is_empty() {
                let mut others = texts.clone();
                others[changed.index(texts.len())].0.push('!');
                let tags = |texts| assemble(texts).into_iter().map(|(.., tag)| tag);
                for other in tags(&others) {
                    prop_assert!(tags(&texts).all(|tag| tag != other));
                }
            }
        }
    }

    #[test]
    fn what_is_shared_is_not_copied() {
        let shared = Part::compressed("shared ".repeat(100));
        let one = encodings(&[Part::plain("a"), shared.clone()]);
        let other = encodings(&[shared, Part::plain("b")]);
        for ((_, one, _), (_, other, _)) in one.iter().zip(&other) {
            let theirs: Vec<_> = other.pieces_from(0).map(<[u8]>::as_ptr).collect();
            assert!(one.pieces_from(0).any(|piece| theirs.contains(&piece.as_ptr())));
        }
    }
}
