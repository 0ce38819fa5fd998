//! Byte ranges (RFC 9110 §14).

use std::ops::Range;

/// What a request wants of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested<'a> {
    /// All of it: there is no `range`, or none that is heeded.
    All,
    /// One part.
    One(Range<usize>),
    /// Several parts.
    Many(RangeSet<'a>),
    /// Only parts that the representation does not have (416).
    Unsatisfiable,
}

/// At least two ranges, as they stand in the request; checked when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeSet<'a> {
    list: &'a [u8],
    length: usize,
}

impl<'a> RangeSet<'a> {
    /// More ranges than this are not heeded: players and document viewers ask for a handful, and
    /// each costs a head of its own.
    pub const MOST: usize = 16;

    /// The ranges in the order of the request; none is empty.
    pub fn iter(&self) -> impl Iterator<Item = Range<usize>> + 'a {
        let length = self.length;
        members(self.list)
            .filter_map(move |member| read_member(member, length)?)
            .map(|(start, end)| start..end)
    }
}

/// Reads `range` for a representation of `length` bytes.
///
/// `fields` are the values of all `range` lines. A header that is malformed, repeated, of another
/// unit, or that asks for more bytes than there are or for more than [`RangeSet::MOST`] parts, is
/// not heeded: RFC 9110 §14.2 allows that for every range, and so no request can make a reply
/// larger than the whole and the heads of its parts. Allocates nothing.
pub fn requested<'a>(fields: impl IntoIterator<Item = &'a [u8]>, length: usize) -> Requested<'a> {
    let mut fields = fields.into_iter();
    match (fields.next(), fields.next()) {
        (Some(field), None) => read(field, length).unwrap_or(Requested::All),
        _ => Requested::All,
    }
}

/// `None` for a header that is not heeded.
fn read(field: &[u8], length: usize) -> Option<Requested<'_>> {
    const UNIT: &[u8] = b"bytes=";
    let (unit, list) = field.split_at_checked(UNIT.len())?;
    if !unit.eq_ignore_ascii_case(UNIT) {
        return None;
    }
    let mut asked = 0;
    let mut found = 0;
    let mut first = 0..0;
    let mut total = 0usize;
    for member in members(list) {
        asked += 1;
        let Some((start, end)) = read_member(member, length)? else { continue };
        found += 1;
        if found == 1 {
            first = start..end;
        }
        total = total.saturating_add(end - start);
    }
    if asked == 0 || asked > RangeSet::MOST || total > length || length == 0 {
        return None;
    }
    Some(match found {
        0 => Requested::Unsatisfiable,
        1 => Requested::One(first),
        _ => Requested::Many(RangeSet { list, length }),
    })
}

/// RFC 9110 §5.6.1.2: empty members of a list do not count.
fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// The start and the end of one range, `Some(None)` where the representation has nothing of it.
fn read_member(member: &[u8], length: usize) -> Option<Option<(usize, usize)>> {
    let dash = member.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (member.get(..dash)?, member.get(dash + 1..)?);
    if first.is_empty() {
        let suffix = read_number(last)?;
        return Some((suffix > 0).then(|| (length.saturating_sub(suffix), length)));
    }
    let start = read_number(first)?;
    let end = if last.is_empty() {
        length
    } else {
        let last = read_number(last)?;
        if last < start {
            return None;
        }
        last.saturating_add(1).min(length)
    };
    Some((start < length).then_some((start, end)))
}

/// A number of any length; what does not fit is as good as the largest that does.
fn read_number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0usize, |sum, byte| match byte {
        b'0'..=b'9' => Some(sum.saturating_mul(10).saturating_add(usize::from(byte - b'0'))),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(field: &str, length: usize) -> Requested<'_> {
        requested([field.as_bytes()], length)
    }

    fn parts(requested: &Requested<'_>) -> Vec<Range<usize>> {
        match requested {
            Requested::One(range) => vec![range.clone()],
            Requested::Many(set) => set.iter().collect(),
            Requested::All | Requested::Unsatisfiable => Vec::new(),
        }
    }

    #[test]
    fn ranges_are_read_as_the_rfc_writes_them() {
        // The examples of RFC 9110 §14.1.2, for a representation of 10 000 bytes, and others.
        for (field, expected) in [
            ("bytes=0-499", "0..500"),
            ("bytes=500-999", "500..1000"),
            ("bytes=-500", "9500..10000"),
            ("bytes=9500-", "9500..10000"),
            ("bytes=0-0,-1", "0..1, 9999..10000"),
            ("bytes= 0-999, 4500-5499, -1000", "0..1000, 4500..5500, 9000..10000"),
            ("bytes=500-600,601-999", "500..601, 601..1000"),
            ("bytes=500-700,601-999", "500..701, 601..1000"),
            ("Bytes=0-0", "0..1"),
            ("bytes=0-99999999999999999999999", "0..10000"),
            ("bytes=-99999999999999999999999", "0..10000"),
            ("bytes=,, 1-2 ,", "1..3"),
            ("bytes=1-2,20000-30000", "1..3"),
        ] {
            assert_eq!(
                format!("{:?}", parts(&ask(field, 10_000))),
                format!("[{expected}]"),
                "{field}"
            );
        }
    }

    #[test]
    fn what_the_representation_does_not_have_is_unsatisfiable() {
        for field in ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=20000-,-0"] {
            assert_eq!(ask(field, 10_000), Requested::Unsatisfiable, "{field}");
        }
    }

    #[test]
    fn what_is_malformed_or_greedy_is_not_heeded() {
        let many = format!("bytes={}0-0", "1-1,".repeat(RangeSet::MOST));
        for field in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=2-1",
            "bytes=0-1,2-1",
            "bytes=a-b",
            "bytes=1",
            "bytes=1-2-3",
            "bytes=0x1-2",
            "bytes=+1-2",
            "bytes 0-1",
            "lines=0-1",
            "bytes=0-,0-",
            &many,
        ] {
            assert_eq!(ask(field, 10_000), Requested::All, "{field}");
        }
        assert_eq!(requested([], 10), Requested::All);
        assert_eq!(requested([&b"bytes=0-1"[..], b"bytes=0-1"], 10), Requested::All);
        assert_eq!(ask("bytes=0-", 0), Requested::All);
        assert_eq!(ask("bytes=-5", 0), Requested::All);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_lead_outside_of_the_representation(
            field in "(bytes=)?[0-9,\\- ]{0,60}",
            length in 0usize..2000,
        ) {
            let requested = ask(&field, length);
            let mut total = 0;
            for range in parts(&requested) {
                proptest::prop_assert!(range.start < range.end && range.end <= length);
                total += range.len();
            }
            proptest::prop_assert!(total <= length);
        }

        #[test]
        fn any_bytes_are_read_without_harm(field in proptest::collection::vec(proptest::num::u8::ANY, 0..100)) {
            let _ = requested([field.as_slice()], 1000);
        }
    }
}
