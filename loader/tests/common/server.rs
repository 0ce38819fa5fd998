//! A CDN of files, in this process.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pilar_artifact::Sha256Digest;
use pilar_loader::registration::{Origin, Registration};

/// Serves the files below a directory, until the test ends.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    asked: Mutex<Vec<Asked>>,
    is_stuck: AtomicBool,
    /// Requests that are being answered, and the most that ever were.
    busy: AtomicUsize,
    busiest: AtomicUsize,
}

/// A request: its path, and whether the answer was that nothing has changed.
pub(crate) type Asked = (String, bool);

impl Server {
    pub(crate) fn of(root: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            asked: Mutex::default(),
            is_stuck: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            busiest: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = Arc::clone(&serving);
                // A client that was killed is no failure of the server.
                std::thread::spawn(move || serving.answer(stream.unwrap()).ok());
            }
        });
        Self { port, shared }
    }

    /// Where it may be reached without TLS, for `LOADER_PLAIN_HTTP_HOSTS`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A registration of `feature`, which is a directory here.
    pub(crate) fn registration(&self, feature: &str) -> Registration {
        let url = format!("http://{}/{feature}/", self.host());
        Registration {
            feature: feature.parse().unwrap(),
            origin: Origin::Cdn(url.parse().unwrap()),
        }
    }

    /// From now on replies stop in the middle of their body.
    pub(crate) fn get_stuck(&self) {
        self.shared.is_stuck.store(true, Ordering::SeqCst);
    }

    /// The most requests that were answered at the same time. Each takes some milliseconds, so that they meet.
    pub(crate) fn busiest(&self) -> usize {
        self.shared.busiest.load(Ordering::SeqCst)
    }

    /// What was asked for since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }
}

impl Shared {
    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let mut stream = stream;
        loop {
            let Some(request) = lines.next().transpose()? else { return Ok(()) };
            let (mut known, mut from) = (None, None);
            while let Some(line) = lines.next().transpose()?.filter(|line| !line.is_empty()) {
                known = line.strip_prefix("if-none-match: ").map(str::to_owned).or(known);
                let range =
                    line.strip_prefix("range: bytes=").and_then(|range| range.strip_suffix('-'));
                from = range.and_then(|from| from.parse::<usize>().ok()).or(from);
            }
            let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
            self.busiest.fetch_max(busy, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(5));
            self.busy.fetch_sub(1, Ordering::SeqCst);
            let target = request.split(' ').nth(1).unwrap_or_default();
            // Through a proxy it is the whole address.
            let path = target
                .split_once("://")
                .map_or(target, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
            let path = path.trim_start_matches('/');
            let body = fs::read(self.root.join(path));
            let tag = body.as_ref().map(|body| format!("\"{}\"", Sha256Digest::of(body))).ok();
            let is_known = tag.is_some() && known == tag;
            self.asked.lock().unwrap().push((path.to_owned(), is_known));
            let tag = tag.unwrap_or_default();
            if is_known {
                write!(stream, "HTTP/1.1 304 Not Modified\r\netag: {tag}\r\n\r\n")?;
                continue;
            }
            let Ok(body) = body else {
                stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
                continue;
            };
            let whole = body.len();
            let from = from.filter(|from| *from < whole);
            let (status, range) = match from {
                Some(from) => {
                    let range = format!("content-range: bytes {from}-{}/{whole}\r\n", whole - 1);
                    ("206 Partial Content", range)
                }
                None => ("200 OK", String::new()),
            };
            let body = &body[from.unwrap_or(0)..];
            let length = body.len();
            let head = format!("etag: {tag}\r\n{range}content-length: {length}\r\n\r\n");
            write!(stream, "HTTP/1.1 {status}\r\n{head}")?;
            if self.is_stuck.load(Ordering::SeqCst) {
                stream.write_all(&body[..body.len() / 2])?;
                std::thread::park();
            }
            stream.write_all(body)?;
        }
    }
}
