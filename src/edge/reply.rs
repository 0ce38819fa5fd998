//! Writing replies behind each other into the buffer of a connection.

use super::Lookup;
use super::answer::{After, Next, Outcome};
use super::connection::Connection;
use super::refusal::{ALLOW, Refusal};
use crate::http::{Body, RangeSet, Representation, RequestHead, Resource, Selection};

/// What the reply has to fit, apart from the resource.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// A reply to HEAD has no body.
    pub(super) head_only: bool,
    /// Staying open has to be said, and bodies cannot be chunked.
    pub(super) is_http_1_0: bool,
}

impl Asked {
    pub(super) fn by(head: &RequestHead<'_, '_>) -> Asked {
        Asked { head_only: head.method == "HEAD", is_http_1_0: head.is_http_1_0 }
    }
}

/// Up to this size a body is copied behind its head, so that replies of one batch leave together. A larger
/// one is not worth the copy: at 64 KiB it costs 14 % more CPU than sending from where the body lies.
pub(super) const MOST_COPIED: usize = 16 * 1024;

/// With this much to send, sending comes first. Bounds what a client that does not read can make a
/// connection hold: this, one more copied body and its head.
pub(super) const ENOUGH_TO_SEND: usize = 64 * 1024;

const KEEP_ALIVE: &[u8] = b"connection: keep-alive\r\n";

pub(super) const CLOSE: &[u8] = b"connection: close\r\n";

impl<S: Lookup> Connection<S> {
    /// Answers from a resource what it can be asked.
    pub(super) fn answer_with(
        &mut self,
        resource: &Resource,
        head: &RequestHead<'_, '_>,
    ) -> Outcome<S> {
        let asked = Asked::by(head);
        match head.method {
            "GET" | "HEAD" => {}
            "OPTIONS" => {
                self.answer_options(asked);
                return Outcome::Answered;
            }
            _ => {
                self.refuse(Refusal::MethodNotAllowed, asked);
                return Outcome::Answered;
            }
        }
        let selection = resource.select(head);
        if let Some(unrecorded) = &mut self.unrecorded {
            unrecorded.encoding = selection.representation().map(Representation::encoding);
        }
        let refusal = match selection {
            Selection::Full(chosen) => {
                let body = (!asked.head_only).then(|| chosen.body());
                self.write_ready_head(resource.status().as_u16(), chosen.head(), asked);
                return self.append_body(body);
            }
            Selection::NotModified(chosen) => {
                self.write_ready_head(304, chosen.not_modified_head(), asked);
                return Outcome::Answered;
            }
            Selection::Part(chosen, range) => {
                self.begin_head(206);
                chosen.write_part_head(&range, &mut self.out);
                self.finish_head(asked);
                return self.append_body(Some(&chosen.body().slice(range)));
            }
            Selection::Parts(chosen, ranges) => return self.append_parts(chosen, ranges, asked),
            Selection::Unsatisfiable(chosen) => {
                self.refuse_with(Refusal::RangeNotSatisfiable, asked, |out| {
                    chosen.write_unsatisfied_range(out);
                    out.extend_from_slice(resource.vary_line());
                });
                return Outcome::Answered;
            }
            Selection::NotAcceptable => Refusal::NotAcceptable,
            Selection::PreconditionFailed => Refusal::PreconditionFailed,
        };
        self.refuse_with(refusal, asked, |out| out.extend_from_slice(resource.vary_line()));
        Outcome::Answered
    }

    /// Says what can be asked (RFC 9110 §9.3.7).
    pub(super) fn answer_options(&mut self, asked: Asked) {
        self.begin_head(204);
        self.out.extend_from_slice(b"HTTP/1.1 204 No Content\r\n");
        self.out.extend_from_slice(ALLOW.as_bytes());
        self.out
            .extend_from_slice(b"cache-control: no-store\r\nx-content-type-options: nosniff\r\n");
        self.finish_head(asked);
    }

    fn write_ready_head(&mut self, status: u16, head: &[u8], asked: Asked) {
        self.begin_head(status);
        self.out.extend_from_slice(head);
        self.finish_head(asked);
    }

    fn append_body(&mut self, body: Option<&Body>) -> Outcome<S> {
        match body {
            Some(body) if body.len() > MOST_COPIED => Outcome::Waits(Next::SendBody(body.clone())),
            Some(body) => {
                body.pieces_from(0).for_each(|piece| self.out.extend_from_slice(piece));
                Outcome::Answered
            }
            None => Outcome::Answered,
        }
    }

    fn append_parts(
        &mut self,
        chosen: &Representation,
        ranges: RangeSet<'_>,
        asked: Asked,
    ) -> Outcome<S> {
        let parts = chosen.byteranges(ranges);
        self.begin_head(206);
        parts.write_head(&mut self.out);
        self.finish_head(asked);
        let (body, ranges) = parts.body();
        if parts.length() > MOST_COPIED {
            let pieces = ranges.map(|range| {
                let mut delimiter = Vec::new();
                parts.write_delimiter(&range, &mut delimiter);
                (delimiter, body.slice(range))
            });
            let pieces = pieces.collect();
            let mut end = Vec::new();
            parts.write_end(&mut end);
            return Outcome::Waits(Next::SendParts(pieces, end));
        }
        for range in ranges {
            parts.write_delimiter(&range, &mut self.out);
            body.slice(range).pieces_from(0).for_each(|piece| self.out.extend_from_slice(piece));
        }
        parts.write_end(&mut self.out);
        Outcome::Answered
    }

    /// Appends a refusal, and ends the connection where it is one that does.
    pub(super) fn refuse(&mut self, refusal: Refusal, asked: Asked) {
        self.refuse_with(refusal, asked, |_| {});
    }

    /// [`Connection::refuse`] with header lines of the resource.
    fn refuse_with(&mut self, refusal: Refusal, asked: Asked, lines: impl FnOnce(&mut Vec<u8>)) {
        if refusal.closes() {
            self.after = After::Linger;
        }
        if let Some(limit) = refusal.limit() {
            self.worker.counters.reached(limit);
        }
        self.begin_head(refusal.status());
        let connection: &[u8] = match (self.after, asked.is_http_1_0) {
            (After::Continue, false) => b"",
            (After::Continue, true) => KEEP_ALIVE,
            _ => CLOSE,
        };
        let clock = &self.worker.clock;
        let last_headers = |out: &mut Vec<u8>| {
            lines(out);
            clock.with_date_line(|date| out.extend_from_slice(date));
            out.extend_from_slice(connection);
        };
        refusal.write(&mut self.out, last_headers, asked.head_only);
    }

    fn begin_head(&mut self, status: u16) {
        self.worker.counters.responses.count(status);
        self.status = status;
        self.reserve_out();
    }

    /// Appends what every head ends with.
    pub(super) fn finish_head(&mut self, asked: Asked) {
        let (worker, out) = (&self.worker, &mut self.out);
        worker.clock.with_date_line(|date| out.extend_from_slice(date));
        if self.after != After::Continue {
            out.extend_from_slice(CLOSE);
        } else if asked.is_http_1_0 {
            out.extend_from_slice(KEEP_ALIVE);
        }
        out.extend_from_slice(b"\r\n");
    }

    pub(super) fn reserve_out(&mut self) {
        if self.out.capacity() == 0 {
            self.out = self.worker.outputs.take();
        }
    }
}
