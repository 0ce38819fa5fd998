//! A server of files, and one that says what a test wants: what `pilar` meets behind a URL.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// An answer: status line without the version, and body.
pub(crate) type Answer = (String, Vec<u8>);

/// Serves on a free port of this machine for as long as the test runs, and returns the URL.
pub(crate) fn serve(answer: impl Fn(&str) -> Answer + Send + 'static) -> String {
    listen(move |stream| reply(stream, &answer))
}

/// The same over TLS with a certificate of its own authority, which is returned as PEM beside the URL.
pub(crate) fn serve_tls(answer: impl Fn(&str) -> Answer + Send + 'static) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = own.signed_by(&own_key, &issuer).unwrap().der().clone();
    let private = PrivateKeyDer::try_from(own_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private)
        .unwrap();
    let config = Arc::new(config);
    let url = listen(move |stream| {
        let session = ServerConnection::new(config.clone()).unwrap();
        reply(StreamOwned::new(session, stream), &answer)
    });
    (url.replace("http://", "https://"), pem)
}

/// The files below `root`, as a CDN would serve them.
pub(crate) fn files(root: PathBuf) -> String {
    serve(move |path| file(&root, path))
}

/// One of them.
pub(crate) fn file(root: &Path, path: &str) -> Answer {
    match fs::read(root.join(path.trim_start_matches('/'))) {
        Ok(bytes) => ("200 OK".to_owned(), bytes),
        Err(_) => ("404 Not Found".to_owned(), Vec::new()),
    }
}

fn listen(answer: impl Fn(TcpStream) -> io::Result<()> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that is gone, or that does not like the certificate, is its own business.
            let _ = answer(stream.unwrap());
        }
    });
    url
}

fn reply(mut stream: impl Read + Write, answer: &impl Fn(&str) -> Answer) -> io::Result<()> {
    let mut lines = BufReader::new(&mut stream).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    drop(lines);
    let path = request.split(' ').nth(1).unwrap_or("/");
    let (status, body) = answer(path);
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    stream.flush()
}
