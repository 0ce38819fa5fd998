//! The bytes of a representation.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes in memory, in one piece or several. One piece may also be had from a file, so that a sender can choose
/// where it takes it from. Cloning and slicing share all of it.
#[derive(Clone, Debug)]
pub struct Body(Content);

#[derive(Clone, Debug)]
enum Content {
    One(Bytes, Option<(Arc<File>, u64)>),
    /// These bytes of all that the pieces hold, so that a part is cut off them without a list of its own.
    Several(Arc<[Bytes]>, Range<usize>),
}

impl Body {
    /// Bytes that are mapped from `file` at `offset`. Whoever makes it vouches that both are the same
    /// for ever: the host's files are sealed memory.
    pub fn of_file(bytes: Bytes, file: Arc<File>, offset: u64) -> Body {
        Body(Content::One(bytes, Some((file, offset))))
    }

    /// Bytes that lie in several places.
    pub fn of_pieces(pieces: Vec<Bytes>) -> Body {
        let length = pieces.iter().map(Bytes::len).sum();
        Body(Content::Several(pieces.into(), 0..length))
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Content::One(bytes, _) => bytes.len(),
            Content::Several(_, range) => range.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A part of the body; cut off at its end where the range lies beyond it.
    pub fn slice(&self, range: Range<usize>) -> Body {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        match &self.0 {
            Content::One(bytes, file) => {
                let file =
                    file.as_ref().map(|(file, offset)| (file.clone(), offset + start as u64));
                Body(Content::One(bytes.slice(start..end), file))
            }
            Content::Several(pieces, range) => {
                let range = range.start + start..range.start + end;
                Body(Content::Several(pieces.clone(), range))
            }
        }
    }

    /// The pieces of what is left behind the first `offset` bytes, in order. None of them is empty.
    pub fn pieces_from(&self, offset: usize) -> impl Iterator<Item = &[u8]> {
        let (pieces, start, mut left) = match &self.0 {
            Content::One(bytes, _) => (std::slice::from_ref(bytes), 0, bytes.len()),
            Content::Several(pieces, range) => (&**pieces, range.start, range.len()),
        };
        left = left.saturating_sub(offset);
        let mut skipped = start + offset;
        pieces.iter().filter_map(move |piece| {
            let from = skipped.min(piece.len());
            skipped -= from;
            let to = piece.len().min(from + left);
            left -= to - from;
            piece.get(from..to).filter(|part| !part.is_empty())
        })
    }

    /// All bytes, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        self.pieces_from(0).collect::<Vec<_>>().concat()
    }

    /// The file that holds the same bytes, and where in it they begin.
    pub fn file(&self) -> Option<(&File, u64)> {
        match &self.0 {
            Content::One(_, file) => file.as_ref().map(|(file, offset)| (&**file, *offset)),
            Content::Several(..) => None,
        }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Body {
        Body(Content::One(bytes.into(), None))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slice_begins_at_the_same_byte_in_the_file() {
        let file = Arc::new(File::open("/dev/null").unwrap());
        let body = Body::of_file(Bytes::from_static(b"0123456789"), file, 100);
        let part = body.slice(2..8).slice(3..100);
        assert_eq!(part.to_vec(), b"567");
        assert_eq!(part.file().map(|(_, offset)| offset), Some(105));
        assert!(body.slice(20..30).is_empty());
    }

    proptest! {
        #[test]
        fn it_is_the_same_in_however_many_pieces(
            pieces in prop::collection::vec("[a-z]{0,5}", 0..6),
            (start, end, offset) in (0..30_usize, 0..30_usize, 0..30_usize),
        ) {
            let one = Body::from(pieces.concat().into_bytes());
            let several = Body::of_pieces(pieces.into_iter().map(Bytes::from).collect());
            prop_assert_eq!(one.len(), several.len());
            let (one, several) = (one.slice(start..end), several.slice(start..end));
            prop_assert_eq!(one.len(), several.len());
            prop_assert_eq!(one.to_vec(), several.to_vec());
            let rest = |body: &Body| body.pieces_from(offset).collect::<Vec<_>>().concat();
            prop_assert_eq!(rest(&one), rest(&several));
            prop_assert!(several.pieces_from(offset).all(|piece| !piece.is_empty()));
        }
    }
}
