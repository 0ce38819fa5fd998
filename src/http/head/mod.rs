//! The head of a request, read strictly (RFC 9112). What could be understood in two ways is
//! refused: a proxy in front might have understood the other.

mod authority;
mod error;

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use authority::{is_authority, split_target};
pub use error::HeadError;

/// Bounds on a request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of a request line; longer is 414.
    pub request_line_bytes: usize,
    /// Bytes of a whole head, request line included; longer is 431.
    pub head_bytes: usize,
    /// Header lines, at most [`HeadLimits::MOST_HEADERS`]; more is 431.
    pub headers: usize,
}

impl HeadLimits {
    /// The largest value that [`HeadLimits::headers`] can have: room for them is on the stack.
    pub const MOST_HEADERS: usize = 128;
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits { request_line_bytes: 8 * 1024, head_bytes: 16 * 1024, headers: 64 }
    }
}

/// Room for the headers of one request, on the stack.
pub type HeaderSlots<'b> = [MaybeUninit<Header<'b>>; HeadLimits::MOST_HEADERS];

/// Empty room for the headers of one request.
pub fn header_slots<'b>() -> HeaderSlots<'b> {
    [const { MaybeUninit::uninit() }; HeadLimits::MOST_HEADERS]
}

/// One complete and acceptable request head.
#[derive(Debug)]
pub struct RequestHead<'b, 'h> {
    /// The method, in the letters that the client sent.
    pub method: &'b str,
    /// Path and query, without the scheme and authority that an absolute target has. An empty path, which only an
    /// absolute target with a query has, means `/`; `*` alone is an OPTIONS request of the whole server (RFC 9112 §3.2.4).
    pub target: &'b str,
    /// The authority of an absolute target, which overrides `host` (RFC 9112 §3.2.2).
    pub authority: Option<&'b str>,
    /// The header lines in their order.
    pub headers: &'h [Header<'b>],
    /// Bytes of the head in the input.
    pub length: usize,
    /// How much body follows the head.
    pub body: BodyLength,
    /// True for HTTP/1.0, where staying open has to be said and bodies cannot be chunked.
    pub is_http_1_0: bool,
    /// Whether the client wants the connection to stay open.
    pub keep_alive: bool,
    /// Whether the client waits for a 100 before it sends its body.
    pub expects_continue: bool,
    /// The first line of each [`Field`], or [`NO_LINE`].
    first: [u8; Field::COUNT],
}

/// More than any number of a line.
const NO_LINE: u8 = u8::MAX;

/// How a request says where its body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// After this many bytes, often none.
    Bytes(usize),
    /// With its last chunk.
    Chunked,
}

/// The headers that decide between the replies of a resource. Noted when a head is read, so that
/// the many requests without them need no search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `accept-encoding`
    AcceptEncoding,
    /// `if-match`
    IfMatch,
    /// `if-none-match`
    IfNoneMatch,
    /// `if-range`
    IfRange,
    /// `range`
    Range,
}

impl Field {
    /// The name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Field::AcceptEncoding => "accept-encoding",
            Field::IfMatch => "if-match",
            Field::IfNoneMatch => "if-none-match",
            Field::IfRange => "if-range",
            Field::Range => "range",
        }
    }

    const COUNT: usize = 5;
}

/// What the input begins with.
#[derive(Debug)]
pub enum Parsed<'b, 'h> {
    /// Not yet a whole head.
    Partial,
    /// A head that is whole and acceptable.
    Head(RequestHead<'b, 'h>),
    /// Something that is no acceptable head; where the next request begins is not known.
    Refused(HeadError),
}

impl<'b> RequestHead<'b, '_> {
    /// The query as it was sent, without its question mark.
    pub fn query(&self) -> Option<&'b str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Whether there is a line of this header.
    pub fn has(&self, field: Field) -> bool {
        self.first(field) != NO_LINE
    }

    fn first(&self, field: Field) -> u8 {
        self.first.get(field as usize).copied().unwrap_or(NO_LINE)
    }

    /// The values of all lines of one header, in their order.
    pub fn values(&self, field: Field) -> impl Iterator<Item = &'b [u8]> + Clone {
        let lines = self.headers.get(usize::from(self.first(field))..).unwrap_or_default();
        lines
            .iter()
            .filter(move |line| line.name.eq_ignore_ascii_case(field.name()))
            .map(|line| line.value)
    }
}

/// Reads the head at the beginning of `input`, which holds no leading empty lines.
pub fn parse<'b, 'h>(
    input: &'b [u8],
    slots: &'h mut HeaderSlots<'b>,
    limits: &HeadLimits,
) -> Parsed<'b, 'h> {
    // The parser passes over any number of these.
    if matches!(input, [b'\n', ..] | [b'\r', _, ..]) {
        return Parsed::Refused(HeadError::BareNewline);
    }
    let mut request = httparse::Request::new(&mut []);
    let slots = slots.get_mut(..limits.headers.min(HeadLimits::MOST_HEADERS)).unwrap_or_default();
    let parsed =
        ParserConfig::default().parse_request_with_uninit_headers(&mut request, input, slots);
    let length = match parsed {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return judge_partial(input, limits),
        Err(error) => return Parsed::Refused(error.into()),
    };
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Parsed::Refused(HeadError::RequestLine);
    };
    let headers: &'h [Header<'b>] = request.headers;
    // Method, target and version with a space after each of the first two.
    let request_line = method.len() + 1 + target.len() + 1 + "HTTP/1.1".len();
    if request_line > limits.request_line_bytes {
        return Parsed::Refused(HeadError::RequestLineTooLong);
    }
    if length > limits.head_bytes {
        return Parsed::Refused(HeadError::TooLong);
    }
    if !lines_end_with_crlf(input, request_line, headers, length) {
        return Parsed::Refused(HeadError::BareNewline);
    }
    match check(method, target, version, headers, length) {
        Ok(head) => Parsed::Head(head),
        Err(error) => Parsed::Refused(error),
    }
}

/// Whether a head that was partial may have become whole, given that nothing up to `seen` was the
/// end of it. Keeps a client that sends single bytes from having the whole head read each time.
pub fn may_be_whole(input: &[u8], seen: usize) -> bool {
    let tail = input.get(seen.saturating_sub(3)..).unwrap_or_default();
    tail.windows(2).any(|pair| pair == b"\n\n") || tail.windows(3).any(|three| three == b"\n\r\n")
}

/// Judges a head that has not ended yet by its length.
pub fn judge_partial<'b, 'h>(input: &[u8], limits: &HeadLimits) -> Parsed<'b, 'h> {
    // A line of just the allowed length may be followed by its CR LF.
    let line = input.get(..limits.request_line_bytes + 2);
    if line.is_some_and(|line| !line.contains(&b'\n')) {
        return Parsed::Refused(HeadError::RequestLineTooLong);
    }
    if input.len() >= limits.head_bytes {
        return Parsed::Refused(HeadError::TooLong);
    }
    Parsed::Partial
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
) -> Result<RequestHead<'b, 'h>, HeadError> {
    let is_http_1_0 = version == 0;
    let (authority, target) = split_target(method, target)?;
    let mut head = RequestHead {
        method,
        target,
        authority,
        headers,
        length,
        body: BodyLength::Bytes(0),
        is_http_1_0,
        keep_alive: !is_http_1_0,
        expects_continue: false,
        first: [NO_LINE; Field::COUNT],
    };
    let mut hosts = 0;
    let mut body_length = None;
    let mut codings = Codings::default();
    let mut closes = false;
    for (number, header) in headers.iter().enumerate() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let mut note = |field: Field| {
            if is(field.name())
                && let Some(first) = head.first.get_mut(field as usize)
            {
                // There are no more than 128, so all numbers fit.
                *first = (*first).min(number as u8);
            }
        };
        // By length first: most headers are told apart without looking at a letter.
        match header.name.len() {
            4 if is("host") => {
                hosts += 1;
                if !is_authority(header.value) {
                    return Err(HeadError::HostInvalid);
                }
            }
            5 => note(Field::Range),
            6 if is("expect") => {
                if !header.value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(HeadError::Expectation);
                }
                // RFC 9110 §10.1.1: to be ignored from HTTP/1.0.
                head.expects_continue = !is_http_1_0;
            }
            8 => {
                note(Field::IfMatch);
                note(Field::IfRange);
            }
            10 if is("connection") => {
                for option in header.value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    closes |= option.eq_ignore_ascii_case(b"close");
                    head.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            13 => note(Field::IfNoneMatch),
            14 if is("content-length") => {
                let earlier = body_length.replace(read_length(header.value)?);
                if earlier.is_some() {
                    return Err(HeadError::ContentLengthRepeated);
                }
            }
            15 => note(Field::AcceptEncoding),
            17 if is("transfer-encoding") => codings.read(header.value),
            _ => {}
        }
    }
    match (hosts, is_http_1_0) {
        (1, _) | (0, true) => {}
        (0, false) => return Err(HeadError::HostMissing),
        _ => return Err(HeadError::HostRepeated),
    }
    head.body = match (codings.any, body_length) {
        (true, Some(_)) => return Err(HeadError::LengthAndEncoding),
        (true, None) => codings.check(is_http_1_0)?,
        (false, declared) => BodyLength::Bytes(declared.unwrap_or(0)),
    };
    head.keep_alive &= !closes;
    Ok(head)
}

/// The transfer codings of a request; all lines count as one list.
#[derive(Default)]
struct Codings {
    any: bool,
    chunked: usize,
    others: usize,
    last_is_chunked: bool,
}

impl Codings {
    fn read(&mut self, value: &[u8]) {
        self.any = true;
        for coding in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.last_is_chunked = coding.eq_ignore_ascii_case(b"chunked");
            if self.last_is_chunked {
                self.chunked += 1;
            } else {
                self.others += 1;
            }
        }
    }

    fn check(&self, is_http_1_0: bool) -> Result<BodyLength, HeadError> {
        // RFC 9112 §6.1 and §6.3: without a last chunk nobody knows where the body ends.
        if is_http_1_0 || !self.last_is_chunked || self.chunked != 1 {
            return Err(HeadError::TransferEncodingInvalid);
        }
        if self.others > 0 {
            return Err(HeadError::TransferEncodingUnknown);
        }
        Ok(BodyLength::Chunked)
    }
}

fn read_length(value: &[u8]) -> Result<usize, HeadError> {
    // At most 18 digits fit into 64 bits without a thought; no body is as long.
    if value.is_empty() || value.len() > 18 {
        return Err(HeadError::ContentLengthInvalid);
    }
    value.iter().try_fold(0usize, |sum, byte| match byte {
        b'0'..=b'9' => Ok(sum * 10 + usize::from(byte - b'0')),
        _ => Err(HeadError::ContentLengthInvalid),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(input: &str) -> Result<String, HeadError> {
        match parse(input.as_bytes(), &mut header_slots(), &HeadLimits::default()) {
            Parsed::Head(head) => Ok(format!(
                "{} {} {} {}",
                head.method,
                head.target,
                if head.keep_alive { "stays" } else { "closes" },
                match head.body {
                    BodyLength::Bytes(length) => length.to_string(),
                    BodyLength::Chunked => "chunked".to_owned(),
                }
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
            (
                "POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: Chunked \r\n\r\n",
                "POST / stays chunked",
            ),
            ("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", "OPTIONS * stays 0"),
            ("OPTIONS http://a HTTP/1.1\r\nhost: a\r\n\r\n", "OPTIONS * stays 0"),
            ("GET http://a:80 HTTP/1.1\r\nhost: a\r\n\r\n", "GET / stays 0"),
            ("GET http://a?b HTTP/1.1\r\nhost: a\r\n\r\n", "GET ?b stays 0"),
            ("GET http://a:80?b/c?d HTTP/1.1\r\nhost: a\r\n\r\n", "GET ?b/c?d stays 0"),
            ("GET http://[::1]? HTTP/1.1\r\nhost: a\r\n\r\n", "GET ? stays 0"),
            ("OPTIONS http://a?b HTTP/1.1\r\nhost: a\r\n\r\n", "OPTIONS ?b stays 0"),
            ("GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", "GET / stays 0"),
            ("GET / HTTP/1.1\r\nhost: a\r\n", "partial"),
            ("", "partial"),
        ] {
            assert_eq!(outcome(input).as_deref(), Ok(expected), "{input:?}");
        }
    }

    #[test]
    fn what_reads_two_ways_is_refused() {
        use HeadError::*;
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
            ("GET / HTTP/1.1\r\nhost: a:b\r\n\r\n", HostInvalid),
            ("GET / HTTP/1.1\r\nhost: a:1:2\r\n\r\n", HostInvalid),
            ("GET / HTTP/1.1\r\nhost: [::1\r\n\r\n", HostInvalid),
            ("GET / HTTP/1.1\r\nhost: u@a\r\n\r\n", HostInvalid),
            ("GET * HTTP/1.1\r\nhost: a\r\n\r\n", Target),
            ("GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n", Target),
            ("GET ?b HTTP/1.1\r\nhost: a\r\n\r\n", Target),
            ("GET http://?b HTTP/1.1\r\nhost: a\r\n\r\n", Target),
            ("GET http://:80?b HTTP/1.1\r\nhost: a\r\n\r\n", Target),
            ("GET http:///x HTTP/1.1\r\nhost: a\r\n\r\n", Target),
            ("GET http://:80/x HTTP/1.1\r\nhost: a\r\n\r\n", Target),
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
            ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", TransferEncodingInvalid),
            ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\r\n\r\n", TransferEncodingInvalid),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
                TransferEncodingInvalid,
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n",
                TransferEncodingInvalid,
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked;q=1\r\n\r\n",
                TransferEncodingInvalid,
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\
                 transfer-encoding: chunked\r\n\r\n",
                TransferEncodingUnknown,
            ),
            ("GET / HTTP/1.1\r\nhost: a\r\nexpect: tea\r\n\r\n", Expectation),
        ] {
            assert_eq!(outcome(input), Err(expected), "{input:?}");
        }
    }

    #[test]
    fn heads_over_a_limit_are_refused_before_and_after_their_end() {
        let long_line = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(9000));
        assert_eq!(outcome(&long_line), Err(HeadError::RequestLineTooLong));
        assert_eq!(outcome(&long_line[..8194]), Err(HeadError::RequestLineTooLong));
        let long_value = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "a".repeat(17_000));
        assert_eq!(outcome(&long_value), Err(HeadError::TooLong));
        assert_eq!(outcome(&long_value[..16_384]), Err(HeadError::TooLong));
        let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(64));
        assert_eq!(outcome(&many), Err(HeadError::TooManyHeaders));
    }

    #[test]
    fn a_head_of_just_the_allowed_size_is_read_wherever_it_is_cut() {
        let line = format!("GET /{} HTTP/1.1", "a".repeat(8192 - "GET / HTTP/1.1".len()));
        let begin = format!("{line}\r\nhost: a\r\nx: ");
        let value = "b".repeat(16_384 - begin.len() - "\r\n\r\n".len());
        let input = format!("{begin}{value}\r\n\r\n");
        assert!(outcome(&input).is_ok());
        for cut in (0..input.len()).step_by(97).chain(8190..8200).chain(16_380..16_384) {
            assert_eq!(outcome(&input[..cut]).as_deref(), Ok("partial"), "{cut}");
        }
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
            let _ = parse(&input, &mut header_slots(), &HeadLimits::default());
        }

        #[test]
        fn one_changed_byte_never_hides_a_lone_newline(position in 0usize..60, byte in proptest::num::u8::ANY) {
            let mut input = b"GET /a?b HTTP/1.1\r\nhost: a\r\naccept: x\r\nx-empty: \r\nlast: y\r\n\r\n".to_vec();
            if let Some(slot) = input.get_mut(position) {
                *slot = byte;
            }
            if let Parsed::Head(head) = parse(&input, &mut header_slots(), &HeadLimits::default()) {
                let text = &input[..head.length];
                for (index, _) in text.iter().enumerate().filter(|&(_, &byte)| byte == b'\n') {
                    proptest::prop_assert_eq!(text.get(index.wrapping_sub(1)), Some(&b'\r'));
                }
            }
        }
    }
}
