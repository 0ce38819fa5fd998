//! From the network to a thread that may wait: bytes in their order, whatever happens to the connection.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use reqwest::header::{CONTENT_RANGE, HeaderMap};
use reqwest::{Response, StatusCode};
use tokio::sync::mpsc;

use super::http::{Get, Http, Pace, SLOWEST, protocol, successful};
use super::oci::Session;
use super::patience::Patience;
use super::turns::Turn;
use super::{FetchError, Tally};

/// How many pieces wait for the thread that takes them. A piece is what came at once, at most some 100 KiB.
const PIECES: usize = 4;

/// The way to one server: what sends, and what lets in where that is needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access<'a> {
    pub(super) http: &'a Http,
    pub(super) session: Option<&'a Session>,
    pub(super) tally: &'a Tally,
    turn: &'a Turn<'a>,
}

impl<'a> Access<'a> {
    /// The way to whoever lets in everybody.
    pub(super) fn new(http: &'a Http, tally: &'a Tally, turn: &'a Turn<'a>) -> Self {
        Self { http, session: None, tally, turn }
    }

    /// The same, with what lets in.
    pub(super) fn with(self, session: &'a Session) -> Self {
        Self { session: Some(session), ..self }
    }

    /// Reads a document, trying again where that may help.
    pub(super) async fn document(
        &self,
        get: &Get<'_>,
        limit: u64,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), FetchError> {
        let mut patience = Patience::new(self.http, self.tally);
        loop {
            match self.document_once(get, limit).await {
                Ok(read) => return Ok(read),
                // Nothing is held meanwhile, so others may go on.
                Err(error) => self.turn.during(patience.wait(error)).await?,
            }
        }
    }

    /// Sends all bytes of what is asked for to `sink`, from the first to the last, going on where a connection
    /// broke. It ends early, and well, where nobody takes them any more.
    pub(super) async fn download(
        &self,
        get: &Get<'_>,
        size: Option<u64>,
        sink: mpsc::Sender<Bytes>,
    ) -> Result<(), FetchError> {
        let mut patience = Patience::new(self.http, self.tally);
        let mut at = 0;
        loop {
            let before = at;
            match self.stretch(&Get { from: at, ..get.clone() }, &mut at, size, &sink).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    let is_slow = matches!(error, FetchError::Stalled { .. });
                    if at - before >= if is_slow { SLOWEST } else { 1 } {
                        patience.progressed();
                    }
                    // The turn is kept: a thread is in the middle of what came, and holds memory for it.
                    patience.wait(error).await?;
                }
            }
        }
    }

    async fn document_once(
        &self,
        get: &Get<'_>,
        limit: u64,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), FetchError> {
        let mut response = successful(self.send(get).await?)?;
        let body = self.http.body(&mut response, limit, self.tally).await?;
        Ok((response.status(), response.headers().clone(), body))
    }

    async fn stretch(
        &self,
        get: &Get<'_>,
        at: &mut u64,
        size: Option<u64>,
        sink: &mpsc::Sender<Bytes>,
    ) -> Result<(), FetchError> {
        if size.is_some_and(|size| *at >= size) {
            return Ok(());
        }
        let response = self.send(get).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && get.from > 0 {
            // The connection broke behind the last byte; the digest will tell.
            return Ok(());
        }
        let mut response = successful(response)?;
        let mut skip = bytes_to_skip(&response, get.from)?;
        let mut pace = Pace::default();
        while let Some(mut bytes) = self.http.chunk(&mut response, &mut pace).await? {
            self.tally.came(bytes.len());
            let known = skip.min(bytes.len() as u64);
            skip -= known;
            bytes.advance(usize::try_from(known).unwrap_or(bytes.len()));
            if bytes.is_empty() {
                continue;
            }
            *at = at.saturating_add(bytes.len() as u64);
            if sink.send(bytes).await.is_err() {
                return Ok(());
            }
        }
        match size {
            Some(size) if *at < size => Err(protocol(&get.url, "the reply ended too early")),
            _ => Ok(()),
        }
    }

    async fn send(&self, get: &Get<'_>) -> Result<Response, FetchError> {
        match self.session {
            Some(session) => session.send(self.http, get, self.tally).await,
            None => self.http.send(get, None).await,
        }
    }
}

/// A channel between the network and a thread.
pub(super) fn channel() -> (mpsc::Sender<Bytes>, Feed) {
    let (sink, pieces) = mpsc::channel(PIECES);
    (sink, Feed { pieces, piece: Bytes::new() })
}

/// The end of the channel that a thread reads. It ends where the other side does, for whatever reason.
#[derive(Debug)]
pub(super) struct Feed {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        (&mut self.piece).reader().read(buffer)
    }
}

/// How many bytes at the start of a reply came before. A server may ignore that only the rest was asked for.
fn bytes_to_skip(response: &Response, from: u64) -> Result<u64, FetchError> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Ok(from);
    }
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let start = range
        .and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse::<u64>().ok());
    match start {
        Some(start) if start == from && from > 0 => Ok(0),
        _ => Err(protocol(response.url(), "it sends another range than was asked for")),
    }
}
