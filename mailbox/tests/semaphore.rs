//! The semaphore against a model of it, its futures dropped at every stage, and real threads.

#![cfg(not(loom))]

mod support;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Weak;
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;
use ringpost_mailbox::semaphore::{Acquiring, Closed, Semaphore};
use ringpost_mailbox::sync::atomic::{AtomicU32, Relaxed};
use ringpost_mailbox::sync::{Arc, thread};
use support::panics;

/// Counts how often it is woken.
#[derive(Debug, Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Relaxed: read on the same thread.
        self.0.fetch_add(1, Relaxed);
    }
}

impl Bell {
    fn count(&self) -> u32 {
        // Relaxed: written on the same thread.
        self.0.load(Relaxed)
    }
}

type Waiting<'a> = Pin<Box<Acquiring<'a>>>;

fn poll(acquire: &mut Waiting<'_>, bell: &Arc<Bell>) -> Poll<Result<(), Closed>> {
    acquire
        .as_mut()
        .poll(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
}

#[derive(Clone, Copy, Debug)]
enum Op {
    TryAcquire,
    Wait,
    Poll(usize),
    Leave(usize),
    Release(u32),
    Close,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        2 => Just(Op::TryAcquire),
        6 => Just(Op::Wait),
        4 => (0..8_usize).prop_map(Op::Poll),
        3 => (0..8_usize).prop_map(Op::Leave),
        4 => (0..4_u32).prop_map(Op::Release),
        1 => Just(Op::Close),
    ];
    proptest::collection::vec(op, 0..48)
}

/// A future that waits, its bell, and what the model says of it.
struct Waiter<'a> {
    acquire: Waiting<'a>,
    bell: Arc<Bell>,
    is_granted: bool,
}

/// The permits that are free, and those who wait in the order they came, granted or not.
struct Model<'a> {
    semaphore: &'a Semaphore,
    free: u32,
    is_closed: bool,
    waiters: VecDeque<Waiter<'a>>,
}

impl<'a> Model<'a> {
    fn step(&mut self, op: Op) {
        match op {
            Op::TryAcquire => {
                let taken = self.semaphore.try_acquire();
                assert_eq!(taken, self.free > 0 && !self.is_closed);
                self.free -= u32::from(taken);
            }
            Op::Wait => self.wait(),
            Op::Poll(at) if at < self.waiters.len() => self.poll(at),
            Op::Leave(at) => {
                if self
                    .waiters
                    .remove(at)
                    .is_some_and(|waiter| waiter.is_granted)
                {
                    self.grant(1);
                }
            }
            Op::Poll(_) => {}
            Op::Release(n) => {
                self.semaphore.release(n);
                self.grant(n);
            }
            Op::Close => {
                self.semaphore.close();
                self.is_closed = true;
            }
        }
        self.compare();
    }

    fn wait(&mut self) {
        let (mut acquire, bell) = (Box::pin(self.semaphore.acquire()), Arc::default());
        match poll(&mut acquire, &bell) {
            Poll::Ready(Err(Closed)) => assert!(self.is_closed),
            Poll::Ready(Ok(())) => {
                assert!(self.free > 0 && !self.is_closed);
                self.free -= 1;
            }
            Poll::Pending => {
                assert!(self.free == 0 && !self.is_closed);
                self.waiters.push_back(Waiter {
                    acquire,
                    bell,
                    is_granted: false,
                });
            }
        }
    }

    fn poll(&mut self, at: usize) {
        let waiter = &mut self.waiters[at];
        waiter.bell = Arc::default();
        let expected = match (waiter.is_granted, self.is_closed) {
            (true, _) => Poll::Ready(Ok(())),
            (false, true) => Poll::Ready(Err(Closed)),
            (false, false) => Poll::Pending,
        };
        assert_eq!(poll(&mut waiter.acquire, &waiter.bell), expected);
        if expected.is_ready() {
            self.waiters.remove(at);
        }
    }

    /// Permits go to the oldest who wait, unless the semaphore was closed before.
    fn grant(&mut self, mut n: u32) {
        for waiter in &mut self.waiters {
            if n > 0 && !waiter.is_granted && !self.is_closed {
                waiter.is_granted = true;
                n -= 1;
            }
        }
        self.free += n;
    }

    fn compare(&self) {
        assert_eq!(self.semaphore.available(), u64::from(self.free));
        assert_eq!(self.semaphore.is_closed(), self.is_closed);
        for waiter in &self.waiters {
            assert!(waiter.bell.count() <= 1);
        }
    }
}

proptest! {
    #[test]
    fn permits_are_neither_lost_nor_made_and_go_to_the_oldest(ops in ops(), permits in 0..3_u32) {
        let semaphore = Semaphore::new(permits);
        let mut model = Model {
            semaphore: &semaphore,
            free: permits,
            is_closed: false,
            waiters: VecDeque::new(),
        };
        ops.into_iter().for_each(|op| model.step(op));
        let (free, waiters) = (model.free, model.waiters);
        let granted = waiters.iter().filter(|waiter| waiter.is_granted).count();
        drop(waiters);
        prop_assert_eq!(semaphore.available(), u64::from(free) + granted as u64);
    }
}

#[test]
fn a_grant_wakes_and_a_dropped_grant_wakes_the_next() {
    let semaphore = Semaphore::new(0);
    let (mut first, mut second) = (Box::pin(semaphore.acquire()), Box::pin(semaphore.acquire()));
    let (bell_1, bell_2) = (Arc::default(), Arc::default());
    assert!(poll(&mut first, &bell_1).is_pending());
    assert!(poll(&mut second, &bell_2).is_pending());
    semaphore.release(1);
    assert_eq!((bell_1.count(), bell_2.count()), (1, 0));
    drop(first);
    assert_eq!(bell_2.count(), 1);
    assert_eq!(poll(&mut second, &bell_2), Poll::Ready(Ok(())));
    assert_eq!(semaphore.available(), 0);
}

#[test]
fn closing_wakes_all_who_wait() {
    let semaphore = Semaphore::new(0);
    let bell: Arc<Bell> = Arc::default();
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(semaphore.acquire())).collect();
    waiting
        .iter_mut()
        .for_each(|acquire| assert!(poll(acquire, &bell).is_pending()));
    semaphore.close();
    assert_eq!(bell.count(), 3);
    for mut acquire in waiting {
        assert_eq!(poll(&mut acquire, &bell), Poll::Ready(Err(Closed)));
    }
}

/// Uses the semaphore when woken and when dropped, which a lock held around wakers would not
/// survive.
struct Meddler(Weak<Semaphore>);

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Meddler {
    fn drop(&mut self) {
        if let Some(semaphore) = self.0.upgrade() {
            semaphore.release(0);
            let _ = pin!(semaphore.acquire()).poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

#[test]
fn wakers_may_use_the_semaphore() {
    let semaphore = Arc::new(Semaphore::new(0));
    let meddler = || Waker::from(Arc::new(Meddler(Arc::downgrade(&semaphore))));
    let mut acquire = Box::pin(semaphore.acquire());
    for _ in 0..2 {
        // The second poll drops the first waker.
        assert!(
            acquire
                .as_mut()
                .poll(&mut Context::from_waker(&meddler()))
                .is_pending()
        );
    }
    drop(acquire);
    let mut acquire = Box::pin(semaphore.acquire());
    assert!(
        acquire
            .as_mut()
            .poll(&mut Context::from_waker(&meddler()))
            .is_pending()
    );
    semaphore.release(1);
    assert!(
        acquire
            .as_mut()
            .poll(&mut Context::from_waker(&meddler()))
            .is_ready()
    );
}

struct Explosive;

impl Wake for Explosive {
    fn wake(self: Arc<Self>) {
        panic!("the waker panics, as wanted");
    }
}

#[test]
fn a_waker_that_panics_costs_the_others_nothing() {
    let semaphore = Semaphore::new(0);
    let (mut first, mut second) = (Box::pin(semaphore.acquire()), Box::pin(semaphore.acquire()));
    let explosive = Waker::from(Arc::new(Explosive));
    assert!(
        first
            .as_mut()
            .poll(&mut Context::from_waker(&explosive))
            .is_pending()
    );
    let bell = Arc::default();
    assert!(poll(&mut second, &bell).is_pending());
    assert!(panics(|| semaphore.release(2)));
    assert_eq!(bell.count(), 1);
    assert!(poll(&mut first, &bell).is_ready() && poll(&mut second, &bell).is_ready());
}

#[test]
fn all_can_be_printed() {
    let semaphore = Semaphore::new(2);
    assert_eq!(
        format!("{semaphore:?}"),
        "Semaphore { available: 2, closed: false }"
    );
    assert!(format!("{:?}", semaphore.acquire()).contains("ticket: None"));
    assert!(Closed.to_string().contains("closed"));
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn permits_bound_the_holders_between_threads() {
    const PERMITS: u32 = 2;
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let held: Arc<AtomicU32> = Arc::default();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (semaphore, held) = (Arc::clone(&semaphore), Arc::clone(&held));
            thread::spawn(move || {
                for _ in 0..5_000 {
                    block_on(semaphore.acquire()).unwrap();
                    // Relaxed, both: one word, compared with a bound.
                    assert!(held.fetch_add(1, Relaxed) < PERMITS);
                    held.fetch_sub(1, Relaxed);
                    semaphore.release(1);
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(semaphore.available(), u64::from(PERMITS));
}
