//! Answers to the requests that have arrived, all of one read into one buffer.

use std::sync::Arc;

use super::connection::Connection;
use super::limits::Limit;
use super::refusal::Refusal;
use super::reply::{Asked, ENOUGH_TO_SEND};
use super::service::{self, Call};
use super::{Answer, Lookup, Owner};
use crate::http::{
    self, Body, BodyLength, ChunkedDecoder, Parsed, Progress, RequestHead, decode_path,
};

/// What a connection does once its replies so far are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Continue,
    Close,
    /// Close, but let the client finish sending first.
    Linger,
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

/// How one request was answered.
pub(super) enum Outcome<S> {
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

/// Bytes of a reply that are not written yet.
fn to_come<S>(outcome: &Outcome<S>) -> usize {
    match outcome {
        Outcome::Waits(Next::SendBody(body)) => body.len(),
        Outcome::Waits(Next::SendParts(parts, end)) => {
            parts.iter().map(|(delimiter, body)| delimiter.len() + body.len()).sum::<usize>()
                + end.len()
        }
        _ => 0,
    }
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
            if self.after != After::Continue || self.has_enough_to_send() {
                break Next::Send;
            }
            self.skip_unwanted(&input);
            match self.read_chunks(&mut input) {
                Ok(Progress::Done) => {}
                Ok(Progress::More) => break Next::Read,
                Err(refusal) => {
                    self.refuse_unread(refusal);
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
                match http::judge_partial(unanswered, &worker.limits.head) {
                    Parsed::Refused(error) => self.refuse_unread(Refusal::Head(error)),
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
                Parsed::Refused(error) => self.refuse_unread(Refusal::Head(error)),
                Parsed::Head(head) => match self.answer_one(&head, unanswered, &snapshot) {
                    Outcome::Answered | Outcome::NeedsBody => {}
                    Outcome::Waits(next) => break next,
                },
            }
        };
        self.input = input;
        next
    }

    fn has_enough_to_send(&self) -> bool {
        self.out.len() >= ENOUGH_TO_SEND
            || self.unrecorded.as_ref().is_some_and(|unrecorded| unrecorded.is_full())
    }

    /// Refuses what could not be read as a request.
    pub(super) fn refuse_unread(&mut self, refusal: Refusal) {
        let before = self.written();
        self.refuse(refusal, Asked::default());
        self.note_answered(None, "", Owner::NOBODY, before, 0);
    }

    /// Notes for the access log the reply that was just written behind `before`, of which `to_come` bytes are
    /// still elsewhere.
    fn note_answered(
        &mut self,
        head: Option<&RequestHead<'_, '_>>,
        path: &str,
        owner: Owner,
        before: u64,
        to_come: usize,
    ) {
        let bytes = self.written() - before + to_come as u64;
        if let Some(unrecorded) = &mut self.unrecorded {
            let request = unrecorded.request(head, path, self.peer, owner);
            unrecorded.answered(request, self.status, bytes);
        }
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
            let before = self.written();
            self.begin_answer(head);
            self.answer_options(Asked::by(head));
            self.note_answered(Some(head), head.target, Owner::NOBODY, before, 0);
            return Outcome::Answered;
        }
        let worker = std::rc::Rc::clone(&self.worker);
        let mut scratch = worker.path_scratch.borrow_mut();
        let path = match decode_path(head.target, &mut scratch) {
            Ok(path) => path,
            Err(error) => {
                self.begin_answer(head);
                self.refuse_head(Refusal::Path(error), head, head.target);
                return Outcome::Answered;
            }
        };
        match snapshot.lookup(path) {
            Answer::Resource(resource, owner) => {
                self.begin_answer(head);
                let before = self.written();
                let outcome = self.answer_with(resource, head);
                let to_come = to_come(&outcome);
                self.count_for(owner, before, to_come);
                self.note_answered(Some(head), path, owner, before, to_come);
                outcome
            }
            Answer::Service => self.call_service(head, path, input, snapshot, false),
            Answer::Probe => self.call_service(head, path, input, snapshot, true),
        }
    }

    /// Counts the reply that was just written behind `before` for the owner of its resource.
    fn count_for(&mut self, owner: Owner, before: u64, to_come: usize) {
        self.owner = owner;
        let bytes = (self.written() - before) as usize + to_come;
        self.worker.counters.owners.answered(owner, self.status, bytes);
    }

    /// Refuses a request that could be read.
    fn refuse_head(&mut self, refusal: Refusal, head: &RequestHead<'_, '_>, path: &str) {
        let before = self.written();
        self.refuse(refusal, Asked::by(head));
        self.note_answered(Some(head), path, Owner::NOBODY, before, 0);
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
            BodyLength::Bytes(length) => {
                if length > self.worker.limits.unwanted_body_bytes {
                    self.worker.counters.reached(Limit::UnwantedBodyBytes);
                }
                self.after = After::Linger;
            }
            BodyLength::Chunked => self.after = After::Linger,
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

    fn call_service(
        &mut self,
        head: &RequestHead<'_, '_>,
        path: &str,
        input: &[u8],
        snapshot: &Arc<S>,
        is_probe: bool,
    ) -> Outcome<S> {
        let chunks = self.chunks.take();
        let body = match (head.body, &chunks) {
            (BodyLength::Bytes(length), _) if length > self.worker.limits.service_body_bytes => {
                // Which ends the connection, so what comes of the body is not told apart.
                self.count_answer(head);
                self.refuse_head(Refusal::BodyTooLong, head, path);
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
        match service::call(&self.worker, head, path, body, self.peer, snapshot, is_probe) {
            Ok(call) => {
                // It takes as long as it takes, and is nobody's.
                self.sample = None;
                if let Some(unrecorded) = &mut self.unrecorded {
                    let request = unrecorded.request(Some(head), path, self.peer, Owner::NOBODY);
                    unrecorded.called(request);
                }
                Outcome::Waits(Next::Call(Box::new(call)))
            }
            Err(refusal) => {
                self.refuse_head(refusal, head, path);
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
}
