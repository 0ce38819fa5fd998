//! Clients that vanish at any point leave neither a descriptor nor memory behind, over a million requests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod support;

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

use socket2::SockRef;
use support::tree::{Tree, Version};
use support::{Host, PATIENCE, Setup, wait_for};

/// Requests that are answered before a half is over, on some 4000 connections.
const REQUESTS_IN_A_HALF: usize = 500_000;
const CLIENTS: usize = 4;
/// Requests in one write.
const BATCH: usize = 64;
const BATCHES_OF_A_CONNECTION: usize = 2;
/// What differs from run to run. Were 5 bytes of each request to stay, or 700 of each connection, it would be more.
const SLACK: usize = 1024 * 1024;

/// How a connection ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Politely,
    ResetWithRepliesUnderWay,
    HalfClosed,
    InAHead,
    InABody,
    InALargeDownload,
    InAServiceCall,
}

const ENDS: [End; 7] = [
    End::Politely,
    End::ResetWithRepliesUnderWay,
    End::HalfClosed,
    End::InAHead,
    End::InABody,
    End::InALargeDownload,
    End::InAServiceCall,
];

#[test]
fn with_io_uring_where_there_is_one() {
    a_million_requests_leave_nothing("auto");
}

#[test]
fn with_epoll() {
    a_million_requests_leave_nothing("epoll");
}

fn a_million_requests_leave_nothing(driver: &str) {
    let tree = Tree::new();
    let feature = Version::domain("notes", "1.0.0", "/notes");
    tree.publish(&feature.clone().with_file("large.js", vec![b' '; 4 * 1024 * 1024]));
    let host = Setup::of(&tree)
        .with("HOST_IO_DRIVER", driver)
        // Free memory goes back at once, so that a leak cannot hide in what the start left.
        .with("MIMALLOC_PURGE_DELAY", "0")
        .start();
    let descriptors = host.descriptors_at_rest();
    let asset = feature.url("entry.js");
    let reply = host.get(&asset);
    let site = Site {
        port: host.port,
        batch: get(&asset).repeat(BATCH),
        batch_of_replies: (reply.head.len() + reply.body.len()) * BATCH,
        large: get(&feature.url("large.js")),
    };
    let first = memory_after_half(&host, &site, descriptors);
    let second = memory_after_half(&host, &site, descriptors);
    assert!(
        second <= first + SLACK,
        "{driver}: {first} bytes after the first half, {second} after the second"
    );
    assert_eq!(host.get(&asset).body, reply.body);
}

/// Memory of the host after another half of the requests, when all connections are gone.
fn memory_after_half(host: &Host, site: &Site, descriptors: usize) -> usize {
    std::thread::scope(|scope| {
        for client in 1..=CLIENTS {
            scope.spawn(move || {
                let mut chance = Chance(client as u64);
                let mut left = REQUESTS_IN_A_HALF / CLIENTS;
                while left > 0 {
                    let end = ENDS[chance.below(ENDS.len())];
                    let answered = site.visit(end, &mut chance);
                    let answered = answered.unwrap_or_else(|error| panic!("{end:?}: {error}"));
                    left = left.saturating_sub(answered);
                }
            });
        }
    });
    wait_for("every connection to be closed", || {
        (host.process().descriptors() <= descriptors).then_some(())
    });
    host.process().own_memory()
}

/// What the clients ask for.
struct Site {
    port: u16,
    batch: String,
    /// Bytes of the replies to a batch.
    batch_of_replies: usize,
    large: String,
}

impl Site {
    /// Opens a connection, asks and reads, and ends it so. Returns how many requests were answered whole.
    fn visit(&self, end: End, chance: &mut Chance) -> io::Result<usize> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut replies = vec![0; self.batch_of_replies];
        for _ in 0..BATCHES_OF_A_CONNECTION {
            stream.write_all(self.batch.as_bytes())?;
            stream.read_exact(&mut replies)?;
            let last = replies.len() / BATCH * (BATCH - 1);
            assert!(replies[last..].starts_with(b"HTTP/1.1 200 OK\r\n"), "replies in step");
        }
        let mut answered = BATCH * BATCHES_OF_A_CONNECTION;
        match end {
            End::Politely => {}
            End::ResetWithRepliesUnderWay => stream.write_all(self.batch.as_bytes())?,
            End::HalfClosed => {
                stream.write_all(self.batch.as_bytes())?;
                stream.shutdown(Shutdown::Write)?;
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest)?;
                assert_eq!(rest.len(), self.batch_of_replies, "a half-closed client is answered");
                answered += BATCH;
            }
            End::InAHead => {
                let length = 1 + chance.below(self.large.len() - 1);
                stream.write_all(&self.large.as_bytes()[..length])?;
            }
            End::InABody => {
                let head =
                    "POST /_health HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000\r\n\r\n";
                stream.write_all(head.as_bytes())?;
                stream.write_all(&vec![b'x'; chance.below(9000)])?;
            }
            End::InALargeDownload => {
                stream.write_all(self.large.as_bytes())?;
                stream.read_exact(&mut vec![0; 1 + chance.below(100_000)])?;
            }
            End::InAServiceCall => stream.write_all(get("/_health").repeat(3).as_bytes())?,
        }
        let resets = matches!(end, End::ResetWithRepliesUnderWay) || chance.below(2) == 0;
        if resets && !matches!(end, End::Politely) {
            // A close is then a reset, whatever is on its way (socket(7), SO_LINGER).
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        }
        Ok(answered)
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

/// The same choices in each run (xorshift, Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
