//! What a fetch costs.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one fetch has cost so far. Whoever asks for the fetch keeps it, and can read it however that ends.
#[derive(Debug, Default)]
pub struct Tally {
    transferred: AtomicU64,
    retries: AtomicU64,
}

impl Tally {
    /// Notes bytes that came.
    pub fn came(&self, bytes: usize) {
        self.transferred.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes a request that is sent again.
    pub(super) fn sent_again(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// The bytes that came over the network.
    pub fn transferred(&self) -> u64 {
        self.transferred.load(Ordering::Relaxed)
    }

    /// Requests that were sent again.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}
