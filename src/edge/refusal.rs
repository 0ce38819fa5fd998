//! Ready-made replies to requests that are not answered with content.

use std::io::Write;

use super::limits::Limit;
use crate::http::{ChunkedError, HeadError, PathError};

/// What a resource can be asked, with its line end.
pub(super) const ALLOW: &str = "allow: GET, HEAD, OPTIONS\r\n";

/// Why a request is turned away. Each has a status and a line of plain text for whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Head(HeadError),
    Path(PathError),
    Chunked(ChunkedError),
    HeadTimeout,
    MethodNotAllowed,
    NotAcceptable,
    PreconditionFailed,
    RangeNotSatisfiable,
    BodyTimeout,
    BodyTooLong,
    ServiceFailed,
    ServiceBusy,
    ServiceGone,
    TooManyConnections,
    TooManyOfOneClient,
    ServiceTimeout,
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
                | Refusal::PreconditionFailed
                | Refusal::RangeNotSatisfiable
                | Refusal::ServiceFailed
                | Refusal::ServiceBusy
                | Refusal::ServiceGone
                | Refusal::ServiceTimeout
        )
    }

    pub(super) fn status(self) -> u16 {
        match self {
            Refusal::Head(error) => error.status(),
            Refusal::Chunked(ChunkedError::TooLong) | Refusal::BodyTooLong => 413,
            Refusal::Path(_) | Refusal::Chunked(_) => 400,
            Refusal::MethodNotAllowed => 405,
            Refusal::NotAcceptable => 406,
            Refusal::HeadTimeout | Refusal::BodyTimeout => 408,
            Refusal::PreconditionFailed => 412,
            Refusal::RangeNotSatisfiable => 416,
            Refusal::TooManyOfOneClient => 429,
            Refusal::ServiceFailed => 500,
            Refusal::ServiceBusy | Refusal::ServiceGone | Refusal::TooManyConnections => 503,
            Refusal::ServiceTimeout => 504,
        }
    }

    /// The limit that the client came up against, if it is one that is noticed here; those on time are noticed, and
    /// counted, by the sweep.
    pub(super) fn limit(self) -> Option<Limit> {
        Some(match self {
            Refusal::Head(HeadError::RequestLineTooLong) => Limit::RequestLineBytes,
            Refusal::Head(HeadError::TooLong) => Limit::HeadBytes,
            Refusal::Head(HeadError::TooManyHeaders) => Limit::Headers,
            Refusal::BodyTooLong | Refusal::Chunked(ChunkedError::TooLong) => Limit::BodyBytes,
            Refusal::ServiceBusy => Limit::ServiceCalls,
            Refusal::TooManyConnections => Limit::Connections,
            Refusal::TooManyOfOneClient => Limit::ConnectionsPerClient,
            _ => return None,
        })
    }

    /// Appends the reply. `last_headers` appends the complete lines that depend on the resource, the
    /// moment and the connection: `date` and perhaps `vary`, `content-range` and `connection`.
    pub(super) fn write(
        self,
        out: &mut Vec<u8>,
        last_headers: impl FnOnce(&mut Vec<u8>),
        head_only: bool,
    ) {
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
        last_headers(out);
        out.extend_from_slice(b"\r\n");
        if !head_only {
            out.extend_from_slice(self.text().as_bytes());
            out.push(b'\n');
        }
    }

    /// The line of its own that the reply has.
    fn header(self) -> &'static str {
        match self {
            Refusal::MethodNotAllowed => ALLOW,
            Refusal::ServiceBusy
            | Refusal::ServiceGone
            | Refusal::TooManyConnections
            | Refusal::TooManyOfOneClient => "retry-after: 1\r\n",
            _ => "",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Refusal::Head(error) => error.text(),
            Refusal::Path(error) => error.text(),
            Refusal::Chunked(error) => error.text(),
            Refusal::HeadTimeout => "the request head took too long",
            Refusal::MethodNotAllowed => "only GET, HEAD and OPTIONS are answered here",
            Refusal::NotAcceptable => "none of the encodings in accept-encoding is available",
            Refusal::PreconditionFailed => {
                "no tag in if-match is that of the present representation"
            }
            Refusal::RangeNotSatisfiable => "the representation has none of the ranges",
            Refusal::BodyTimeout => "the request body took too long",
            Refusal::BodyTooLong => "the request body is too long",
            Refusal::ServiceFailed => "the request could not be answered",
            Refusal::ServiceBusy => "too many requests are waiting, try again",
            Refusal::ServiceGone => "the server is stopping, try again",
            Refusal::TooManyConnections => "too many connections are open, try again",
            Refusal::TooManyOfOneClient => "too many connections of one client are open",
            Refusal::ServiceTimeout => "the answer took too long",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(refusal: Refusal, head_only: bool) -> String {
        let mut out = Vec::new();
        let last =
            |out: &mut Vec<u8>| out.extend_from_slice(b"date: then\r\nconnection: close\r\n");
        refusal.write(&mut out, last, head_only);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_refusal_is_a_complete_reply_that_is_never_stored() {
        assert_eq!(
            written(Refusal::MethodNotAllowed, false),
            "HTTP/1.1 405 Method Not Allowed\r\n\
             content-type: text/plain; charset=utf-8\r\n\
             content-length: 45\r\n\
             cache-control: no-store\r\n\
             x-content-type-options: nosniff\r\n\
             allow: GET, HEAD, OPTIONS\r\n\
             date: then\r\n\
             connection: close\r\n\
             \r\n\
             only GET, HEAD and OPTIONS are answered here\n"
        );
    }

    #[test]
    fn a_head_is_the_same_without_its_body() {
        let full = written(Refusal::ServiceBusy, false);
        let head = written(Refusal::ServiceBusy, true);
        assert!(full.starts_with(&head) && head.ends_with("\r\n\r\n") && full != head);
    }
}
