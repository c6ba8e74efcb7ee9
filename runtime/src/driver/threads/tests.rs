//! What the driver does when the operating system refuses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ringpost_mailbox::sync::Mutex;
use tracing::field::{Field, Visit};
use tracing::span;

use super::*;
use crate::context::Context;
use crate::driver::main_maker;
use crate::driver::system::Body;
use crate::error::Error;
use crate::limits::Limits;
use crate::mailbox::Stop;
use crate::node::builder::Node;
use crate::node::handle::NodeHandle;
use crate::node::shared::{Hooks, InboxItem};
use crate::routed::Routed;
use crate::worker::Worker;

/// A system that refuses: to start more than so many threads, and to pin any. Each thread that it has
/// started keeps a part of `alive` for as long as it lives, and shares the tracing of the test.
#[derive(Clone)]
struct Refusing {
    threads_max: usize,
    alive: Arc<()>,
    started: Arc<Mutex<usize>>,
    log: tracing::Dispatch,
}

impl Refusing {
    fn new(threads_max: usize, log: &Log) -> Self {
        Self {
            threads_max,
            alive: Arc::default(),
            started: Arc::default(),
            log: tracing::Dispatch::new(log.clone()),
        }
    }
}

impl System for Refusing {
    fn spawn(&self, name: String, body: Body) -> io::Result<JoinHandle<()>> {
        let mut started = self.started.lock();
        if *started == self.threads_max {
            return Err(io::Error::from(io::ErrorKind::WouldBlock));
        }
        *started += 1;
        let (alive, log) = (Arc::clone(&self.alive), self.log.clone());
        let body = move || {
            tracing::dispatcher::with_default(&log, body);
            drop(alive);
        };
        Os.spawn(name, Box::new(body))
    }

    fn pin(&self, _cpu: CoreId) -> bool {
        false
    }
}

/// Longer than any test takes.
const STALL: Duration = Duration::from_secs(600);

/// Keeps the text of every warning.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().push(text.0);
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

fn plan() -> Plan {
    Plan {
        id: crate::node::builder::next_node_id(),
        limits: Limits::default(),
        drain: crate::DRAIN_TIMEOUT,
        seed: 7,
        hooks: Hooks::default(),
    }
}

fn pinned_to(cpus: usize) -> CorePlan {
    CorePlan {
        loops: (0..cpus).map(|id| Some(CoreId { id })).collect(),
        spin: false,
    }
}

#[test]
fn a_thread_that_cannot_be_started_leaves_no_other_behind() {
    for refused in 0..4 {
        let system = Refusing::new(refused, &Log::default());
        let ran = Arc::new(Mutex::new(false));
        let note = Arc::clone(&ran);
        let (main, result) = main_maker(async move |_: Context| {
            *note.lock() = true;
            Ok(())
        });
        let error = start_on(&system, plan(), pinned_to(4), STALL, Some(main)).err();
        let text = error.expect("a thread was refused").to_string();
        assert!(
            text.contains(&format!("no thread for core {refused} of 4")),
            "{text}"
        );
        assert!(text.contains("ask for fewer cores"), "{text}");
        assert_eq!(*system.started.lock(), refused);
        // Each has let go of what it held, and was joined.
        assert_eq!(Arc::strong_count(&system.alive), 1);
        assert_eq!(Arc::strong_count(&ran), 1, "the main function was dropped");
        assert!(!*ran.lock() && result.lock().is_none());
    }
}

struct Echo;

impl Worker for Echo {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

#[test]
fn a_core_that_may_not_be_pinned_works_unpinned_and_says_so() {
    let log = Log::default();
    let system = Refusing::new(usize::MAX, &log);
    let threads =
        start_on(&system, plan(), pinned_to(3), STALL, None).expect("threads are allowed");
    let handle = NodeHandle::new(Arc::clone(&threads.node));
    for number in 0..12u64 {
        let name = format!("echo-{number}");
        handle
            .start_worker_blocking(name.as_str(), || Echo)
            .unwrap();
        let reply: u64 = handle.request_blocking(name.as_str(), number).unwrap();
        assert_eq!(reply, number);
    }
    handle.begin_stop(Stop::Drain);
    threads.join();
    assert_eq!(Arc::strong_count(&system.alive), 1);
    let refused: Vec<_> = handle
        .stats()
        .cores
        .iter()
        .map(|core| core.pins_refused)
        .collect();
    assert_eq!(refused, [1, 1, 1]);
    let mut warnings = log.0.lock().clone();
    warnings.sort();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for (core, warning) in warnings.iter().enumerate() {
        assert!(warning.contains("refused to pin"), "{warning}");
        assert!(
            warning.contains(&format!("core={core} cpu={core}")),
            "{warning}"
        );
    }
}

#[test]
fn a_node_that_cannot_watch_for_signals_says_so_and_runs() {
    let log = Log::default();
    let warned = log.clone();
    let main = async move |ctx: Context| {
        // The warning comes while the node runs.
        for _ in 0..10_000 {
            if !warned.0.lock().is_empty() {
                return ctx.stop().await;
            }
            ctx.sleep(Duration::from_millis(1)).await;
        }
        Err(Error::other("no warning"))
    };
    let refused = |_| Err::<(), _>(io::Error::from(io::ErrorKind::PermissionDenied));
    let outcome = tracing::subscriber::with_default(log.clone(), || {
        Node::builder().cores(1).run_with(main, refused)
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    let warnings = log.0.lock().clone();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("signals will not stop"),
        "{warnings:?}"
    );
}

#[test]
fn a_call_that_blocks_fails_where_the_system_has_no_thread_for_it() {
    // One for the core, and one for the helper.
    let system = Refusing::new(2, &Log::default());
    let mut plan = plan();
    plan.limits.blocking_queue = 1;
    let cores = CorePlan {
        loops: vec![None],
        spin: false,
    };
    let threads = start_on(&system, plan, cores, STALL, None).expect("threads are allowed");
    let handle = NodeHandle::new(Arc::clone(&threads.node));
    for _ in 0..3 {
        let call = async |ctx: Context| ctx.spawn_blocking(|| 7).await;
        let outcome = pollster::block_on(handle.run_on(0, call)).expect("the core runs");
        let error = outcome.expect_err("there is no thread").to_string();
        assert!(error.contains("no thread for a blocking call"), "{error}");
    }
    handle
        .start_worker_blocking("echo", || Echo)
        .expect("the core goes on");
    assert_eq!(handle.request_blocking::<u64>("echo", 5u64).unwrap(), 5);
    handle.begin_stop(Stop::Drain);
    threads.join();
    assert_eq!(Arc::strong_count(&system.alive), 1);
}

/// G8: work that came while a core slept, and that nobody told it of, is counted when it is found; what was there before,
/// or was told of, is not.
#[test]
fn g8_work_that_is_found_after_a_timeout_is_counted() {
    let clock = Clock::start();
    let (bell, kernel) = bell_and_kernel(&clock).expect("there is a poll");
    let (other, _) = bell_and_kernel(&clock).expect("there is another");
    let (node, mut seeds) = assemble(plan(), vec![bell, other]);
    let seed = seeds.remove(0);
    let network = Network::System(kernel.registry);
    let (mut shard, mut parker) = Shard::new(seed, clock.now(), network);
    let core = &node.cores[0];
    let publish = || {
        let item = InboxItem::Connect { from: 1 };
        assert!(core.inbox.push(item).is_ok(), "there is a place");
    };
    let mut sleep_for = |is_told: bool, before: u32, during: u32| {
        (0..before).for_each(|_| publish());
        let woken = sleep(&mut shard, &mut parker, |_| {
            (0..during).for_each(|_| publish());
            if is_told {
                core.ring_bell();
            }
        });
        while shard.turn(clock.now()) == Turn::Busy {}
        (woken, shard.core.tally().found_after_timeout.value())
    };
    assert_eq!(sleep_for(false, 0, 0), (false, 0), "there was nothing");
    assert_eq!(sleep_for(false, 1, 0), (false, 0), "it did not sleep");
    assert_eq!(sleep_for(true, 0, 1), (true, 0), "it was told");
    assert_eq!(sleep_for(false, 0, 1), (false, 1), "it was not");
}

/// Begins this and has it end, told the time by hand: how long after its begin that was. The clock is read when all is done that
/// could be, `late` after the reading that this knew.
fn ends_after(
    late: Duration,
    main: impl AsyncFnOnce(Context) -> Result<()> + Send + 'static,
) -> Duration {
    let clock = Clock::start();
    let (bell, kernel) = bell_and_kernel(&clock).expect("there is a poll");
    let mut plan = plan();
    plan.drain = SHORT;
    let (_, mut seeds) = assemble(plan, vec![bell]);
    let network = Network::System(kernel.registry);
    let begin = clock.now();
    let (mut shard, _) = Shard::new(seeds.remove(0), begin, network);
    let (main, result) = main_maker(main);
    let main = main(&shard.core);
    shard.spawn_main(main);
    while shard.turn(begin) == Turn::Busy {}
    let mut now = begin.saturating_add(late);
    loop {
        let turn = shard.turn(now);
        if result.lock().is_some() || turn == Turn::Over {
            break;
        }
        if turn == Turn::Idle
            && let Some(deadline) = shard.settle(now)
            && !shard.has_arrivals()
        {
            now = deadline;
        }
    }
    let read = begin.saturating_add(late);
    now.saturating_since(read)
}

/// What each of the waits of these tests lasts, and about how much later it may end: a tick of the timers.
const SHORT: Duration = Duration::from_millis(4);
const TICK: Duration = Duration::from_nanos(1 << 17);

/// Takes a message and does not come to an end with it.
struct Stuck;

impl Worker for Stuck {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _: &mut Context, _: Routed<u64>) -> Result<()> {
        std::future::pending().await
    }
}

/// Whoever begins to wait while handlers take long knows an old time: the wait lasts all the same.
#[test]
fn no_wait_is_over_early_where_the_clock_was_read_long_ago() {
    for late in [Duration::ZERO, SHORT / 2, SHORT * 50] {
        let check = |what, lasted: Duration| {
            assert!(
                (SHORT..SHORT + TICK).contains(&lasted),
                "{what}, {late:?}: {lasted:?}"
            );
        };
        check(
            "a sleep",
            ends_after(late, async |ctx: Context| {
                ctx.sleep(SHORT).await;
                Ok(())
            }),
        );
        check(
            "a receive",
            ends_after(late, async |mut ctx: Context| {
                let nothing = ctx.receive_timeout::<u64>(SHORT).await;
                assert!(nothing.is_err(), "nobody sends");
                Ok(())
            }),
        );
        check(
            "a request",
            ends_after(late, async |ctx: Context| {
                ctx.start_worker("stuck", Stuck).await?;
                let request = ctx.request::<u64>("stuck", 1u64).within(SHORT);
                assert!(request.await.is_err(), "nobody answers");
                Ok(())
            }),
        );
        check(
            "the end of a node",
            ends_after(late, async |ctx: Context| {
                ctx.stop().await?;
                std::future::pending().await
            }),
        );
        check(
            "a drain",
            ends_after(late, async |ctx: Context| {
                ctx.start_worker("stuck", Stuck).await?;
                ctx.send_message("stuck", 1u64).await?;
                ctx.yield_now().await;
                ctx.stop_worker("stuck").await
            }),
        );
    }
}
