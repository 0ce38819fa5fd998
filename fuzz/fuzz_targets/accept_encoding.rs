//! Negotiation chooses what a second implementation chooses, and never what the client refuses.
//!
//! The first line of an input names the codings that there are, each other line is one header line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pilar_host::http::{Encoding, EncodingSet, negotiate};

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|&byte| byte == b'\n');
    let names = lines.next().unwrap_or_default();
    let mut available = EncodingSet::default();
    for encoding in Encoding::BY_PREFERENCE {
        if names.split(|&byte| byte == b' ').any(|name| name == encoding.name().as_bytes()) {
            available.insert(encoding);
        }
    }
    let fields: Vec<&[u8]> = lines.collect();
    let chosen = negotiate(available, fields.iter().copied());
    assert!(chosen.is_none_or(|encoding| available.contains(encoding)));
    let list = fields.join(&b","[..]);
    let members: Vec<(String, u16)> = list.split(|&byte| byte == b',').filter_map(member).collect();
    if fields.is_empty() {
        assert!(!available.contains(Encoding::Identity) || chosen == Some(Encoding::Identity));
        return;
    }
    // Lines count as one list.
    assert_eq!(chosen, negotiate(available, [&list[..]]));
    let there = Encoding::BY_PREFERENCE.into_iter().filter(|&one| available.contains(one));
    let wanted: Vec<(u16, Encoding)> = there
        .map(|one| (quality(&members, one), one))
        .filter(|(quality, _)| *quality > 0)
        .collect();
    let most = wanted.iter().map(|(quality, _)| *quality).max();
    let best = wanted.iter().find(|(quality, _)| Some(*quality) == most);
    assert_eq!(chosen, best.map(|(_, encoding)| *encoding));
});

/// The name in lower case and ten times the thousandths of one well-formed member.
fn member(member: &[u8]) -> Option<(String, u16)> {
    let text = std::str::from_utf8(member).ok()?.to_ascii_lowercase();
    let trim = |text: &str| text.trim_matches(|char: char| char.is_ascii_whitespace()).to_owned();
    let Some((name, weight)) = text.split_once(';') else { return Some((trim(&text), 10_000)) };
    let weight = trim(weight);
    let digits = weight.strip_prefix("q=")?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) || fraction.len() > 3 {
        return None;
    }
    let thousandths: u16 = match whole {
        "0" => format!("{fraction:0<3}").parse().ok()?,
        "1" if fraction.trim_end_matches('0').is_empty() => 1000,
        _ => return None,
    };
    Some((trim(name), thousandths * 10))
}

/// What the client thinks of a coding: the last mention, else that of all others, else nothing; identity
/// unless it is refused.
fn quality(members: &[(String, u16)], encoding: Encoding) -> u16 {
    let is =
        |name: &str| name == encoding.name() || (name == "x-gzip" && encoding == Encoding::Gzip);
    let last = |matches: &dyn Fn(&str) -> bool| {
        members.iter().rev().find(|(name, _)| matches(name)).map(|(_, quality)| *quality)
    };
    let unstated = u16::from(encoding == Encoding::Identity);
    last(&is).or_else(|| last(&|name| name == "*")).unwrap_or(unstated)
}
