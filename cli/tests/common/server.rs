//! A server of files, and one that says what a test wants: what `pilar` meets behind a URL.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

/// An answer: status line without the version, and body.
pub(crate) type Answer = (String, Vec<u8>);

/// Serves on a free port of this machine for as long as the test runs, and returns the URL.
pub(crate) fn serve(answer: impl Fn(&str) -> Answer + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that is gone is its own business.
            let _ = reply(stream.unwrap(), &answer);
        }
    });
    url
}

/// The files below `root`, as a CDN would serve them.
pub(crate) fn files(root: PathBuf) -> String {
    serve(move |path| match fs::read(root.join(path.trim_start_matches('/'))) {
        Ok(bytes) => ("200 OK".to_owned(), bytes),
        Err(_) => ("404 Not Found".to_owned(), Vec::new()),
    })
}

fn reply(mut stream: TcpStream, answer: &impl Fn(&str) -> Answer) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = request.split(' ').nth(1).unwrap_or("/");
    let (status, body) = answer(path);
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}
