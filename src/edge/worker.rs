//! One worker: a thread with its own listener, connections, buffers and clock.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use socket2::Socket as SystemSocket;
use tokio::sync::{mpsc, watch as tokio_watch};

use super::accept;
use super::access::Recorder;
use super::buffers::Buffers;
use super::clients::Clients;
use super::clock::Clock;
use super::connection::Open;
use super::counters::WorkerCounters;
use super::limits::Limits;
use super::listen::Listener;
use super::refusal::Refusal;
use super::reply::{CLOSE, ENOUGH_TO_SEND};
use super::sender::Sender;
use super::service::ServiceCall;
use super::socket::Socket;
use super::turned_away::TurnedAway;
use super::watch::{Idle, Registry};
use super::{Lookup, Peer};

/// What all workers are told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serve,
    /// Serve on, but let each connection go after its next reply.
    Drain,
    /// Accept no more and finish what is in flight.
    Finish,
    /// Stop at once.
    Abort,
}

/// What a worker is made of.
pub(super) struct Equipment<S> {
    pub(super) limits: Limits,
    pub(super) wall_clock: fn() -> SystemTime,
    pub(super) release_memory: fn(),
    pub(super) on_ring: bool,
    pub(super) sender: &'static dyn Sender,
    pub(super) snapshot: Arc<ArcSwap<S>>,
    pub(super) service: mpsc::Sender<ServiceCall<S>>,
    pub(super) counters: Arc<WorkerCounters>,
    pub(super) recorder: Option<Recorder>,
    pub(super) clients: Option<Arc<Clients>>,
}

pub(super) struct Worker<S> {
    pub(super) limits: Limits,
    pub(super) clock: Rc<Clock>,
    pub(super) sender: &'static dyn Sender,
    pub(super) snapshot: Arc<ArcSwap<S>>,
    pub(super) service: mpsc::Sender<ServiceCall<S>>,
    pub(super) counters: Arc<WorkerCounters>,
    /// Where requests are recorded, if they are.
    pub(super) recorder: Option<Recorder>,
    /// Connections of each client; nothing where they are not limited.
    pub(super) clients: Option<Arc<Clients>>,
    pub(super) registry: Registry,
    turned_away: TurnedAway,
    pub(super) inputs: Buffers,
    pub(super) outputs: Buffers,
    pub(super) path_scratch: RefCell<Vec<u8>>,
    /// Requests that are at the service plane now.
    pub(super) calls: Cell<usize>,
    /// When the log last said that the kernel has no connection to give.
    pub(super) told_of_failure: Cell<Option<u64>>,
    /// Whether each reply is to be the last of its connection.
    pub(super) draining: Cell<bool>,
    /// Whether a connection is to end as soon as it is idle.
    pub(super) finishing: Cell<bool>,
    /// Reads since the last whose time was taken.
    reads: Cell<u32>,
    on_ring: bool,
    release_memory: fn(),
}

impl<S: Lookup> Worker<S> {
    pub(super) fn new(equipment: Equipment<S>) -> Rc<Worker<S>> {
        Rc::new(Worker {
            inputs: Buffers::new(equipment.limits.head.head_bytes.max(Buffers::CAPACITY)),
            outputs: Buffers::new(2 * ENOUGH_TO_SEND + Buffers::CAPACITY),
            limits: equipment.limits,
            clock: Rc::new(Clock::new(equipment.wall_clock)),
            sender: equipment.sender,
            snapshot: equipment.snapshot,
            service: equipment.service,
            counters: equipment.counters,
            recorder: equipment.recorder,
            clients: equipment.clients,
            registry: Registry::default(),
            turned_away: TurnedAway::default(),
            path_scratch: RefCell::default(),
            calls: Cell::new(0),
            told_of_failure: Cell::new(None),
            draining: Cell::new(false),
            finishing: Cell::new(false),
            reads: Cell::new(0),
            on_ring: equipment.on_ring,
            release_memory: equipment.release_memory,
        })
    }

    /// Works until told to stop. Returns how many requests were cut off.
    pub(super) async fn run(
        self: Rc<Self>,
        listeners: Vec<Listener>,
        mut phases: tokio_watch::Receiver<Phase>,
    ) -> usize {
        let accept = |listener| accept::run(Rc::clone(&self), listener, phases.clone());
        let acceptors: Vec<_> = listeners.into_iter().map(accept).map(monoio::spawn).collect();
        let tick = self.tick_length();
        let phase = loop {
            let phase = *phases.borrow_and_update();
            match phase {
                Phase::Serve => {}
                Phase::Drain => self.draining.set(true),
                Phase::Finish | Phase::Abort => break phase,
            }
            match first(phases.changed(), monoio::time::sleep(tick)).await {
                First::Left(Ok(())) => {}
                // Whoever could say anything is gone.
                First::Left(Err(_)) => break Phase::Abort,
                First::Right(()) => self.tick(),
            }
        };
        self.draining.set(true);
        for acceptor in acceptors {
            // It only ever fails before its first connection, and then it has ended.
            let _ = acceptor.await;
        }
        let patience =
            if phase == Phase::Finish { self.limits.finish_timeout } else { Duration::ZERO };
        self.finish(patience).await
    }

    /// Waits for the connections to end and cuts what is left.
    async fn finish(&self, patience: Duration) -> usize {
        self.finishing.set(true);
        self.registry.end_idle(Idle::AfterAnswer);
        let for_fresh = patience.min(Self::FIRST_REQUEST);
        self.wait_until_empty(for_fresh).await;
        self.registry.end_idle(Idle::Any);
        self.wait_until_empty(patience - for_fresh).await;
        let in_flight = self.registry.cut_all();
        self.turned_away.let_go();
        // Their tasks only have to notice; nothing waits for the client any more.
        self.wait_until_empty(Self::NOTICE).await;
        in_flight
    }

    /// For the first request of a client that has only just connected.
    const FIRST_REQUEST: Duration = Duration::from_secs(1);

    /// For tasks to see that their connections are cut; they wait for nothing but their turn.
    const NOTICE: Duration = Duration::from_millis(500);

    async fn wait_until_empty(&self, patience: Duration) {
        const STEP: Duration = Duration::from_millis(5);
        self.tick();
        let begun = self.clock.now();
        let is_over = || {
            let waited = self.clock.now().saturating_sub(begun);
            Duration::from_millis(waited) >= patience
        };
        while (self.registry.len() > 0 || !self.turned_away.is_empty()) && !is_over() {
            monoio::time::sleep(STEP).await;
            self.tick();
        }
    }

    fn tick(&self) {
        let last = self.clock.now();
        self.clock.tick();
        self.registry.sweep(&self.limits, last, &self.counters);
        self.turned_away.sweep(self.clock.now(), self.limits.linger_timeout);
        if self.inputs.take_freed() + self.outputs.take_freed() >= Self::MANY_BUFFERS {
            (self.release_memory)();
        }
    }

    /// Freed buffers that are worth the trouble of giving memory back.
    const MANY_BUFFERS: usize = 64;

    /// Often enough for `date` and to be late by no more than a quarter of the shortest timeout.
    fn tick_length(&self) -> Duration {
        let limits = &self.limits;
        let shortest = [
            limits.head_timeout,
            limits.body_timeout,
            limits.idle_timeout,
            limits.send_window,
            limits.service_timeout,
            limits.linger_timeout,
        ]
        .into_iter()
        .fold(Duration::from_secs(2), Duration::min);
        (shortest / 4).max(Duration::from_millis(5))
    }

    /// Serves a connection that was accepted.
    pub(super) fn open(self: &Rc<Self>, socket: SystemSocket, peer: Peer) {
        if self.registry.len() >= self.limits.connections_per_worker {
            return self.turn_away(socket, Refusal::TooManyConnections);
        }
        if self.clients.as_ref().is_some_and(|clients| !clients.admit(peer)) {
            return self.turn_away(socket, Refusal::TooManyOfOneClient);
        }
        self.counters.connections_accepted.add(1);
        match Socket::new(socket, self.on_ring) {
            Ok(socket) => drop(monoio::spawn(Open::new(Rc::clone(self), socket, peer).run())),
            // Only where epoll cannot take one more; the socket is closed with the error.
            Err(_) => self.clients.iter().for_each(|clients| clients.leave(peer)),
        }
    }

    fn turn_away(&self, socket: SystemSocket, refusal: Refusal) {
        self.counters.responses.count(refusal.status());
        refusal.limit().into_iter().for_each(|limit| self.counters.reached(limit));
        let mut reply = Vec::new();
        let last_headers = |out: &mut Vec<u8>| {
            self.clock.with_date_line(|date| out.extend_from_slice(date));
            out.extend_from_slice(CLOSE);
        };
        refusal.write(&mut reply, last_headers, false);
        self.turned_away.tell(socket, &reply, self.clock.now());
    }

    /// One read in so many has its time taken: enough for quantiles, and a clock is not read for each.
    const READS_PER_SAMPLE: u32 = 16;

    /// The time now, if that of what was just read is to be taken.
    pub(super) fn sample(&self) -> Option<Instant> {
        let reads = self.reads.get();
        self.reads.set(if reads == 0 { Self::READS_PER_SAMPLE - 1 } else { reads - 1 });
        (reads == 0).then(Instant::now)
    }

    /// Puts a busy task behind the others. A ring does that by itself: each of its operations ends
    /// in a later turn.
    pub(super) async fn let_others_run(&self) {
        let mut waited = self.on_ring;
        poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

pub(super) enum First<A, B> {
    Left(A),
    Right(B),
}

/// Whichever is ready first. The other is dropped, so neither may be an operation that moves bytes.
pub(super) async fn first<A: Future, B: Future>(left: A, right: B) -> First<A::Output, B::Output> {
    let (mut left, mut right) = (pin!(left), pin!(right));
    poll_fn(|context| {
        if let Poll::Ready(output) = left.as_mut().poll(context) {
            return Poll::Ready(First::Left(output));
        }
        right.as_mut().poll(context).map(First::Right)
    })
    .await
}
