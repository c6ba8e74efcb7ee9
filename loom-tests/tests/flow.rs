//! Rings and credits together, as a component of its own: cores that send to workers of another one, each worker with
//! room for so many of each core's messages. Too many steps for loom; shuttle draws its schedules.
#![cfg(any(shuttle, ringpost_mutable))]

use std::collections::VecDeque;

use ringpost_loom_tests::schedules;
use ringpost_mailbox::ring::{Consumer, Producer, ring};
use ringpost_mailbox::sync::Arc;
use ringpost_mailbox::sync::thread::{self, Thread};
use ringpost_mailbox::wake::{Parked, Parker, WakeWord, publish_fence};

/// The workers of the receiving core.
const WORKERS: usize = 2;
/// What each core sends to each of them.
const EACH: u32 = 8;
/// Room of a core at a worker, and in its ring, which has less than all its credits are worth.
const CREDITS: u32 = 3;
const SLOTS: u32 = 4;
/// Room for credits on their way back. More of them wait at the receiver, as one number for each worker.
const CREDIT_SLOTS: u32 = 1;
/// How many messages a worker handles in a turn: the second one is slow.
const BURST: [usize; WORKERS] = [2, 1];

struct Message {
    to: usize,
    number: u32,
    /// A leak of it is one of the message's.
    _held: Arc<()>,
}

/// Credits for one worker.
struct Credits {
    of: usize,
    count: u32,
}

/// How a core is woken.
#[derive(Clone)]
struct Bell(Arc<WakeWord>, Thread);

impl Bell {
    fn ring(&self) {
        publish_fence();
        if self.0.notify() {
            self.1.unpark();
        }
    }
}

fn sleep(parker: &mut Parker, has_work: impl FnMut() -> bool) {
    let outcome = parker.park(has_work, thread::park);
    assert_ne!(outcome, Parked::FoundAfterTimeout);
}

/// A core that sends.
struct Source {
    data: Producer<Message>,
    back: Consumer<Credits>,
    credits: [u32; WORKERS],
    sent: [u32; WORKERS],
    parker: Parker,
    there: Bell,
}

impl Source {
    /// Sends all there is, and ends when all its credits are back.
    fn run(mut self) {
        while self.sent != [EACH; WORKERS] || self.credits != [CREDITS; WORKERS] {
            let has_credits = self.take_credits();
            let lacks_room = self.send();
            match (has_credits, lacks_room) {
                (true, _) => {}
                // Room comes back without a bell.
                (false, true) => thread::yield_now(),
                (false, false) => sleep(&mut self.parker, || !self.back.is_empty()),
            }
        }
    }

    fn take_credits(&mut self) -> bool {
        let credits = &mut self.credits;
        let taken = self.back.drain(8, |Credits { of, count }| {
            credits[of] += count;
            assert!(credits[of] <= CREDITS, "more come back than were spent");
        });
        taken > 0
    }

    /// Sends what it has credits and room for. Whether it is room that is lacking.
    fn send(&mut self) -> bool {
        let mut lacks_room = false;
        for to in 0..WORKERS {
            while self.sent[to] < EACH && self.credits[to] > 0 {
                if !self.data.has_room(1) {
                    lacks_room = true;
                    break;
                }
                let message = Message {
                    to,
                    number: self.sent[to],
                    _held: Arc::new(()),
                };
                assert!(self.data.push(message).is_ok(), "there is room");
                self.credits[to] -= 1;
                self.sent[to] += 1;
            }
        }
        if self.data.publish() > 0 {
            self.there.ring();
        }
        lacks_room
    }
}

/// What the receiving core has of one that sends.
struct Pair {
    data: Consumer<Message>,
    back: Producer<Credits>,
    mailboxes: [VecDeque<u32>; WORKERS],
    handled: [u32; WORKERS],
    owed: [u32; WORKERS],
    bell: Bell,
}

impl Pair {
    /// Takes all that has come, as a ring always drains.
    fn take_in(&mut self) -> bool {
        let mailboxes = &mut self.mailboxes;
        let taken = self.data.drain(SLOTS, |message| {
            mailboxes[message.to].push_back(message.number);
        });
        for mailbox in mailboxes {
            assert!(mailbox.len() <= CREDITS as usize, "it is bounded");
        }
        taken > 0
    }

    fn handle(&mut self) -> bool {
        let before = self.handled;
        for (of, burst) in BURST.into_iter().enumerate() {
            for _ in 0..burst {
                if let Some(number) = self.mailboxes[of].pop_front() {
                    assert_eq!(number, self.handled[of], "it is the next");
                    self.handled[of] += 1;
                    self.owed[of] += 1;
                }
            }
        }
        before != self.handled
    }

    /// Gives back what is owed, as far as there is room. Whether any of it was.
    fn give_back(&mut self) -> bool {
        for of in 0..WORKERS {
            let count = self.owed[of];
            if count > 0 && self.back.has_room(1) {
                self.owed[of] = 0;
                assert!(self.back.push(Credits { of, count }).is_ok());
            }
        }
        let given = self.back.publish() > 0;
        if given {
            self.bell.ring();
        }
        given
    }

    fn owes(&self) -> bool {
        self.owed != [0; WORKERS]
    }

    fn is_done(&self) -> bool {
        self.handled == [EACH; WORKERS] && !self.owes()
    }
}

/// The core that receives, until it has handled all.
fn receive(mut pairs: Vec<Pair>, mut parker: Parker) {
    while !pairs.iter().all(Pair::is_done) {
        let mut found = false;
        for pair in &mut pairs {
            found |= pair.take_in();
            found |= pair.handle();
            found |= pair.give_back();
        }
        match (found, pairs.iter().any(Pair::owes)) {
            (true, _) => {}
            // Room for credits comes back without a bell too.
            (false, true) => thread::yield_now(),
            (false, false) => sleep(&mut parker, || {
                pairs.iter_mut().any(|pair| !pair.data.is_empty())
            }),
        }
    }
}

fn flow(sources: usize) {
    let (parker, word) = Parker::new();
    let here = Bell(word, thread::current());
    let mut pairs = Vec::new();
    let threads: Vec<_> = (0..sources)
        .map(|_| {
            let (data, incoming) = ring(SLOTS);
            let (back, credits) = ring(CREDIT_SLOTS);
            let (parker, word) = Parker::new();
            let source = Source {
                data,
                back: credits,
                credits: [CREDITS; WORKERS],
                sent: [0; WORKERS],
                parker,
                there: here.clone(),
            };
            let thread = thread::spawn(move || source.run());
            pairs.push(Pair {
                data: incoming,
                back,
                mailboxes: Default::default(),
                handled: [0; WORKERS],
                owed: [0; WORKERS],
                bell: Bell(word, thread.thread().clone()),
            });
            thread
        })
        .collect();
    receive(pairs, parker);
    for thread in threads {
        thread.join().unwrap();
    }
}

/// G1, G4, G5, G8: one core and another, with less room in the ring than credits.
#[test]
fn credits_and_a_ring_bring_all_in_order_and_come_back() {
    schedules("flow: one core sends", || flow(1));
}

/// The same of two cores that send to the same workers; neither has the other's credits.
#[test]
fn two_cores_send_to_the_same_workers() {
    schedules("flow: two cores send", || flow(2));
}
