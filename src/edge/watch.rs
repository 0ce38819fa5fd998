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

use monoio::io::{CancelHandle, Canceller};

use super::clock::Clock;
use super::limits::Limits;
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
    /// Swallowing what a refused client still sends.
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
    limits: Rc<Limits>,
    activity: Cell<Activity>,
    since: Cell<u64>,
    late: Cell<bool>,
    cut: Cell<bool>,
    /// Whether the client has ever asked for anything.
    asked: Cell<bool>,
    holds_buffer: Cell<bool>,
    read: RefCell<Canceller>,
    waiting: RefCell<Option<Waker>>,
}

impl Watch {
    pub(super) fn new(fd: RawFd, clock: Rc<Clock>, limits: Rc<Limits>) -> Watch {
        let since = Cell::new(clock.now());
        Watch {
            fd,
            clock,
            limits,
            activity: Cell::new(Activity::Idle),
            since,
            late: Cell::new(false),
            cut: Cell::new(false),
            asked: Cell::new(false),
            holds_buffer: Cell::new(false),
            read: RefCell::new(Canceller::new()),
            waiting: RefCell::new(None),
        }
    }

    pub(super) fn idle(&self) {
        self.begin(Activity::Idle);
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

    /// Notes the beginning of a send, and each time that the client has taken something.
    pub(super) fn sending(&self) {
        self.begin(Activity::Sending);
    }

    pub(super) fn lingering(&self) {
        self.begin(Activity::Lingering);
    }

    /// Whether reading was ended because the client took too long with a head or a body.
    pub(super) fn is_late(&self) -> bool {
        self.late.get()
    }

    pub(super) fn is_reading_body(&self) -> bool {
        self.activity.get() == Activity::ReadingBody
    }

    /// For the next read, so that the sweep can take the buffer of an idle connection away.
    pub(super) fn read_handle(&self) -> CancelHandle {
        self.holds_buffer.set(true);
        self.read.borrow().handle()
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

    /// Ends what has taken too long. Returns whether something had.
    fn check(&self) -> bool {
        let spent = self.clock.now().saturating_sub(self.since.get());
        let activity = self.activity.get();
        let allowed = match activity {
            Activity::Idle => self.limits.idle_timeout,
            Activity::ReadingHead => self.limits.head_timeout,
            Activity::ReadingBody => self.limits.body_timeout,
            Activity::Sending => self.limits.write_stall_timeout,
            Activity::Calling => self.limits.service_timeout,
            Activity::Streaming => return false,
            Activity::Lingering => self.limits.linger_timeout,
        };
        if u128::from(spent) < allowed.as_millis() {
            // Only whoever has been idle through a whole sweep gives its buffer back; a busy
            // connection keeps one and so saves a wait for readiness per request.
            if activity == Activity::Idle && spent > 0 && self.holds_buffer.replace(false) {
                let canceller = self.read.take();
                self.read.replace(canceller.cancel());
            }
            return false;
        }
        match activity {
            Activity::Idle => socket::shut_down(self, Shutdown::Read),
            Activity::ReadingHead | Activity::ReadingBody => {
                // The read then ends with nothing, and the client is told why.
                self.late.set(true);
                socket::shut_down(self, Shutdown::Read);
            }
            Activity::Calling => {
                self.late.set(true);
                self.wake();
            }
            Activity::Sending | Activity::Lingering | Activity::Streaming => socket::reset(self),
        }
        // Whoever was told once gets as long again to react before it is told again.
        self.since.set(self.clock.now());
        activity != Activity::Lingering
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
        self.cut.set(true);
        socket::reset(self);
        self.wake();
        !matches!(self.activity.get(), Activity::Idle | Activity::Lingering)
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

    /// Ends what has taken too long and returns how many that were.
    pub(super) fn sweep(&self) -> u64 {
        let mut late = 0;
        self.each(|watch| late += u64::from(watch.check()));
        late
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
