//! The workloads on plain tasks of tokio that talk over channels: the hand-written alternative to an
//! actor library, in the form that tokio's own tutorial teaches. Generic over whose channels.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringpost_benches::Measured;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::busy;
use crate::cores::{Cores, Flavor};
use crate::dice::Dice;
use crate::peer::{BURST, MAILBOX, MEMBERS, Outcome, PAUSE, PLAYERS, PRODUCERS, Task, Workload};

/// Somebody's bounded channels.
pub trait Channel: 'static {
    type Sender<T: Send + 'static>: Clone + Send + Sync + 'static;
    type Receiver<T: Send + 'static>: Send + 'static;

    fn bounded<T: Send + 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>);

    /// Waits for room.
    fn send<T: Send + 'static>(to: &Self::Sender<T>, value: T) -> impl Future<Output = ()> + Send;

    /// `None` when all senders are gone.
    fn receive<T: Send + 'static>(
        from: &mut Self::Receiver<T>,
    ) -> impl Future<Output = Option<T>> + Send;

    fn try_receive<T: Send + 'static>(from: &mut Self::Receiver<T>) -> Option<T>;
}

pub fn run<C: Channel>(task: &Task, flavor: Flavor) -> Outcome {
    flavor.check(task)?;
    let cores = Arc::new(Cores::start(flavor, &task.cpus));
    let (here, n) = (Arc::clone(&cores), task.n);
    Ok(match task.workload {
        Workload::OneWay => cores.run(fan_in::<C>(here, n, 1)),
        Workload::FanIn => cores.run(fan_in::<C>(here, n, PRODUCERS)),
        Workload::PingPong => cores.run(ping_pong::<C>(here, n)),
        Workload::AwakePingPong => cores.run(busy::ping_pong::<C>(here, n)),
        Workload::Parked => cores.run(parked::<C>(here, n)),
        Workload::Request => cores.run(requests::<C>(here, n)),
        Workload::AwakeRequest => cores.run(busy::requests::<C>(here, n)),
        Workload::Big => cores.run(big::<C>(here, n)),
        Workload::ThreadRing => cores.run(thread_ring::<C>(here, n)),
        Workload::Create => cores.run(create::<C>(here, n)),
        Workload::Lives => cores.run(lives::<C>(here, n)),
    })
}

async fn fan_in<C: Channel>(cores: Arc<Cores>, n: u64, producers: u64) -> Measured {
    let each = n.div_ceil(producers);
    let total = each * producers;
    let (sender, mut receiver) = C::bounded::<u64>(MAILBOX);
    let counter = cores.at(0).spawn(async move {
        let mut count = 0;
        while C::receive(&mut receiver).await.is_some() {
            count += 1;
        }
        count
    });
    let start = Instant::now();
    for number in 0..producers as usize {
        let sender = sender.clone();
        cores.elsewhere(number).spawn(async move {
            for message in 0..each {
                C::send(&sender, message).await;
            }
        });
    }
    drop(sender);
    let count: u64 = counter.await.expect("the counter ends");
    let took = start.elapsed();
    assert_eq!(count, total);
    Measured::new(took, total)
}

async fn ping_pong<C: Channel>(cores: Arc<Cores>, n: u64) -> Measured {
    let (there, mut there_end) = C::bounded::<u64>(MAILBOX);
    let (back, mut back_end) = C::bounded::<u64>(MAILBOX);
    cores.elsewhere(0).spawn(async move {
        while let Some(number) = C::receive(&mut there_end).await {
            C::send(&back, number).await;
        }
    });
    let pinger = cores.at(0).spawn(async move {
        let start = Instant::now();
        for number in 0..n {
            C::send(&there, number).await;
            assert_eq!(C::receive(&mut back_end).await, Some(number));
        }
        start.elapsed()
    });
    Measured::new(pinger.await.expect("the pinger ends"), n)
}

async fn parked<C: Channel>(cores: Arc<Cores>, n: u64) -> Measured {
    let (there, mut there_end) = C::bounded::<Instant>(MAILBOX);
    let (back, mut back_end) = C::bounded::<Instant>(MAILBOX);
    let ponger = cores.elsewhere(0).spawn(async move {
        let mut took = Duration::ZERO;
        while let Some(sent) = C::receive(&mut there_end).await {
            took += sent.elapsed();
            sleep(PAUSE).await;
            C::send(&back, Instant::now()).await;
        }
        took
    });
    let pinger = cores.at(0).spawn(async move {
        let mut took = Duration::ZERO;
        for _ in 0..n {
            sleep(PAUSE).await;
            C::send(&there, Instant::now()).await;
            let sent = C::receive(&mut back_end).await.expect("the ponger answers");
            took += sent.elapsed();
        }
        took
    });
    let took = pinger.await.expect("the pinger ends") + ponger.await.expect("the ponger ends");
    Measured::new(took, n)
}

async fn requests<C: Channel>(cores: Arc<Cores>, n: u64) -> Measured {
    let (sender, mut receiver) = C::bounded::<(u64, oneshot::Sender<u64>)>(MAILBOX);
    cores.elsewhere(0).spawn(async move {
        while let Some((number, reply)) = C::receive(&mut receiver).await {
            reply.send(number).expect("the client waits");
        }
    });
    let client = cores.at(0).spawn(async move {
        let start = Instant::now();
        for number in 0..n {
            let (reply, answer) = oneshot::channel();
            C::send(&sender, (number, reply)).await;
            assert_eq!(answer.await, Ok(number));
        }
        start.elapsed()
    });
    Measured::new(client.await.expect("the client ends"), n)
}

enum Word {
    Ping { from: usize },
    Pong,
    End,
}

async fn big<C: Channel>(cores: Arc<Cores>, n: u64) -> Measured {
    let pings = n.div_ceil(2 * PLAYERS);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..PLAYERS).map(|_| C::bounded::<Word>(MAILBOX)).unzip();
    let senders: Arc<[C::Sender<Word>]> = senders.into();
    let (done, mut all_done) = C::bounded::<()>(MAILBOX);
    let start = Instant::now();
    for (number, receiver) in receivers.into_iter().enumerate() {
        let player = play::<C>(number, pings, Arc::clone(&senders), receiver, done.clone());
        cores.at(number).spawn(player);
    }
    for _ in 0..PLAYERS {
        C::receive(&mut all_done).await.expect("the players report");
    }
    let took = start.elapsed();
    for sender in senders.iter() {
        C::send(sender, Word::End).await;
    }
    Measured::new(took, 2 * pings * PLAYERS)
}

async fn play<C: Channel>(
    me: usize,
    pings: u64,
    others: Arc<[C::Sender<Word>]>,
    mut mine: C::Receiver<Word>,
    done: C::Sender<()>,
) {
    let mut dice = Dice::new(me as u64 + 1);
    let mut left = pings;
    let ping = Word::Ping { from: me };
    C::send(&others[dice.below(others.len())], ping).await;
    while let Some(word) = C::receive(&mut mine).await {
        match word {
            Word::Ping { from } => C::send(&others[from], Word::Pong).await,
            Word::End => return,
            Word::Pong => {
                left -= 1;
                if left == 0 {
                    C::send(&done, ()).await;
                } else {
                    let ping = Word::Ping { from: me };
                    C::send(&others[dice.below(others.len())], ping).await;
                }
            }
        }
    }
}

async fn thread_ring<C: Channel>(cores: Arc<Cores>, n: u64) -> Measured {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..MEMBERS).map(|_| C::bounded::<u64>(MAILBOX)).unzip();
    let (done, mut at_end) = C::bounded::<()>(1);
    for (number, mut receiver) in receivers.into_iter().enumerate() {
        let next = senders[(number + 1) % senders.len()].clone();
        let done = done.clone();
        cores.at(number).spawn(async move {
            while let Some(left) = C::receive(&mut receiver).await {
                match left {
                    0 => C::send(&done, ()).await,
                    _ => C::send(&next, left - 1).await,
                }
            }
        });
    }
    let start = Instant::now();
    C::send(&senders[0], n).await;
    C::receive(&mut at_end).await.expect("the token arrives");
    Measured::new(start.elapsed(), n + 1)
}

async fn create<C: Channel>(cores: Arc<Cores>, n: u64) -> Measured {
    let (done, mut all_done) = C::bounded::<f64>(MAILBOX);
    let joiner = cores.at(0).spawn(async move {
        let mut sum = 0.0;
        for _ in 0..n {
            sum += C::receive(&mut all_done).await.expect("the forks report");
        }
        sum
    });
    let start = Instant::now();
    for number in 0..n {
        let (sender, mut receiver) = C::bounded::<u64>(16);
        let done = done.clone();
        cores.at(number as usize).spawn(async move {
            let number = C::receive(&mut receiver).await.expect("a message");
            C::send(&done, (number as f64).sin()).await;
        });
        C::send(&sender, number).await;
        if number % BURST == 0 {
            yield_now().await;
        }
    }
    let sum: f64 = joiner.await.expect("the joiner ends");
    let took = start.elapsed();
    assert!(sum.is_finite());
    Measured::new(took, n)
}

async fn lives<C: Channel>(cores: Arc<Cores>, n: u64) -> Measured {
    let start = Instant::now();
    for number in 0..n {
        let (sender, mut receiver) = C::bounded::<u64>(16);
        let life = cores.elsewhere(0).spawn(async move {
            let mut seen = 0;
            while let Some(number) = C::receive(&mut receiver).await {
                seen += number;
            }
            seen
        });
        C::send(&sender, number).await;
        drop(sender);
        assert_eq!(life.await.ok(), Some(number));
    }
    Measured::new(start.elapsed(), n)
}
