//! Time limits without timers: each connection notes what it is doing and until when it may, and a
//! sweep per worker ends those that are late. Noting costs two plain stores per request.
//!
//! A wait for I/O is ended by shutting the socket down, which lets the pending operation complete;
//! no operation is ever raced against a clock and dropped.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use monoio::io::{CancelHandle, Canceller};

use super::clock::Clock;
use super::counters::WorkerCounters;
use super::limits::{Limit, Limits};
use super::socket;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    /// Waiting for the first byte of a request.
    Idle,
    ReadingHead,
    ReadingBody,
    Sending,
    /// Waiting for the service plane to begin its reply.
    Calling,
    /// Waiting for the next part of a reply that has begun.
    Streaming,
    /// Waiting until the client has its last reply, and swallowing what it sends meanwhile.
    Delivering,
    /// Swallowing what a client still sends that has its last reply.
    Lingering,
}

/// Which connections without a request are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// Those that were answered before. A client that has only just connected has its first request on
    /// the way, and no reply yet that could have told it to go elsewhere.
    AfterAnswer,
    /// All of them.
    Any,
}

/// How a wait for the service plane ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waited<T> {
    Done(T),
    /// It took longer than `service_timeout`.
    TooLong,
    /// The connection is being cut.
    Cut,
}

/// What the sweep sees of one connection.
pub(super) struct Watch {
    fd: RawFd,
    clock: Rc<Clock>,
    activity: Cell<Activity>,
    since: Cell<u64>,
    late: Cell<bool>,
    cut: Cell<bool>,
    /// Whether the client has ever asked for anything.
    asked: Cell<bool>,
    /// Bytes given to the kernel to send, since the connection began.
    sent: Cell<u64>,
    /// How much of that the client had taken when the present window of sending began; nothing before the sweep
    /// has first seen it send.
    taken: Cell<Option<u64>>,
    /// Calls off the read of a connection that holds a buffer; nothing while it holds none.
    read: RefCell<Option<Canceller>>,
    waiting: RefCell<Option<Waker>>,
}

impl Watch {
    pub(super) fn new(fd: RawFd, clock: Rc<Clock>) -> Watch {
        let since = Cell::new(clock.now());
        Watch {
            fd,
            clock,
            activity: Cell::new(Activity::Idle),
            since,
            late: Cell::new(false),
            cut: Cell::new(false),
            asked: Cell::new(false),
            sent: Cell::new(0),
            taken: Cell::new(None),
            read: RefCell::new(None),
            waiting: RefCell::new(None),
        }
    }

    /// Notes that a request is waited for. Nothing is gained by empty lines, after which it is waited for as before.
    pub(super) fn idle(&self) {
        if !matches!(self.activity.get(), Activity::Idle | Activity::ReadingHead) {
            self.begin(Activity::Idle);
        }
    }

    /// Notes the first byte of a head; later bytes gain no time.
    pub(super) fn reading_head(&self) {
        if self.activity.get() != Activity::ReadingHead {
            self.begin(Activity::ReadingHead);
        }
    }

    /// Notes the beginning of a body; later bytes gain no time.
    pub(super) fn reading_body(&self) {
        if self.activity.get() != Activity::ReadingBody {
            self.begin(Activity::ReadingBody);
        }
    }

    /// Notes the beginning of a send.
    pub(super) fn sending(&self) {
        self.taken.set(None);
        self.begin(Activity::Sending);
    }

    /// Notes that the kernel took bytes to send.
    pub(super) fn sent(&self, count: usize) {
        self.sent.set(self.sent.get().wrapping_add(count as u64));
    }

    /// Notes that the kernel has all of the last reply.
    pub(super) fn delivering(&self) {
        self.taken.set(None);
        self.begin(Activity::Delivering);
    }

    /// Whether reading was ended because the client took too long with a head or a body.
    pub(super) fn is_late(&self) -> bool {
        self.late.get()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.activity.get() == Activity::Idle
    }

    pub(super) fn is_reading_body(&self) -> bool {
        self.activity.get() == Activity::ReadingBody
    }

    /// For the next read, so that the sweep can take the buffer of an idle connection away.
    pub(super) fn read_handle(&self) -> CancelHandle {
        self.read.borrow_mut().get_or_insert_with(Canceller::new).handle()
    }

    /// Waits for the beginning of a reply from the service plane.
    pub(super) async fn calling<F: Future>(&self, reply: F) -> Waited<F::Output> {
        self.begin(Activity::Calling);
        self.wait(reply).await
    }

    /// Waits for the next part of a reply.
    pub(super) async fn streaming<F: Future>(&self, part: F) -> Waited<F::Output> {
        self.begin(Activity::Streaming);
        self.wait(part).await
    }

    async fn wait<F: Future>(&self, future: F) -> Waited<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if self.cut.get() {
                return Poll::Ready(Waited::Cut);
            }
            if self.late.take() {
                return Poll::Ready(Waited::TooLong);
            }
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Waited::Done(output));
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                *waiting = Some(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    fn begin(&self, activity: Activity) {
        self.asked.set(self.asked.get() || activity != Activity::Idle);
        self.activity.set(activity);
        self.since.set(self.clock.now());
    }

    /// Ends what has taken too long, and returns what it was.
    fn check(&self, limits: &Limits, last_sweep: u64) -> Option<Limit> {
        let activity = self.activity.get();
        let (allowed, limit) = match activity {
            Activity::Idle if !self.asked.get() => (limits.head_timeout, Limit::HeadTime),
            Activity::Idle => (limits.idle_timeout, Limit::IdleTime),
            Activity::ReadingHead => (limits.head_timeout, Limit::HeadTime),
            Activity::ReadingBody => (limits.body_timeout, Limit::BodyTime),
            Activity::Sending => return self.check_rate(limits),
            Activity::Delivering if socket::untaken(self) > 0 => return self.check_rate(limits),
            Activity::Delivering => {
                self.begin(Activity::Lingering);
                return None;
            }
            Activity::Calling => (limits.service_timeout, Limit::ServiceTime),
            Activity::Streaming => return None,
            Activity::Lingering => (limits.linger_timeout, Limit::Linger),
        };
        if !self.is_over(allowed) {
            // Only whoever has been idle from one sweep to the next gives its buffer back; a busy
            // connection keeps one and so saves a wait for readiness per request.
            if activity == Activity::Idle && self.since.get() < last_sweep {
                self.read.take().map(Canceller::cancel);
            }
            return None;
        }
        match activity {
            // Not reset: what the client's kernel has taken, its program may not have read yet.
            Activity::Idle | Activity::Lingering => socket::shut_down(self, Shutdown::Read),
            Activity::ReadingHead | Activity::ReadingBody => {
                // The read then ends with nothing, and the client is told why.
                self.late.set(true);
                socket::shut_down(self, Shutdown::Read);
            }
            Activity::Calling => {
                self.late.set(true);
                self.wake();
            }
            Activity::Sending | Activity::Delivering | Activity::Streaming => socket::reset(self),
        }
        // Whoever was told once gets as long again to react before it is told again.
        self.since.set(self.clock.now());
        Some(limit)
    }

    /// Resets a connection whose client takes its reply too slowly. The kernel is asked only for those
    /// that are still sending when a sweep comes by.
    fn check_rate(&self, limits: &Limits) -> Option<Limit> {
        let taken = || self.sent.get().wrapping_sub(socket::untaken(self));
        let Some(before) = self.taken.get() else {
            self.taken.set(Some(taken()));
            return None;
        };
        if !self.is_over(limits.send_window) {
            return None;
        }
        let now = taken();
        // What a unix socket has not delivered is counted with its overhead, so the difference can be negative.
        let progress = now.wrapping_sub(before).cast_signed();
        self.taken.set(Some(now));
        self.since.set(self.clock.now());
        if u64::try_from(progress).is_ok_and(|progress| progress >= limits.least_in_window()) {
            return None;
        }
        socket::reset(self);
        Some(Limit::SendRate)
    }

    fn is_over(&self, allowed: Duration) -> bool {
        u128::from(self.clock.now().saturating_sub(self.since.get())) >= allowed.as_millis()
    }

    fn end_if_idle(&self, whom: Idle) {
        let spared = whom == Idle::AfterAnswer && !self.asked.get();
        if self.activity.get() == Activity::Idle && !spared {
            // A request that has already arrived is still read and answered.
            socket::shut_down(self, Shutdown::Read);
        }
    }

    /// Cuts the connection; returns whether a request was being read or answered.
    fn cut(&self) -> bool {
        let in_flight = match self.activity.get() {
            Activity::Idle | Activity::Lingering => false,
            Activity::Delivering => socket::untaken(self) > 0,
            _ => true,
        };
        self.cut.set(true);
        socket::reset(self);
        self.wake();
        in_flight
    }

    fn wake(&self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

/// All connections of a worker.
#[derive(Default)]
pub(super) struct Registry {
    slots: RefCell<Slots>,
}

#[derive(Default)]
struct Slots {
    watches: Vec<Option<Rc<Watch>>>,
    free: Vec<usize>,
}

impl Registry {
    /// How many connections are open.
    pub(super) fn len(&self) -> usize {
        let slots = self.slots.borrow();
        slots.watches.len() - slots.free.len()
    }

    /// Registers a connection; the slot is for [`Registry::remove`].
    pub(super) fn insert(&self, watch: Rc<Watch>) -> usize {
        let mut slots = self.slots.borrow_mut();
        if let Some(slot) = slots.free.pop()
            && let Some(place) = slots.watches.get_mut(slot)
        {
            *place = Some(watch);
            return slot;
        }
        slots.watches.push(Some(watch));
        slots.watches.len() - 1
    }

    /// Forgets a connection. Must happen before its socket is closed.
    pub(super) fn remove(&self, slot: usize) {
        let mut slots = self.slots.borrow_mut();
        if slots.watches.get_mut(slot).and_then(Option::take).is_some() {
            slots.free.push(slot);
        }
        if slots.free.len() == slots.watches.len() {
            // Back to nothing after a flood.
            *slots = Slots::default();
        }
    }

    /// Ends what has taken too long and counts it. `last_sweep` is the time of the sweep before.
    pub(super) fn sweep(&self, limits: &Limits, last_sweep: u64, counters: &WorkerCounters) {
        self.each(|watch| {
            if let Some(limit) = watch.check(limits, last_sweep) {
                counters.reached(limit);
            }
        });
    }

    /// Closes connections that wait for a request.
    pub(super) fn end_idle(&self, whom: Idle) {
        self.each(|watch| watch.end_if_idle(whom));
    }

    /// Cuts all connections and returns how many had a request in flight.
    pub(super) fn cut_all(&self) -> usize {
        let mut in_flight = 0;
        self.each(|watch| in_flight += usize::from(watch.cut()));
        in_flight
    }

    fn each(&self, mut action: impl FnMut(&Watch)) {
        // What an action wakes is only queued, so nothing is removed underway.
        for watch in self.slots.borrow().watches.iter().flatten() {
            action(watch);
        }
    }
}
