//! How the edge plane starts, or says why it cannot.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use http::StatusCode;
use pilar_host::edge::{
    Answer, DriverChoice, Edge, EdgeError, EdgeOptions, Listeners, Lookup, Setup,
};
use pilar_host::http::{CachePolicy, Resource};
use tokio::sync::mpsc;

use super::client::Client;
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
        forbid_io_uring();
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
        Answer::Resource(&self.0)
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

/// What the default seccomp profiles of container engines do: `io_uring_setup` gives `EPERM`.
fn forbid_io_uring() {
    const LOAD_SYSCALL: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut steps = [
        step(LOAD_SYSCALL, 0, 0),
        // To the last step if it is io_uring_setup, otherwise to the next.
        step(JUMP_IF_EQUAL, 1, libc::SYS_io_uring_setup as u32),
        step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
        step(RETURN, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
    ];
    let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // SAFETY: both calls only read their arguments, which outlive them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
    }
}
