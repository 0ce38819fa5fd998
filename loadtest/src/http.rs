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
    if status != 304 {
        // All that is measured has a length; a reply in chunks costs a server more than it has to.
        let length = reply.header("content-length").and_then(|length| length.parse::<usize>().ok());
        reply.length += length.ok_or("a reply without content-length")?;
    }
    if received.len() < reply.length {
        return Ok(None);
    }
    let rest = received.split_off(reply.length);
    reply.body = std::mem::replace(received, rest).split_off(head_length);
    Ok(Some(reply))
}
