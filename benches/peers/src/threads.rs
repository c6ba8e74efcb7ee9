//! The workloads that plain threads can do over a channel: those of two cores. Generic over whose
//! channel.

use std::hint::spin_loop;
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use ringpost_benches::Measured;

use crate::peer::{MAILBOX, Outcome, PAUSE, Task, Workload};

/// Somebody's bounded channel between threads.
pub trait ThreadChannel: 'static {
    type Sender<T: Send + 'static>: Send + 'static;
    type Receiver<T: Send + 'static>: Send + 'static;

    fn bounded<T: Send + 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>);
    /// Blocks while there is no room.
    fn send<T: Send + 'static>(to: &mut Self::Sender<T>, value: T);
    /// Blocks while there is nothing.
    fn receive<T: Send + 'static>(from: &mut Self::Receiver<T>) -> T;
    fn try_receive<T: Send + 'static>(from: &mut Self::Receiver<T>) -> Option<T>;
}

pub fn run<C: ThreadChannel>(task: &Task) -> Outcome {
    if task.cores() != 2 {
        return task.dash("threads on one core measure the system's scheduler");
    }
    let (n, here, there) = (task.n, task.cpus[0], task.cpus[1]);
    Ok(match task.workload {
        Workload::OneWay => one_way::<C>(n, here, there),
        Workload::PingPong => ping_pong::<C>(n, here, there, C::receive),
        Workload::AwakePingPong => ping_pong::<C>(n, here, there, spin::<C>),
        Workload::Parked => parked::<C>(n, here, there),
        _ => return task.dash("no tasks: a thread for each partner"),
    })
}

/// Runs the partner on its CPU, and then the driver on the other one.
pub fn pair<T: Send + 'static, P: Send + 'static>(
    here: CoreId,
    there: CoreId,
    driver: impl FnOnce() -> T + Send + 'static,
    partner: impl FnOnce() -> P + Send + 'static,
) -> (T, P) {
    let pinned = |cpu: CoreId| move || core_affinity::set_for_current(cpu);
    let (pin_here, pin_there) = (pinned(here), pinned(there));
    let partner = thread::spawn(move || {
        pin_there();
        partner()
    });
    let driver = thread::spawn(move || {
        pin_here();
        driver()
    });
    let driver = driver.join().expect("the driver ends");
    (driver, partner.join().expect("the partner ends"))
}

fn one_way<C: ThreadChannel>(n: u64, here: CoreId, there: CoreId) -> Measured {
    let (mut sender, mut receiver) = C::bounded::<u64>(MAILBOX);
    let produce = move || (0..n).for_each(|number| C::send(&mut sender, number));
    let count = move || {
        let start = Instant::now();
        for number in 0..n {
            assert_eq!(C::receive(&mut receiver), number);
        }
        start.elapsed()
    };
    let (took, ()) = pair(here, there, count, produce);
    Measured::new(took, n)
}

/// Both sides wait for the next message by `receive`.
fn ping_pong<C: ThreadChannel>(
    n: u64,
    here: CoreId,
    there: CoreId,
    receive: impl Fn(&mut C::Receiver<u64>) -> u64 + Copy + Send + 'static,
) -> Measured {
    let (mut ping, mut pinged) = C::bounded::<u64>(MAILBOX);
    let (mut pong, mut ponged) = C::bounded::<u64>(MAILBOX);
    let ponger = move || {
        for _ in 0..n {
            let number = receive(&mut pinged);
            C::send(&mut pong, number);
        }
    };
    let pinger = move || {
        let start = Instant::now();
        for number in 0..n {
            C::send(&mut ping, number);
            assert_eq!(receive(&mut ponged), number);
        }
        start.elapsed()
    };
    let (took, ()) = pair(here, there, pinger, ponger);
    Measured::new(took, n)
}

/// Asks again and again.
fn spin<C: ThreadChannel>(from: &mut C::Receiver<u64>) -> u64 {
    loop {
        if let Some(number) = C::try_receive(from) {
            return number;
        }
        spin_loop();
    }
}

fn parked<C: ThreadChannel>(n: u64, here: CoreId, there: CoreId) -> Measured {
    let (mut ping, mut pinged) = C::bounded::<Instant>(MAILBOX);
    let (mut pong, mut ponged) = C::bounded::<Instant>(MAILBOX);
    let ponger = move || {
        let mut took = Duration::ZERO;
        for _ in 0..n {
            took += C::receive(&mut pinged).elapsed();
            thread::sleep(PAUSE);
            C::send(&mut pong, Instant::now());
        }
        took
    };
    let pinger = move || {
        let mut took = Duration::ZERO;
        for _ in 0..n {
            thread::sleep(PAUSE);
            C::send(&mut ping, Instant::now());
            took += C::receive(&mut ponged).elapsed();
        }
        took
    };
    let (one, other) = pair(here, there, pinger, ponger);
    Measured::new(one + other, n)
}
