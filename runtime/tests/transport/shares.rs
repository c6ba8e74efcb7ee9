//! Connections that all send as much as they can to one worker.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Network, Sim};

use ringpost::{Context, Limits, Result, Routed, TcpListenerOptions, TcpTransport, Worker};
use ringpost_mailbox::sync::Mutex;

use crate::common::{SERVER, connected, to};

const CLIENTS: u64 = 6;

/// Notes who has sent what it handles.
struct Sink(Arc<Mutex<Vec<u64>>>);

impl Worker for Sink {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0.lock().push(*msg);
        Ok(())
    }
}

/// For each client how many of so many messages are its own, and the most of others between two of those.
fn shares(seed: u64, count: usize) -> Vec<(usize, usize)> {
    let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
    let sink = Arc::clone(&seen);
    let network = Network::new().latency(Duration::from_micros(20), Duration::from_micros(60));
    let mut sim = Sim::new(seed).network(network).node("server", 2);
    sim = sim.main("server", async move |ctx: Context| {
        ctx.start_worker("sink", Sink(Arc::clone(&sink))).await?;
        let tcp = TcpTransport::create(&ctx).await?;
        tcp.listen(SERVER, TcpListenerOptions::new().expose("sink"))
            .await?;
        Ok(())
    });
    for client in 0..CLIENTS {
        let name = format!("client {client}");
        let flood = async move |ctx: Context| {
            let _tcp = connected(&ctx, SERVER).await?;
            loop {
                ctx.send_message(to(SERVER, "sink"), client).await?;
            }
        };
        sim = sim.node(&*name, 1).main(&name, flood);
    }
    let sim = sim.drain(Duration::ZERO).on_undelivered(|_| {});
    let watched = Arc::clone(&seen);
    let report = sim.run(async move |ctx: Context| {
        while watched.lock().len() < count {
            ctx.sleep(Duration::from_micros(50)).await;
        }
        Ok(())
    });
    report
        .output
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let seen = seen.lock();
    let share = |client| {
        let its = (0..).zip(seen.iter()).filter(|(_, from)| **from == client);
        let mut at: Vec<usize> = its.map(|(at, _)| at).collect();
        let count = at.len();
        at.push(seen.len());
        let gaps = at.windows(2).map(|pair| pair[1] - pair[0]);
        (count, gaps.max().unwrap_or_default())
    };
    (0..CLIENTS).map(share).collect()
}

/// Nobody waits for more than three windows of each of the others.
#[test]
fn g7_floods_of_equals_have_equal_shares() {
    const ALL: usize = 100_000;
    let window = Limits::default().mailbox_credits as usize;
    for seed in 0..2 {
        let shares = shares(seed, ALL);
        let equal = ALL / CLIENTS as usize;
        for (count, gap) in &shares {
            assert!(*count > equal * 8 / 10, "seed {seed}: {shares:?}");
            let others = CLIENTS as usize - 1;
            assert!(*gap <= others * 3 * window, "seed {seed}: {shares:?}");
        }
    }
}
