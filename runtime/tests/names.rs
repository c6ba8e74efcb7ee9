//! Who has a name, and from when: starts elsewhere than at the name's home, that are refused, fail, meet
//! each other, or that nobody waits for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Error, ErrorKind, Reason, Result, Routed, Worker};
use ringpost_mailbox::sync::Mutex;

/// Replies with its number, or panics when it is told to.
struct Numbered(u64);

impl Worker for Numbered {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        assert!(*msg != 13, "asked to");
        ctx.send_message(msg.reply(), self.0).await
    }
}

/// Runs the program on three cores, in many orders.
fn on_three_cores<F>(main: F)
where
    F: AsyncFnOnce(Context) -> Result<()> + Clone + Send + 'static,
{
    for seed in 0..32 {
        let report = Sim::new(seed).cores(3).run(main.clone());
        let sent = report
            .stats
            .total(|core| core.sent_local + core.sent_remote);
        let ended = report.stats.total(|core| core.handled) + report.stats.undelivered_total();
        let late = report.stats.undelivered(Reason::LateReply);
        assert_eq!(sent, ended - late, "seed {seed}: {:#?}", report.stats);
        if let Err(error) = report.output {
            panic!("seed {seed}: {error}");
        }
    }
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A core that is not the home of this name.
fn away_from(ctx: &Context, name: &str) -> usize {
    (ctx.home(name) + 1) % ctx.cores()
}

fn is_taken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::AlreadyExists { .. })
}

/// Polls both until both are done.
async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut done_a, mut done_b) = (None, None);
    poll_fn(move |polling| {
        if done_a.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(polling)
        {
            done_a = Some(output);
        }
        if done_b.is_none()
            && let Poll::Ready(output) = b.as_mut().poll(polling)
        {
            done_b = Some(output);
        }
        match (done_a.is_some(), done_b.is_some()) {
            (true, true) => Poll::Ready(done_a.take().zip(done_b.take())),
            _ => Poll::Pending,
        }
    })
    .await
    .expect("both are done")
}

/// Polls a future so many times, with all others between, then drops it.
async fn cancelled<F: Future>(future: F, polls: usize) {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |polling| {
        if left == 0 || future.as_mut().poll(polling).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        polling.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Asks for the number at this name 30 times, from this core; each answer must be `number`.
async fn asks(ctx: &Context, core: usize, name: &'static str, number: u64) -> Result<()> {
    let ask = async move |ctx: Context| {
        for _ in 0..30 {
            assert_eq!(ctx.request::<u64>(name, 0u64).await?, number);
            ctx.yield_now().await;
        }
        Ok::<_, Error>(())
    };
    ctx.handle().run_on(core, ask).await?
}

/// Must never be given a name: it notes that it was called.
#[derive(Clone)]
struct Impostor(Arc<Mutex<u32>>);

impl Worker for Impostor {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, _ctx: &mut Context) -> Result<()> {
        *self.0.lock() += 1;
        Ok(())
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        *self.0.lock() += 1;
        ctx.send_message(msg.reply(), 666u64).await
    }
}

#[test]
fn nobody_answers_to_a_name_that_is_refused() {
    on_three_cores(async |ctx: Context| {
        let impostor = Impostor(Arc::default());
        let handle = ctx.handle();
        for name in NAMES {
            let there = away_from(&ctx, name);
            ctx.start_worker(name, Numbered(1)).await?;
            let placed = async {
                for _ in 0..3 {
                    let start = ctx.start_worker_on(there, name, impostor.clone()).await;
                    assert!(is_taken(&start.unwrap_err()));
                }
            };
            both(placed, asks(&ctx, there, name, 1)).await.1?;
            let replicated = async {
                let build = impostor.clone();
                let start = ctx.start_replicated(name, move || build.clone()).await;
                assert!(is_taken(&start.unwrap_err()));
            };
            both(replicated, asks(&ctx, there, name, 1)).await.1?;
            let detached = handle.run_on(there, async move |ctx: Context| {
                for _ in 0..3 {
                    assert!(is_taken(&ctx.new_detached(name).await.unwrap_err()));
                }
            });
            both(detached, asks(&ctx, there, name, 1)).await.1?;
        }
        assert_eq!(*impostor.0.lock(), 0, "nobody was called");
        ctx.stop().await
    });
}

/// Takes its time to start, then adds what it gets to its log, or refuses to start.
struct Slow {
    log: Arc<Mutex<Vec<u64>>>,
    pause: Duration,
    refuses: bool,
}

impl Slow {
    fn new(pause: Duration) -> Self {
        Self {
            log: Arc::default(),
            pause,
            refuses: false,
        }
    }
}

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(self.pause).await;
        match self.refuses {
            true => Err(Error::other("refuses to start")),
            false => Ok(()),
        }
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.log.lock().push(*msg);
        ctx.send_message(msg.reply(), *msg).await
    }
}

/// Asks the name from every core while it is being started; how many were answered.
async fn ask_meanwhile(ctx: &Context, name: &'static str) -> Result<usize> {
    ctx.sleep(Duration::from_micros(100)).await;
    let mut answered = 0;
    for core in 0..ctx.cores() {
        let ask = async move |ctx: Context| ctx.request::<u64>(name, core as u64).await;
        match ctx.handle().run_on(core, ask).await? {
            Ok(number) => {
                assert_eq!(number, core as u64);
                answered += 1;
            }
            Err(error) => {
                let gone = matches!(
                    error.kind(),
                    ErrorKind::NotFound { .. } | ErrorKind::Dropped { .. }
                );
                assert!(gone, "{error}");
            }
        }
    }
    Ok(answered)
}

#[test]
fn messages_to_a_name_that_is_being_placed_wait_for_its_start() {
    on_three_cores(async |ctx: Context| {
        for (name, refuses) in [("a", false), ("b", true), ("c", false), ("d", true)] {
            let slow = Slow {
                refuses,
                ..Slow::new(SHORT)
            };
            let start = ctx.start_worker_on(away_from(&ctx, name), name, slow);
            let (started, answered) = both(start, ask_meanwhile(&ctx, name)).await;
            assert_eq!(started.is_err(), refuses);
            if refuses {
                assert_eq!(started.unwrap_err().to_string(), "refuses to start");
                assert_eq!(answered?, 0);
                ctx.start_worker(name, Numbered(1)).await?;
                assert_eq!(ctx.request::<u64>(name, 0u64).await?, 1);
            } else {
                assert_eq!(answered?, ctx.cores());
            }
        }
        ctx.stop().await
    });
}

/// G1: also while the name is being given to a worker on another core.
#[test]
fn a_start_elsewhere_keeps_the_order_of_a_senders_messages() {
    on_three_cores(async |ctx: Context| {
        let handle = ctx.handle();
        for name in NAMES {
            let there = away_from(&ctx, name);
            let slow = Slow::new(SHORT);
            let log = Arc::clone(&slow.log);
            let send = handle.run_on(there, async move |ctx: Context| {
                for number in 0..60u64 {
                    // Before the name is claimed it is not found.
                    let _ = ctx.send_message(name, number).await;
                    if number % 4 == 0 {
                        ctx.yield_now().await;
                    }
                }
            });
            let (started, sent) = both(ctx.start_worker_on(there, name, slow), send).await;
            started?;
            sent?;
            ctx.stop_worker(name).await?;
            let log = log.lock();
            assert!(log.is_sorted(), "{log:?}");
        }
        ctx.stop().await
    });
}

#[test]
fn a_start_that_nobody_waits_for_leaves_no_name_reserved() {
    on_three_cores(async |ctx: Context| {
        for polls in 0..8 {
            for name in NAMES {
                let there = away_from(&ctx, name);
                let placed = ctx.start_worker_on(there, name, Numbered(1));
                cancelled(placed, polls).await;
                stop_if_up(&ctx, name).await;
                is_free(&ctx, name).await?;
                let replicated = ctx.start_replicated(name, || Numbered(1));
                cancelled(replicated, polls).await;
                stop_if_up(&ctx, name).await;
                is_free(&ctx, name).await?;
                let detached = async move |ctx: Context| {
                    cancelled(ctx.new_detached(name), polls).await;
                };
                ctx.handle().run_on(there, detached).await?;
                is_free(&ctx, name).await?;
            }
        }
        ctx.stop().await
    });
}

/// Waits until a start is through, and stops its worker.
async fn stop_if_up(ctx: &Context, name: &'static str) {
    ctx.sleep(Duration::from_millis(1)).await;
    // There is nothing to stop if the start was given up before it had begun.
    let _ = ctx.stop_worker(name).await;
}

/// Waits for what is still going on, then has another worker answer to the name on every core.
async fn is_free(ctx: &Context, name: &'static str) -> Result<()> {
    ctx.sleep(Duration::from_millis(1)).await;
    ctx.start_worker(name, Numbered(2)).await?;
    for core in 0..ctx.cores() {
        let ask = async move |ctx: Context| ctx.request::<u64>(name, 0u64).await;
        assert_eq!(ctx.handle().run_on(core, ask).await??, 2);
    }
    ctx.stop_worker(name).await
}

#[test]
fn a_name_is_free_when_whoever_had_it_elsewhere_has_ended() {
    on_three_cores(async |ctx: Context| {
        for name in NAMES {
            let there = away_from(&ctx, name);
            ctx.start_worker_on(there, name, Numbered(1)).await?;
            ctx.send_message(name, 13u64).await?;
            ctx.sleep(Duration::from_millis(1)).await;
            is_free(&ctx, name).await?;
            ctx.start_replicated(name, || Numbered(1)).await?;
            let home = ctx.home(name);
            let panics = async move |ctx: Context| ctx.send_message(name, 13u64).await;
            ctx.handle().run_on(home, panics).await??;
            ctx.sleep(Duration::from_millis(1)).await;
            is_free(&ctx, name).await?;
        }
        ctx.stop().await
    });
}

#[test]
fn a_replicated_start_that_fails_leaves_no_instance() {
    on_three_cores(async |ctx: Context| {
        for name in NAMES {
            for refusing in 0..ctx.cores() {
                let start = ctx
                    .start_replicated(name, move || RefusesOn(refusing))
                    .await;
                assert_eq!(start.unwrap_err().to_string(), "refuses to start");
                is_free(&ctx, name).await?;
            }
        }
        ctx.stop().await
    });
}

/// Refuses to start on one core.
struct RefusesOn(usize);

impl Worker for RefusesOn {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        match ctx.core() == self.0 {
            true => Err(Error::other("refuses to start")),
            false => Ok(()),
        }
    }
}

#[test]
fn of_two_starts_at_one_name_one_succeeds() {
    on_three_cores(async |ctx: Context| {
        for name in NAMES {
            for core in 0..ctx.cores() {
                let placed = ctx.start_worker_on(core, name, Numbered(1));
                let replicated = ctx.start_replicated(name, || Numbered(1));
                let (placed, replicated) = both(placed, replicated).await;
                assert!(
                    placed.is_ok() != replicated.is_ok(),
                    "{placed:?} {replicated:?}"
                );
                assert!(is_taken(&placed.and(replicated).unwrap_err()));
                asks(&ctx, core, name, 1).await?;
                ctx.stop_worker(name).await?;
            }
        }
        ctx.stop().await
    });
}

#[test]
fn a_start_that_is_given_up_does_not_harm_the_next() {
    on_three_cores(async |ctx: Context| {
        for name in NAMES {
            for core in 0..ctx.cores() {
                let again = async {
                    let placed = || ctx.start_worker_on(core, name, Numbered(1));
                    while placed().await.is_err() {
                        ctx.yield_now().await;
                    }
                    asks(&ctx, core, name, 1).await
                };
                let fails = ctx.start_replicated(name, move || RefusesOn(core));
                let (failed, asked) = both(fails, again).await;
                assert!(failed.is_err());
                asked?;
                ctx.stop_worker(name).await?;
            }
        }
        ctx.stop().await
    });
}

#[test]
fn a_placed_worker_can_be_stopped_while_it_starts() {
    on_three_cores(async |ctx: Context| {
        for name in NAMES {
            for pause in [SHORT, LONG] {
                let there = away_from(&ctx, name);
                let stop = async {
                    ctx.sleep(Duration::from_micros(100)).await;
                    ctx.stop_worker(name).await
                };
                let start = ctx.start_worker_on(there, name, Slow::new(pause));
                let (started, stopped) = both(start, stop).await;
                stopped?;
                assert_eq!(started.is_ok(), pause == SHORT);
                // What never comes up is cut short there too, when its time is over.
                ctx.sleep(ringpost::DRAIN_TIMEOUT).await;
                is_free(&ctx, name).await?;
            }
        }
        ctx.stop().await
    });
}

#[test]
fn a_placed_worker_that_is_stopped_at_once_handles_no_more() {
    on_three_cores(async |ctx: Context| {
        for name in NAMES {
            let there = away_from(&ctx, name);
            let handled = Arc::default();
            let sleepy = Sleepy(Arc::clone(&handled));
            ctx.start_worker_on(there, name, sleepy).await?;
            for number in 0..5u64 {
                ctx.send_message(name, number).await?;
            }
            ctx.sleep(SHORT).await;
            ctx.stop_worker_now(name).await?;
            assert_eq!(*handled.lock(), 0);
            is_free(&ctx, name).await?;
        }
        ctx.stop().await
    });
}

/// Takes 100 milliseconds for each message, and counts those it is done with.
struct Sleepy(Arc<Mutex<u32>>);

impl Worker for Sleepy {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_millis(100)).await;
        *self.0.lock() += 1;
        Ok(())
    }
}

/// Ends when it is told to.
struct Mortal;

impl Worker for Mortal {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        ctx.stop_worker(ctx.address()).await
    }
}

#[test]
fn an_instance_that_stops_itself_stops_them_all() {
    on_three_cores(async |ctx: Context| {
        for name in NAMES {
            for core in 0..ctx.cores() {
                ctx.start_replicated(name, || Mortal).await?;
                let tell = async move |ctx: Context| ctx.send_message(name, 0u64).await;
                ctx.handle().run_on(core, tell).await??;
                ctx.sleep(SHORT).await;
                is_free(&ctx, name).await?;
            }
        }
        ctx.stop().await
    });
}

#[test]
fn a_context_that_is_dropped_frees_its_name_for_the_next() {
    on_three_cores(async |ctx: Context| {
        for name in NAMES {
            for number in 0..4u64 {
                let mut side = ctx.new_detached(name).await?;
                ctx.send_message(name, number).await?;
                assert_eq!(*side.receive::<u64>().await?, number);
            }
        }
        ctx.stop().await
    });
}
