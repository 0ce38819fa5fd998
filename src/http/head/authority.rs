//! Request targets and the authorities in them and in `host` (RFC 9112 §3.2, RFC 3986 §3.2).

use super::HeadError;

/// The authority, if the target is absolute, and the path with its query. The path of an absolute target may be
/// empty, and then is `/` (RFC 9110 §4.2.3); before a query it is left empty, since nothing can be put in between.
pub(super) fn split_target<'b>(
    method: &str,
    target: &'b str,
) -> Result<(Option<&'b str>, &'b str), HeadError> {
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok((None, target));
    }
    let (scheme, rest) = target.split_once("://").ok_or(HeadError::Target)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(HeadError::Target);
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // RFC 9110 §4.2.1: an http URL has a host.
    if authority.is_empty() || authority.starts_with(':') || !is_authority(authority.as_bytes()) {
        return Err(HeadError::Target);
    }
    let path = match (path, method) {
        // RFC 9112 §3.2.4: what the last proxy makes of it, where there is no query either.
        ("", "OPTIONS") => "*",
        ("", _) => "/",
        (path, _) => path,
    };
    Ok((Some(authority), path))
}

/// Whether this is a host with or without a port, or nothing at all, which `host` may be. User
/// information is refused: only an attacker puts a name before an `@` here (RFC 9110 §4.2.4).
pub(super) fn is_authority(value: &[u8]) -> bool {
    let (host_is_good, port) = match value.strip_prefix(b"[") {
        Some(literal) => {
            let Some(end) = literal.iter().position(|&byte| byte == b']') else { return false };
            let (address, rest) = literal.split_at(end);
            let good = !address.is_empty()
                && address.iter().all(|byte| byte.is_ascii_hexdigit() || b":.%v".contains(byte));
            (good, rest.get(1..).unwrap_or_default())
        }
        None => {
            let end = value.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(value.len());
            let (_, rest) = value.split_at(end);
            (true, rest)
        }
    };
    let port_is_good = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    host_is_good && port_is_good
}

/// `reg-name` of RFC 3986 §3.2.2, but for the comma, which joins repeated headers.
fn is_name_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&'
            | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'='
    )
}
