//! Connections over a limit: each is told so and let go, and held open until it has seen that.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Shutdown;
use std::time::Duration;

use socket2::Socket;

use super::socket;

/// Those that were told and have not closed yet, the oldest first. They have no task and no buffer, only a descriptor:
/// the sweep looks after them.
#[derive(Default)]
pub(super) struct TurnedAway {
    held: RefCell<VecDeque<Held>>,
}

struct Held {
    socket: Socket,
    /// By the clock of the worker, in milliseconds.
    since: u64,
}

impl TurnedAway {
    /// How many are held; where there are more, the oldest has had the longest time to read and goes first.
    const MOST: usize = 256;

    /// Sends the only reply that a connection gets. It stays open for a while: the close of a socket with unread bytes
    /// is a reset, which takes the reply out of the client's hands (RFC 9112 §9.6).
    pub(super) fn tell(&self, socket: Socket, reply: &[u8], now: u64) {
        socket::send_once(&socket, reply);
        socket::shut_down(&socket, Shutdown::Write);
        let mut held = self.held.borrow_mut();
        if held.len() >= Self::MOST
            && let Some(oldest) = held.pop_front()
        {
            // So that it is closed and not reset, if it has sent no more than this.
            socket::swallow(&oldest.socket);
        }
        held.push_back(Held { socket, since: now });
    }

    /// Lets those go that have closed, or had so long to do so.
    pub(super) fn sweep(&self, now: u64, allowed: Duration) {
        self.held.borrow_mut().retain(|held| {
            let is_open = socket::swallow(&held.socket);
            is_open && Duration::from_millis(now.saturating_sub(held.since)) < allowed
        });
    }

    /// Lets all of them go.
    pub(super) fn let_go(&self) {
        self.held.take();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.borrow().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    const ALLOWED: Duration = Duration::from_millis(100);

    /// Tells a client that has sent something already.
    fn tell(turned_away: &TurnedAway) -> UnixStream {
        let (mut client, socket) = UnixStream::pair().unwrap();
        client.write_all(b"a request").unwrap();
        turned_away.tell(OwnedFd::from(socket).into(), b"no", 0);
        client
    }

    fn read(mut client: UnixStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn whoever_was_told_goes_with_its_close_or_with_its_time() {
        let turned_away = TurnedAway::default();
        let (closes, mut goes_on) = (tell(&turned_away), tell(&turned_away));
        turned_away.sweep(0, ALLOWED);
        assert_eq!(turned_away.held.borrow().len(), 2);
        assert_eq!(read(closes), "no");
        goes_on.write_all(&[0; 1000]).unwrap();
        turned_away.sweep(99, ALLOWED);
        assert_eq!(turned_away.held.borrow().len(), 1);
        goes_on.write_all(&[0; 1000]).unwrap();
        turned_away.sweep(100, ALLOWED);
        assert!(turned_away.is_empty());
        assert!(goes_on.write_all(b"more").is_err(), "it is closed");
    }

    #[test]
    fn so_many_are_held_and_no_more_yet_all_are_told() {
        let turned_away = TurnedAway::default();
        let clients: Vec<UnixStream> =
            (0..TurnedAway::MOST * 2).map(|_| tell(&turned_away)).collect();
        assert_eq!(turned_away.held.borrow().len(), TurnedAway::MOST);
        assert!(clients.into_iter().all(|client| read(client) == "no"));
    }
}
