//! Urgent messages that are taken out and put back.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Result, Routed, Worker};

use crate::common::{Log, URGENT, done, tight};

/// Takes a second message with the first, and puts it back when an urgent one has come.
struct Fickle(Log);

impl Worker for Fickle {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0.lock().push(*msg);
        if *msg == 1 {
            let second = ctx.receive::<u64>().await?;
            ctx.sleep(Duration::from_millis(1)).await;
            ctx.put_back(second);
        }
        Ok(())
    }
}

/// G15: what is put back is before the others of its kind, and behind what is urgent.
#[test]
fn g15_a_message_that_is_put_back_stays_behind_urgent_ones() {
    let report = Sim::new(1).run(async move |ctx: Context| {
        let log = Log::default();
        ctx.start_worker("fickle", Fickle(Arc::clone(&log))).await?;
        for number in 1..=3u64 {
            ctx.send_message("fickle", number).await?;
        }
        ctx.sleep(Duration::from_micros(100)).await;
        for number in 0..2u64 {
            ctx.send_urgent("fickle", URGENT + number).await?;
        }
        ctx.sleep(Duration::from_millis(9)).await;
        assert_eq!(*log.lock(), [1, URGENT, URGENT + 1, 2, 3]);
        ctx.stop().await
    });
    done(report);
}

/// Takes the second message while it has the first, and puts it back; answers the others.
struct Undecided {
    log: Log,
    is_first: bool,
}

impl Worker for Undecided {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.log.lock().push(*msg);
        if std::mem::take(&mut self.is_first) {
            ctx.sleep(Duration::from_millis(1)).await;
            let second = ctx.receive::<u64>().await?;
            ctx.put_back(second);
            return Ok(());
        }
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// G15: an urgent message that is put back is the first of its kind again, request or not, however far it came, and waits
/// for none that is not urgent.
#[test]
fn g15_an_urgent_message_that_is_put_back_is_the_next() {
    for (seed, overflow) in (0..20).flat_map(|seed| [(seed, false), (seed, true)]) {
        let mut limits = tight();
        limits.mailbox_credits = if overflow { 1 } else { limits.mailbox_credits };
        let sim = Sim::new(seed).cores(2).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            let log = Log::default();
            let undecided = Undecided {
                log: Arc::clone(&log),
                is_first: true,
            };
            let other = usize::from(ctx.core() == 0);
            let core = if seed % 2 == 0 { ctx.core() } else { other };
            ctx.start_worker_on(core, "undecided", undecided).await?;
            ctx.send_urgent("undecided", URGENT).await?;
            let asked = ctx.detached()?;
            ctx.spawn(async move {
                let answer = asked.request::<u64>("undecided", URGENT + 1).urgent().await;
                assert_eq!(answer.unwrap(), URGENT + 1);
            });
            ctx.yield_now().await;
            ctx.send_urgent("undecided", URGENT + 2).await?;
            ctx.send_message("undecided", 1u64).await?;
            ctx.sleep(Duration::from_millis(9)).await;
            let numbers = [URGENT, URGENT + 1, URGENT + 2, 1];
            assert_eq!(*log.lock(), numbers, "seed {seed}");
            ctx.stop().await
        });
        done(report);
    }
}
