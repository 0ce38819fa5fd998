//! Ready-made replies to requests that are not answered with content.

use std::io::Write;

use crate::http::PathError;

/// Why a request is turned away. Each has a status and a line of plain text for whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    RequestLine,
    HeaderName,
    HeaderValue,
    BareNewline,
    HostMissing,
    HostRepeated,
    HostInvalid,
    Target,
    Path(PathError),
    ContentLengthInvalid,
    ContentLengthRepeated,
    LengthAndEncoding,
    HeadTimeout,
    MethodNotAllowed,
    NotAcceptable,
    BodyTimeout,
    BodyTooLong,
    RequestLineTooLong,
    Expectation,
    TooManyHeaders,
    HeadTooLong,
    ServiceFailed,
    TransferEncoding,
    ServiceBusy,
    ServiceGone,
    TooManyConnections,
    ServiceTimeout,
    Version,
}

impl Refusal {
    /// Whether the connection must close: where the next request begins is no longer certain, or
    /// the client did not keep to the time.
    pub(super) fn closes(self) -> bool {
        !matches!(
            self,
            Refusal::Path(_)
                | Refusal::MethodNotAllowed
                | Refusal::NotAcceptable
                | Refusal::ServiceFailed
                | Refusal::ServiceBusy
                | Refusal::ServiceGone
                | Refusal::ServiceTimeout
        )
    }

    pub(super) fn status(self) -> u16 {
        match self {
            Refusal::RequestLine
            | Refusal::HeaderName
            | Refusal::HeaderValue
            | Refusal::BareNewline
            | Refusal::HostMissing
            | Refusal::HostRepeated
            | Refusal::HostInvalid
            | Refusal::Target
            | Refusal::Path(_)
            | Refusal::ContentLengthInvalid
            | Refusal::ContentLengthRepeated
            | Refusal::LengthAndEncoding => 400,
            Refusal::MethodNotAllowed => 405,
            Refusal::NotAcceptable => 406,
            Refusal::HeadTimeout | Refusal::BodyTimeout => 408,
            Refusal::BodyTooLong => 413,
            Refusal::RequestLineTooLong => 414,
            Refusal::Expectation => 417,
            Refusal::TooManyHeaders | Refusal::HeadTooLong => 431,
            Refusal::ServiceFailed => 500,
            Refusal::TransferEncoding => 501,
            Refusal::ServiceBusy | Refusal::ServiceGone | Refusal::TooManyConnections => 503,
            Refusal::ServiceTimeout => 504,
            Refusal::Version => 505,
        }
    }

    /// Appends the reply. `last_headers` are the complete lines that depend on the moment and the
    /// connection: `date` and perhaps `connection`.
    pub(super) fn write(self, out: &mut Vec<u8>, last_headers: &[&[u8]], head_only: bool) {
        let status = self.status();
        let reason = http::StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        // Writing into a vector cannot fail.
        let _ = write!(
            out,
            "HTTP/1.1 {status} {reason}\r\n\
             content-type: text/plain; charset=utf-8\r\n\
             content-length: {}\r\n\
             cache-control: no-store\r\n\
             x-content-type-options: nosniff\r\n\
             {}",
            self.text().len() + 1,
            self.header(),
        );
        for line in last_headers {
            out.extend_from_slice(line);
        }
        out.extend_from_slice(b"\r\n");
        if !head_only {
            out.extend_from_slice(self.text().as_bytes());
            out.push(b'\n');
        }
    }

    fn header(self) -> &'static str {
        match self {
            Refusal::MethodNotAllowed => "allow: GET, HEAD\r\n",
            Refusal::NotAcceptable => "vary: accept-encoding\r\n",
            Refusal::ServiceBusy | Refusal::ServiceGone | Refusal::TooManyConnections => {
                "retry-after: 1\r\n"
            }
            _ => "",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Refusal::RequestLine => "the request line is malformed",
            Refusal::HeaderName => "a header name is malformed, or a line is folded",
            Refusal::HeaderValue => "a header value holds a control character",
            Refusal::BareNewline => "a line does not end with CR LF",
            Refusal::HostMissing => "the host header is missing",
            Refusal::HostRepeated => "the host header is repeated",
            Refusal::HostInvalid => "the host header is malformed",
            Refusal::Target => "the request target is neither a path nor an http URL",
            Refusal::Path(error) => error.text(),
            Refusal::ContentLengthInvalid => "content-length is not a number",
            Refusal::ContentLengthRepeated => "content-length is repeated",
            Refusal::LengthAndEncoding => "content-length and transfer-encoding are both there",
            Refusal::HeadTimeout => "the request head took too long",
            Refusal::MethodNotAllowed => "only GET and HEAD are answered here",
            Refusal::NotAcceptable => "none of the encodings in accept-encoding is available",
            Refusal::BodyTimeout => "the request body took too long",
            Refusal::BodyTooLong => "the request body is too long",
            Refusal::RequestLineTooLong => "the request line is too long",
            Refusal::Expectation => "only 100-continue can be expected",
            Refusal::TooManyHeaders => "there are too many headers",
            Refusal::HeadTooLong => "the request head is too long",
            Refusal::ServiceFailed => "the request could not be answered",
            Refusal::TransferEncoding => "a request body needs a content-length",
            Refusal::ServiceBusy => "too many requests are waiting, try again",
            Refusal::ServiceGone => "the server is stopping, try again",
            Refusal::TooManyConnections => "too many connections are open, try again",
            Refusal::ServiceTimeout => "the answer took too long",
            Refusal::Version => "only HTTP/1.0 and HTTP/1.1 are spoken here",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(refusal: Refusal, head_only: bool) -> String {
        let mut out = Vec::new();
        refusal.write(&mut out, &[b"date: then\r\n", b"connection: close\r\n"], head_only);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_refusal_is_a_complete_reply_that_is_never_stored() {
        assert_eq!(
            written(Refusal::MethodNotAllowed, false),
            "HTTP/1.1 405 Method Not Allowed\r\n\
             content-type: text/plain; charset=utf-8\r\n\
             content-length: 36\r\n\
             cache-control: no-store\r\n\
             x-content-type-options: nosniff\r\n\
             allow: GET, HEAD\r\n\
             date: then\r\n\
             connection: close\r\n\
             \r\n\
             only GET and HEAD are answered here\n"
        );
    }

    #[test]
    fn a_head_is_the_same_without_its_body() {
        let full = written(Refusal::ServiceBusy, false);
        let head = written(Refusal::ServiceBusy, true);
        assert!(full.starts_with(&head) && head.ends_with("\r\n\r\n") && full != head);
    }
}
