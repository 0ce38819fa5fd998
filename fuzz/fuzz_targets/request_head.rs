//! What is taken for a request head reads the same to the simplest of parsers, and wherever its pieces are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pilar_host::http::{
    BodyLength, HeadLimits, Parsed, RequestHead, header_slots, may_be_whole, parse,
};

/// Limits that inputs of a few hundred bytes reach.
const TIGHT: HeadLimits = HeadLimits { request_line_bytes: 48, head_bytes: 160, headers: 5 };

fuzz_target!(|input: &[u8]| {
    for limits in [HeadLimits::default(), TIGHT] {
        let mut slots = header_slots();
        let Parsed::Head(head) = parse(input, &mut slots, &limits) else { continue };
        let bytes = input.get(..head.length).expect("a head lies within the input");
        assert!(head.length <= limits.head_bytes && head.headers.len() <= limits.headers);
        assert_eq!(words(bytes, &limits).as_deref(), Some(format!("{head:?}").as_str()));
        agrees_with_the_simplest_parser(&head, bytes);
        every_cut_waits_for_the_end(bytes, &limits);
    }
    // A limit refuses; it never makes one head into another.
    if let Some(head) = words(input, &TIGHT) {
        assert_eq!(words(input, &HeadLimits::default()), Some(head));
    }
});

fn words(input: &[u8], limits: &HeadLimits) -> Option<String> {
    match parse(input, &mut header_slots(), limits) {
        Parsed::Head(head) => Some(format!("{head:?}")),
        Parsed::Partial | Parsed::Refused(_) => None,
    }
}

/// Lines are split at CR LF, the first at its spaces, the others at their colons, and nothing else is known.
fn agrees_with_the_simplest_parser(head: &RequestHead<'_, '_>, bytes: &[u8]) {
    let text = bytes.strip_suffix(b"\r\n\r\n").expect("a head ends with an empty line");
    let text = chars(text);
    let mut lines = text.split("\r\n");
    let request_line: Vec<&str> = lines.next().expect("there is a first line").split(' ').collect();
    let [method, target, version] = request_line[..] else { panic!("{request_line:?}") };
    assert_eq!(method, head.method);
    let head_target = chars(head.target.as_bytes());
    match head.authority {
        Some(authority) => {
            let (_, after) = target.split_once("://").expect("it has a scheme");
            let path = after.strip_prefix(authority).expect("the authority comes first");
            let without_path = if method == "OPTIONS" { "*" } else { "/" };
            assert_eq!(if path.is_empty() { without_path } else { path }, head_target);
        }
        None => assert_eq!(target, head_target),
    }
    assert_eq!(version, if head.is_http_1_0 { "HTTP/1.0" } else { "HTTP/1.1" });
    let lines: Vec<(&str, &str)> =
        lines.map(|line| line.split_once(':').expect("a header has a colon")).collect();
    assert_eq!(lines.len(), head.headers.len());
    for (line, header) in lines.iter().zip(head.headers) {
        let value = chars(header.value);
        assert_eq!(*line, (header.name, line.1));
        assert_eq!(line.1.trim_matches([' ', '\t']), value);
        assert!(!line.1.contains(['\r', '\n', '\0']) && !line.0.contains([' ', '\t']));
    }
    let values = |name: &str| -> Vec<&str> {
        let named = lines.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
    };
    assert!(values("host").len() == 1 || (head.is_http_1_0 && values("host").is_empty()));
    match (&values("content-length")[..], &values("transfer-encoding")[..]) {
        ([], []) => assert_eq!(head.body, BodyLength::Bytes(0)),
        ([length], []) => assert_eq!(length.parse().map(BodyLength::Bytes), Ok(head.body)),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => {
            assert_eq!(head.body, BodyLength::Chunked);
            assert!(!head.is_http_1_0);
        }
        framing => panic!("two readings: {framing:?}"),
    }
}

/// Each byte as a character, so that what is not UTF-8 can be split and compared as well.
fn chars(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// A head that arrives in pieces is never refused, and its end is never overlooked.
fn every_cut_waits_for_the_end(head: &[u8], limits: &HeadLimits) {
    // All cuts of a short head, a hundred of a long one, and those around its end.
    let last = head.len().saturating_sub(5)..head.len();
    for cut in (0..head.len()).step_by(head.len() / 100 + 1).chain(last) {
        let begin = &head[..cut];
        let partial = matches!(parse(begin, &mut header_slots(), limits), Parsed::Partial);
        assert!(partial, "{cut} bytes of an acceptable head are not partial");
        assert!(!may_be_whole(begin, 0));
        assert!(may_be_whole(head, cut));
    }
}
