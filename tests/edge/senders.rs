//! Large bodies arrive whole, whichever way they are sent.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use pilar_host::edge::{BodySender, Limits, Listeners};

use super::client::{Client, request};
use super::server::{SETUPS, Server, large_body};

#[test]
fn every_sender_sends_every_byte_on_every_driver() {
    for (driver, workers) in SETUPS {
        for sender in [BodySender::Sendfile, BodySender::Send] {
            let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let listeners = Listeners::bind(any_port, workers).unwrap();
            let server = Server::sending(listeners, driver, Limits::default(), sender);
            let mut client = Client::connect(server.addr);
            // In a memory file, in memory alone, and from the service plane; each with a small reply before and
            // after it in one batch.
            for (target, length) in [
                ("/sealed", large_body().len()),
                ("/large", large_body().len()),
                ("/service/large", 1024 * 1024),
            ] {
                let batch = ["/page", target, "/page"].map(|target| request("GET", target, &[]));
                client.send(batch.concat());
                assert_eq!(client.reply("GET").text(), "<p>page");
                let reply = client.reply_slowly(Duration::from_micros(20));
                assert!(reply.body == large_body()[..length], "{driver:?} {sender:?} {target}");
                assert_eq!(client.reply("GET").text(), "<p>page");
            }
            let part = client.ask("GET", "/sealed", &["range: bytes=70000-5000000"]);
            assert_eq!(part.status, 206);
            assert!(part.body == large_body()[70_000..=5_000_000], "{driver:?} {sender:?}");
            // Within two pages, so that little or nothing is left for whole ones.
            for (from, to) in [(1, 16_500), (4095, 4096 + 16_384), (4096, 4096 + 16_384)] {
                let part = client.ask("GET", "/sealed", &[&format!("range: bytes={from}-{to}")]);
                assert!(part.body == large_body()[from..=to], "{driver:?} {sender:?} {from}");
            }
            // One that goes away in the middle harms nobody.
            let mut leaving = Client::connect(server.addr);
            leaving.send(request("GET", "/sealed", &[]));
            leaving.take(1);
            drop(leaving);
            assert_eq!(client.get("/page").text(), "<p>page");
        }
    }
}
