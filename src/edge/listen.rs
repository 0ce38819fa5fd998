//! One listening socket per worker on a shared port.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there, be it with `SO_REUSEPORT`.
    #[error("{addr} is in use by another process: stop it, or set PORT to a free port")]
    PortInUse {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// Ports below 1024 need a privilege.
    #[error(
        "this user may not listen on {addr}: set PORT to 1024 or above, or grant CAP_NET_BIND_SERVICE"
    )]
    NotPermitted {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// No interface has this address.
    #[error("no interface of this machine has the address of {addr}: listen on `::` or `0.0.0.0`")]
    NoSuchAddress {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// Anything else that the kernel says.
    #[error("cannot listen on {addr}: {source}")]
    Other {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

impl BindError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            BindError::PortInUse { .. } => "port-in-use",
            BindError::NotPermitted { .. } => "port-not-permitted",
            BindError::NoSuchAddress { .. } => "address-not-available",
            BindError::Other { .. } => "bind-failed",
        }
    }

    fn new(addr: SocketAddr, source: io::Error) -> BindError {
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::PortInUse { addr },
            io::ErrorKind::PermissionDenied => BindError::NotPermitted { addr },
            io::ErrorKind::AddrNotAvailable => BindError::NoSuchAddress { addr },
            _ => BindError::Other { addr, source },
        }
    }
}

/// Sockets that listen on one address, one for each worker, among which the kernel shares out
/// connections.
#[derive(Debug)]
pub struct Listeners {
    local_addr: SocketAddr,
    sockets: Vec<TcpListener>,
}

impl Listeners {
    /// Connections that may wait to be accepted, for each worker; the kernel caps it at
    /// `net.core.somaxconn`.
    const BACKLOG: i32 = 4096;

    /// Listens on `addr` for this many workers, at least one. Port 0 takes one free port for all;
    /// `::` takes IPv4 as well.
    pub fn bind(addr: SocketAddr, workers: usize) -> Result<Listeners, BindError> {
        let fail = |source| BindError::new(addr, source);
        if addr.port() != 0 {
            // `SO_REUSEPORT` would silently share the port with another process of this user that
            // sets it too. A socket without it is told the truth.
            open(addr, false).map_err(fail)?;
        }
        let first = open(addr, true).map_err(fail)?;
        let local_addr = first.local_addr().map_err(fail)?;
        let mut sockets = vec![first];
        for _ in 1..workers {
            sockets.push(open(local_addr, true).map_err(fail)?);
        }
        Ok(Listeners { local_addr, sockets })
    }

    /// The address that is listened on, with the port that was found for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// How many workers these sockets are for.
    pub fn workers(&self) -> usize {
        self.sockets.len()
    }

    pub(super) fn into_sockets(self) -> Vec<TcpListener> {
        self.sockets
    }
}

fn open(addr: SocketAddr, share_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for connections of the last run to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    if share_port {
        socket.set_reuse_port(true)?;
    }
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Inherited by accepted sockets. Replies go out in whole pieces; waiting to join them only
    // delays the last one.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    if share_port {
        socket.listen(Listeners::BACKLOG)?;
        socket.set_nonblocking(true)?;
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn port_zero_finds_one_port_for_all_workers() {
        let listeners = Listeners::bind(loopback(0), 3).unwrap();
        assert_ne!(listeners.local_addr().port(), 0);
        assert_eq!(listeners.workers(), 3);
        for socket in listeners.into_sockets() {
            assert_eq!(socket.local_addr().unwrap().ip(), loopback(0).ip());
        }
    }

    #[test]
    fn a_port_that_somebody_shares_is_in_use_all_the_same() {
        let other = Listeners::bind(loopback(0), 1).unwrap();
        let error = Listeners::bind(other.local_addr(), 2).unwrap_err();
        assert_eq!(error.code(), "port-in-use");
        assert!(error.to_string().contains(&other.local_addr().to_string()), "{error}");
    }

    #[test]
    fn a_port_is_free_again_once_its_listener_is_gone() {
        let addr = Listeners::bind(loopback(0), 2).unwrap().local_addr();
        assert_eq!(Listeners::bind(addr, 2).unwrap().local_addr(), addr);
    }

    #[test]
    fn an_address_of_nobody_is_named() {
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
        assert_eq!(Listeners::bind(elsewhere, 1).unwrap_err().code(), "address-not-available");
    }
}
