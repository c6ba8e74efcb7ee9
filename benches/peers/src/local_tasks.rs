//! The workloads of one core on plain tasks that never leave it, over channels that need no atomics:
//! the hand-written alternative on a thread-per-core runtime. Generic over whose runtime.

use std::rc::Rc;
use std::time::Instant;

use ringpost_benches::Measured;
use tokio::sync::oneshot;

use crate::dice::Dice;
use crate::peer::{MAILBOX, MEMBERS, Outcome, PLAYERS, PRODUCERS, Task, Workload};

/// Somebody's tasks and local channels.
pub trait LocalRuntime: 'static {
    type Sender<T: 'static>: Clone + 'static;
    type Receiver<T: 'static>: 'static;

    fn bounded<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>);

    /// Waits for room.
    fn send<T: 'static>(to: &Self::Sender<T>, value: T) -> impl Future<Output = ()>;

    /// `None` when all senders are gone.
    fn receive<T: 'static>(from: &mut Self::Receiver<T>) -> impl Future<Output = Option<T>>;

    /// Runs a task whose outcome is awaited.
    fn spawn<T: 'static>(
        task: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> + 'static;

    /// Runs a task that nobody waits for.
    fn launch(task: impl Future<Output = ()> + 'static);
}

/// Does a task of one core on the running runtime.
pub async fn run<R: LocalRuntime>(task: Task) -> Outcome {
    let n = task.n;
    Ok(match task.workload {
        Workload::OneWay => fan_in::<R>(n, 1).await,
        Workload::FanIn => fan_in::<R>(n, PRODUCERS).await,
        Workload::PingPong | Workload::AwakePingPong => ping_pong::<R>(n).await,
        Workload::Request | Workload::AwakeRequest => requests::<R>(n).await,
        Workload::Big => big::<R>(n).await,
        Workload::ThreadRing => thread_ring::<R>(n).await,
        Workload::Create => create::<R>(n).await,
        Workload::Lives => lives::<R>(n).await,
        Workload::Parked => return task.dash("two cores only"),
    })
}

async fn fan_in<R: LocalRuntime>(n: u64, producers: u64) -> Measured {
    let each = n.div_ceil(producers);
    let (sender, mut receiver) = R::bounded::<u64>(MAILBOX);
    let start = Instant::now();
    for _ in 0..producers {
        let sender = sender.clone();
        R::launch(async move {
            for message in 0..each {
                R::send(&sender, message).await;
            }
        });
    }
    drop(sender);
    let counter = R::spawn(async move {
        let mut count = 0;
        while R::receive(&mut receiver).await.is_some() {
            count += 1;
        }
        count
    });
    let count: u64 = counter.await;
    let took = start.elapsed();
    assert_eq!(count, each * producers);
    Measured::new(took, count)
}

async fn ping_pong<R: LocalRuntime>(n: u64) -> Measured {
    let (there, mut there_end) = R::bounded::<u64>(MAILBOX);
    let (back, mut back_end) = R::bounded::<u64>(MAILBOX);
    R::launch(async move {
        while let Some(number) = R::receive(&mut there_end).await {
            R::send(&back, number).await;
        }
    });
    let pinger = R::spawn(async move {
        let start = Instant::now();
        for number in 0..n {
            R::send(&there, number).await;
            assert_eq!(R::receive(&mut back_end).await, Some(number));
        }
        start.elapsed()
    });
    Measured::new(pinger.await, n)
}

async fn requests<R: LocalRuntime>(n: u64) -> Measured {
    let (sender, mut receiver) = R::bounded::<(u64, oneshot::Sender<u64>)>(MAILBOX);
    R::launch(async move {
        while let Some((number, reply)) = R::receive(&mut receiver).await {
            reply.send(number).expect("the client waits");
        }
    });
    let client = R::spawn(async move {
        let start = Instant::now();
        for number in 0..n {
            let (reply, answer) = oneshot::channel();
            R::send(&sender, (number, reply)).await;
            assert_eq!(answer.await, Ok(number));
        }
        start.elapsed()
    });
    Measured::new(client.await, n)
}

enum Word {
    Ping { from: usize },
    Pong,
    End,
}

async fn big<R: LocalRuntime>(n: u64) -> Measured {
    let pings = n.div_ceil(2 * PLAYERS);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..PLAYERS).map(|_| R::bounded::<Word>(MAILBOX)).unzip();
    let senders: Rc<[R::Sender<Word>]> = senders.into();
    let (done, mut all_done) = R::bounded::<()>(MAILBOX);
    let start = Instant::now();
    for (number, receiver) in receivers.into_iter().enumerate() {
        let (others, done) = (Rc::clone(&senders), done.clone());
        R::launch(play::<R>(number, pings, others, receiver, done));
    }
    for _ in 0..PLAYERS {
        R::receive(&mut all_done).await.expect("the players report");
    }
    let took = start.elapsed();
    for sender in senders.iter() {
        R::send(sender, Word::End).await;
    }
    Measured::new(took, 2 * pings * PLAYERS)
}

async fn play<R: LocalRuntime>(
    me: usize,
    pings: u64,
    others: Rc<[R::Sender<Word>]>,
    mut mine: R::Receiver<Word>,
    done: R::Sender<()>,
) {
    let mut dice = Dice::new(me as u64 + 1);
    let mut left = pings;
    let ping = Word::Ping { from: me };
    R::send(&others[dice.below(others.len())], ping).await;
    while let Some(word) = R::receive(&mut mine).await {
        match word {
            Word::Ping { from } => R::send(&others[from], Word::Pong).await,
            Word::End => return,
            Word::Pong => {
                left -= 1;
                if left == 0 {
                    R::send(&done, ()).await;
                } else {
                    let ping = Word::Ping { from: me };
                    R::send(&others[dice.below(others.len())], ping).await;
                }
            }
        }
    }
}

async fn thread_ring<R: LocalRuntime>(n: u64) -> Measured {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..MEMBERS).map(|_| R::bounded::<u64>(MAILBOX)).unzip();
    let (done, mut at_end) = R::bounded::<()>(1);
    for (number, mut receiver) in receivers.into_iter().enumerate() {
        let next = senders[(number + 1) % senders.len()].clone();
        let done = done.clone();
        R::launch(async move {
            while let Some(left) = R::receive(&mut receiver).await {
                match left {
                    // The one that gets the last hop also ends the ring, by ending itself.
                    0 => return R::send(&done, ()).await,
                    _ => R::send(&next, left - 1).await,
                }
            }
        });
    }
    let start = Instant::now();
    R::send(&senders[0], n).await;
    drop(senders);
    R::receive(&mut at_end).await.expect("the token arrives");
    Measured::new(start.elapsed(), n + 1)
}

async fn create<R: LocalRuntime>(n: u64) -> Measured {
    let (done, mut all_done) = R::bounded::<f64>(MAILBOX);
    let joiner = R::spawn(async move {
        let mut sum = 0.0;
        for _ in 0..n {
            sum += R::receive(&mut all_done).await.expect("the forks report");
        }
        sum
    });
    let start = Instant::now();
    for number in 0..n {
        let (sender, mut receiver) = R::bounded::<u64>(16);
        let done = done.clone();
        R::launch(async move {
            let number = R::receive(&mut receiver).await.expect("a message");
            R::send(&done, (number as f64).sin()).await;
        });
        R::send(&sender, number).await;
    }
    let sum: f64 = joiner.await;
    let took = start.elapsed();
    assert!(sum.is_finite());
    Measured::new(took, n)
}

async fn lives<R: LocalRuntime>(n: u64) -> Measured {
    let start = Instant::now();
    for number in 0..n {
        let (sender, mut receiver) = R::bounded::<u64>(16);
        let life = R::spawn(async move {
            let mut seen = 0;
            while let Some(number) = R::receive(&mut receiver).await {
                seen += number;
            }
            seen
        });
        R::send(&sender, number).await;
        drop(sender);
        assert_eq!(life.await, number);
    }
    Measured::new(start.elapsed(), n)
}
