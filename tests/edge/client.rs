//! A client that shows exactly what came over the wire.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

/// Far beyond what anything here takes, so that a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
    pause: Duration,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Status line and headers as they came.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            (found == name).then_some(value)
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Client {
        Client::over(TcpStream::connect(addr).unwrap())
    }

    /// A client on a connection that was made elsewhere.
    pub(crate) fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client { stream, unread: Vec::new(), pause: Duration::ZERO }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends bytes to a server that may have closed already.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn send_no_more(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// One request with `host` and these further lines, and its reply.
    pub(crate) fn ask(&mut self, method: &str, target: &str, lines: &[&str]) -> Reply {
        self.send(request(method, target, lines));
        self.reply(method)
    }

    pub(crate) fn get(&mut self, target: &str) -> Reply {
        self.ask("GET", target, &[])
    }

    /// Reads the reply to a request with this method.
    pub(crate) fn reply(&mut self, method: &str) -> Reply {
        let head = self.head();
        let status: u16 = head[9..12].parse().unwrap();
        let mut reply = Reply { status, head, body: Vec::new() };
        if method == "HEAD" || matches!(status, 100 | 204 | 304) {
            return reply;
        }
        reply.body = match reply.header("content-length") {
            Some(length) => self.take(length.parse().unwrap()),
            None if reply.header("transfer-encoding") == Some("chunked") => self.chunks(),
            None => self.rest().unwrap(),
        };
        reply
    }

    /// Reads status line and headers.
    pub(crate) fn head(&mut self) -> String {
        let head_end = loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.fill().unwrap() > 0, "closed within a head: {:?}", self.unread);
        };
        String::from_utf8(self.unread.drain(..head_end).collect()).unwrap()
    }

    /// Reads a reply with a pause before each piece.
    pub(crate) fn reply_slowly(&mut self, pause: Duration) -> Reply {
        self.pause = pause;
        let reply = self.reply("GET");
        self.pause = Duration::ZERO;
        reply
    }

    /// Reads exactly this many bytes.
    pub(crate) fn take(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.fill().unwrap() > 0, "closed within a body");
        }
        self.unread.drain(..length).collect()
    }

    /// Reads one byte from a server that may have closed already, and forgets it.
    pub(crate) fn try_take_one(&mut self) {
        let _ = self.stream.read(&mut [0; 1]);
    }

    /// Everything up to the end of the connection.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.unread))
    }

    /// Whether the server ends the connection without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.rest() {
            Ok(rest) => rest.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line_end = loop {
                if let Some(end) = find(&self.unread, b"\r\n") {
                    break end;
                }
                assert!(self.fill().unwrap() > 0, "closed within a chunked body");
            };
            let line: Vec<u8> = self.unread.drain(..line_end + 2).collect();
            let size = usize::from_str_radix(str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            body.extend(self.take(size));
            assert_eq!(self.take(2), b"\r\n");
            if size == 0 {
                return body;
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        thread::sleep(self.pause);
        let mut piece = [0; 16 * 1024];
        let count = self.stream.read(&mut piece)?;
        self.unread.extend_from_slice(&piece[..count]);
        Ok(count)
    }
}

pub(crate) fn request(method: &str, target: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nhost: test\r\n{lines}\r\n")
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
