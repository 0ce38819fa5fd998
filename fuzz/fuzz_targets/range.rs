//! Ranges never lead outside of the representation, nor make a reply of more bytes than it has, and replies are
//! as long as their heads say.
//!
//! The first line of an input is the length of the representation, each other line is one header line.
#![no_main]

use std::ops::Range;

use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use pilar_host::http::{CachePolicy, RangeSet, Representation, Requested, Resource, requested};

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|&byte| byte == b'\n');
    let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let Some(length) = first.and_then(|line| line.parse::<usize>().ok()) else { return };
    let fields: Vec<&[u8]> = lines.collect();
    let wanted = requested(fields.iter().copied(), length);
    let parts: Vec<Range<usize>> = match &wanted {
        Requested::All | Requested::Unsatisfiable => Vec::new(),
        Requested::One(part) => vec![part.clone()],
        Requested::Many(parts) => parts.iter().collect(),
    };
    assert!(parts.iter().all(|part| part.start < part.end && part.end <= length));
    assert!(parts.iter().map(Range::len).sum::<usize>() <= length);
    assert_eq!(matches!(wanted, Requested::Many(_)), parts.len() > 1);
    match fields[..] {
        [field] => assert_eq!(simplest(field, length), outcome(&wanted, parts)),
        _ => assert_eq!(wanted, Requested::All),
    }
    if length <= 2000 {
        replies_are_as_long_as_they_say(wanted, length);
    }
});

/// The parts, none if the representation has none of them; `None` for a header that is not heeded.
type Outcome = Option<Vec<Range<usize>>>;

fn outcome(wanted: &Requested, parts: Vec<Range<usize>>) -> Outcome {
    (*wanted != Requested::All).then_some(parts)
}

/// RFC 9110 §14.1.2 word for word, in numbers that do not overflow.
fn simplest(field: &[u8], length: usize) -> Outcome {
    let text = std::str::from_utf8(field).ok()?.to_ascii_lowercase();
    let list = text.strip_prefix("bytes=")?.split(',');
    let members: Vec<&str> = list
        .map(|member| member.trim_matches(|char: char| char.is_ascii_whitespace()))
        .filter(|member| !member.is_empty())
        .collect();
    let end = length as u128;
    let mut parts = Vec::new();
    for member in &members {
        let (first, last) = member.split_once('-')?;
        let (start, end) = match (number(first)?, number(last)?) {
            (None, None) => return None,
            (None, Some(suffix)) => (end.saturating_sub(suffix), end),
            (Some(first), None) => (first, end),
            (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(end)),
            _ => return None,
        };
        if start < end {
            parts.push(start as usize..end as usize);
        }
    }
    let total: usize = parts.iter().map(Range::len).sum();
    let heeded = (1..=RangeSet::MOST).contains(&members.len()) && total <= length && length > 0;
    heeded.then_some(parts)
}

/// Nothing, or a number, where all are alike that no length comes near; `None` for what is neither.
fn number(digits: &str) -> Option<Option<u128>> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((!digits.is_empty()).then(|| digits.parse::<usize>().unwrap_or(usize::MAX) as u128))
}

fn replies_are_as_long_as_they_say(wanted: Requested, length: usize) {
    let resource = Resource::builder(StatusCode::OK, "text/plain", CachePolicy::Immutable)
        .identity(vec![b'x'; length], Some([7; 32]))
        .build()
        .expect("the resource is valid");
    let [representation] = resource.representations() else { panic!("one representation") };
    let mut head = Vec::new();
    match wanted {
        Requested::One(part) => {
            representation.write_part_head(&part, &mut head);
            assert_eq!(content_length(&head), part.len());
        }
        Requested::Many(ranges) => {
            let written = write(representation, ranges);
            let parts = representation.byteranges(ranges);
            parts.write_head(&mut head);
            assert_eq!(written, parts.length());
            assert_eq!(content_length(&head), parts.length());
        }
        Requested::All | Requested::Unsatisfiable => {}
    }
}

/// Bytes of a body of several parts.
fn write(representation: &Representation, ranges: RangeSet) -> usize {
    let parts = representation.byteranges(ranges);
    let (body, ranges) = parts.body();
    let mut out = Vec::new();
    for range in ranges {
        parts.write_delimiter(&range, &mut out);
        out.extend(body.slice(range).to_vec());
    }
    parts.write_end(&mut out);
    out.len()
}

fn content_length(head: &[u8]) -> usize {
    let head = std::str::from_utf8(head).expect("heads are ASCII");
    let value = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
    value.and_then(|value| value.parse().ok()).expect("every head says its length")
}
