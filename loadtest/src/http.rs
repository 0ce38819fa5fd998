//! A small blocking client that shows a reply as it came, for looking at servers before they are measured
//! and for connections that then stay idle.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::Failure;

/// A server that says nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_HEADERS: usize = 32;

/// A connection that is kept alive.
#[derive(Debug)]
pub(crate) struct Connection {
    port: u16,
    stream: TcpStream,
    received: Vec<u8>,
}

/// One reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Bytes of head and body, with all framing.
    pub(crate) length: usize,
}

/// Header fields of a request.
pub(crate) type Headers = Vec<(&'static str, String)>;

impl Connection {
    pub(crate) fn open(port: u16) -> Result<Self, Failure> {
        let open = || {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = open().map_err(|error: std::io::Error| format!("port {port}: {error}"))?;
        Ok(Self { port, stream, received: Vec::new() })
    }

    /// Whether the server has neither closed it nor said anything more.
    pub(crate) fn is_open(&self) -> bool {
        let waiting = self
            .stream
            .set_nonblocking(true)
            .and_then(|()| self.stream.peek(&mut [0; 1]))
            .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        waiting && self.received.is_empty()
    }

    /// Asks once and reads the reply.
    pub(crate) fn get(&mut self, path: &str, headers: &Headers) -> Result<Reply, Failure> {
        self.send(path, headers, 1)?;
        self.receive()
    }

    /// Asks once and reads the JSON of the reply.
    pub(crate) fn get_json(&mut self, path: &str) -> Result<serde_json::Value, Failure> {
        let reply = self.get(path, &Vec::new())?;
        let text = String::from_utf8_lossy(&reply.body);
        serde_json::from_str(&text).map_err(|error| format!("{path} answers {text:?}: {error}"))
    }

    /// Asks so many times at once.
    pub(crate) fn send(
        &mut self,
        path: &str,
        headers: &Headers,
        times: u16,
    ) -> Result<(), Failure> {
        // The fields and their order are those of wrk.
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", self.port);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        self.stream
            .write_all(request.repeat(times.into()).as_bytes())
            .map_err(|error| format!("sending: {error}"))
    }

    /// Reads one reply to a GET.
    pub(crate) fn receive(&mut self) -> Result<Reply, Failure> {
        loop {
            if let Some(reply) = take_reply(&mut self.received)? {
                return Ok(reply);
            }
            let mut piece = vec![0; 64 * 1024];
            match self.stream.read(&mut piece).map_err(|error| format!("reading: {error}"))? {
                0 => return Err("the server closed the connection".to_owned()),
                count => self.received.extend(piece.iter().take(count)),
            }
        }
    }
}

impl Reply {
    /// The value of a header field; `name` in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Takes the first reply out of what was received, once it is whole.
fn take_reply(received: &mut Vec<u8>) -> Result<Option<Reply>, Failure> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut fields);
    let parsed = head.parse(received).map_err(|error| format!("no HTTP reply: {error}"))?;
    let httparse::Status::Complete(head_length) = parsed else { return Ok(None) };
    let status = head.code.unwrap_or(0);
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|field| {
            let value = String::from_utf8_lossy(field.value).into_owned();
            (field.name.to_ascii_lowercase(), value)
        })
        .collect();
    let mut reply = Reply { status, headers, body: Vec::new(), length: head_length };
    let after_head = received.get(head_length..).unwrap_or_default();
    let body = if status == 304 {
        Some((Vec::new(), 0))
    } else if reply.header("transfer-encoding") == Some("chunked") {
        take_chunks(after_head)?
    } else {
        let length = reply.header("content-length").and_then(|length| length.parse().ok());
        let length: usize = length.ok_or("a reply without length")?;
        after_head.get(..length).map(|body| (body.to_vec(), length))
    };
    let Some((body, length)) = body else { return Ok(None) };
    reply.body = body;
    reply.length += length;
    received.drain(..reply.length);
    Ok(Some(reply))
}

/// The body in these chunks (RFC 9112, section 7.1) with the bytes that they take, once they are whole.
fn take_chunks(received: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Failure> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = received.get(at..).unwrap_or_default();
        let parsed = httparse::parse_chunk_size(rest).map_err(|_| "a chunk without size")?;
        let httparse::Status::Complete((line, size)) = parsed else { return Ok(None) };
        let size = usize::try_from(size).map_err(|error| error.to_string())?;
        // The size stands before the chunk and a line end behind it; after the last one, which is empty, no
        // server here sends trailers.
        let Some(chunk) = rest.get(line..line + size) else { return Ok(None) };
        at += line + size + 2;
        if received.len() < at {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some((body, at)));
        }
        body.extend_from_slice(chunk);
    }
}
