//! The sockets that workers accept from: a shared port, a unix socket, or what the service manager
//! has opened already.

use std::ffi::c_int;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::{FdFlags, fcntl_setfd};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Why something cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there, be it with `SO_REUSEPORT`.
    #[error("{addr} is in use by another process: stop it, or set {variable} to a free port")]
    PortInUse {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The variable that has the port.
        variable: &'static str,
    },
    /// Ports below 1024 need a privilege.
    #[error(
        "this user may not listen on {addr}: set {variable} to 1024 or above, or grant CAP_NET_BIND_SERVICE"
    )]
    NotPermitted {
        /// The address that was asked for.
        addr: SocketAddr,
        /// The variable that has the port.
        variable: &'static str,
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
    /// A living process listens on the unix socket.
    #[error("HOST_UNIX_SOCKET {} is in use by another process: stop it, or set another path", .path.display())]
    UnixSocketInUse {
        /// The path of the socket.
        path: PathBuf,
    },
    /// Something that is no socket is at its path.
    #[error("HOST_UNIX_SOCKET {} is there and no socket: remove it, or set another path", .path.display())]
    UnixSocketPathTaken {
        /// The path of the socket.
        path: PathBuf,
    },
    /// Anything else that the kernel says.
    #[error("cannot listen on HOST_UNIX_SOCKET {}: {source}", .path.display())]
    UnixSocketOther {
        /// The path of the socket.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A descriptor of `LISTEN_FDS` is not what it should be.
    #[error(
        "descriptor {fd}, one of LISTEN_FDS, {problem}: pass listening stream sockets, or unset LISTEN_FDS"
    )]
    Activation {
        /// The number of the descriptor.
        fd: RawFd,
        /// What is wrong with it.
        problem: String,
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
            BindError::UnixSocketInUse { .. } => "unix-socket-in-use",
            BindError::UnixSocketPathTaken { .. } => "unix-socket-path-taken",
            BindError::UnixSocketOther { .. } => "unix-socket-failed",
            BindError::Activation { .. } => "activation-socket-invalid",
        }
    }

    /// The same of a port that is that of another variable than `PORT`.
    pub fn of(mut self, name: &'static str) -> BindError {
        if let BindError::PortInUse { variable, .. } | BindError::NotPermitted { variable, .. } =
            &mut self
        {
            *variable = name;
        }
        self
    }

    fn new(addr: SocketAddr, source: io::Error) -> BindError {
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::PortInUse { addr, variable: "PORT" },
            io::ErrorKind::PermissionDenied => BindError::NotPermitted { addr, variable: "PORT" },
            io::ErrorKind::AddrNotAvailable => BindError::NoSuchAddress { addr },
            _ => BindError::Other { addr, source },
        }
    }
}

/// One listening socket of one worker.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: Socket,
    /// Whether it is this process's alone, so that it may be shut down when the worker finishes.
    pub(super) is_own: bool,
}

/// Listening sockets, some for each worker, among which the kernel shares out connections.
#[derive(Debug)]
pub struct Listeners {
    local_addr: Option<SocketAddr>,
    unix_path: Option<UnixPath>,
    /// For each worker.
    sockets: Vec<Vec<Listener>>,
}

impl Listeners {
    /// Connections that may wait to be accepted, for each socket; the kernel caps it at
    /// `net.core.somaxconn`.
    const BACKLOG: i32 = 4096;

    /// The mode of the unix socket: its user and group may connect, a proxy in that group for example.
    const UNIX_MODE: u32 = 0o660;

    /// The first descriptor that is passed (`SD_LISTEN_FDS_START` of sd_listen_fds(3)).
    const FIRST_PASSED: RawFd = 3;

    /// Listens on `addr` for this many workers, at least one. Port 0 takes one free port for all;
    /// `::` takes IPv4 as well, and IPv4 alone where the kernel has no IPv6.
    ///
    /// # Errors
    /// [`BindError`]
    pub fn bind(mut addr: SocketAddr, workers: usize) -> Result<Listeners, BindError> {
        let fail = |source| BindError::new(addr, source);
        // A socket without `SO_REUSEPORT`, which would silently share the port with another process of this user
        // that sets it too. This one is told the truth.
        match open(addr, false) {
            Ok(_) => {}
            Err(error)
                if error.raw_os_error() == Some(libc::EAFNOSUPPORT)
                    && addr.is_ipv6()
                    && addr.ip().is_unspecified() =>
            {
                tracing::warn!(code = "no-ipv6", "the kernel has no IPv6; listening on IPv4 alone");
                addr.set_ip(Ipv4Addr::UNSPECIFIED.into());
                return Self::bind(addr, workers);
            }
            Err(error) => return Err(fail(error)),
        }
        let first = open(addr, true).map_err(fail)?;
        let local_addr = first.local_addr().map_err(fail)?.as_socket().unwrap_or(addr);
        let mut sockets = vec![vec![Listener { socket: first, is_own: true }]];
        for _ in 1..workers {
            let socket = open(local_addr, true).map_err(fail)?;
            sockets.push(vec![Listener { socket, is_own: true }]);
        }
        Ok(Listeners { local_addr: Some(local_addr), unix_path: None, sockets })
    }

    /// Takes over the `count` sockets that a service manager passed, for this many workers, at least one. They stay
    /// open where they came from, so a restart refuses no connection.
    ///
    /// # Errors
    /// [`BindError::Activation`] for what is not a listening stream socket.
    ///
    /// # Safety
    /// The `count` descriptors from 3 on belong to nobody else in this process.
    pub unsafe fn passed(count: u32, workers: usize) -> Result<Listeners, BindError> {
        let mut sockets = Vec::new();
        // All of them first: a descriptor that is made meanwhile takes the lowest number that is free, which may be one
        // of those that were promised and are not there.
        for fd in (Self::FIRST_PASSED..).take(count as usize) {
            // SAFETY: so promises the caller, for an open one; one that is not open fails the check and is left alone.
            let socket = unsafe { take_passed(fd) }
                .map_err(|problem| BindError::Activation { fd, problem })?;
            sockets.push(socket);
        }
        let local_addr = |socket: &Socket| socket.local_addr().ok()?.as_socket();
        let mut listeners = Listeners {
            local_addr: sockets.iter().find_map(local_addr),
            unix_path: None,
            sockets: (0..workers.max(1)).map(|_| Vec::new()).collect(),
        };
        for (socket, fd) in sockets.into_iter().zip(Self::FIRST_PASSED..) {
            let fail =
                |source: io::Error| BindError::Activation { fd, problem: source.to_string() };
            listeners.share(socket, false).map_err(fail)?;
        }
        Ok(listeners)
    }

    /// Listens on a unix socket as well. What a dead process left at its path is replaced; the path is removed when
    /// nobody listens any more.
    ///
    /// # Errors
    /// [`BindError`], where a living process listens there or the path leads to something else.
    pub fn with_unix_socket(mut self, path: &Path) -> Result<Listeners, BindError> {
        let fail = |source| BindError::UnixSocketOther { path: path.to_owned(), source };
        let socket = open_unix(path)?;
        let found = fs::symlink_metadata(path).map_err(fail)?;
        // Ready to be removed from here on, whatever else fails.
        self.unix_path = Some(UnixPath { path: path.to_owned(), id: (found.dev(), found.ino()) });
        fs::set_permissions(path, fs::Permissions::from_mode(Self::UNIX_MODE)).map_err(fail)?;
        // Last: nobody can connect before the mode is right.
        socket.listen(Self::BACKLOG).map_err(fail)?;
        socket.set_nonblocking(true).map_err(fail)?;
        self.share(socket, true).map_err(fail)?;
        Ok(self)
    }

    /// The address on the network that is listened on, with the port that was found for port 0. Passed sockets may have none.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addr
    }

    /// How many workers these sockets are for.
    pub fn workers(&self) -> usize {
        self.sockets.len()
    }

    /// The sockets for each worker, and what to drop when nobody accepts any more.
    pub(super) fn into_parts(self) -> (Vec<Vec<Listener>>, Option<UnixPath>) {
        (self.sockets, self.unix_path)
    }

    /// Gives each worker a descriptor of the same socket.
    fn share(&mut self, socket: Socket, is_own: bool) -> io::Result<()> {
        for sockets in &mut self.sockets {
            sockets.push(Listener { socket: socket.try_clone()?, is_own });
        }
        Ok(())
    }
}

/// The path of a unix socket that is listened on. Dropping it removes it, unless somebody else has it by then.
#[derive(Debug)]
pub(super) struct UnixPath {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl Drop for UnixPath {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.id);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the unix socket could not be removed");
        }
    }
}

fn open(addr: SocketAddr, listen: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for connections of the last run to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    if listen {
        socket.set_reuse_port(true)?;
    }
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&addr.into())?;
    if listen {
        send_at_once(&socket)?;
        socket.listen(Listeners::BACKLOG)?;
        socket.set_nonblocking(true)?;
    }
    Ok(socket)
}

/// Inherited by accepted sockets. Replies go out in whole pieces; waiting to join them only delays the
/// last one.
fn send_at_once(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)
}

/// A bound unix socket at `path`.
fn open_unix(path: &Path) -> Result<Socket, BindError> {
    let fail = |source| BindError::UnixSocketOther { path: path.to_owned(), source };
    let address = SockAddr::unix(path).map_err(fail)?;
    let socket = || Socket::new(Domain::UNIX, Type::STREAM, None).map_err(fail);
    let bound = socket()?;
    match bound.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        outcome => return outcome.map(|()| bound).map_err(fail),
    }
    if !fs::symlink_metadata(path).map_err(fail)?.file_type().is_socket() {
        return Err(BindError::UnixSocketPathTaken { path: path.to_owned() });
    }
    let probe = socket()?;
    // A full queue of connections is somebody living, too, and must not be waited for.
    probe.set_nonblocking(true).map_err(fail)?;
    match probe.connect(&address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        _ => return Err(BindError::UnixSocketInUse { path: path.to_owned() }),
    }
    fs::remove_file(path).map_err(fail)?;
    bound.bind(&address).map_err(|error| match error.kind() {
        // Another process was as quick.
        io::ErrorKind::AddrInUse => BindError::UnixSocketInUse { path: path.to_owned() },
        _ => fail(error),
    })?;
    Ok(bound)
}

/// Checks and prepares a descriptor that was passed.
///
/// # Safety
/// Nobody else in this process owns it, if it is open.
unsafe fn take_passed(fd: RawFd) -> Result<Socket, String> {
    let said = |error: io::Error| error.to_string();
    // SAFETY: only asks about a number.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
        return Err("is not open".to_owned());
    }
    // SAFETY: it is open, and the caller promises that it is nobody's.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(fd) });
    // It must not reach programs that this one might start.
    fcntl_setfd(&socket, FdFlags::CLOEXEC).map_err(|error| said(error.into()))?;
    if socket.r#type().map_err(|_| "is not a socket".to_owned())? != Type::STREAM {
        return Err("is not a stream socket".to_owned());
    }
    if !socket.is_listener().map_err(said)? {
        return Err("does not listen".to_owned());
    }
    match c_int::from(socket.domain().map_err(said)?) {
        libc::AF_INET | libc::AF_INET6 => send_at_once(&socket).map_err(said)?,
        libc::AF_UNIX => {}
        family => return Err(format!("is of address family {family}")),
    }
    socket.set_nonblocking(true).map_err(said)?;
    Ok(socket)
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
        assert_ne!(listeners.local_addr().unwrap().port(), 0);
        assert_eq!(listeners.workers(), 3);
        for listener in listeners.into_parts().0.into_iter().flatten() {
            assert_eq!(
                listener.socket.local_addr().unwrap().as_socket().unwrap().ip(),
                loopback(0).ip()
            );
        }
    }

    #[test]
    fn a_port_that_somebody_shares_is_in_use_all_the_same() {
        let other = Listeners::bind(loopback(0), 1).unwrap();
        let addr = other.local_addr().unwrap();
        let error = Listeners::bind(addr, 2).unwrap_err();
        assert_eq!(error.code(), "port-in-use");
        assert!(error.to_string().contains(&addr.to_string()), "{error}");
    }

    #[test]
    fn a_port_is_free_again_once_its_listener_is_gone() {
        let addr = Listeners::bind(loopback(0), 2).unwrap().local_addr().unwrap();
        assert_eq!(Listeners::bind(addr, 2).unwrap().local_addr(), Some(addr));
    }

    #[test]
    fn an_address_of_nobody_is_named() {
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
        assert_eq!(Listeners::bind(elsewhere, 1).unwrap_err().code(), "address-not-available");
    }
}
