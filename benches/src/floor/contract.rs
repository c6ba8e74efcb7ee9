//! The least that a message of ours takes: programs of one purpose, which do for each message what the contract asks for
//! and nothing else. No actor library is as little as this, and ringpost does more for each message; so what takes longer
//! here than an aim says is out of reach for whoever keeps the contract.
//!
//! What is there: a route that is looked at, a receiver that may have been replaced, its room, a sender that is counted as
//! the message may be asked for it, a payload of a type that is checked, counts of what was sent, waits and was handled,
//! a sender that is a future and waits where there is no room, a handler that is a future, in a place of its own as it
//! may suspend, and that may fail or panic; between two cores credits for each message, and a look whether the other core
//! sleeps for each batch. What is left out: names, replies and requests, urgent messages, workers that
//! stop, are watched, or have too much to do, timers, other cores than the two.

use std::any::TypeId;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::hint::{black_box, spin_loop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ringpost_mailbox::queue::LocalQueue;
use ringpost_mailbox::ring::{Consumer, Producer, ring};
use ringpost_mailbox::sync::Arc;
use ringpost_mailbox::sync::CachePadded;
use ringpost_mailbox::sync::atomic::AtomicU64;
use ringpost_mailbox::sync::atomic::Ordering::{Acquire, Release};
use ringpost_mailbox::wake::{Parker, WakeWord, publish_fence};

use crate::bounce::CpuPair;

use super::{BATCH, ROOM, TURN};

/// Messages that wait at a worker of another core, at the most.
const WINDOW: u64 = 512;

type Outcome = Result<(), Box<str>>;

/// A worker, as those know it who send to it.
struct Party {
    /// Of the worker that has the place; another may have had it before.
    generation: u32,
    room: Cell<u32>,
    waiting: Cell<u32>,
}

impl Party {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            generation: 7,
            room: Cell::new(ROOM),
            waiting: Cell::new(0),
        })
    }
}

/// A message with its receiver: 64 bytes.
struct Letter {
    from: Rc<Party>,
    to: Rc<Party>,
    reply: u64,
    kind: TypeId,
    number: u64,
    /// Whose credit it holds: none, of this core.
    origin: u64,
    place: u32,
}

const _: () = assert!(size_of::<Letter>() == 64);

/// What a message holds.
struct Number;

/// How a receiver is named.
struct Route {
    hops: u32,
    node: u32,
    place: u32,
    generation: u32,
}

/// What both sides of one core share.
struct Ledger {
    queue: LocalQueue<Letter>,
    parties: Vec<Rc<Party>>,
    sent: Cell<u64>,
    handled: Cell<u64>,
}

impl Ledger {
    /// Sends a message if there is room.
    #[inline(always)]
    fn send(&self, from: &Rc<Party>, route: &Route, number: u64) -> Option<()> {
        if route.hops != 1 || route.node != 7 {
            return None;
        }
        let to = self.parties.get(route.place as usize)?;
        if to.generation != route.generation {
            return None;
        }
        to.room.set(to.room.get().checked_sub(1)?);
        to.waiting.set(to.waiting.get() + 1);
        self.sent.set(self.sent.get() + 1);
        self.queue.push(Letter {
            from: Rc::clone(from),
            to: Rc::clone(to),
            reply: 0,
            kind: TypeId::of::<Number>(),
            number,
            origin: 0,
            place: route.place,
        });
        Some(())
    }
}

/// A receiver of any type.
trait Worker {
    /// Handles what is in front of the queue, as long as it is for this one.
    fn run(&mut self, me: &Party, ledger: &Ledger, polling: &mut Context<'_>) -> Outcome;

    /// Handles what has come from another core. How many messages.
    fn drain(
        &mut self,
        ring: &mut Consumer<[u64; 3]>,
        from: &Rc<Party>,
        polling: &mut Context<'_>,
    ) -> u64;
}

/// A worker whose handler is a future, in a place that stays where it is.
struct Framed<M, F> {
    state: &'static Cell<u64>,
    make: M,
    frame: Pin<Box<Option<F>>>,
}

impl<M, F> Framed<M, F>
where
    M: Fn(&'static Cell<u64>, Rc<Party>, u64, u64) -> F + 'static,
    F: Future<Output = Outcome> + 'static,
{
    fn boxed(state: &'static Cell<u64>, make: M) -> Box<dyn Worker> {
        let frame = Box::pin(None);
        Box::new(Self { state, make, frame })
    }

    /// Handles one message.
    #[inline(always)]
    fn handle(
        &mut self,
        (from, reply, number): (Rc<Party>, u64, u64),
        polling: &mut Context<'_>,
    ) -> Outcome {
        self.frame
            .set(Some((self.make)(self.state, from, reply, number)));
        let call = || {
            let poll = self.frame.as_mut().as_pin_mut()?.poll(polling);
            if poll.is_ready() {
                self.frame.set(None);
            }
            Some(poll)
        };
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Some(Poll::Ready(outcome))) => outcome,
            Ok(_) => Err("it is suspended".into()),
            Err(_) => Err("it has panicked".into()),
        }
    }
}

impl<M, F> Worker for Framed<M, F>
where
    M: Fn(&'static Cell<u64>, Rc<Party>, u64, u64) -> F + 'static,
    F: Future<Output = Outcome> + 'static,
{
    fn run(&mut self, me: &Party, ledger: &Ledger, polling: &mut Context<'_>) -> Outcome {
        while let Some(letter) = ledger.queue.pop() {
            if !std::ptr::eq(&raw const *letter.to, me) || letter.kind != TypeId::of::<Number>() {
                return Err(format!("nobody takes it at {}", letter.place).into());
            }
            if letter.origin == 0 {
                me.room.set(me.room.get() + 1);
            }
            me.waiting.set(me.waiting.get() - 1);
            ledger.handled.set(ledger.handled.get() + 1);
            self.handle((letter.from, letter.reply, letter.number), polling)?;
        }
        Ok(())
    }

    fn drain(
        &mut self,
        ring: &mut Consumer<[u64; 3]>,
        from: &Rc<Party>,
        polling: &mut Context<'_>,
    ) -> u64 {
        let taken = ring.drain(TURN, |[kind, number, reply]| {
            assert_eq!(kind, KIND, "a payload of another type");
            self.handle((Rc::clone(from), reply, number), polling)
                .expect("the handler ends well");
        });
        u64::from(taken)
    }
}

/// Stands for the type of a payload in a ring.
const KIND: u64 = 11;

/// The worker of both floors: adds up numbers. Its state is left behind, as its handler's future may live for ever.
fn adder() -> (&'static Cell<u64>, Box<dyn Worker>) {
    let sum: &'static Cell<u64> = Box::leak(Box::new(Cell::new(0)));
    let worker = Framed::boxed(sum, async |sum: &Cell<u64>, from, reply, number| {
        sum.set(sum.get().wrapping_add(number ^ reply));
        drop::<Rc<Party>>(from);
        Ok(())
    });
    (sum, worker)
}

/// `n` messages from one worker to another of its core.
///
/// # Panics
/// If a message is missing.
#[must_use]
pub fn on_one_core(n: u64) -> Duration {
    let (sum, worker) = adder();
    let mut workers = black_box(vec![worker]);
    let (from, to) = black_box((Party::new(), Party::new()));
    let ledger = Rc::new(Ledger {
        queue: LocalQueue::new(),
        parties: black_box(vec![Rc::clone(&to)]),
        sent: Cell::new(0),
        handled: Cell::new(0),
    });
    let route = black_box(Route {
        hops: 1,
        node: 7,
        place: 0,
        generation: 7,
    });
    let (at, sender) = (Rc::clone(&ledger), Rc::clone(&from));
    let mut producer: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
        for number in 0..n {
            poll_fn(|_| match at.send(&sender, &route, number) {
                Some(()) => Poll::Ready(()),
                None => Poll::Pending,
            })
            .await;
        }
    });
    let polling = &mut Context::from_waker(Waker::noop());
    let start = Instant::now();
    let mut is_sending = true;
    while ledger.handled.get() < n {
        is_sending = is_sending && producer.as_mut().poll(polling).is_pending();
        workers[0]
            .run(&to, &ledger, polling)
            .expect("the handler ends well");
    }
    let took = start.elapsed();
    assert_eq!(ledger.sent.get(), n);
    assert_eq!(sum.get(), (0..n).fold(0, u64::wrapping_add));
    took
}

/// `n` messages from a worker of one core to one of another: straight from the ring to the handler, with a window of
/// credits that come back by half of it.
///
/// # Panics
/// If a message is missing.
#[must_use]
pub fn between_two_cores(cpus: CpuPair, n: u64) -> Duration {
    let (producer, mut consumer) = ring::<[u64; 3]>(ROOM);
    let handled = Arc::new(CachePadded::new(AtomicU64::new(0)));
    let seen = Arc::clone(&handled);
    // The receiver never sleeps, so nobody has to be rung up; but each batch asks.
    let (_parker, word) = Parker::new();
    let to = Far {
        ring: producer,
        handled: seen,
        word,
    };
    let produce = move || {
        let mut sending: Pin<Box<dyn Future<Output = ()>>> = Box::pin(produce(to, n));
        let polling = &mut Context::from_waker(Waker::noop());
        while sending.as_mut().poll(polling).is_pending() {
            spin_loop();
        }
        Duration::ZERO
    };
    let consume = move || {
        let (sum, worker) = adder();
        let mut workers = black_box(vec![worker]);
        let from = black_box(Party::new());
        let polling = &mut Context::from_waker(Waker::noop());
        let (mut taken, mut told) = (0u64, 0u64);
        let start = Instant::now();
        while taken < n {
            taken += workers[0].drain(&mut consumer, &from, polling);
            if taken - told >= WINDOW / 2 {
                told = taken;
                // Release: pairs with the Acquire in `produce`; the messages were taken before.
                handled.store(taken, Release);
            }
        }
        let took = start.elapsed();
        assert_eq!(sum.get(), (0..n).fold(0, u64::wrapping_add));
        took
    };
    cpus.run(consume, produce)
}

/// The other core, as its sender has it.
struct Far {
    ring: Producer<[u64; 3]>,
    handled: Arc<CachePadded<AtomicU64>>,
    word: Arc<WakeWord>,
}

impl Far {
    /// Shows what was written, and asks whether the other core sleeps.
    fn publish(&mut self) {
        self.ring.publish();
        publish_fence();
        assert!(!self.word.notify(), "nobody sleeps here");
    }
}

/// Sends `n` messages, and waits where it has no credit or the ring no room.
async fn produce(mut to: Far, n: u64) {
    let mut credits = WINDOW;
    for number in 0..n {
        poll_fn(|_| {
            if credits == 0 {
                // Acquire: pairs with the Release in `between_two_cores`.
                credits = WINDOW - (number - to.handled.load(Acquire));
            }
            if credits == 0 || to.ring.push([KIND, number, 0]).is_err() {
                to.publish();
                return Poll::Pending;
            }
            credits -= 1;
            Poll::Ready(())
        })
        .await;
        if to.ring.unpublished() >= BATCH {
            to.publish();
        }
    }
    to.publish();
}
