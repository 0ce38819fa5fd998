//! Answers to the requests that have arrived, all of one read into one buffer.

use std::sync::Arc;

use bytes::Bytes;

use super::connection::Connection;
use super::refusal::Refusal;
use super::request::{self, Head, Parsed};
use super::service::{self, Call};
use super::{Answer, Lookup};
use crate::http::{Resource, Selection, decode_path};

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
    pub(super) fn by(head: &Head<'_, '_>) -> Asked {
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
    SendBody(Bytes),
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
    Waits(Next<S>),
}

impl<S: Lookup> Connection<S> {
    /// Answers whole requests until there is none, or something has to be waited for. All of them
    /// see one snapshot.
    pub(super) fn answer(&mut self) -> Next<S> {
        let worker = std::rc::Rc::clone(&self.worker);
        let snapshot = worker.snapshot.load();
        // Taken out while the requests borrow it.
        let input = std::mem::take(&mut self.input);
        let next = loop {
            if self.after != After::Continue || self.out.len() >= ENOUGH_TO_SEND {
                break Next::Send;
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
            if self.seen > 0 && !request::may_be_whole(unanswered, self.seen) {
                match request::partial(unanswered, &worker.limits) {
                    Parsed::Refused(refusal) => self.refuse(refusal, Asked::default()),
                    _ => {
                        self.seen = unanswered.len();
                        break Next::Read;
                    }
                }
                continue;
            }
            match request::parse(unanswered, &mut request::header_slots(), &worker.limits) {
                Parsed::Partial => {
                    self.seen = unanswered.len();
                    break Next::Read;
                }
                Parsed::Refused(refusal) => self.refuse(refusal, Asked::default()),
                Parsed::Head(head) => match self.answer_one(&head, unanswered, &snapshot) {
                    Outcome::Answered => {}
                    Outcome::Waits(next) => break next,
                },
            }
        };
        self.input = input;
        next
    }

    fn answer_one(&mut self, head: &Head<'_, '_>, input: &[u8], snapshot: &Arc<S>) -> Outcome<S> {
        let worker = std::rc::Rc::clone(&self.worker);
        let mut scratch = worker.path_scratch.borrow_mut();
        let path = match decode_path(head.path(), &mut scratch) {
            Ok(path) => path,
            Err(error) => {
                self.begin_answer(head, 0);
                self.refuse(Refusal::Path(error), Asked::by(head));
                return Outcome::Answered;
            }
        };
        match snapshot.lookup(path) {
            Answer::Resource(resource) => {
                self.begin_answer(head, 0);
                self.answer_with(resource, head)
            }
            Answer::Service => {
                drop(scratch);
                self.call_service(head, input, snapshot)
            }
        }
    }

    /// Notes that a request is being answered of which this much body was read. A body that was not
    /// read would be taken for the next request, so then the connection ends with the reply.
    fn begin_answer(&mut self, head: &Head<'_, '_>, body_read: usize) {
        self.worker.counters.requests.add(1);
        self.answered += head.length + body_read;
        self.seen = 0;
        self.wanted = 0;
        self.continued = false;
        self.served = true;
        if head.body_length > body_read {
            self.after = After::Linger;
        } else if !head.keep_alive {
            self.after = After::Close;
        }
        self.heed_draining();
    }

    /// While draining, the connection goes with its next reply. The client may be sending another
    /// request already, so it is let finish.
    pub(super) fn heed_draining(&mut self) {
        if self.after == After::Continue && self.worker.draining.get() {
            self.after = After::Linger;
        }
    }

    fn answer_with(&mut self, resource: &Resource, head: &Head<'_, '_>) -> Outcome<S> {
        if !matches!(head.method, "GET" | "HEAD") {
            self.refuse(Refusal::MethodNotAllowed, Asked::by(head));
            return Outcome::Answered;
        }
        let (status, ready_head, body) =
            match resource.select(head.values("accept-encoding"), head.values("if-none-match")) {
                Selection::NotAcceptable => {
                    self.refuse(Refusal::NotAcceptable, Asked::by(head));
                    return Outcome::Answered;
                }
                Selection::NotModified(chosen) => (304, chosen.not_modified_head(), None),
                Selection::Full(chosen) => {
                    let body = (head.method == "GET").then(|| chosen.body());
                    (resource.status().as_u16(), chosen.head(), body)
                }
            };
        self.worker.counters.response(status);
        self.reserve_out();
        self.out.extend_from_slice(ready_head);
        self.finish_head(Asked::by(head));
        match body {
            Some(body) if body.len() > MOST_COPIED => Outcome::Waits(Next::SendBody(body.clone())),
            Some(body) => {
                self.out.extend_from_slice(body);
                Outcome::Answered
            }
            None => Outcome::Answered,
        }
    }

    fn call_service(&mut self, head: &Head<'_, '_>, input: &[u8], snapshot: &Arc<S>) -> Outcome<S> {
        if head.body_length > self.worker.limits.service_body_bytes {
            self.begin_answer(head, 0);
            self.refuse(Refusal::BodyTooLong, Asked::by(head));
            return Outcome::Answered;
        }
        let whole = head.length + head.body_length;
        let Some(body) = input.get(head.length..whole) else {
            self.wanted = whole;
            if head.expects_continue && !self.continued {
                self.continued = true;
                self.reserve_out();
                self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            return Outcome::Waits(Next::Read);
        };
        self.begin_answer(head, head.body_length);
        match service::call(&self.worker, head, body, self.peer, snapshot) {
            Ok(call) => Outcome::Waits(Next::Call(Box::new(call))),
            Err(refusal) => {
                self.refuse(refusal, Asked::by(head));
                Outcome::Answered
            }
        }
    }

    /// Appends a refusal, and ends the connection where it is one that does.
    pub(super) fn refuse(&mut self, refusal: Refusal, asked: Asked) {
        if refusal.closes() || asked.is_http_1_0 {
            self.after = After::Linger;
        }
        self.worker.counters.response(refusal.status());
        self.reserve_out();
        let connection: &[u8] = if self.after == After::Continue { b"" } else { CLOSE };
        let (worker, out) = (&self.worker, &mut self.out);
        worker
            .clock
            .with_date_line(|date| refusal.write(out, &[date, connection], asked.head_only));
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

const CLOSE: &[u8] = b"connection: close\r\n";
