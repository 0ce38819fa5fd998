//! The bytes of a representation.

use std::fs::File;
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytes::Bytes;

/// Bytes in memory that may also be had from a file, so that a sender can choose where it takes
/// them from. Cloning and slicing share both.
#[derive(Clone, Debug)]
pub struct Body {
    bytes: Bytes,
    file: Option<(Arc<File>, u64)>,
}

impl Body {
    /// Bytes that are mapped from `file` at `offset`. Whoever makes it vouches that both are the same
    /// for ever: the host's files are sealed memory.
    pub fn of_file(bytes: Bytes, file: Arc<File>, offset: u64) -> Body {
        Body { bytes, file: Some((file, offset)) }
    }

    /// A part of the body; cut off at its end where the range lies beyond it.
    pub fn slice(&self, range: Range<usize>) -> Body {
        let end = range.end.min(self.bytes.len());
        let start = range.start.min(end);
        let file = self.file.as_ref().map(|(file, offset)| (file.clone(), offset + start as u64));
        Body { bytes: self.bytes.slice(start..end), file }
    }

    /// The file that holds the same bytes, and where in it they begin.
    pub fn file(&self) -> Option<(&File, u64)> {
        self.file.as_ref().map(|(file, offset)| (&**file, *offset))
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Body {
        Body { bytes: bytes.into(), file: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_begins_at_the_same_byte_in_the_file() {
        let file = Arc::new(File::open("/dev/null").unwrap());
        let body = Body::of_file(Bytes::from_static(b"0123456789"), file, 100);
        let part = body.slice(2..8).slice(3..100);
        assert_eq!(&*part, b"567");
        assert_eq!(part.file().map(|(_, offset)| offset), Some(105));
        assert!(body.slice(20..30).is_empty());
    }
}
