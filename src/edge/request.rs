//! The head of a request, read strictly (RFC 9112). What could be understood in two ways is
//! refused: a proxy in front might have understood the other.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use super::limits::Limits;
use super::refusal::Refusal;

/// Room for the headers of one request, on the stack.
pub(super) type HeaderSlots<'b> = [MaybeUninit<Header<'b>>; Limits::MOST_HEADERS];

pub(super) fn header_slots<'b>() -> HeaderSlots<'b> {
    [const { MaybeUninit::uninit() }; Limits::MOST_HEADERS]
}

/// One complete and acceptable request head.
#[derive(Debug)]
pub(super) struct Head<'b, 'h> {
    pub(super) method: &'b str,
    /// Path and query, without the scheme and authority that an absolute target has.
    pub(super) target: &'b str,
    /// The authority of an absolute target, which overrides `host` (RFC 9112 §3.2.2).
    pub(super) authority: Option<&'b str>,
    pub(super) headers: &'h [Header<'b>],
    /// Bytes of the head in the input.
    pub(super) length: usize,
    pub(super) body_length: usize,
    pub(super) is_http_1_0: bool,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
}

/// What the input begins with.
#[derive(Debug)]
pub(super) enum Parsed<'b, 'h> {
    /// Not yet a whole head.
    Partial,
    Head(Head<'b, 'h>),
    Refused(Refusal),
}

impl<'b> Head<'b, '_> {
    pub(super) fn path(&self) -> &'b str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// The values of all lines of one header, in their order. `name` is in lower case.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }
}

/// Reads the head at the beginning of `input`, which holds no leading empty lines.
pub(super) fn parse<'b, 'h>(
    input: &'b [u8],
    slots: &'h mut HeaderSlots<'b>,
    limits: &Limits,
) -> Parsed<'b, 'h> {
    let mut request = httparse::Request::new(&mut []);
    let slots = slots.get_mut(..limits.headers.min(Limits::MOST_HEADERS)).unwrap_or_default();
    let parsed =
        ParserConfig::default().parse_request_with_uninit_headers(&mut request, input, slots);
    let length = match parsed {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return partial(input, limits),
        Err(error) => return Parsed::Refused(refusal_of(error)),
    };
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Parsed::Refused(Refusal::RequestLine);
    };
    let headers: &'h [Header<'b>] = request.headers;
    // Method, target and version with a space after each of the first two.
    let request_line = method.len() + 1 + target.len() + 1 + "HTTP/1.1".len();
    if request_line > limits.request_line_bytes {
        return Parsed::Refused(Refusal::RequestLineTooLong);
    }
    if length > limits.head_bytes {
        return Parsed::Refused(Refusal::HeadTooLong);
    }
    if !lines_end_with_crlf(input, request_line, headers, length) {
        return Parsed::Refused(Refusal::BareNewline);
    }
    match check(method, target, version, headers, length) {
        Ok(head) => Parsed::Head(head),
        Err(refusal) => Parsed::Refused(refusal),
    }
}

/// Whether a head that was partial may have become whole, given that nothing up to `seen` was the
/// end of it. Keeps a client that sends single bytes from having the whole head read each time.
pub(super) fn may_be_whole(input: &[u8], seen: usize) -> bool {
    let tail = input.get(seen.saturating_sub(3)..).unwrap_or_default();
    tail.windows(2).any(|pair| pair == b"\n\n") || tail.windows(3).any(|three| three == b"\n\r\n")
}

/// Judges a head that has not ended yet by its length.
pub(super) fn partial<'b, 'h>(input: &[u8], limits: &Limits) -> Parsed<'b, 'h> {
    let line = input.get(..limits.request_line_bytes + 1);
    if line.is_some_and(|line| !line.contains(&b'\n')) {
        return Parsed::Refused(Refusal::RequestLineTooLong);
    }
    if input.len() >= limits.head_bytes {
        return Parsed::Refused(Refusal::HeadTooLong);
    }
    Parsed::Partial
}

fn refusal_of(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::HeaderName => Refusal::HeaderName,
        httparse::Error::HeaderValue => Refusal::HeaderValue,
        httparse::Error::NewLine => Refusal::BareNewline,
        httparse::Error::TooManyHeaders => Refusal::TooManyHeaders,
        httparse::Error::Version => Refusal::Version,
        httparse::Error::Token | httparse::Error::Status => Refusal::RequestLine,
    }
}

/// The parser takes a lone LF for the end of a line, as older software did; here it is refused.
fn lines_end_with_crlf(
    input: &[u8],
    request_line: usize,
    headers: &[Header<'_>],
    length: usize,
) -> bool {
    let ends_at = |position: usize| input.get(position..position + 2) == Some(b"\r\n");
    let start = input.as_ptr().addr();
    let headers_end_well = headers.iter().all(|header| {
        // Values are slices of the input, so this is where the value ends in it.
        let mut end = header.value.as_ptr().addr().wrapping_sub(start) + header.value.len();
        while matches!(input.get(end), Some(b' ' | b'\t')) {
            end += 1;
        }
        ends_at(end)
    });
    headers_end_well && ends_at(request_line) && ends_at(length.wrapping_sub(2))
}

fn check<'b, 'h>(
    method: &'b str,
    target: &'b str,
    version: u8,
    headers: &'h [Header<'b>],
    length: usize,
) -> Result<Head<'b, 'h>, Refusal> {
    let is_http_1_0 = version == 0;
    let (authority, target) = split_target(target)?;
    let mut head = Head {
        method,
        target,
        authority,
        headers,
        length,
        body_length: 0,
        is_http_1_0,
        keep_alive: !is_http_1_0,
        expects_continue: false,
    };
    let mut hosts = 0;
    let mut body_length = None;
    let mut has_transfer_encoding = false;
    let mut closes = false;
    for header in headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        // By length first: most headers are told apart without looking at a letter.
        match header.name.len() {
            4 if is("host") => {
                hosts += 1;
                if !is_host(header.value) {
                    return Err(Refusal::HostInvalid);
                }
            }
            6 if is("expect") => {
                if !header.value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Refusal::Expectation);
                }
                // RFC 9110 §10.1.1: to be ignored from HTTP/1.0.
                head.expects_continue = !is_http_1_0;
            }
            10 if is("connection") => {
                for option in header.value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    closes |= option.eq_ignore_ascii_case(b"close");
                    head.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if is("content-length") => {
                let earlier = body_length.replace(read_length(header.value)?);
                if earlier.is_some() {
                    return Err(Refusal::ContentLengthRepeated);
                }
            }
            17 if is("transfer-encoding") => has_transfer_encoding = true,
            _ => {}
        }
    }
    match (hosts, is_http_1_0) {
        (1, _) | (0, true) => {}
        (0, false) => return Err(Refusal::HostMissing),
        _ => return Err(Refusal::HostRepeated),
    }
    match (has_transfer_encoding, body_length) {
        (true, Some(_)) => return Err(Refusal::LengthAndEncoding),
        (true, None) => return Err(Refusal::TransferEncoding),
        (false, declared) => head.body_length = declared.unwrap_or(0),
    }
    head.keep_alive &= !closes;
    Ok(head)
}

/// The authority, if the target is absolute, and the path with its query.
fn split_target(target: &str) -> Result<(Option<&str>, &str), Refusal> {
    if target.starts_with('/') {
        return Ok((None, target));
    }
    let scheme_end = target.find("://").ok_or(Refusal::Target)?;
    let (scheme, rest) = target.split_at(scheme_end);
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Refusal::Target);
    }
    let rest = rest.strip_prefix("://").ok_or(Refusal::Target)?;
    let path_start = rest.find('/').ok_or(Refusal::Target)?;
    let (authority, path) = rest.split_at(path_start);
    if authority.is_empty() || !is_host(authority.as_bytes()) {
        return Err(Refusal::Target);
    }
    Ok((Some(authority), path))
}

/// The characters of host and port in RFC 3986 §3.2, user information left out.
fn is_host(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_~:[]%!$&'()*+;=".contains(byte))
}

fn read_length(value: &[u8]) -> Result<usize, Refusal> {
    // At most 18 digits fit into 64 bits without a thought; no body is as long.
    if value.is_empty() || value.len() > 18 {
        return Err(Refusal::ContentLengthInvalid);
    }
    value.iter().try_fold(0usize, |sum, byte| match byte {
        b'0'..=b'9' => Ok(sum * 10 + usize::from(byte - b'0')),
        _ => Err(Refusal::ContentLengthInvalid),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(input: &str) -> Result<String, Refusal> {
        match parse(input.as_bytes(), &mut header_slots(), &Limits::default()) {
            Parsed::Head(head) => Ok(format!(
                "{} {} {} {}",
                head.method,
                head.target,
                if head.keep_alive { "stays" } else { "closes" },
                head.body_length
            )),
            Parsed::Partial => Ok("partial".to_owned()),
            Parsed::Refused(refusal) => Err(refusal),
        }
    }

    #[test]
    fn good_heads_are_read() {
        for (input, expected) in [
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "GET / stays 0"),
            (
                "GET /?q HTTP/1.1\r\nHost:a:80 \t\r\nconnection: x, Close\r\n\r\n",
                "GET /?q closes 0",
            ),
            ("GET / HTTP/1.0\r\n\r\n", "GET / closes 0"),
            ("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", "GET / stays 0"),
            ("GET / HTTP/1.1\r\nhost:\r\nx:\r\ny: \t \r\n\r\n", "GET / stays 0"),
            ("GET http://a.b:1/c?d HTTP/1.1\r\nhost: other\r\n\r\n", "GET /c?d stays 0"),
            ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\n", "POST / stays 12"),
            ("GET / HTTP/1.1\r\nhost: a\r\n", "partial"),
            ("", "partial"),
        ] {
            assert_eq!(outcome(input).as_deref(), Ok(expected), "{input:?}");
        }
    }

    #[test]
    fn what_reads_two_ways_is_refused() {
        use Refusal::*;
        for (input, expected) in [
            ("GET / HTTP/1.1\nhost: a\r\n\r\n", BareNewline),
            ("GET / HTTP/1.1\r\nhost: a\n\r\n", BareNewline),
            ("GET / HTTP/1.1\r\nhost: a\r\nx:\n\r\n", BareNewline),
            ("GET / HTTP/1.1\r\nhost: a\r\n\n", BareNewline),
            ("GET / HTTP/1.1\r\nhost: a\rb\r\n\r\n", HeaderValue),
            ("GET / HTTP/1.1\r\nhost: a\r\nx: b\0c\r\n\r\n", HeaderValue),
            ("GET / HTTP/1.1\r\nhost : a\r\n\r\n", HeaderName),
            ("GET / HTTP/1.1\r\nhost: a\r\nx: b\r\n c\r\n\r\n", HeaderName),
            ("GET / HTTP/1.1\r\n host: a\r\n\r\n", HeaderName),
            ("GET / HTTP/1.1\r\n: a\r\n\r\n", HeaderName),
            ("GET  / HTTP/1.1\r\nhost: a\r\n\r\n", RequestLine),
            ("GET /a b HTTP/1.1\r\nhost: a\r\n\r\n", Version),
            ("GET / HTTP/2.0\r\nhost: a\r\n\r\n", Version),
            ("\x16\x03\x01", RequestLine),
            ("GET / HTTP/1.1\r\n\r\n", HostMissing),
            ("GET / HTTP/1.1\r\nhost: a\r\nHOST: a\r\n\r\n", HostRepeated),
            ("GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", HostInvalid),
            ("GET / HTTP/1.1\r\nhost: a, b\r\n\r\n", HostInvalid),
            ("GET * HTTP/1.1\r\nhost: a\r\n\r\n", Target),
            ("GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n", Target),
            ("GET http:///x HTTP/1.1\r\nhost: a\r\n\r\n", Target),
            ("CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", Target),
            ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\n", ContentLengthInvalid),
            ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 1\r\n\r\n", ContentLengthInvalid),
            ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n\r\n", ContentLengthInvalid),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n",
                ContentLengthInvalid,
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
                ContentLengthRepeated,
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                LengthAndEncoding,
            ),
            ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", TransferEncoding),
            ("GET / HTTP/1.1\r\nhost: a\r\nexpect: tea\r\n\r\n", Expectation),
        ] {
            assert_eq!(outcome(input), Err(expected), "{input:?}");
        }
    }

    #[test]
    fn heads_over_a_limit_are_refused_before_and_after_their_end() {
        let long_line = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(9000));
        assert_eq!(outcome(&long_line), Err(Refusal::RequestLineTooLong));
        assert_eq!(outcome(&long_line[..8193]), Err(Refusal::RequestLineTooLong));
        let long_value = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "a".repeat(17_000));
        assert_eq!(outcome(&long_value), Err(Refusal::HeadTooLong));
        assert_eq!(outcome(&long_value[..16_384]), Err(Refusal::HeadTooLong));
        let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(64));
        assert_eq!(outcome(&many), Err(Refusal::TooManyHeaders));
    }

    #[test]
    fn the_end_of_a_head_is_noticed_wherever_the_pieces_are_cut() {
        let input = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        for cut in 0..input.len() {
            assert!(may_be_whole(input, cut), "{cut}");
            assert!(!may_be_whole(&input[..cut], 0), "{cut}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(input in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = parse(&input, &mut header_slots(), &Limits::default());
        }

        #[test]
        fn one_changed_byte_never_hides_a_lone_newline(position in 0usize..60, byte in proptest::num::u8::ANY) {
            let mut input = b"GET /a?b HTTP/1.1\r\nhost: a\r\naccept: x\r\nx-empty: \r\nlast: y\r\n\r\n".to_vec();
            if let Some(slot) = input.get_mut(position) {
                *slot = byte;
            }
            if let Parsed::Head(head) = parse(&input, &mut header_slots(), &Limits::default()) {
                let text = &input[..head.length];
                for (index, _) in text.iter().enumerate().filter(|&(_, &byte)| byte == b'\n') {
                    proptest::prop_assert_eq!(text.get(index.wrapping_sub(1)), Some(&b'\r'));
                }
            }
        }
    }
}
