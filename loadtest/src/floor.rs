//! What the kernel takes: a server that receives and sends, by one call each, and does next to nothing else. What another takes
//! beyond it is its own work.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

use crate::Failure;
use crate::case::Coding;

/// Files up to this size are sent: for larger ones what a server can do is to have the kernel copy nothing.
const LARGEST: u64 = 16 << 10;
/// The number of the listener; connections have those of their places.
const LISTENER: u64 = u64::MAX;

/// What it serves, and where.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The document root.
    #[arg(long)]
    root: PathBuf,
    /// The port on 127.0.0.1.
    #[arg(long)]
    port: u16,
}

/// A file, as whoever asks gets it.
struct Answer {
    /// `GET <path> `.
    start: Vec<u8>,
    /// What the request accepts, where this is an encoded file.
    accepts: &'static [u8],
    reply: Vec<u8>,
    not_modified: Vec<u8>,
}

/// Serves for ever.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("the floor: {error}");
    let mut answers = Vec::new();
    collect(&arguments.root, "", &mut answers).map_err(failed)?;
    // An encoded file comes before the file itself, which is for everybody.
    answers.sort_by_key(|answer| answer.accepts.is_empty());
    let listener = TcpListener::bind(("127.0.0.1", arguments.port)).map_err(failed)?;
    serve(&listener, &answers).map_err(failed)
}

fn collect(directory: &Path, url: &str, answers: &mut Vec<Answer>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let url = format!("{url}/{}", entry.file_name().to_string_lossy());
        let about = entry.metadata()?;
        if about.is_dir() {
            collect(&entry.path(), &url, answers)?;
        } else if about.len() <= LARGEST {
            let (url, coding) = match url.rsplit_once('.') {
                Some((file, "gz")) => (file, Coding::Gzip),
                Some((file, "br")) => (file, Coding::Brotli),
                _ => (url.as_str(), Coding::Identity),
            };
            answers.push(Answer::of(url, coding, &std::fs::read(entry.path())?));
        }
    }
    Ok(())
}

impl Answer {
    /// With heads as long as those of the host.
    fn of(url: &str, coding: Coding, body: &[u8]) -> Self {
        let (accepts, encoding): (&[u8], _) = match coding {
            Coding::Identity => (b"", ""),
            Coding::Gzip => (b"accept-encoding: gzip", "content-encoding: gzip\r\n"),
            Coding::Brotli => (b"accept-encoding: br", "content-encoding: br\r\n"),
        };
        let fields = format!(
            "cache-control: public, max-age=31536000, immutable\r\netag: \"{:032}\"\r\n\
             date: Sun, 01 Jan 2023 00:00:00 GMT\r\nvary: accept-encoding\r\n",
            0
        );
        let length = body.len();
        let mut reply = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/javascript; charset=utf-8\r\n{encoding}\
             content-length: {length}\r\naccept-ranges: bytes\r\n{fields}\
             x-content-type-options: nosniff\r\n\r\n"
        )
        .into_bytes();
        reply.extend(body);
        Self {
            start: format!("GET {url} ").into_bytes(),
            accepts,
            reply,
            not_modified: format!(
                "HTTP/1.1 304 Not Modified\r\n{fields}x-content-type-options: nosniff\r\n\r\n"
            )
            .into_bytes(),
        }
    }

    fn is_for(&self, request: &[u8]) -> bool {
        request.starts_with(&self.start) && (self.accepts.is_empty() || has(request, self.accepts))
    }
}

fn has(request: &[u8], words: &[u8]) -> bool {
    request.windows(words.len()).any(|there| there == words)
}

fn serve(listener: &TcpListener, answers: &[Answer]) -> std::io::Result<()> {
    let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    listener.set_nonblocking(true)?;
    let add = |fd: std::os::fd::BorrowedFd<'_>, number| {
        epoll::add(&events, fd, epoll::EventData::new_u64(number), epoll::EventFlags::IN)
    };
    add(listener.as_fd(), LISTENER)?;
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    let mut ready = Vec::with_capacity(64);
    let (mut request, mut replies) = (vec![0; 64 << 10], Vec::new());
    loop {
        ready.clear();
        epoll::wait(&events, spare_capacity(&mut ready), None)?;
        for event in &ready {
            if event.data.u64() == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                add(stream.as_fd(), connections.len() as u64)?;
                connections.push(Some(stream));
                continue;
            }
            let place = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(connection) = connections.get_mut(place) else { continue };
            if let Some(stream) = connection
                && answer(stream, answers, &mut request, &mut replies).is_err()
            {
                *connection = None;
            }
        }
    }
}

/// Answers all that has come in one piece. Nobody who measures sends half a request or takes half a reply.
fn answer(
    stream: &mut TcpStream,
    answers: &[Answer],
    request: &mut [u8],
    replies: &mut Vec<u8>,
) -> std::io::Result<()> {
    let length = match stream.read(request) {
        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
        Ok(length) => length,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
        Err(error) => return Err(error),
    };
    let requests = request.get(..length).unwrap_or_default();
    // All requests of one case are the same.
    let end = requests.windows(4).position(|end| end == b"\r\n\r\n");
    let end = end.ok_or(ErrorKind::InvalidData)? + 4;
    let request = requests.get(..end).unwrap_or_default();
    let asked = answers.iter().find(|answer| answer.is_for(request)).ok_or(ErrorKind::NotFound)?;
    let is_known = has(request, b"if-none-match");
    let reply = if is_known { &asked.not_modified } else { &asked.reply };
    replies.clear();
    (0..length / end).for_each(|_| replies.extend_from_slice(reply));
    stream.write_all(replies)
}
