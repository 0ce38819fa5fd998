//! Where the edge listens beside its port: a unix socket, and where there is no IPv6.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::{fs, thread};

use pilar_host::edge::{BindError, Limits, Listeners};

use super::client::{Client, request};
use super::seccomp;
use super::server::{SETUPS, Server, large_body};

const ANY_PORT: &str = "127.0.0.1:0";

fn with_unix_socket(workers: usize, path: &Path) -> Result<Listeners, BindError> {
    Listeners::bind(ANY_PORT.parse().unwrap(), workers).unwrap().with_unix_socket(path)
}

/// One reply over a connection of its own.
fn ask(path: &Path, target: &str) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(request("GET", target, &["connection: close"]).as_bytes()).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    reply
}

#[test]
fn a_unix_socket_serves_beside_the_port_and_goes_with_the_host() {
    for setup in SETUPS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("edge.sock");
        let listeners = with_unix_socket(setup.1, &path).unwrap();
        // One connection is allowed for each address; a unix socket has none.
        let limits = Limits { connections_per_ip: Some(1), ..Limits::default() };
        let server = Server::on(listeners, setup.0, limits);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660, "{mode:o}");
        let _held = UnixStream::connect(&path).unwrap();
        assert!(ask(&path, "/page").ends_with(b"<p>page"));
        assert!(ask(&path, "/large").ends_with(&large_body()), "{setup:?}");
        assert!(ask(&path, "/service/peer").ends_with(b"\r\n\r\nunix"));
        assert_eq!(Client::connect(server.addr).get("/page").status, 200);
        drop(server);
        assert!(!path.exists());
    }
}

#[test]
fn what_a_dead_process_left_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edge.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    let (driver, workers) = SETUPS[0];
    let _server = Server::on(with_unix_socket(workers, &path).unwrap(), driver, Limits::default());
    assert!(ask(&path, "/page").ends_with(b"<p>page"));
}

#[test]
fn what_is_in_use_or_no_socket_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edge.sock");
    let living = UnixListener::bind(&path).unwrap();
    let error = with_unix_socket(1, &path).unwrap_err();
    assert_eq!(error.code(), "unix-socket-in-use");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    let (_, _) = (UnixStream::connect(&path).unwrap(), living.accept().unwrap());

    let file = dir.path().join("notes.txt");
    fs::File::create_new(&file).unwrap();
    assert_eq!(with_unix_socket(1, &file).unwrap_err().code(), "unix-socket-path-taken");
    assert!(file.exists());

    let nowhere = dir.path().join("missing/edge.sock");
    assert_eq!(with_unix_socket(1, &nowhere).unwrap_err().code(), "unix-socket-failed");
}

#[test]
fn a_socket_that_a_successor_made_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("edge.sock");
    let first = with_unix_socket(1, &path).unwrap();
    fs::remove_file(&path).unwrap();
    let successor = with_unix_socket(1, &path).unwrap();
    drop(first);
    assert!(path.exists());
    drop(successor);
    assert!(!path.exists());
}

#[test]
fn without_ipv6_the_unspecified_address_is_that_of_ipv4() {
    let everywhere: SocketAddr = "[::]:0".parse().unwrap();
    thread::spawn(move || {
        seccomp::refuse(libc::SYS_socket, Some(libc::AF_INET6), libc::EAFNOSUPPORT);
        let listeners = Listeners::bind(everywhere, 2).unwrap();
        assert_eq!(listeners.local_addr().unwrap().ip().to_string(), "0.0.0.0");
        let loopback: SocketAddr = "[::1]:0".parse().unwrap();
        let error = Listeners::bind(loopback, 1).unwrap_err();
        assert_eq!(error.code(), "bind-failed", "{error}");
    })
    .join()
    .unwrap();
}
