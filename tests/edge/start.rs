//! How the edge plane starts, or says why it cannot.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use http::StatusCode;
use pilar_host::edge::{
    Answer, DriverChoice, Edge, EdgeError, EdgeOptions, Listeners, Lookup, Owner, Setup,
};
use pilar_host::http::{CachePolicy, Resource};
use tokio::sync::mpsc;

use super::client::Client;
use super::seccomp;
use super::server::{SETUPS, Server};

#[test]
fn a_port_in_use_is_named_with_its_remedy() {
    let server = Server::start(SETUPS[0]);
    let error = Listeners::bind(server.addr, 2).unwrap_err();
    assert_eq!(error.code(), "port-in-use");
    let text = error.to_string();
    assert!(text.contains(&server.addr.to_string()) && text.contains("PORT"), "{text}");
    assert_eq!(Client::connect(server.addr).get("/page").status, 200);
}

#[test]
fn both_address_families_are_served_on_the_unspecified_address() {
    let listeners = Listeners::bind("[::]:0".parse().unwrap(), 2).unwrap();
    let port = listeners.local_addr().unwrap().port();
    let _edge = start(DriverChoice::Auto, listeners).unwrap();
    for addr in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        assert_eq!(Client::connect(addr.parse().unwrap()).get("/").text(), "hello", "{addr}");
    }
}

#[test]
fn the_driver_in_use_is_reported() {
    assert_eq!(Server::start((DriverChoice::Epoll, 1)).edge().driver().setup, Setup::Epoll);
    let auto = Server::start((DriverChoice::Auto, 2));
    let report = auto.edge().driver();
    assert_eq!(report.setup.driver() == "epoll", report.setup == Setup::Epoll);
    assert!(report.refused.iter().all(|&(stronger, _)| stronger < report.setup), "{report:?}");
}

#[test]
fn where_io_uring_is_forbidden_epoll_serves_and_forcing_io_uring_is_an_error() {
    // The filter holds for the thread that sets it and for those that it starts.
    thread::spawn(|| {
        // As the default seccomp profiles of container engines do.
        seccomp::refuse(libc::SYS_io_uring_setup, None, libc::EPERM);
        let edge = start(DriverChoice::Auto, any_port(2)).unwrap();
        let report = edge.driver().clone();
        assert_eq!(report.setup, Setup::Epoll);
        assert!(!report.refused.is_empty());
        assert!(report.refused.iter().all(|(_, reason)| reason.contains("not permitted")));
        drop(edge);
        let listeners = any_port(1);
        let addr = listeners.local_addr().unwrap();
        let edge = start(DriverChoice::Auto, listeners).unwrap();
        assert_eq!(Client::connect(addr).get("/").text(), "hello");
        drop(edge);
        let error = start(DriverChoice::IoUring, any_port(1)).unwrap_err();
        assert_eq!(error.code(), "io-driver-refused");
        assert!(error.to_string().contains("HOST_IO_DRIVER"), "{error}");
    })
    .join()
    .unwrap();
}

fn any_port(workers: usize) -> Listeners {
    Listeners::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), workers).unwrap()
}

struct Hello(Resource);

impl Lookup for Hello {
    fn lookup(&self, _path: &str) -> Answer<'_> {
        Answer::Resource(&self.0, Owner::NOBODY)
    }
}

fn start(driver: DriverChoice, listeners: Listeners) -> Result<Edge, EdgeError> {
    let hello = Resource::builder(StatusCode::OK, "text/plain", CachePolicy::NoStore)
        .identity("hello", None)
        .build()
        .unwrap();
    let options = EdgeOptions { driver, ..EdgeOptions::new(|| SystemTime::UNIX_EPOCH) };
    let snapshot = Arc::new(ArcSwap::from_pointee(Hello(hello)));
    Edge::start(listeners, options, snapshot, mpsc::channel(1).0)
}
