//! What one client may have, and at what pace it has to take it.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use pilar_host::edge::Limits;
use socket2::{Domain, Socket, Type};

use super::client::{Client, request};
use super::connections::until;
use super::server::{SETUPS, Server, large_body};

/// A client with an address of its own.
fn connect_from(source: [u8; 4], server: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    Client::over(TcpStream::from(socket))
}

#[test]
fn one_client_cannot_take_all_connections() {
    for setup in SETUPS {
        let limits = Limits { connections_per_ip: Some(2), ..Limits::default() };
        let server = Server::with_limits(setup, limits);
        let greedy = || connect_from([127, 0, 0, 1], server.addr);
        let mut held: Vec<Client> = (0..2).map(|_| greedy()).collect();
        for client in &mut held {
            assert_eq!(client.get("/page").status, 200);
        }
        let mut refused = greedy();
        let reply = refused.reply("GET");
        assert_eq!((reply.status, reply.header("connection")), (429, Some("close")), "{setup:?}");
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert!(refused.is_closed());
        let counts = server.edge().meter().counts();
        assert_eq!((counts.clients_refused, counts.connections_refused), (1, 0));
        assert_eq!(connect_from([127, 0, 0, 2], server.addr).get("/page").status, 200);
        drop(held.pop());
        until(|| server.edge().meter().counts().connections_open == 1);
        assert_eq!(greedy().get("/page").status, 200);
        assert_eq!(held[0].get("/page").status, 200);
    }
}

#[test]
fn a_connection_ends_politely_with_its_last_request() {
    for setup in SETUPS {
        let limits = Limits { requests_per_connection: 3, ..Limits::default() };
        let server = Server::with_limits(setup, limits);
        let mut client = Client::connect(server.addr);
        for target in ["/page", "/service/echo"] {
            assert_eq!(client.get(target).header("connection"), None, "{setup:?}");
            // Long enough for the connection to become idle in between.
            thread::sleep(Duration::from_millis(30));
        }
        let last = client.get("/large");
        assert_eq!((last.status, last.header("connection")), (200, Some("close")));
        assert!(last.body == large_body());
        assert!(client.is_closed());
        assert_eq!(server.edge().meter().counts().connections_used_up, 1);
        assert_eq!(Client::connect(server.addr).get("/page").status, 200);
    }
}

#[test]
fn a_client_that_takes_a_byte_now_and_then_does_not_hold_a_reply() {
    for setup in SETUPS {
        let limits = Limits {
            min_send_rate: 1024 * 1024,
            send_window: Duration::from_millis(100),
            ..Limits::default()
        };
        let server = Server::with_limits(setup, limits);
        let mut client = Client::connect(server.addr);
        for _ in 0..4 {
            client.send(request("GET", "/large", &[]));
        }
        // Ends only because the server ends it.
        until(|| {
            client.try_take_one();
            server.edge().meter().counts().slow_readers == 1
        });
        assert!(client.rest().is_err(), "a reply cut off must not end like a whole one");
        let counts = server.edge().meter().counts();
        assert_eq!((counts.timeouts, counts.connections_open), (1, 0), "{setup:?}");
    }
}

#[test]
fn a_slow_client_that_goes_on_taking_gets_a_large_body_whole() {
    // The kernel takes bytes for it in lumps that are many windows apart, because it waits for a third of its
    // buffer to be free. What the client takes, a little in each window, is what must count.
    thread::scope(|scope| {
        for setup in SETUPS {
            scope.spawn(move || {
                let limits = Limits {
                    min_send_rate: 1024,
                    send_window: Duration::from_millis(1500),
                    ..Limits::default()
                };
                let server = Server::with_limits(setup, limits);
                let mut client = Client::over(narrow(server.addr));
                client.send(request("GET", "/large", &[]));
                client.head();
                let mut body = Vec::new();
                for _ in 0..40 {
                    body.extend(client.take(2 * 1024));
                    thread::sleep(Duration::from_millis(100));
                }
                let rest = large_body().len() - body.len();
                body.extend(client.take(rest));
                assert!(body == large_body(), "{setup:?}");
                assert_eq!(server.edge().meter().counts().slow_readers, 0);
            });
        }
    });
}

/// A connection whose own side buffers little, so that what is not read stays with the server.
fn narrow(server: SocketAddr) -> TcpStream {
    assert_eq!(server.ip(), Ipv4Addr::LOCALHOST);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.into()
}
