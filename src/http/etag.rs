//! Entity tags and the conditions on them (RFC 9110 §8.8.3, §13.1).
//!
//! There is no `last-modified`, and so `if-modified-since` and `if-unmodified-since` have nothing to be held
//! against and are ignored, as RFC 9110 §13.1.3 asks: the same bytes have another time on each replica, and a
//! rollback would go back in time.

use std::fmt;

use sha2::{Digest, Sha256};

/// A strong entity tag: the first 16 bytes of the SHA-256 of a representation, or of the digests of its pieces, in
/// quoted lower-case hex. Two encodings of one resource therefore never share a tag.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntityTag([u8; EntityTag::LENGTH]);

impl EntityTag {
    const HEX_DIGITS: usize = 32;
    const LENGTH: usize = Self::HEX_DIGITS + 2;

    /// The tag of these bytes.
    pub fn of(representation: &[u8]) -> EntityTag {
        EntityTag::from_sha256(&Sha256::digest(representation).into())
    }

    /// The tag of the representation that these pieces make up.
    pub fn of_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> EntityTag {
        let mut hash = Sha256::new();
        pieces.into_iter().for_each(|piece| hash.update(piece));
        EntityTag::from_sha256(&hash.finalize().into())
    }

    /// The tag of the representation with this SHA-256, or with this digest of its own.
    pub fn from_sha256(digest: &[u8; 32]) -> EntityTag {
        let mut tag = [b'"'; Self::LENGTH];
        let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        for (slot, nibble) in tag.iter_mut().skip(1).take(Self::HEX_DIGITS).zip(nibbles) {
            *slot = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        }
        EntityTag(tag)
    }

    /// As it stands in a header, quotes included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As it stands in a header, quotes included.
    pub fn as_str(&self) -> &str {
        // Only quotes and hex digits were ever written.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the client already has the representation tagged `current`: `*`, or the tag is in the
/// list by weak comparison (RFC 9110 §13.1.2).
///
/// `fields` are the values of all `if-none-match` lines. Reading stops at the first malformed
/// member, so that a broken header costs a full reply and never a wrong 304. Allocates nothing.
pub fn if_none_match<'a>(current: &EntityTag, fields: impl IntoIterator<Item = &'a [u8]>) -> bool {
    any_matches(current, fields, Comparison::Weak)
}

/// Whether the client means the representation tagged `current`: `*`, or the tag is in the list by
/// strong comparison (RFC 9110 §13.1.1). A broken header matches nothing.
pub fn if_match<'a>(current: &EntityTag, fields: impl IntoIterator<Item = &'a [u8]>) -> bool {
    any_matches(current, fields, Comparison::Strong)
}

/// Whether a part of the representation tagged `current` fits the parts that the client has: the
/// one field is this tag, strong (RFC 9110 §13.1.5). A date never fits, since no reply has a
/// `last-modified` that it could have come from.
pub fn if_range<'a>(current: &EntityTag, fields: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut fields = fields.into_iter();
    matches!((fields.next(), fields.next()), (Some(field), None) if field == current.as_bytes())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Weak,
    Strong,
}

fn any_matches<'a>(
    current: &EntityTag,
    fields: impl IntoIterator<Item = &'a [u8]>,
    comparison: Comparison,
) -> bool {
    fields.into_iter().any(|field| {
        // What browsers send, so it comes first.
        field == current.as_bytes()
            || field.trim_ascii() == b"*"
            || list_contains(field, current, comparison)
    })
}

fn list_contains(list: &[u8], current: &EntityTag, comparison: Comparison) -> bool {
    let mut rest = list;
    loop {
        let start = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','));
        let Some(member) = start.and_then(|start| rest.get(start..)) else {
            return false;
        };
        let weak = member.strip_prefix(b"W/");
        let Some(opaque) = weak.unwrap_or(member).strip_prefix(b"\"") else {
            return false;
        };
        let Some(end) = opaque.iter().position(|&byte| byte == b'"') else {
            return false;
        };
        let (tag, after) = opaque.split_at(end);
        let comparable = comparison == Comparison::Weak || weak.is_none();
        if comparable && current.0.get(1..=EntityTag::HEX_DIGITS) == Some(tag) {
            return true;
        }
        rest = after.get(1..).unwrap_or_default();
        if !matches!(rest.trim_ascii_start(), [] | [b',', ..]) {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(tag: &EntityTag, field: &str) -> bool {
        if_none_match(tag, [field.as_bytes()])
    }

    #[test]
    fn a_tag_is_quoted_hex_of_the_representation() {
        // SHA-256 of the empty string (FIPS 180-4).
        assert_eq!(EntityTag::of(b"").as_str(), "\"e3b0c44298fc1c149afbf4c8996fb924\"");
        assert_ne!(EntityTag::of(b"a"), EntityTag::of(b"b"));
    }

    #[test]
    fn lists_stars_and_weak_tags_match() {
        let tag = EntityTag::of(b"x");
        let own = tag.as_str();
        for field in [
            own.to_owned(),
            format!("W/{own}"),
            format!("\"other\", {own}"),
            format!("\"with,comma\" ,\t{own} , \"last\""),
            format!(", ,{own}"),
            "*".to_owned(),
            " * ".to_owned(),
        ] {
            assert!(matches(&tag, &field), "{field}");
        }
        assert!(if_none_match(&tag, [&b"\"a\""[..], own.as_bytes()]));
    }

    #[test]
    fn anything_else_does_not_match() {
        let tag = EntityTag::of(b"x");
        let own = tag.as_str();
        let bare = own.trim_matches('"');
        for field in [
            String::new(),
            bare.to_owned(),
            format!("w/{own}"),
            format!("\"{bare}"),
            format!("\"{bare}x\""),
            "\"*\"".to_owned(),
            format!("\"a\" \"b\", {own}"),
            format!("junk, {own}"),
            format!("*, {own}x"),
        ] {
            assert!(!matches(&tag, &field), "{field}");
        }
    }

    #[test]
    fn a_weak_tag_is_no_match_where_bytes_count() {
        let tag = EntityTag::of(b"x");
        let own = tag.as_str();
        let strong = |field: &str| if_match(&tag, [field.as_bytes()]);
        assert!(strong(own) && strong("*") && strong(&format!("\"a\", W/\"b\", {own}")));
        assert!(!strong(&format!("W/{own}")) && !strong("\"other\"") && !strong(""));
        let part = |field: &str| if_range(&tag, [field.as_bytes()]);
        assert!(part(own));
        for field in [
            &format!("W/{own}"),
            &format!("{own}, {own}"),
            "*",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "",
        ] {
            assert!(!part(field), "{field}");
        }
        assert!(!if_range(&tag, [own.as_bytes(), own.as_bytes()]));
    }

    proptest::proptest! {
        #[test]
        fn a_list_matches_exactly_when_the_tag_is_a_member(
            before in proptest::collection::vec("[a-z0-9,/ ]{0,40}", 0..6),
            present in proptest::bool::ANY,
        ) {
            let tag = EntityTag::of(b"member");
            let mut members: Vec<String> = before.iter().map(|other| format!("\"{other}\"")).collect();
            if present {
                members.push(tag.as_str().to_owned());
            }
            proptest::prop_assert_eq!(matches(&tag, &members.join(", ")), present);
        }

        #[test]
        fn a_list_is_read_as_far_as_it_is_well_formed(
            pieces in proptest::collection::vec(
                proptest::sample::select(vec!["OWN", "W/OWN", "\"a\"", "\"\"", ", ", ",", " ", "\t", "W/", "\"", "a", "*"]),
                0..10,
            ),
        ) {
            let tag = EntityTag::of(b"member");
            let field = pieces.concat().replace("OWN", tag.as_str());
            for (comparison, weak_counts) in [(Comparison::Weak, true), (Comparison::Strong, false)] {
                let found = any_matches(&tag, [field.as_bytes()], comparison);
                proptest::prop_assert_eq!(found, simplest(&tag, &field, weak_counts), "{:?}", field);
            }
        }

        #[test]
        fn any_bytes_are_read_without_harm(field in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = if_none_match(&EntityTag::of(b"member"), [field.as_slice()]);
        }
    }

    /// RFC 9110 §8.8.3 and §5.6.1, read by cutting at the quotes: between two tags is a comma, with blanks and further
    /// commas around it, and perhaps the `W/` of the second.
    fn simplest(own: &EntityTag, field: &str, weak_counts: bool) -> bool {
        if field.trim() == "*" {
            return true;
        }
        let pieces: Vec<&str> = field.split('"').collect();
        // Text, tag, text, tag, …; the tag that is cut off at the end is none.
        for (number, pair) in pieces.chunks(2).filter(|pair| pair.len() == 2).enumerate() {
            let [text, inside] = pair else { return false };
            let weak = text.strip_suffix("W/");
            let blank = weak.unwrap_or(text);
            let is_closed = pieces.len() > number * 2 + 2;
            let is_separated = number == 0 || blank.trim_start().starts_with(',');
            if !is_closed || !is_separated || !blank.chars().all(|char| " \t,".contains(char)) {
                return false;
            }
            if format!("\"{inside}\"") == own.as_str() && (weak_counts || weak.is_none()) {
                return true;
            }
        }
        false
    }
}
