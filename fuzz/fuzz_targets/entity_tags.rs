//! A condition holds only for who names the tag, and always for a well-formed list that has it.
//!
//! Each line of an input is one header line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pilar_host::http::{EntityTag, if_match, if_none_match, if_range};

fuzz_target!(|input: &[u8]| {
    let tag = EntityTag::from_sha256(&[0x11; 32]);
    let fields = || input.split(|&byte| byte == b'\n');
    let weak = if_none_match(&tag, fields());
    let strong = if_match(&tag, fields());
    let names_it = |field: &[u8]| field.windows(34).any(|window| window == tag.as_bytes());
    let named = fields().any(|field| field.trim_ascii() == b"*" || names_it(field));
    assert!(!weak || named);
    assert!(!strong || weak);
    if if_range(&tag, fields()) {
        assert!(strong && input == tag.as_bytes());
    }
    // The lines as the members of one list: what cannot be in a tag is taken out of them.
    let is_tag_byte = |byte: &u8| !matches!(byte, 0..=b' ' | b'"' | 0x7f);
    let members: Vec<Vec<u8>> =
        fields().map(|line| line.iter().copied().filter(is_tag_byte).collect()).collect();
    let own = &tag.as_bytes()[1..33];
    let has_it = members.iter().any(|member| member == own);
    for (before, is_weak) in [("\"", false), ("W/\"", true)] {
        let quoted: Vec<Vec<u8>> =
            members.iter().map(|member| [before.as_bytes(), member, b"\""].concat()).collect();
        let list = quoted.join(&b" ,\t"[..]);
        assert_eq!(if_none_match(&tag, [&list[..]]), has_it);
        assert_eq!(if_match(&tag, [&list[..]]), has_it && !is_weak);
    }
});
