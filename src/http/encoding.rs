//! Content negotiation by `accept-encoding` (RFC 9110 §12.5.3).

/// A content coding of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Encoding {
    /// The bytes as they were built.
    Identity = 0,
    /// RFC 9110 §8.4.1.3.
    Gzip = 1,
    /// RFC 8878.
    Zstd = 2,
    /// RFC 7932.
    Br = 3,
}

impl Encoding {
    /// Every coding, the most preferred first among equal quality values.
    pub const BY_PREFERENCE: [Encoding; 4] =
        [Encoding::Br, Encoding::Zstd, Encoding::Gzip, Encoding::Identity];

    /// The name in `content-encoding` and `accept-encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
            Encoding::Br => "br",
        }
    }

    fn from_name(name: &[u8]) -> Option<Encoding> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        // By length first, since no two that are known share theirs but gzip and zstd.
        match name.len() {
            2 if is("br") => Some(Encoding::Br),
            4 if is("gzip") => Some(Encoding::Gzip),
            4 if is("zstd") => Some(Encoding::Zstd),
            // RFC 9110 §8.4.1.3: to be treated as gzip.
            6 if is("x-gzip") => Some(Encoding::Gzip),
            8 if is("identity") => Some(Encoding::Identity),
            _ => None,
        }
    }
}

/// Which codings a resource has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodingSet(u8);

impl EncodingSet {
    /// Adds one coding.
    pub fn insert(&mut self, encoding: Encoding) {
        self.0 |= 1 << encoding as u8;
    }

    /// Whether the coding is there.
    pub fn contains(self, encoding: Encoding) -> bool {
        self.0 & (1 << encoding as u8) != 0
    }
}

/// The coding to answer with, or `None` when the client accepts none of `available` (406).
///
/// `fields` are the values of all `accept-encoding` lines in their order; they count as one list.
/// No line at all means identity where there is one, otherwise the most preferred coding. An
/// identity that the client does not mention is its last resort. Members that are malformed are
/// passed over; of a coding named twice the last mention counts. Allocates nothing and looks at
/// each byte once.
pub fn negotiate<'a>(
    available: EncodingSet,
    fields: impl IntoIterator<Item = &'a [u8]>,
) -> Option<Encoding> {
    let mut wishes = Wishes::default();
    let mut asked = false;
    for field in fields {
        asked = true;
        for member in field.split(|&byte| byte == b',') {
            wishes.read_member(member);
        }
    }
    if !asked {
        if available.contains(Encoding::Identity) {
            return Some(Encoding::Identity);
        }
        return Encoding::BY_PREFERENCE.into_iter().find(|&encoding| available.contains(encoding));
    }
    let mut best: Option<(u16, Encoding)> = None;
    for encoding in Encoding::BY_PREFERENCE {
        let quality = wishes.quality(encoding);
        let better = best.is_none_or(|(so_far, _)| quality > so_far);
        if quality > 0 && better && available.contains(encoding) {
            best = Some((quality, encoding));
        }
    }
    best.map(|(_, encoding)| encoding)
}

/// Quality values scaled so that a stated one (1 to 1000) is always above the unstated identity.
#[derive(Default)]
struct Wishes {
    identity: Option<u16>,
    gzip: Option<u16>,
    zstd: Option<u16>,
    br: Option<u16>,
    any: Option<u16>,
}

impl Wishes {
    const SCALE: u16 = 2;
    const LAST_RESORT: u16 = 1;

    fn quality(&self, encoding: Encoding) -> u16 {
        let (stated, unstated) = match encoding {
            Encoding::Identity => (self.identity, Self::LAST_RESORT),
            Encoding::Gzip => (self.gzip, 0),
            Encoding::Zstd => (self.zstd, 0),
            Encoding::Br => (self.br, 0),
        };
        stated.or(self.any).map_or(unstated, |thousandths| thousandths * Self::SCALE)
    }

    fn read_member(&mut self, member: &[u8]) {
        let (name, quality) = match member.iter().position(|&byte| byte == b';') {
            None => (member.trim_ascii(), 1000),
            Some(end) => {
                let (name, weight) = member.split_at(end);
                // A second parameter is part of the weight, and makes it malformed.
                match read_weight(weight.get(1..).unwrap_or_default().trim_ascii()) {
                    Some(thousandths) => (name.trim_ascii(), thousandths),
                    None => return,
                }
            }
        };
        let slot = if name == b"*" {
            &mut self.any
        } else {
            match Encoding::from_name(name) {
                Some(Encoding::Identity) => &mut self.identity,
                Some(Encoding::Gzip) => &mut self.gzip,
                Some(Encoding::Zstd) => &mut self.zstd,
                Some(Encoding::Br) => &mut self.br,
                None => return,
            }
        };
        *slot = Some(quality);
    }
}

/// `q=` and a qvalue of RFC 9110 §12.4.2, in thousandths.
fn read_weight(weight: &[u8]) -> Option<u16> {
    let value = match weight {
        [b'q' | b'Q', b'=', value @ ..] => value,
        _ => return None,
    };
    let (whole, fraction) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut thousandths = match whole {
        b'0' => 0u16,
        b'1' => 1000,
        _ => return None,
    };
    let mut unit = 100;
    for digit in fraction {
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths += u16::from(digit - b'0') * unit;
        unit /= 10;
    }
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(encodings: &[Encoding]) -> EncodingSet {
        let mut set = EncodingSet::default();
        for &encoding in encodings {
            set.insert(encoding);
        }
        set
    }

    fn choose(available: &[Encoding], fields: &[&str]) -> Option<Encoding> {
        negotiate(set(available), fields.iter().map(|field| field.as_bytes()))
    }

    const ALL: &[Encoding] = &Encoding::BY_PREFERENCE;

    #[test]
    fn quality_decides_first_and_preference_among_equals() {
        use Encoding::{Br, Gzip, Identity, Zstd};
        for (fields, expected) in [
            (&["gzip, deflate, br, zstd"][..], Some(Br)),
            (&["gzip, zstd"], Some(Zstd)),
            (&["gzip"], Some(Gzip)),
            (&["x-gzip"], Some(Gzip)),
            (&["GZip;Q=1"], Some(Gzip)),
            (&["br;q=0.2, gzip;q=0.8"], Some(Gzip)),
            (&["br;q=0.801, gzip;q=0.8"], Some(Br)),
            (&["br ; q=0.5 ,\tgzip;q=0.5"], Some(Br)),
            (&["gzip", "br"], Some(Br)),
            (&[""], Some(Identity)),
            (&["deflate"], Some(Identity)),
            (&["identity"], Some(Identity)),
            (&["identity;q=0.5, br;q=0.4"], Some(Identity)),
            (&["br;q=0.001"], Some(Br)),
            (&["*"], Some(Br)),
            (&["*;q=0.1, gzip"], Some(Gzip)),
            (&["br;q=0, *"], Some(Zstd)),
            (&["gzip;q=0"], Some(Identity)),
            (&["identity;q=0"], None),
            (&["*;q=0"], None),
            (&["*;q=0, identity"], Some(Identity)),
            (&["*;q=0, br"], Some(Br)),
            (&["identity;q=0, gzip"], Some(Gzip)),
            (&["br;q=2, gzip;q=0.5"], Some(Gzip)),
            (&["br;q=1.001, gzip;q=0.5"], Some(Gzip)),
            (&["br;q=0.1234, gzip;q=0.5"], Some(Gzip)),
            (&["br;level=1, gzip;q=0.5"], Some(Gzip)),
            (&["br;q=1;x=y, gzip;q=0.5"], Some(Gzip)),
            (&[",,;;,q=1,;q=1"], Some(Identity)),
        ] {
            assert_eq!(choose(ALL, fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn only_what_is_there_is_chosen() {
        use Encoding::{Br, Gzip, Identity};
        assert_eq!(choose(&[Identity, Gzip], &["br, gzip;q=0.1"]), Some(Gzip));
        assert_eq!(choose(&[Identity], &["br, gzip"]), Some(Identity));
        assert_eq!(choose(&[Identity], &["br, identity;q=0"]), None);
        assert_eq!(choose(&[Br], &["gzip"]), None);
    }

    #[test]
    fn a_client_that_says_nothing_gets_identity_where_there_is_one() {
        assert_eq!(choose(ALL, &[]), Some(Encoding::Identity));
        assert_eq!(choose(&[Encoding::Gzip, Encoding::Br], &[]), Some(Encoding::Br));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_lead_to_something_available(
            fields in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..200), 0..4),
            bits in 0u8..16,
        ) {
            let chosen = negotiate(EncodingSet(bits), fields.iter().map(Vec::as_slice));
            if let Some(encoding) = chosen {
                proptest::prop_assert!(EncodingSet(bits).contains(encoding));
            }
        }

        #[test]
        fn a_weight_survives_being_written_and_read(thousandths in 0u16..=1000) {
            let text = format!("q={}.{:03}", thousandths / 1000, thousandths % 1000);
            proptest::prop_assert_eq!(read_weight(text.as_bytes()), Some(thousandths));
        }
    }
}
