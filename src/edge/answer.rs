//! Answers to the requests that have arrived, all of one read into one buffer.

use std::sync::Arc;

use super::connection::Connection;
use super::refusal::{ALLOW, Refusal};
use super::service::{self, Call};
use super::{Answer, Lookup};
use crate::http::{
    self, Body, BodyLength, ChunkedDecoder, Parsed, Progress, Representation, RequestHead,
    Resource, Selection, decode_path,
};

/// What a connection does once its replies so far are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Continue,
    Close,
    /// Close, but let the client finish sending first.
    Linger,
}

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

/// What has to happen before more can be answered.
pub(super) enum Next<S> {
    /// Read; the input holds no further whole request.
    Read,
    /// Send; there is a good deal to send, or the connection ends.
    Send,
    /// Send what is ready and then this body.
    SendBody(Body),
    /// Send what is ready and then these bodies, each behind the bytes that delimit it, and the end.
    SendParts(Vec<(Vec<u8>, Body)>, Vec<u8>),
    /// Wait for the service plane.
    Call(Box<Call<S>>),
}

/// Up to this size a body is copied behind its head, so that replies of one batch leave together.
pub(super) const MOST_COPIED: usize = 64 * 1024;

/// With this much to send, sending comes first. Bounds what a client that does not read can make a
/// connection hold: this, one more copied body and its head.
pub(super) const ENOUGH_TO_SEND: usize = 64 * 1024;

/// How one request was answered.
enum Outcome<S> {
    Answered,
    /// The body has to be read first.
    NeedsBody,
    Waits(Next<S>),
}

/// A chunked request body that is being read. Its head stays in the input, its chunks do not.
pub(super) struct ChunkedBody {
    head_length: usize,
    decoder: ChunkedDecoder,
    content: Vec<u8>,
    progress: Progress,
}

impl<S: Lookup> Connection<S> {
    /// Answers whole requests until there is none, or something has to be waited for. All of them
    /// see one snapshot.
    pub(super) fn answer(&mut self) -> Next<S> {
        let worker = std::rc::Rc::clone(&self.worker);
        let snapshot = worker.snapshot.load();
        // Taken out while the requests borrow it.
        let mut input = std::mem::take(&mut self.input);
        let next = loop {
            if self.after != After::Continue || self.out.len() >= ENOUGH_TO_SEND {
                break Next::Send;
            }
            self.skip_unwanted(&input);
            match self.read_chunks(&mut input) {
                Ok(Progress::Done) => {}
                Ok(Progress::More) => break Next::Read,
                Err(refusal) => {
                    self.refuse(refusal, Asked::default());
                    continue;
                }
            }
            let unanswered = input.get(self.answered..).unwrap_or_default();
            if unanswered.is_empty() || unanswered.len() < self.wanted {
                break Next::Read;
            }
            // RFC 9112 §2.2: an empty line before a request is to be ignored.
            if unanswered.starts_with(b"\r\n") {
                self.answered += 2;
                self.seen = 0;
                continue;
            }
            if self.seen > 0 && !http::may_be_whole(unanswered, self.seen) {
                match http::partial_head(unanswered, &worker.limits.head) {
                    Parsed::Refused(error) => self.refuse(Refusal::Head(error), Asked::default()),
                    _ => {
                        self.seen = unanswered.len();
                        break Next::Read;
                    }
                }
                continue;
            }
            match http::parse(unanswered, &mut http::header_slots(), &worker.limits.head) {
                Parsed::Partial => {
                    self.seen = unanswered.len();
                    break Next::Read;
                }
                Parsed::Refused(error) => self.refuse(Refusal::Head(error), Asked::default()),
                Parsed::Head(head) => match self.answer_one(&head, unanswered, &snapshot) {
                    Outcome::Answered | Outcome::NeedsBody => {}
                    Outcome::Waits(next) => break next,
                },
            }
        };
        self.input = input;
        next
    }

    /// Drops what has arrived of a body that nobody wants.
    fn skip_unwanted(&mut self, input: &[u8]) {
        let skipped = self.unwanted.min(input.len() - self.answered);
        self.answered += skipped;
        self.unwanted -= skipped;
    }

    /// Decodes what has arrived of a chunked body and takes it out of the input.
    fn read_chunks(&mut self, input: &mut Vec<u8>) -> Result<Progress, Refusal> {
        let Some(body) = &mut self.chunks else { return Ok(Progress::Done) };
        if body.progress == Progress::More {
            let start = self.answered + body.head_length;
            let arrived = input.get(start..).unwrap_or_default();
            let limit = self.worker.limits.service_body_bytes;
            let (read, progress) =
                body.decoder.decode(arrived, &mut body.content, limit).map_err(Refusal::Chunked)?;
            input.drain(start..start + read);
            body.progress = progress;
        }
        Ok(body.progress)
    }

    fn answer_one(
        &mut self,
        head: &RequestHead<'_, '_>,
        input: &[u8],
        snapshot: &Arc<S>,
    ) -> Outcome<S> {
        if head.target == "*" {
            self.begin_answer(head);
            self.answer_options(Asked::by(head));
            return Outcome::Answered;
        }
        let worker = std::rc::Rc::clone(&self.worker);
        let mut scratch = worker.path_scratch.borrow_mut();
        let path = match decode_path(head.path(), &mut scratch) {
            Ok(path) => path,
            Err(error) => {
                self.begin_answer(head);
                self.refuse(Refusal::Path(error), Asked::by(head));
                return Outcome::Answered;
            }
        };
        match snapshot.lookup(path) {
            Answer::Resource(resource) => {
                self.begin_answer(head);
                self.answer_with(resource, head)
            }
            Answer::Service => self.call_service(head, path, input, snapshot),
        }
    }

    /// Notes that a request is being answered whose body, if there is one, nobody wants. What is not
    /// read of it would be taken for the next request, so a long one ends the connection.
    fn begin_answer(&mut self, head: &RequestHead<'_, '_>) {
        self.count_answer(head);
        match head.body {
            BodyLength::Bytes(0) => {}
            // Whoever waits for a 100 may send the body now or never.
            BodyLength::Bytes(length)
                if length <= self.worker.limits.unwanted_body_bytes && !head.expects_continue =>
            {
                self.unwanted = length;
            }
            BodyLength::Bytes(_) | BodyLength::Chunked => self.after = After::Linger,
        }
    }

    fn count_answer(&mut self, head: &RequestHead<'_, '_>) {
        self.answered += head.length;
        self.seen = 0;
        self.wanted = 0;
        self.continued = false;
        if !head.keep_alive {
            self.after = After::Close;
        }
        self.count_request();
        self.heed_draining();
    }

    /// While draining, the connection goes with its next reply. The client may be sending another
    /// request already, so it is let finish.
    pub(super) fn heed_draining(&mut self) {
        if self.after == After::Continue && self.worker.draining.get() {
            self.after = After::Linger;
        }
    }

    fn answer_with(&mut self, resource: &Resource, head: &RequestHead<'_, '_>) -> Outcome<S> {
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
        let refusal = match resource.select(head) {
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

    fn answer_options(&mut self, asked: Asked) {
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
                self.out.extend_from_slice(body);
                Outcome::Answered
            }
            None => Outcome::Answered,
        }
    }

    fn append_parts(
        &mut self,
        chosen: &Representation,
        ranges: http::RangeSet<'_>,
        asked: Asked,
    ) -> Outcome<S> {
        let parts = chosen.parts(ranges);
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
            self.out.extend_from_slice(body.get(range).unwrap_or_default());
        }
        parts.write_end(&mut self.out);
        Outcome::Answered
    }

    fn call_service(
        &mut self,
        head: &RequestHead<'_, '_>,
        path: &str,
        input: &[u8],
        snapshot: &Arc<S>,
    ) -> Outcome<S> {
        let asked = Asked::by(head);
        let chunks = self.chunks.take();
        let body = match (head.body, &chunks) {
            (BodyLength::Bytes(length), _) if length > self.worker.limits.service_body_bytes => {
                self.begin_answer(head);
                self.refuse(Refusal::BodyTooLong, asked);
                return Outcome::Answered;
            }
            (BodyLength::Bytes(length), _) => {
                let whole = head.length + length;
                let Some(body) = input.get(head.length..whole) else {
                    self.wanted = whole;
                    self.say_continue(head);
                    return Outcome::Waits(Next::Read);
                };
                self.count_answer(head);
                self.answered += length;
                body
            }
            (BodyLength::Chunked, Some(body)) => {
                self.count_answer(head);
                &body.content
            }
            (BodyLength::Chunked, None) => {
                self.say_continue(head);
                self.chunks = Some(Box::new(ChunkedBody {
                    head_length: head.length,
                    decoder: ChunkedDecoder::default(),
                    content: Vec::new(),
                    progress: Progress::More,
                }));
                return Outcome::NeedsBody;
            }
        };
        match service::call(&self.worker, head, path, body, self.peer, snapshot) {
            Ok(call) => Outcome::Waits(Next::Call(Box::new(call))),
            Err(refusal) => {
                self.refuse(refusal, asked);
                Outcome::Answered
            }
        }
    }

    /// RFC 9110 §10.1.1: said once, and only to those who ask.
    fn say_continue(&mut self, head: &RequestHead<'_, '_>) {
        if head.expects_continue && !self.continued {
            self.continued = true;
            self.reserve_out();
            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    /// Appends a refusal, and ends the connection where it is one that does.
    pub(super) fn refuse(&mut self, refusal: Refusal, asked: Asked) {
        self.refuse_with(refusal, asked, |_| {});
    }

    /// [`Connection::refuse`] with header lines of the resource.
    fn refuse_with(&mut self, refusal: Refusal, asked: Asked, lines: impl FnOnce(&mut Vec<u8>)) {
        if refusal.closes() || asked.is_http_1_0 {
            self.after = After::Linger;
        }
        self.begin_head(refusal.status());
        let connection: &[u8] = if self.after == After::Continue { b"" } else { CLOSE };
        let clock = &self.worker.clock;
        let last_headers = |out: &mut Vec<u8>| {
            lines(out);
            clock.with_date_line(|date| out.extend_from_slice(date));
            out.extend_from_slice(connection);
        };
        refusal.write(&mut self.out, last_headers, asked.head_only);
    }

    fn begin_head(&mut self, status: u16) {
        self.worker.counters.response(status);
        self.reserve_out();
    }

    /// Appends what every head ends with.
    pub(super) fn finish_head(&mut self, asked: Asked) {
        let (worker, out) = (&self.worker, &mut self.out);
        worker.clock.with_date_line(|date| out.extend_from_slice(date));
        if self.after != After::Continue {
            out.extend_from_slice(CLOSE);
        } else if asked.is_http_1_0 {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    pub(super) fn reserve_out(&mut self) {
        if self.out.capacity() == 0 {
            self.out = self.worker.outputs.take();
        }
    }
}

pub(super) const CLOSE: &[u8] = b"connection: close\r\n";
