//! What one client may have, and at what pace it has to take it.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use pilar_host::edge::{Limit, Limits};
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

const SHORT: Duration = Duration::from_millis(60);

/// Limits, and what brings a client up against one of them.
fn ways_to_reach(limit: Limit) -> (Limits, fn(&Server) -> Vec<Client>) {
    let limits = Limits::default();
    match limit {
        Limit::RequestLineBytes => (limits, |server| {
            vec![sent(server, request("GET", &format!("/{}", "a".repeat(9000)), &[]), 414)]
        }),
        Limit::HeadBytes => (limits, |server| {
            let line = format!("x: {}", "a".repeat(17_000));
            vec![sent(server, request("GET", "/page", &[&line]), 431)]
        }),
        Limit::Headers => {
            (limits, |server| vec![sent(server, request("GET", "/page", &["x: y"; 64]), 431)])
        }
        Limit::BodyBytes => (limits, |server| {
            vec![sent(server, request("POST", "/service/echo", &["content-length: 65537"]), 413)]
        }),
        Limit::UnwantedBodyBytes => (limits, |server| {
            vec![sent(server, request("POST", "/page", &["content-length: 65537"]), 405)]
        }),
        Limit::Connections => (Limits { connections_per_worker: 1, ..limits }, |server| {
            vec![sent(server, request("GET", "/page", &[]), 200), sent(server, "", 503)]
        }),
        Limit::ConnectionsPerClient => {
            (Limits { connections_per_ip: Some(1), ..limits }, |server| {
                vec![sent(server, request("GET", "/page", &[]), 200), sent(server, "", 429)]
            })
        }
        Limit::RequestsPerConnection => {
            (Limits { requests_per_connection: 1, ..limits }, |server| {
                vec![sent(server, request("GET", "/page", &[]), 200)]
            })
        }
        Limit::ServiceCalls => (Limits { service_calls: 0, ..limits }, |server| {
            vec![sent(server, request("GET", "/service/echo", &[]), 503)]
        }),
        Limit::HeadTime => (Limits { head_timeout: SHORT, ..limits }, |server| {
            vec![sent(server, "GET /page", 408)]
        }),
        Limit::BodyTime => (Limits { body_timeout: SHORT, ..limits }, |server| {
            vec![sent(server, request("POST", "/service/echo", &["content-length: 9"]), 408)]
        }),
        Limit::IdleTime => (Limits { idle_timeout: SHORT, ..limits }, |server| {
            vec![sent(server, request("GET", "/page", &[]), 200)]
        }),
        Limit::SendRate => (Limits { send_window: SHORT, ..limits }, |server| {
            let mut client = Client::connect(server.addr);
            client.send(request("GET", "/large", &[]).repeat(4));
            vec![client]
        }),
        Limit::ServiceTime => (Limits { service_timeout: SHORT, ..limits }, |server| {
            vec![sent(server, request("GET", "/service/gated", &[]), 504)]
        }),
        Limit::Linger => (Limits { linger_timeout: SHORT, ..limits }, |server| {
            vec![sent(server, "nonsense\r\n\r\n", 400)]
        }),
    }
}

/// A client that sent this, got a reply with this status, and stays.
fn sent(server: &Server, bytes: impl AsRef<[u8]>, status: u16) -> Client {
    let mut client = Client::connect(server.addr);
    client.send(bytes);
    assert_eq!(client.reply("GET").status, status);
    client
}

#[test]
fn each_limit_moves_its_own_counter_and_no_other() {
    thread::scope(|scope| {
        for (driver, _) in [SETUPS[0], SETUPS[2]] {
            for limit in Limit::ALL {
                scope.spawn(move || {
                    let (limits, reach) = ways_to_reach(limit);
                    let server = Server::with_limits((driver, 1), limits);
                    let counts = || server.edge().meter().counts();
                    let clients = reach(&server);
                    until(|| counts().reached(limit) > 0);
                    drop(clients);
                    until(|| counts().connections_open == 0);
                    let reached: Vec<(Limit, u64)> = Limit::ALL
                        .map(|limit| (limit, counts().reached(limit)))
                        .into_iter()
                        .filter(|(_, count)| *count > 0)
                        .collect();
                    assert_eq!(reached, [(limit, 1)], "{driver:?}");
                });
            }
        }
    });
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
        assert_eq!(connect_from([127, 0, 0, 2], server.addr).get("/page").status, 200);
        drop(held.pop());
        until(|| server.edge().meter().counts().connections_open == 1);
        assert_eq!(greedy().get("/page").status, 200);
        assert_eq!(held[0].get("/page").status, 200);
    }
}

#[test]
fn a_crowd_over_the_limit_is_told_so_though_each_has_asked_already() {
    for setup in [SETUPS[0], SETUPS[2]] {
        let limits = Limits { connections_per_worker: 1, ..Limits::default() };
        let server = Server::with_limits(setup, limits);
        let mut first = Client::connect(server.addr);
        assert_eq!(first.get("/page").status, 200);
        let asked = |_| {
            let mut client = Client::connect(server.addr);
            client.try_send(request("GET", "/page", &["x: a header"; 20]).as_bytes());
            client
        };
        // More than are held at a time, and none has read when the last has asked.
        let crowd: Vec<Client> = (0..600).map(asked).collect();
        for mut client in crowd {
            assert_eq!(client.reply("GET").status, 503, "{setup:?}");
            assert_eq!(client.rest().unwrap(), b"", "a reset takes the reply from whoever is slow");
        }
        assert_eq!(first.get("/page").status, 200);
        assert_eq!(server.edge().meter().counts().reached(Limit::Connections), 600);
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
            server.edge().meter().counts().reached(Limit::SendRate) == 1
        });
        assert!(client.rest().is_err(), "a reply cut off must not end like a whole one");
        assert_eq!(server.edge().meter().counts().connections_open, 0, "{setup:?}");
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
                assert_eq!(server.edge().meter().counts().reached(Limit::SendRate), 0);
            });
        }
    });
}

#[test]
fn the_last_reply_of_a_connection_reaches_a_slow_client_whole() {
    thread::scope(|scope| {
        for setup in SETUPS {
            for request in [
                request("GET", "/large", &[]),
                request("GET", "/large", &["transfer-encoding: chunked"]),
            ] {
                scope.spawn(move || {
                    let limits = Limits {
                        requests_per_connection: 1,
                        // Over many times before the client has all.
                        linger_timeout: Duration::from_millis(50),
                        ..Limits::default()
                    };
                    let server = Server::with_limits(setup, limits);
                    let mut client = Client::over(narrow(server.addr));
                    client.send(&request);
                    client.head();
                    let mut body = Vec::new();
                    while body.len() < large_body().len() {
                        let left = large_body().len() - body.len();
                        body.extend(client.take(left.min(128 * 1024)));
                        thread::sleep(Duration::from_millis(20));
                    }
                    assert!(body == large_body(), "{setup:?}");
                    assert!(client.is_closed(), "{setup:?}");
                });
            }
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
