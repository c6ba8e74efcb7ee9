//! Starts that are made in line, within a step of who asks for them (G3, G5, G7).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Error, ErrorKind, Outcome, Result, Routed, Supervision, Worker};
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

const MOMENT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(1);

/// Runs `main` on one core with several seeds.
fn on_one_core<F>(main: F)
where
    F: AsyncFnOnce(Context) -> Result<()> + Clone + Send + 'static,
{
    for seed in 0..20 {
        let report = Sim::new(seed).run(main.clone());
        if let Err(error) = report.output {
            panic!("seed {seed}: {error}");
        }
    }
}

/// Takes a moment to begin, and one to end.
struct Slow;

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(MOMENT).await;
        Ok(())
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(MOMENT).await;
        Ok(())
    }

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        Err(Error::other(msg.to_string()))
    }
}

/// Begins at once.
struct Quick;

impl Worker for Quick {
    type Message = u64;
    type Context = Context;
}

/// Starts others when it is asked to, and in between waits.
struct Parent;

impl Worker for Parent {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for child in 0..*msg {
            let quick = ctx.start_worker(format!("quick-{child}"), Quick);
            quick.await?;
            ctx.start_worker(format!("slow-{child}"), Slow).await?;
            ctx.sleep(MOMENT).await;
        }
        ctx.send_message(msg.reply(), *msg).await
    }
}

/// Whoever is polled when a start suspends keeps the place by which it is woken.
#[test]
fn who_starts_one_that_suspends_goes_on() {
    on_one_core(async |ctx: Context| {
        for parent in 0..3 {
            ctx.start_worker(format!("parent-{parent}"), Parent).await?;
        }
        ctx.start_worker("parent", Parent).await?;
        let started: u64 = ctx.request("parent", 10u64).within(LONG).await?;
        assert_eq!(started, 10);
        ctx.stop_now().await
    });
}

/// As above, where a worker is ended after an error: others have their turns behind it in the same slice.
#[test]
fn who_suspends_behind_one_that_ends_goes_on() {
    on_one_core(async |ctx: Context| {
        let terms = Supervision::never().on_error(Outcome::Stop);
        ctx.start_supervised("slow", terms, || Slow).await?;
        ctx.start_worker("parent", Parent).await?;
        ctx.send_message("slow", 1u64).await?;
        let started: u64 = ctx.request("parent", 1u64).within(LONG).await?;
        assert_eq!(started, 1);
        ctx.stop_now().await
    });
}

/// Sends itself another message for each that it handles, and counts them.
struct Busy(Arc<AtomicU64>);

impl Worker for Busy {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        // Relaxed: all of it is on one thread.
        self.0.fetch_add(1, Ordering::Relaxed);
        ctx.send_message(ctx.address(), *msg).await
    }
}

/// Who starts many, one after the other, lets the others of its core have their turns.
#[test]
fn g7_who_starts_many_leaves_turns_to_others() {
    const STARTS: u64 = 100;
    on_one_core(async |ctx: Context| {
        let handled = Arc::new(AtomicU64::new(0));
        ctx.start_worker("busy", Busy(Arc::clone(&handled))).await?;
        ctx.send_message("busy", 0u64).await?;
        // As long as a core has work, time passes by a microsecond in many turns.
        ctx.sleep(Duration::from_micros(1)).await;
        let before = handled.load(Ordering::Relaxed);
        for number in 0..STARTS {
            ctx.start_worker(format!("quick-{number}"), Quick).await?;
        }
        let handled = handled.load(Ordering::Relaxed) - before;
        assert!(handled >= STARTS / 10, "others handled {handled} messages");
        ctx.stop_now().await
    });
}

/// Starts the next, so many times, when it begins.
struct Link(u64);

impl Worker for Link {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        match self.0.checked_sub(1) {
            Some(left) => ctx.start_worker(format!("link-{left}"), Link(left)).await,
            None => Ok(()),
        }
    }
}

/// How many start each other does not matter to the stack.
#[test]
fn starts_within_starts_take_no_stack() {
    on_one_core(async |ctx: Context| {
        ctx.start_worker("first", Link(3_000)).await?;
        ctx.stop_now().await
    });
}

/// Keeps where to answer, starts another, and fails.
struct Careless;

impl Worker for Careless {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let _kept = msg.reply();
        drop(msg);
        ctx.start_worker("quick", Quick).await?;
        Err(Error::other("careless"))
    }
}

/// What a handler has let go of before a start is known after it.
#[test]
fn g3_who_asks_one_that_starts_others_and_fails_is_told_at_once() {
    on_one_core(async |ctx: Context| {
        ctx.start_worker("careless", Careless).await?;
        let answer = ctx.request::<u64>("careless", 1u64).within(LONG).await;
        let error = answer.expect_err("nobody answers");
        assert!(matches!(error.kind(), ErrorKind::Dropped { .. }), "{error}");
        ctx.stop_now().await
    });
}

/// Asks itself by another context, behind a start.
struct Circular;

impl Worker for Circular {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let other = ctx.detached()?;
        ctx.start_worker("quick", Quick).await?;
        let asked = other.request::<u64>(ctx.address(), 1u64).await;
        let kind = asked.map_err(|error| error.kind().clone());
        let is_known = matches!(kind, Err(ErrorKind::WaitsForItself { .. }));
        ctx.send_message(msg.reply(), is_known).await
    }
}

/// Who is polled is known after a start, too.
#[test]
fn g5_nobody_waits_for_itself_behind_a_start() {
    on_one_core(async |ctx: Context| {
        ctx.start_worker("circular", Circular).await?;
        assert!(ctx.request::<bool>("circular", 1u64).within(LONG).await?);
        ctx.stop_now().await
    });
}

/// Has the one that starts it stopped when it begins.
struct Usurper;

impl Worker for Usurper {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.stop_worker_now("starter").await
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), *msg).await
    }
}

const STARTS: u64 = 1;
const STOPS_ITSELF: u64 = 2;

/// Starts one that has it stopped, or stops itself, and waits for longer than a test does.
struct Starter;

impl Worker for Starter {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match *msg {
            STOPS_ITSELF => {
                ctx.stop_worker_now(ctx.address()).await?;
                ctx.sleep(MOMENT).await;
                return ctx.send_message(msg.reply(), *msg).await;
            }
            _ => ctx.start_worker("usurper", Usurper).await?,
        }
        ctx.sleep(10 * LONG).await;
        Ok(())
    }
}

/// G9: a handler that is being polled when its worker has to stop is dropped where it suspends.
#[test]
fn g9_who_is_stopped_by_one_that_it_starts_ends_at_once() {
    on_one_core(async |ctx: Context| {
        ctx.start_worker("starter", Starter).await?;
        ctx.send_message("starter", STARTS).await?;
        ctx.sleep(5 * MOMENT).await;
        // Its address is free, and who had it stopped has begun.
        ctx.start_worker("starter", Quick).await?;
        let answer = ctx.request::<u64>("usurper", STARTS).within(MOMENT);
        assert_eq!(answer.await?, STARTS);
        ctx.stop_now().await
    });
}

/// G9: who stops itself at once ends after its handler, also where that waits first.
#[test]
fn g9_who_stops_itself_goes_on_to_the_end_of_its_handler() {
    on_one_core(async |ctx: Context| {
        ctx.start_worker("starter", Starter).await?;
        let answer = ctx.request("starter", STOPS_ITSELF).within(LONG).await;
        let answer: u64 = answer?;
        assert_eq!(answer, STOPS_ITSELF);
        ctx.stop_now().await
    });
}
