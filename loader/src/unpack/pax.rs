//! What stands before an entry and speaks of it: PAX records and GNU long names.

use std::io::Read;

use super::{Refusal, Rule};

/// The longest extended header. Some builders put the extended attributes of a file there.
const LONGEST_HEADER: u64 = 64 * 1024;

/// What the headers before an entry say of it.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    /// Its path.
    pub(super) path: Option<Vec<u8>>,
    /// Its size, in bytes.
    pub(super) size: Option<u64>,
}

impl Spoken {
    /// Whether it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.path.is_none() && self.size.is_none()
    }

    /// Reads a GNU long name. It ends with a NUL; one inside it is for the rules of paths to refuse.
    pub(super) fn read_long_name(&mut self, entry: impl Read) -> Result<(), Said> {
        let mut name = read_all(entry)?;
        if name.last() == Some(&0) {
            name.pop();
        }
        set(&mut self.path, name)
    }

    /// Reads PAX records, `<length> <key>=<value>\n` each, by their lengths: a value may hold a line end. In a
    /// global header, which speaks of all that follow, nothing is taken that changes what an entry is.
    pub(super) fn read_records(&mut self, entry: impl Read, global: bool) -> Result<(), Said> {
        let bytes = read_all(entry)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (record, after) = first_record(rest).ok_or(Said::Rule(Rule::Header))?;
            rest = after;
            let (key, value) = record;
            match key {
                b"path" | b"size" | b"linkpath" if global => return Err(Rule::Header.into()),
                b"path" => set(&mut self.path, value.to_vec())?,
                b"size" => set(&mut self.size, decimal(value).ok_or(Said::Rule(Rule::Header))?)?,
                b"linkpath" => return Err(Rule::Link.into()),
                _ if key.starts_with(b"GNU.sparse.") => return Err(Rule::Sparse.into()),
                // Times, owners and extended attributes are never applied.
                _ => {}
            }
        }
        Ok(())
    }
}

/// Why a header is refused; the path that a message names is the caller's.
#[derive(Debug)]
pub(super) enum Said {
    Rule(Rule),
    Refusal(Refusal),
}

impl From<Rule> for Said {
    fn from(rule: Rule) -> Self {
        Self::Rule(rule)
    }
}

type Record<'b> = (&'b [u8], &'b [u8]);

fn first_record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(bytes.get(..space)?)?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let text = record.get(space.checked_add(1)?..)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let (key, value) = text.split_at_checked(equals)?;
    Some(((key, value.get(1..)?), rest))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// Two headers that say the same thing of one entry are read in two ways by two readers.
fn set<T>(place: &mut Option<T>, value: T) -> Result<(), Said> {
    if place.replace(value).is_some() { Err(Rule::Header.into()) } else { Ok(()) }
}

fn read_all(entry: impl Read) -> Result<Vec<u8>, Said> {
    let mut bytes = Vec::new();
    let read = entry.take(LONGEST_HEADER + 1).read_to_end(&mut bytes);
    read.map_err(|error| Said::Refusal(Refusal::of(error)))?;
    if bytes.len() as u64 > LONGEST_HEADER { Err(Rule::Header.into()) } else { Ok(bytes) }
}
