//! Who may fetch: so many at a time altogether, and one fewer from any one host, so that a host that is dead or slow
//! keeps nobody from the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::FetchError;

/// All turns.
#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    /// Of the hosts that somebody fetches from or waits for.
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
    for_one_host: usize,
}

/// The turn of one fetch, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    host: String,
    held: Mutex<Option<Held>>,
}

/// Of the host, and of all.
type Held = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Turns {
    /// So many of them.
    pub(super) fn new(count: usize) -> Self {
        let count = count.max(1);
        let all = Arc::new(Semaphore::new(count));
        Self { all, hosts: Mutex::default(), for_one_host: (count - 1).max(1) }
    }

    /// Waits for a turn to fetch from `host`.
    pub(super) async fn turn(&self, host: &str) -> Result<Turn<'_>, FetchError> {
        let turn = Turn { turns: self, host: host.to_owned(), held: Mutex::default() };
        turn.take().await?;
        Ok(turn)
    }

    fn of_host(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|_, turns| Arc::strong_count(turns) > 1);
        let of_host = || Arc::new(Semaphore::new(self.for_one_host));
        Arc::clone(hosts.entry(host.to_owned()).or_insert_with(of_host))
    }
}

impl Turn<'_> {
    /// Gives it back while `rest` lasts, and waits for another one where there is something to go on with.
    pub(super) async fn during(
        &self,
        rest: impl Future<Output = Result<(), FetchError>>,
    ) -> Result<(), FetchError> {
        drop(self.hold(None));
        rest.await?;
        self.take().await
    }

    async fn take(&self) -> Result<(), FetchError> {
        // Of the host first: who waits for that keeps nothing from the others.
        let of_host = self.turns.of_host(&self.host).acquire_owned().await;
        let of_all = Arc::clone(&self.turns.all).acquire_owned().await;
        // Neither is ever closed.
        let lost = |_| FetchError::Lost;
        drop(self.hold(Some((of_host.map_err(lost)?, of_all.map_err(lost)?))));
        Ok(())
    }

    /// Holds this instead of what it returns.
    fn hold(&self, held: Option<Held>) -> Option<Held> {
        std::mem::replace(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner), held)
    }
}
