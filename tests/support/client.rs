//! A small blocking HTTP client that shows the bytes as they came.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::PATIENCE;

/// What both kinds of connection have.
trait Bytes: io::Read + io::Write + std::fmt::Debug + Send {}

impl<T: io::Read + io::Write + std::fmt::Debug + Send> Bytes for T {}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: Box<dyn Bytes>,
    received: Vec<u8>,
}

/// One reply.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// Status line and headers as they came.
    pub(crate) head: String,
    /// The body, without its framing.
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        Self::connect_to(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    pub(crate) fn connect_to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: Box::new(stream), received: Vec::new() })
    }

    pub(crate) fn connect_to_unix(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: Box::new(stream), received: Vec::new() })
    }

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request without waiting for its reply.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<()> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        self.write(request.as_bytes())
    }

    /// Sends a form and reads the reply.
    pub(crate) fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        form: &str,
    ) -> io::Result<Reply> {
        let length = form.len().to_string();
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let headers = [headers, &[kind, ("content-length", &length)]].concat();
        self.send("POST", path, &headers)?;
        self.stream.write_all(form.as_bytes())?;
        self.receive("POST")
    }

    /// Reads the head of a reply.
    pub(crate) fn receive_head(&mut self) -> io::Result<String> {
        let end = loop {
            match self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.read_more()?,
            }
        };
        let rest = self.received.split_off(end);
        String::from_utf8(std::mem::replace(&mut self.received, rest)).map_err(io::Error::other)
    }

    /// Reads until this text has come.
    pub(crate) fn receive_until(&mut self, text: &str) -> io::Result<()> {
        loop {
            if let Some(at) =
                self.received.windows(text.len()).position(|window| window == text.as_bytes())
            {
                self.received.drain(..at + text.len());
                return Ok(());
            }
            self.read_more()?;
        }
    }

    /// Reads the reply to a request with `method`.
    pub(crate) fn receive(&mut self, method: &str) -> io::Result<Reply> {
        let head = self.receive_head()?;
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {head}")))?;
        let mut reply = Reply { status, head, body: Vec::new() };
        if method == "HEAD" || matches!(status, 204 | 304) {
            return Ok(reply);
        }
        reply.body = match reply.header("content-length") {
            Some(length) => self.take(length.parse().map_err(io::Error::other)?)?,
            None if reply.header("transfer-encoding") == Some("chunked") => self.take_chunks()?,
            None => return Err(io::Error::other(format!("no length: {}", reply.head))),
        };
        Ok(reply)
    }

    /// Whether the host has closed the connection, with nothing left to read.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.received.is_empty() && matches!(self.stream.read(&mut [0; 1]), Ok(0))
    }

    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Reply> {
        self.send(method, path, headers)?;
        self.receive(method)
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < length {
            self.read_more()?;
        }
        let rest = self.received.split_off(length);
        Ok(std::mem::replace(&mut self.received, rest))
    }

    fn take_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.received.windows(2).position(|window| window == b"\r\n") {
                    Some(at) => break at + 2,
                    None => self.read_more()?,
                }
            };
            let line = String::from_utf8(self.take(end)?).map_err(io::Error::other)?;
            let length = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
            let chunk = self.take(length + 2)?;
            body.extend_from_slice(&chunk[..length]);
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut part = [0; 16 * 1024];
        match self.stream.read(&mut part)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.received.extend_from_slice(&part[..count]);
                Ok(())
            }
        }
    }
}

impl Reply {
    /// The value of a header, if it is there once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value);
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {}", self.head);
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.text()).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.body).into()
    }
}
