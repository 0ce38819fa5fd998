//! Buffers that connections of one worker lend each other.

use std::cell::{Cell, RefCell};

/// Empty buffers of one worker, for one purpose. A connection takes one when it has something to
/// read or to send and gives it back as soon as it has not.
pub(super) struct Buffers {
    most_kept_capacity: usize,
    spare: RefCell<Vec<Vec<u8>>>,
    freed: Cell<usize>,
}

impl Buffers {
    /// The capacity of a new buffer; most requests and small replies fit.
    pub(super) const CAPACITY: usize = 4 * 1024;

    /// Buffers kept for reuse; with their largest capacity it bounds what a worker holds in spare.
    const MOST_KEPT: usize = 64;

    /// A buffer that grew beyond `most_kept_capacity` is freed instead of kept.
    pub(super) fn new(most_kept_capacity: usize) -> Buffers {
        Buffers { most_kept_capacity, spare: RefCell::default(), freed: Cell::default() }
    }

    /// An empty buffer with some capacity.
    pub(super) fn take(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(Self::CAPACITY))
    }

    /// Gives a buffer back; what it holds is forgotten.
    pub(super) fn give_back(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if (Self::CAPACITY..=self.most_kept_capacity).contains(&buffer.capacity())
            && spare.len() < Self::MOST_KEPT
        {
            buffer.clear();
            spare.push(buffer);
        } else if buffer.capacity() > 0 {
            self.freed.set(self.freed.get() + 1);
        }
    }

    /// How many buffers were freed since this was asked before.
    pub(super) fn take_freed(&self) -> usize {
        self.freed.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = Buffers::CAPACITY * 4;

    #[test]
    fn a_buffer_comes_back_empty_and_a_huge_one_does_not() {
        let buffers = Buffers::new(MOST);
        let mut used = Vec::with_capacity(Buffers::CAPACITY * 2);
        used.push(1);
        buffers.give_back(used);
        buffers.give_back(Vec::with_capacity(MOST + 1));
        buffers.give_back(Vec::new());
        assert_eq!((buffers.take_freed(), buffers.take_freed()), (1, 0));
        let again = buffers.take();
        assert!(again.is_empty() && again.capacity() == Buffers::CAPACITY * 2);
        assert_eq!(buffers.take().capacity(), Buffers::CAPACITY);
    }

    #[test]
    fn no_more_than_a_bounded_number_is_kept() {
        let buffers = Buffers::new(MOST);
        for _ in 0..Buffers::MOST_KEPT * 2 {
            buffers.give_back(Vec::with_capacity(Buffers::CAPACITY));
        }
        assert_eq!(buffers.spare.borrow().len(), Buffers::MOST_KEPT);
    }
}
