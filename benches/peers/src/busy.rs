//! Tasks on two cores that never sleep while they wait: the fastest that can be written by hand, at the
//! price of both cores.

use std::sync::Arc;
use std::time::Instant;

use ringpost_benches::Measured;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::cores::Cores;
use crate::peer::MAILBOX;
use crate::tasks::Channel;

/// Ping-pong of tasks that ask for the next message again and again, letting others run in between.
pub async fn ping_pong<C: Channel>(cores: Arc<Cores>, n: u64) -> Measured {
    let (there, mut there_end) = C::bounded::<u64>(MAILBOX);
    let (back, mut back_end) = C::bounded::<u64>(MAILBOX);
    let ponger = cores.elsewhere(0).spawn(async move {
        for _ in 0..n {
            let number = poll::<C, _>(&mut there_end).await;
            C::send(&back, number).await;
        }
    });
    let pinger = cores.at(0).spawn(async move {
        let start = Instant::now();
        for number in 0..n {
            C::send(&there, number).await;
            assert_eq!(poll::<C, _>(&mut back_end).await, number);
        }
        start.elapsed()
    });
    let took = pinger.await.expect("the pinger ends");
    ponger.await.expect("the ponger ends");
    Measured::new(took, n)
}

/// Requests of tasks that ask for what they wait for again and again, letting others run in between.
pub async fn requests<C: Channel>(cores: Arc<Cores>, n: u64) -> Measured {
    let (sender, mut receiver) = C::bounded::<(u64, oneshot::Sender<u64>)>(MAILBOX);
    let server = cores.elsewhere(0).spawn(async move {
        for _ in 0..n {
            let (number, reply) = poll::<C, _>(&mut receiver).await;
            reply.send(number).expect("the client waits");
        }
    });
    let client = cores.at(0).spawn(async move {
        let start = Instant::now();
        for number in 0..n {
            let (reply, mut answer) = oneshot::channel();
            C::send(&sender, (number, reply)).await;
            let answer = loop {
                match answer.try_recv() {
                    Ok(answer) => break answer,
                    Err(_) => yield_now().await,
                }
            };
            assert_eq!(answer, number);
        }
        start.elapsed()
    });
    let took = client.await.expect("the client ends");
    server.await.expect("the server ends");
    Measured::new(took, n)
}

async fn poll<C: Channel, T: Send + 'static>(from: &mut C::Receiver<T>) -> T {
    loop {
        if let Some(value) = C::try_receive(from) {
            return value;
        }
        yield_now().await;
    }
}
