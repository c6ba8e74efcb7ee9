//! The least that messages take, on one core and between two: what is common to all that could be called a runtime of
//! workers; and on one core also what the contract of ours adds for each message, written down as one would first think
//! of. Nothing is left out by the optimizer that a program with more than one kind of worker would need: receivers are
//! called through a table.
#![allow(clippy::disallowed_methods, reason = "benchmarks of the bare machine")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::hint::{black_box, spin_loop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ringpost_mailbox::ring::ring;

use crate::bounce::CpuPair;

/// Slots that are published together.
const BATCH: u32 = 16;
/// Messages that wait, at the most: as many as one of ours has room for.
const ROOM: u32 = 1024;
/// Messages between two looks at who else has something to do.
const TURN: u32 = 256;

/// A receiver of plain calls.
trait Plain {
    fn take(&mut self, number: u64);
}

struct Sum(u64);

impl Plain for Sum {
    fn take(&mut self, number: u64) {
        self.0 = self.0.wrapping_add(number);
    }
}

/// `n` messages of three words through a queue to a receiver that is found by its number, called through a table, and has a
/// bound.
#[must_use]
pub fn queue_and_call(n: u64) -> Duration {
    let mut receivers: Vec<Box<dyn Plain>> = black_box(vec![Box::new(Sum(0))]);
    let mut room = black_box(vec![ROOM]);
    let mut queue: VecDeque<(u32, [u64; 3])> = VecDeque::with_capacity(ROOM as usize);
    let to = black_box(0u32);
    let (mut sent, mut handled) = (0u64, 0u64);
    let start = Instant::now();
    while handled < n {
        while sent < n && room[to as usize] > 0 {
            room[to as usize] -= 1;
            queue.push_back((to, [sent, 0, 0]));
            sent += 1;
        }
        for _ in 0..TURN {
            let Some((to, [number, ..])) = queue.pop_front() else {
                break;
            };
            room[to as usize] += 1;
            receivers[to as usize].take(number);
            handled += 1;
        }
    }
    let took = start.elapsed();
    black_box(receivers);
    took
}

/// `n` messages of three words from one core to another, through a bare ring that is published every 16, each handed by the
/// core that reads it to a receiver that is called through a table.
#[must_use]
pub fn ring_and_call(cpus: CpuPair, n: u64) -> Duration {
    let (mut producer, mut consumer) = ring::<[u64; 3]>(ROOM);
    let produce = move || {
        for number in 0..n {
            let mut slot = [0, number, 0];
            while let Err(full) = producer.push(slot) {
                slot = full.0;
                producer.publish();
                spin_loop();
            }
            if producer.unpublished() >= BATCH {
                producer.publish();
            }
        }
        producer.publish();
        Duration::ZERO
    };
    let consume = move || {
        let mut receivers: Vec<Box<dyn Plain>> = black_box(vec![Box::new(Sum(0))]);
        let mut handled = 0u64;
        let start = Instant::now();
        while handled < n {
            let call = |[to, number, _]: [u64; 3]| receivers[to as usize].take(number);
            handled += u64::from(consumer.drain(TURN, call));
        }
        let took = start.elapsed();
        black_box(receivers);
        took
    };
    cpus.run(consume, produce)
}

/// Who sent a message, as its receiver may want to know: counted, as it may be kept.
struct Party {
    /// Of the worker that has the place; another may have had it before.
    generation: u32,
    room: Cell<u32>,
    waiting: Cell<u32>,
}

/// A message with what ours have: 64 bytes.
struct Letter {
    #[expect(dead_code, reason = "it is counted, and dropped with the message")]
    from: Rc<Party>,
    to: Rc<Party>,
    place: u32,
    reply: u64,
    kind: &'static str,
    words: [u64; 2],
}

const _: () = assert!(size_of::<Letter>() == 64);

/// A receiver whose handler is a future, which may suspend, fail or panic.
trait Handler {
    fn handle(&mut self, letter: Letter, polling: &mut Context<'_>) -> Outcome;
}

/// What came of a call.
enum Outcome {
    Done,
    Pending,
    Failed(Box<str>),
    Panicked,
}

impl Sum {
    async fn handle_message(&mut self, letter: Letter) -> Result<(), Box<str>> {
        self.0 = self.0.wrapping_add(letter.words[0] ^ letter.reply);
        Ok(())
    }
}

impl Handler for Sum {
    fn handle(&mut self, letter: Letter, polling: &mut Context<'_>) -> Outcome {
        if !std::ptr::eq(letter.kind, KIND) {
            return Outcome::Failed(letter.kind.into());
        }
        let call = || pin!(self.handle_message(letter)).poll(polling);
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Poll::Ready(Ok(()))) => Outcome::Done,
            Ok(Poll::Ready(Err(error))) => Outcome::Failed(error),
            Ok(Poll::Pending) => Outcome::Pending,
            Err(_) => Outcome::Panicked,
        }
    }
}

/// The type of the messages.
static KIND: &str = "numbers";

/// As [`queue_and_call`], with what each message of ours has beside: a handler that is a future and may panic, a payload of
/// a type that is checked, a sender that may be kept, a receiver that may have been replaced, and counts of what was sent
/// and handled.
///
/// # Panics
/// If a message is missing.
#[must_use]
pub fn with_the_contract(n: u64) -> Duration {
    let mut receivers: Vec<(u32, Box<dyn Handler>)> = black_box(vec![(7, Box::new(Sum(0)))]);
    let party = || Party {
        generation: 7,
        room: Cell::new(ROOM),
        waiting: Cell::new(0),
    };
    let (from, to) = black_box((Rc::new(party()), Rc::new(party())));
    let parties = black_box(vec![Rc::clone(&to)]);
    let mut queue: VecDeque<Letter> = VecDeque::with_capacity(ROOM as usize);
    let (place, kind) = black_box((0u32, KIND));
    let (sent, handled) = (Cell::new(0u64), Cell::new(0u64));
    let polling = &mut Context::from_waker(Waker::noop());
    let start = Instant::now();
    while handled.get() < n {
        while sent.get() < n {
            let found = &parties[place as usize];
            if found.generation != to.generation || found.room.get() == 0 {
                break;
            }
            found.room.set(found.room.get() - 1);
            found.waiting.set(found.waiting.get() + 1);
            queue.push_back(Letter {
                from: Rc::clone(&from),
                to: Rc::clone(found),
                place,
                reply: 0,
                kind,
                words: [sent.get(), 0],
            });
            sent.set(sent.get() + 1);
        }
        for _ in 0..TURN {
            let Some(letter) = queue.pop_front() else {
                break;
            };
            let to = &letter.to;
            to.room.set(to.room.get() + 1);
            to.waiting.set(to.waiting.get() - 1);
            let (generation, receiver) = &mut receivers[letter.place as usize];
            assert_eq!(*generation, to.generation, "nobody was replaced");
            handled.set(handled.get() + 1);
            match receiver.handle(letter, polling) {
                Outcome::Done => {}
                Outcome::Failed(why) => panic!("a handler failed: {why}"),
                Outcome::Pending | Outcome::Panicked => panic!("a handler did not end well"),
            }
        }
    }
    let took = start.elapsed();
    assert_eq!(Rc::strong_count(&from), 1, "no message is left");
    took
}
