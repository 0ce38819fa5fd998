//! Why a request head is refused.

/// What is wrong with a request head. Each has a status; after each the connection closes, because
/// where the next request begins is no longer certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub enum HeadError {
    /// The method, the spaces or the target are not of the grammar.
    RequestLine,
    /// A header name is no token, a space stands before its colon, or a line is folded.
    HeaderName,
    /// A header value holds a control character.
    HeaderValue,
    /// A line ends with CR or LF alone.
    BareNewline,
    /// HTTP/1.1 without `host`.
    HostMissing,
    /// More than one `host`.
    HostRepeated,
    /// `host` is not a host with or without a port.
    HostInvalid,
    /// The target has none of the forms that are served.
    Target,
    /// `content-length` is not a number.
    ContentLengthInvalid,
    /// More than one `content-length`, be they equal.
    ContentLengthRepeated,
    /// `content-length` beside `transfer-encoding`.
    LengthAndEncoding,
    /// `transfer-encoding` does not end with `chunked`, has it twice, or comes with HTTP/1.0.
    TransferEncodingInvalid,
    /// `transfer-encoding` names another coding before `chunked`.
    TransferEncodingUnknown,
    /// `expect` asks for something else than a 100.
    Expectation,
    /// The request line is over its limit.
    RequestLineTooLong,
    /// There are more header lines than allowed.
    TooManyHeaders,
    /// The head is over its limit.
    TooLong,
    /// A version other than 1.0 and 1.1.
    Version,
}

impl HeadError {
    /// The status of the reply.
    pub fn status(self) -> u16 {
        match self {
            HeadError::RequestLine
            | HeadError::HeaderName
            | HeadError::HeaderValue
            | HeadError::BareNewline
            | HeadError::HostMissing
            | HeadError::HostRepeated
            | HeadError::HostInvalid
            | HeadError::Target
            | HeadError::ContentLengthInvalid
            | HeadError::ContentLengthRepeated
            | HeadError::LengthAndEncoding
            | HeadError::TransferEncodingInvalid => 400,
            HeadError::RequestLineTooLong => 414,
            HeadError::Expectation => 417,
            HeadError::TooManyHeaders | HeadError::TooLong => 431,
            HeadError::TransferEncodingUnknown => 501,
            HeadError::Version => 505,
        }
    }

    /// What is wrong, for whoever sent the request.
    pub fn text(self) -> &'static str {
        match self {
            HeadError::RequestLine => "the request line is malformed",
            HeadError::HeaderName => "a header name is malformed, or a line is folded",
            HeadError::HeaderValue => "a header value holds a control character",
            HeadError::BareNewline => "a line does not end with CR LF",
            HeadError::HostMissing => "the host header is missing",
            HeadError::HostRepeated => "the host header is repeated",
            HeadError::HostInvalid => "the host header is malformed",
            HeadError::Target => "the request target is neither a path nor an http URL",
            HeadError::ContentLengthInvalid => "content-length is not a number",
            HeadError::ContentLengthRepeated => "content-length is repeated",
            HeadError::LengthAndEncoding => "content-length and transfer-encoding are both there",
            HeadError::TransferEncodingInvalid => "transfer-encoding does not frame the body",
            HeadError::TransferEncodingUnknown => "chunked is the only transfer-encoding",
            HeadError::Expectation => "only 100-continue can be expected",
            HeadError::RequestLineTooLong => "the request line is too long",
            HeadError::TooManyHeaders => "there are too many headers",
            HeadError::TooLong => "the request head is too long",
            HeadError::Version => "only HTTP/1.0 and HTTP/1.1 are spoken here",
        }
    }
}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::HeaderName => HeadError::HeaderName,
            httparse::Error::HeaderValue => HeadError::HeaderValue,
            httparse::Error::NewLine => HeadError::BareNewline,
            httparse::Error::TooManyHeaders => HeadError::TooManyHeaders,
            httparse::Error::Version => HeadError::Version,
            httparse::Error::Token | httparse::Error::Status => HeadError::RequestLine,
        }
    }
}
