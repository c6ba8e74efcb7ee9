//! One message at a time (G6), whatever a handler waits for, and whatever comes meanwhile.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Error, Limits, Outcome, Result, Routed, Supervision, Worker};
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

/// What is seen of a worker and of those that come after it. All is relaxed: a simulation has one thread.
#[derive(Default)]
struct Seen {
    /// Calls of the worker that have begun and not ended.
    inside: AtomicU64,
    /// How often one began before the last had ended.
    overlaps: AtomicU64,
    handled: AtomicU64,
    started: AtomicU64,
    /// How often something went on elsewhere while a handler waited.
    others: AtomicU64,
}

/// While it is there, a call of the worker has begun and not ended.
struct Call(Arc<Seen>);

impl Call {
    fn begin(seen: &Arc<Seen>) -> Self {
        if seen.inside.fetch_add(1, Ordering::Relaxed) > 0 {
            seen.overlaps.fetch_add(1, Ordering::Relaxed);
        }
        Self(Arc::clone(seen))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits in each way there is, as the number says that it gets, and may fail after that.
struct Patient(Arc<Seen>);

impl Worker for Patient {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        let _call = Call::begin(&self.0);
        self.0.started.fetch_add(1, Ordering::Relaxed);
        ctx.sleep(Duration::from_micros(20)).await;
        Ok(())
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let _call = Call::begin(&self.0);
        self.0.handled.fetch_add(1, Ordering::Relaxed);
        let short = Duration::from_micros(30);
        match *msg % 10 {
            0 => ctx.sleep(short).await,
            1 => ctx.yield_now().await,
            2 => assert_eq!(ctx.request::<u64>("echo", *msg).await?, *msg),
            3 => {
                let asked = ctx.request::<u64>("echo", *msg).urgent();
                assert_eq!(asked.await?, *msg);
            }
            4 => drop(ctx.receive_timeout::<String>(short).await),
            // It has the next message, and puts it back.
            5 => {
                if let Ok(next) = ctx.receive_timeout::<u64>(short).await {
                    ctx.sleep(short).await;
                    ctx.put_back(next);
                }
            }
            6 => ctx.send_message("narrow", *msg).await?,
            7 => drop(ctx.spawn_blocking(|| 1).await),
            8 => drop(ctx.watch("nobody").await?),
            _ => ctx.start_worker(format!("guest-{}", *msg), Echo).await?,
        }
        match *msg % 37 {
            11 => panic!("asked to"),
            13 => Err(Error::other("asked to")),
            _ => Ok(()),
        }
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        let _call = Call::begin(&self.0);
        ctx.sleep(Duration::from_micros(20)).await;
        Ok(())
    }
}

struct Echo;

impl Worker for Echo {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), *msg).await
    }
}

/// Is slow, so that there is no room at it, and notes whether a handler waits meanwhile.
struct Narrow(Arc<Seen>);

impl Worker for Narrow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        let waits = self.0.inside.load(Ordering::Relaxed);
        self.0.others.fetch_add(waits, Ordering::Relaxed);
        ctx.sleep(Duration::from_micros(50)).await;
        Ok(())
    }
}

/// Sends numbers to the patient worker, some of them urgent, from which each waits in another way.
async fn send(ctx: &Context, first: u64) -> Result<()> {
    for number in (first..first + 200).step_by(2) {
        let sent = match number % 3 {
            0 => ctx.send_urgent("patient", number).await,
            1 => ctx.send_message("patient", number).await,
            _ => ctx.handle().send_message("patient", number).await,
        };
        sent?;
        if number % 8 == 0 {
            // What is no number waits for a `receive`, or is refused.
            ctx.send_message("patient", number.to_string()).await?;
        }
    }
    Ok(())
}

/// G6: at each await, with urgent messages, with restarts, and to the end: a handler, `initialize` and `shutdown` of one
/// worker never overlap.
#[test]
fn g6_no_handler_begins_while_another_waits_whatever_for() {
    for seed in 0..30 {
        let seen = Arc::new(Seen::default());
        let notes = Arc::clone(&seen);
        let mut limits = Limits::default();
        limits.mailbox_credits = 4;
        limits.link_credits = 4;
        limits.urgent_credits = 4;
        let report = Sim::new(seed)
            .cores(3)
            .limits(limits)
            .run(async move |ctx: Context| {
                ctx.start_worker("echo", Echo).await?;
                ctx.start_worker("narrow", Narrow(Arc::clone(&notes)))
                    .await?;
                let terms = Supervision::permanent().intensity(1_000, Duration::from_secs(1));
                let build = move || Patient(Arc::clone(&notes));
                ctx.start_supervised("patient", terms, build).await?;
                let sends = |first| {
                    let core = first as usize % ctx.cores();
                    let work = async move |ctx: Context| send(&ctx, first).await;
                    let handle = ctx.handle();
                    async move { handle.run_on(core, work).await? }
                };
                let (one, two) = (ctx.detached()?, sends(1));
                let handle = one.handle();
                one.spawn(async move {
                    let work = async |ctx: Context| send(&ctx, 0).await;
                    handle.run_on(2, work).await.unwrap().unwrap();
                });
                two.await?;
                ctx.sleep(Duration::from_millis(5)).await;
                match seed % 3 {
                    0 => ctx.stop().await,
                    1 => ctx.stop_worker("patient").await,
                    _ => ctx.stop_now().await,
                }
            });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!(count(&seen.overlaps), 0, "seed {seed}");
        assert_eq!(count(&seen.inside), 0, "seed {seed}");
        assert!(count(&seen.handled) > 100, "seed {seed}");
        assert!(count(&seen.started) > 3, "seed {seed}");
        assert!(count(&seen.others) > 3, "seed {seed}");
    }
}

/// Fails at its first message, and takes a while to shut down.
struct Failing;

impl Worker for Failing {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        Err(Error::other("asked to"))
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(Duration::from_micros(10)).await;
        Ok(())
    }
}

/// Answers after a while.
struct Slow;

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_micros(50)).await;
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// G8: a handler that waits is woken, also where a worker before it in the queue has failed and waits while it shuts down.
#[test]
fn g8_who_waits_behind_one_that_ends_is_woken() {
    let report = Sim::new(1).run(async move |ctx: Context| {
        let terms = Supervision::never().on_error(Outcome::Stop);
        ctx.start_supervised("failing", terms, || Failing).await?;
        ctx.start_worker("slow", Slow).await?;
        ctx.send_message("failing", 0u64).await?;
        let asked = ctx.request::<u64>("slow", 7u64);
        assert_eq!(asked.within(Duration::from_secs(1)).await?, 7);
        ctx.stop().await
    });
    report.output.expect("the handler is woken");
}
