//! Counting and hashing what goes by, and ending it where it is too much.

use std::cell::Cell;
use std::io::{self, Read};

use pilar_artifact::Sha256Digest;
use sha2::{Digest as _, Sha256};

use super::{Layer, Refusal};
use crate::transport::Limits;

/// So much of a layer is expanded before its ratio is judged: short archives are mostly zeros.
const RATIO_JUDGED_FROM: u64 = 8 << 20;
/// How much is read at once to get to the end.
const PIECE: usize = 64 * 1024;

/// The compressed bytes, as they come: none beyond what the manifest says, and hashed.
pub(super) struct Measured<'a, R> {
    source: R,
    layer: &'a Layer,
    hash: Sha256,
    count: &'a Cell<u64>,
}

impl<'a, R: Read> Measured<'a, R> {
    pub(super) fn new(source: R, layer: &'a Layer, count: &'a Cell<u64>) -> Self {
        Self { source, layer, hash: Sha256::new(), count }
    }

    /// Reads to the end and holds length and digest against what the manifest says.
    pub(super) fn finish(mut self) -> Result<(), Refusal> {
        let mut rest = vec![0; PIECE];
        while self.read(&mut rest).map_err(Refusal::of)? > 0 {}
        let (expected, found) = (self.layer.size, self.count.get());
        if expected != found {
            return Err(Refusal::Size { expected, found });
        }
        let (expected, found) =
            (self.layer.digest, Sha256Digest::from(<[u8; 32]>::from(self.hash.finalize())));
        if expected == found { Ok(()) } else { Err(Refusal::Digest { expected, found }) }
    }
}

impl<R: Read> Read for Measured<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        self.count.set(self.count.get().saturating_add(read as u64));
        let (expected, found) = (self.layer.size, self.count.get());
        if found > expected {
            return Err(Refusal::Size { expected, found: expected.saturating_add(1) }.into_io());
        }
        Ok(read)
    }
}

/// The bytes of the archive: no more of them than the image may have, and than their compressed form allows.
pub(super) struct Expanded<'a, R> {
    source: R,
    compressed: &'a Cell<u64>,
    limits: Limits,
    /// Of the layers below.
    before: u64,
    count: u64,
}

impl<'a, R: Read> Expanded<'a, R> {
    pub(super) fn new(source: R, compressed: &'a Cell<u64>, limits: Limits, before: u64) -> Self {
        Self { source, compressed, limits, before, count: 0 }
    }

    /// With the layers below, in bytes.
    pub(super) fn total(&self) -> u64 {
        self.before.saturating_add(self.count)
    }
}

impl<R: Read> Read for Expanded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.count = self.count.saturating_add(read as u64);
        let too_much = |code, what, limit| Err(Refusal::TooMuch { code, what, limit }.into_io());
        let limit = self.limits.expanded_bytes;
        if self.total() > limit {
            return too_much(
                "image-too-large",
                "the bytes of the image after decompression",
                limit,
            );
        }
        let allowed = self.compressed.get().saturating_mul(self.limits.ratio);
        if self.count > allowed.max(RATIO_JUDGED_FROM) {
            let what = "the bytes of the layer after decompression for each compressed one";
            return too_much("ratio-too-large", what, self.limits.ratio);
        }
        Ok(read)
    }
}
