//! A path is decoded exactly once and can neither climb nor hide a separator.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pilar_host::http::decode_path;

fuzz_target!(|target: &str| {
    let mut scratch = b"of the request before".to_vec();
    let Ok(path) = decode_path(target, &mut scratch) else { return };
    // An empty path is the root.
    let raw = target.split('?').next().filter(|raw| !raw.is_empty()).unwrap_or("/");
    assert!(path.starts_with('/'));
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
    assert!(!path.contains(|char: char| char == '\\' || char.is_ascii_control()));
    assert_eq!(path.matches('/').count(), raw.matches('/').count());
    assert_eq!(path.as_bytes(), simplest(raw));
    // However it is spelt: the same path with every byte escaped that may be.
    let spelt: String = path
        .bytes()
        .map(|byte| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") })
        .collect();
    let path = path.to_owned();
    assert_eq!(decode_path(&spelt, &mut scratch), Ok(path.as_str()));
});

/// Every escape replaced, from the left.
fn simplest(raw: &str) -> Vec<u8> {
    let mut parts = raw.split('%');
    let mut path = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        path.push(u8::from_str_radix(digits, 16).expect("two hex digits"));
        path.extend_from_slice(rest.as_bytes());
    }
    path
}
