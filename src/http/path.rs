//! The path of a request target, decoded once.

/// Why a path is refused. Each is answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub enum PathError {
    /// It does not begin with `/`.
    NotAbsolute,
    /// `%` without two hex digits.
    BadEscape,
    /// A control character, raw or escaped; NUL among them.
    ControlCharacter,
    /// `\` or `%5C`, which some clients take for a slash.
    Backslash,
    /// `%2F`: it would be a separator for some readers and not for others.
    EscapedSlash,
    /// A segment `.` or `..`, raw or escaped.
    DotSegment,
    /// Raw bytes outside of ASCII, a raw `#`, or escapes that do not spell UTF-8.
    NotUtf8,
}

impl PathError {
    /// What is wrong, for whoever sent the path.
    pub fn text(self) -> &'static str {
        match self {
            PathError::NotAbsolute => "the path does not begin with a slash",
            PathError::BadEscape => "a percent sign is not followed by two hex digits",
            PathError::ControlCharacter => "the path holds a control character",
            PathError::Backslash => "the path holds a backslash",
            PathError::EscapedSlash => "the path holds an escaped slash",
            PathError::DotSegment => "the path holds a dot segment",
            PathError::NotUtf8 => "the path is not UTF-8 written in RFC 3986 escapes",
        }
    }
}

/// The path to look up, for a request target; its query is left out.
///
/// Escapes are decoded exactly once; what could be understood in two ways is refused instead of
/// repaired. A path without `%` is returned as it is; only another one is written into `scratch`,
/// which keeps its memory for the next.
pub fn decode_path<'a>(target: &'a str, scratch: &'a mut Vec<u8>) -> Result<&'a str, PathError> {
    if !target.starts_with('/') {
        // RFC 9110 §4.2.3: an empty path, which an absolute target may have, is `/`.
        return if target.starts_with('?') { Ok("/") } else { Err(PathError::NotAbsolute) };
    }
    let mut escaped = false;
    // A dot at the beginning of a segment.
    let mut dotted = false;
    let mut before = 0;
    let mut end = target.len();
    for (position, &byte) in target.as_bytes().iter().enumerate() {
        // Nearly all bytes are plain, so one lookup is nearly all that this costs.
        match CLASSES.get(usize::from(byte)).copied().unwrap_or(Class::NotUtf8) {
            Class::Plain => {}
            Class::Dot => dotted |= before == b'/',
            Class::Escape => escaped = true,
            Class::Query => {
                end = position;
                break;
            }
            Class::Backslash => return Err(PathError::Backslash),
            Class::Control => return Err(PathError::ControlCharacter),
            Class::NotUtf8 => return Err(PathError::NotUtf8),
        }
        before = byte;
    }
    let raw = target.get(..end).unwrap_or(target);
    let path = if escaped { unescape(raw.as_bytes(), scratch)? } else { raw };
    if (escaped || dotted) && path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(PathError::DotSegment);
    }
    Ok(path)
}

/// What a raw byte of a path is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Dot,
    Escape,
    Query,
    Backslash,
    Control,
    NotUtf8,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Plain; 256];
    let mut rest: &mut [Class] = &mut classes;
    let mut byte = 0;
    while let [class, others @ ..] = rest {
        *class = match byte {
            b'.' => Class::Dot,
            b'%' => Class::Escape,
            b'?' => Class::Query,
            b'\\' => Class::Backslash,
            0..=0x1f | 0x7f => Class::Control,
            b'#' | 0x80.. => Class::NotUtf8,
            _ => Class::Plain,
        };
        byte = byte.wrapping_add(1);
        rest = others;
    }
    classes
};

fn unescape<'a>(raw: &[u8], scratch: &'a mut Vec<u8>) -> Result<&'a str, PathError> {
    scratch.clear();
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            scratch.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|&digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(PathError::BadEscape);
        };
        let decoded = u8::try_from(high * 16 + low).map_err(|_| PathError::BadEscape)?;
        match decoded {
            b'\\' => return Err(PathError::Backslash),
            0..=0x1f | 0x7f => return Err(PathError::ControlCharacter),
            b'/' => return Err(PathError::EscapedSlash),
            _ => {}
        }
        scratch.push(decoded);
    }
    std::str::from_utf8(scratch).map_err(|_| PathError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(raw: &str) -> Result<String, PathError> {
        decode_path(raw, &mut Vec::new()).map(str::to_owned)
    }

    #[test]
    fn escapes_are_decoded_once() {
        for (raw, expected) in [
            ("/", "/"),
            ("/a/b.js", "/a/b.js"),
            ("/%61%2e%6As", "/a.js"),
            ("/%2561", "/%61"),
            ("/caf%C3%A9", "/café"),
            ("/a//b", "/a//b"),
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/a%20b", "/a b"),
            ("/a%23b", "/a#b"),
            ("/a?b", "/a"),
            ("/a%3Fb?c?%zz/../\\", "/a?b"),
            ("/?", "/"),
            ("?", "/"),
            ("?/../%zz", "/"),
        ] {
            assert_eq!(decode(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn what_reads_two_ways_is_refused() {
        use PathError::*;
        for (raw, expected) in [
            ("", NotAbsolute),
            ("a", NotAbsolute),
            ("*", NotAbsolute),
            ("/%", BadEscape),
            ("/%4", BadEscape),
            ("/%zz", BadEscape),
            ("/%+1", BadEscape),
            ("/%00", ControlCharacter),
            ("/a\0b", ControlCharacter),
            ("/%0d%0a", ControlCharacter),
            ("/%7f", ControlCharacter),
            ("/a\\b", Backslash),
            ("/a%5Cb", Backslash),
            ("/a%2fb", EscapedSlash),
            ("/.", DotSegment),
            ("/a/../b", DotSegment),
            ("/a/..", DotSegment),
            ("/a/%2e%2E/b", DotSegment),
            ("/a/.%2e", DotSegment),
            ("/%ff", NotUtf8),
            ("/é", NotUtf8),
            ("/a#b", NotUtf8),
        ] {
            assert_eq!(decode(raw), Err(expected), "{raw}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_decoded_path_can_climb(raw in "/[a.%2eEfF5cC0/]{0,24}") {
            if let Ok(path) = decode(&raw) {
                proptest::prop_assert!(path.starts_with('/'));
                proptest::prop_assert!(path.split('/').all(|segment| segment != ".." && segment != "."));
                proptest::prop_assert!(!path.contains(['\\', '\0']));
            }
        }

        #[test]
        fn a_fully_escaped_path_comes_back(path in "(/[a-zA-Z0-9 é~%-]{1,12}){1,4}") {
            let raw: String = path.bytes().map(|byte| match byte {
                b'/' => "/".to_owned(),
                byte => format!("%{byte:02X}"),
            }).collect();
            proptest::prop_assert_eq!(decode(&raw), Ok(path));
        }
    }
}
