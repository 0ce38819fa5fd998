//! How many connections each client address has open, over all workers.
//!
//! Only there if such a limit is set. The lock is taken when a connection begins and when it ends, never for a request.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Peer;

/// The count of each address that has a connection.
#[derive(Debug)]
pub(super) struct Clients {
    most: u32,
    open: Mutex<HashMap<IpAddr, u32>>,
}

impl Clients {
    pub(super) fn new(most: u32) -> Clients {
        Clients { most, open: Mutex::default() }
    }

    /// Counts a new connection, unless its client has as many as it may.
    pub(super) fn admit(&self, peer: Peer) -> bool {
        let Some(client) = peer.client() else { return true };
        let mut open = self.open();
        let count = open.entry(client).or_default();
        if *count >= self.most {
            return false;
        }
        *count += 1;
        true
    }

    /// Takes back what [`Clients::admit`] counted.
    pub(super) fn leave(&self, peer: Peer) {
        let Some(client) = peer.client() else { return };
        let mut open = self.open();
        match open.get_mut(&client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&client)),
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    /// What a client is known by: its address, of which IPv6 counts the first 64 bits. Nothing on a unix socket, whose
    /// other end is a program of this machine.
    pub fn client(self) -> Option<IpAddr> {
        const SUBSCRIBER: u128 = u128::MAX << 64;
        let Self::Network(address) = self else { return None };
        Some(match address.ip().to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & SUBSCRIBER).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::Network(address.parse().unwrap())
    }

    #[test]
    fn each_client_is_counted_for_itself_and_forgotten_when_it_is_gone() {
        let clients = Clients::new(2);
        let [one, same, other] = ["10.0.0.1:1", "[::ffff:10.0.0.1]:2", "10.0.0.2:1"].map(peer);
        assert!(clients.admit(one) && clients.admit(same) && clients.admit(other));
        assert!(!clients.admit(one) && !clients.admit(same));
        clients.leave(same);
        assert!(clients.admit(one) && !clients.admit(one));
        for left in [one, same, other] {
            clients.leave(left);
        }
        assert!(clients.open().is_empty());
    }

    #[test]
    fn one_subscriber_cannot_evade_by_changing_the_lower_half_of_its_address() {
        let clients = Clients::new(1);
        assert!(clients.admit(peer("[2001:db8:0:1::1]:1")));
        assert!(!clients.admit(peer("[2001:db8:0:1:ffff::2]:1")));
        assert!(clients.admit(peer("[2001:db8:0:2::1]:1")));
    }

    #[test]
    fn a_unix_socket_has_no_clients_to_tell_apart() {
        let clients = Clients::new(1);
        assert!(clients.admit(Peer::Unix) && clients.admit(Peer::Unix));
    }
}
