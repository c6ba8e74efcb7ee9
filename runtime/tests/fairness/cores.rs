//! Workers of several cores.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Limits, Node, Result, Route, Routed, Worker};
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::Ordering;

use crate::common::*;

/// Sends so many messages to each of its receivers, one after the other, in one handler.
struct Sender {
    to: Vec<Route>,
    each: u64,
    sent: Count,
}

impl Worker for Sender {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        for _ in 0..self.each {
            for route in &self.to {
                let number = self.sent.load(Ordering::Relaxed) + 1;
                ctx.send_message(route, number).await?;
                self.sent.store(number, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// G7: who sends to workers of many other cores, which have room for much more, leaves those of its own their turns.
#[test]
fn g7_a_worker_that_sends_to_many_cores_leaves_others_their_turns() {
    const CORES: usize = 8;
    for seed in 0..20 {
        let report = Sim::new(seed)
            .cores(CORES as u16)
            .run(async move |ctx: Context| {
                let each = u64::from(Limits::default().link_credits / 2);
                let (sent, handled) = (Count::default(), Count::default());
                let home = |core: usize, name: &str| {
                    let mut names = (0..).map(|tag| format!("{{{tag}}}{name}"));
                    names
                        .find(|name| ctx.home(name.as_str()) == core)
                        .expect("a name")
                };
                let mut to = Vec::new();
                for core in 1..CORES {
                    let name = home(core, "receiver");
                    ctx.start_worker(name.clone(), Greedy::new(&handled, 0))
                        .await?;
                    to.push(Route::from(name));
                }
                let here = ctx.home(ctx.address());
                let (sender, modest) = (home(here, "sender"), home(here, "modest"));
                let seen = Arc::<Mutex<Vec<Vec<u64>>>>::default();
                let greedy = vec![Arc::clone(&sent)];
                let its = Arc::clone(&seen);
                ctx.start_worker(modest.clone(), Modest { greedy, seen: its })
                    .await?;
                let worker = Sender {
                    to,
                    each,
                    sent: Arc::clone(&sent),
                };
                ctx.start_worker(sender.clone(), worker).await?;
                ctx.send_message(sender, 0u64).await?;
                ctx.send_message(modest, 0u64).await?;
                ctx.sleep(Duration::from_millis(1)).await;
                let seen = seen.lock()[0][0];
                let limits = Limits::default();
                // What it has published, and a batch for each core that it has not.
                let most = limits.worker_burst + limits.flush_slots * CORES as u32;
                let most = u64::from(most);
                assert!(
                    (1..=most).contains(&seen),
                    "seed {seed}: {seen} before the next"
                );
                assert_eq!(sent.load(Ordering::Relaxed), each * (CORES as u64 - 1));
                ctx.stop().await
            });
        done(report);
    }
}

/// G7: what each handler sends is its own: none waits for what the ones before it in the same turn have sent.
#[test]
fn g7_who_sends_little_to_other_cores_waits_for_nobody() {
    const MESSAGES: u64 = 16;
    for seed in 0..20 {
        let report = Sim::new(seed).cores(3).run(async move |ctx: Context| {
            let handled = Count::default();
            let here = ctx.home(ctx.address());
            let mut to = Vec::new();
            for core in (0..3).filter(|core| *core != here) {
                let name = format!("receiver-{core}");
                ctx.start_worker_on(core, name.as_str(), Greedy::new(&handled, 0))
                    .await?;
                to.push(Route::from(name));
            }
            let (each, sent) = (20, Count::default());
            let counted = Arc::clone(&sent);
            let sender = Sender {
                to,
                each,
                sent: counted,
            };
            ctx.start_worker_on(here, "sender", sender).await?;
            for _ in 0..MESSAGES {
                ctx.send_message("sender", 0u64).await?;
            }
            ctx.sleep(Duration::from_millis(1)).await;
            assert_eq!(sent.load(Ordering::Relaxed), 2 * each * MESSAGES);
            ctx.stop().await
        });
        // A start or a stop may have waited.
        let blocked = report.stats.total(|core| core.senders_blocked);
        assert!(blocked < MESSAGES / 4, "seed {seed}: {blocked}");
        done(report);
    }
}

/// Notes whose number came.
struct Listing(Arc<Mutex<Vec<u64>>>);

impl Worker for Listing {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0.lock().push(*msg);
        Ok(())
    }
}

/// Sends its number to the worker `listing`, as often as it is told to.
struct Numbered(u64);

impl Worker for Numbered {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let listing = Route::from("listing");
        for _ in 0..*msg {
            ctx.send_message(&listing, self.0).await?;
        }
        Ok(())
    }
}

/// G7: who waits for room of a worker on another core, with others who send on and on, waits for shares of theirs.
#[test]
fn g7_who_waits_for_a_worker_of_another_core_waits_for_shares_of_the_others() {
    // All of their shares are more than there are credits, so there is always somebody who waits.
    const SENDERS: u64 = 24;
    const EACH: u64 = 3_000;
    for seed in 0..10 {
        let report = Sim::new(seed).cores(2).run(async move |ctx: Context| {
            let listed = Arc::default();
            let listing = Listing(Arc::clone(&listed));
            ctx.start_worker_on(0, "listing", listing).await?;
            for number in 0..SENDERS {
                let name = format!("sender-{number}");
                ctx.start_worker_on(1, name, Numbered(number)).await?;
            }
            for number in 0..SENDERS {
                ctx.send_message(format!("sender-{number}"), EACH).await?;
            }
            while listed.lock().len() < (SENDERS * EACH) as usize {
                ctx.yield_now().await;
            }
            ctx.stop().await?;
            let listed = std::mem::take(&mut *listed.lock());
            Ok(listed)
        });
        let listed = done(report);
        // From where all wait for credits, and for nothing else any more, until somebody is done.
        let last = |number| listed.iter().rposition(|it| *it == number);
        let done = (0..SENDERS).filter_map(last).min().expect("all came");
        let listed = &listed[listed.len() / 8..done];
        assert!(listed.len() > 5_000, "they sent at the same time");
        let mut since = [[0u64; SENDERS as usize]; SENDERS as usize];
        for number in listed {
            for counts in &mut since {
                counts[*number as usize] += 1;
            }
            since[*number as usize] = [0; SENDERS as usize];
            let most = since.iter().flatten().max();
            // Four shares. While the ring is full each gets room for one, and when it no longer is, who was first comes again.
            let shares = u64::from(Limits::default().link_credits / 4);
            assert!(
                most.is_some_and(|most| *most <= shares),
                "seed {seed}: {since:?}"
            );
        }
    }
}

/// Hands on whatever comes; the first of the two notes how many came at most in one turn of its core, and ends it all.
struct Ball {
    to: &'static str,
    first: bool,
    turn: u64,
    came: u64,
    most: u64,
    left: u64,
}

impl Ball {
    fn note(&mut self, ctx: &Context) {
        let turn = ctx.handle().stats().cores[ctx.core()].turns;
        let came = if turn == self.turn { self.came } else { 0 };
        (self.turn, self.came) = (turn, came + 1);
        self.most = self.most.max(self.came);
        self.left -= 1;
    }
}

impl Worker for Ball {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if self.first && self.left > 0 {
            self.note(ctx);
            if self.left == 0 {
                ctx.send_message("app", self.most).await?;
            }
        }
        ctx.send_message(self.to, *msg).await
    }
}

/// G7: what a core that listens handles between two turns counts as of the first, so that timers have their look as soon.
#[test]
fn g7_what_is_handled_between_turns_is_no_more_than_a_turn_may() {
    for balls in [7u64, 8, 16] {
        let mut limits = Limits::default();
        (limits.turn_messages, limits.worker_burst) = (8, 8);
        let node = Node::builder().cores(2).pin(false).limits(limits);
        let told = Count::default();
        let most = Arc::clone(&told);
        let played = node.run(async move |mut ctx: Context| {
            for (core, name, to) in [(0, "one", "other"), (1, "other", "one")] {
                let ball = Ball {
                    to,
                    first: core == 0,
                    turn: 0,
                    came: 0,
                    most: 0,
                    left: 20_000,
                };
                ctx.start_worker_on(core, name, ball).await?;
            }
            for ball in 0..balls {
                ctx.send_message("one", ball).await?;
            }
            told.store(ctx.receive::<u64>().await?.take(), Ordering::Relaxed);
            ctx.stop().await
        });
        played.unwrap_or_else(|error| panic!("{error}"));
        let most = most.load(Ordering::Relaxed);
        assert!(
            most < 16,
            "{most} of {balls}, but a slice is all there may be more"
        );
    }
}
