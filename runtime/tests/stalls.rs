//! Handlers that hold their core are named (G7), and calls that block have threads of their own.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, ErrorKind, Node, NodeBuilder, Result, Routed, Stall, Supervision, Worker};
use ringpost_mailbox::sync::Mutex;

/// A node that tells of stalls, and what it tells.
fn watched(after: Duration) -> (NodeBuilder, Receiver<Stall>) {
    let (tell, told) = channel();
    let hook = move |stall: &Stall| {
        // The test may have seen enough.
        let _ = tell.send(stall.clone());
    };
    let node = Node::builder().cores(1).stall_after(after);
    (node.on_stall(hook), told)
}

/// Holds its core until it is told that it does, so often.
struct Holder {
    told: Receiver<Stall>,
    times: usize,
}

impl Worker for Holder {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let mut seen = VecDeque::new();
        while seen.len() < self.times {
            let stall = self.told.recv().map_err(ringpost::Error::other)?;
            // The machine may have kept the node's start waiting too.
            if stall.worker == Some(ctx.address()) {
                seen.push_back(stall);
            }
        }
        assert!(seen.iter().all(|stall| stall.core == 0));
        assert!(seen.iter().is_sorted_by_key(|stall| stall.held));
        let text = seen[0].to_string();
        let (worker, message) = (seen[0].worker_type, seen[0].message_type);
        ctx.send_message(msg.reply(), format!("{text} | {worker} | {message}"))
            .await
    }
}

/// G7: while a handler holds its core, it is named, with its types and for how long; twice as long, again.
#[test]
fn g7_a_handler_that_holds_its_core_is_named() -> Result<()> {
    let (node, told) = watched(Duration::from_millis(10));
    let node = node.start()?;
    let holder = Holder { told, times: 2 };
    node.handle()
        .start_worker_blocking("a-holder-with-a-long-name", move || holder)?;
    let text: String = node
        .handle()
        .request_blocking("a-holder-with-a-long-name", 1u64)?;
    for part in [
        "a-holder-with-a-long-name",
        "Holder",
        "u64",
        "has held core 0 for",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(node.handle().stats().total(|core| core.stalls) >= 2);
    node.stop()
}

/// Holds its core when it starts, or when it ends, until it is told that it does.
struct Slow {
    told: Receiver<Stall>,
    at_start: bool,
}

impl Slow {
    fn hold(&self, ctx: &Context) {
        while let Ok(stall) = self.told.recv() {
            if stall.worker == Some(ctx.address()) && stall.worker_type.contains("Slow") {
                return;
            }
        }
        panic!("nobody tells");
    }
}

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        if self.at_start {
            self.hold(ctx);
        }
        Ok(())
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        if !self.at_start {
            self.hold(ctx);
        }
        Ok(())
    }
}

/// G7: so is a worker that holds it in `initialize` or `shutdown`.
#[test]
fn a_worker_that_holds_its_core_when_it_starts_or_ends_is_named() -> Result<()> {
    for at_start in [true, false] {
        let (node, told) = watched(Duration::from_millis(10));
        node.run(async move |ctx: Context| {
            ctx.start_worker("slow", Slow { told, at_start }).await?;
            ctx.stop_worker("slow").await?;
            ctx.stop().await
        })?;
    }
    Ok(())
}

/// G7: a worker that is supervised, placed or replicated is named by its own type, too.
#[test]
fn a_worker_is_named_by_its_own_type_however_it_was_started() -> Result<()> {
    /// Of a type with an argument.
    struct Sure<T>(Mutex<Option<Receiver<Stall>>>, std::marker::PhantomData<T>);

    impl<T: 'static> Worker for Sure<T> {
        type Message = u64;
        type Context = Context;

        async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
            let told = self.0.lock().take().expect("once");
            let mut all = told.iter();
            let stall = all.find(|stall| stall.worker == Some(ctx.address()));
            let name = stall.map(|stall| stall.worker_type.to_owned());
            ctx.send_message(msg.reply(), name.unwrap_or_default())
                .await
        }
    }

    for is_supervised in [true, false] {
        let (node, told) = watched(Duration::from_millis(10));
        let told = Arc::new(Mutex::new(Some(told)));
        node.run(async move |ctx: Context| {
            let build = move || {
                let told = told.lock().take();
                Sure::<(u8, Vec<u16>)>(Mutex::new(told), std::marker::PhantomData)
            };
            match is_supervised {
                true => {
                    let terms = Supervision::transient();
                    ctx.start_supervised("sure", terms, build).await?;
                }
                false => ctx.start_replicated("sure", build).await?,
            }
            let name: String = ctx.request("sure", 1u64).await?;
            assert!(name.starts_with("stalls::"), "{name}");
            assert!(name.ends_with("Sure<(u8, alloc::vec::Vec<u16>)>"), "{name}");
            ctx.stop().await
        })?;
    }
    Ok(())
}

/// Counts to a thousand in one handler, and yields after each number.
struct Counter(Arc<Mutex<u64>>);

impl Worker for Counter {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for number in 1..=1_000 {
            *self.0.lock() = number;
            ctx.yield_now().await;
        }
        ctx.send_message(msg.reply(), 0u64).await
    }
}

/// Answers with the number that has been counted to.
struct Reader(Arc<Mutex<u64>>);

impl Worker for Reader {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let number = *self.0.lock();
        ctx.send_message(msg.reply(), number).await
    }
}

/// G7: others have their turn each time a long handler yields, after no more than a few of its own.
#[test]
fn a_handler_that_yields_lets_others_have_their_turns() {
    for seed in 0..10 {
        let report = Sim::new(seed).run(async |ctx: Context| {
            let count = Arc::new(Mutex::new(0));
            ctx.start_worker("counter", Counter(Arc::clone(&count)))
                .await?;
            ctx.start_worker("reader", Reader(count)).await?;
            ctx.send_message("counter", 0u64).await?;
            let mut last = 0;
            for _ in 0..100 {
                let number = ctx.request::<u64>("reader", 0u64).await?;
                assert!(
                    number - last <= 8,
                    "from {last} to {number} between two requests"
                );
                last = number;
            }
            assert!(last > 0);
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

/// A spawned future has no name, and is told of too.
#[test]
fn a_future_that_holds_its_core_is_told_of() -> Result<()> {
    let (node, told) = watched(Duration::from_millis(10));
    node.run(async move |ctx: Context| {
        ctx.spawn(async move { while told.recv().is_ok_and(|stall| stall.worker.is_some()) {} });
        ctx.yield_now().await;
        ctx.yield_now().await;
        ctx.stop().await
    })
}

/// Workers that come and go while the watchdog looks all the time: what it sees are workers, and nothing is freed
/// under its eyes (under the address sanitizer, this fails if it is).
#[test]
fn workers_end_while_they_are_looked_at() -> Result<()> {
    let (node, told) = watched(Duration::from_millis(1));
    node.run(async move |ctx: Context| {
        for round in 0..3_000u64 {
            let name = format!("a worker that comes and goes again, number {round}");
            let (sender, told) = channel();
            drop(sender);
            ctx.start_worker(name.as_str(), Holder { told, times: 0 })
                .await?;
            ctx.stop_worker(name.as_str()).await?;
        }
        for stall in told.try_iter() {
            let name = stall.worker.map(|worker| worker.to_string());
            assert!(name.is_none_or(|name| name.contains("comes and goes")));
        }
        ctx.stop().await
    })
}

#[test]
fn a_call_that_blocks_gives_its_result_and_its_panic() -> Result<()> {
    Node::builder().cores(1).run(async |ctx: Context| {
        let sum: u64 = ctx.spawn_blocking(|| (1..=10).sum()).await?;
        assert_eq!(sum, 55);
        let panics = || -> u64 { panic!("on purpose") };
        let error = ctx.spawn_blocking(panics).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Panicked { message, .. } if message == "on purpose"),
            "{error}"
        );
        assert_eq!(ctx.spawn_blocking(|| 7).await?, 7, "the thread lives on");
        ctx.stop().await
    })
}

/// The threads are not pinned, though they are wanted by one that is.
#[test]
fn calls_that_block_may_run_on_every_cpu() -> Result<()> {
    let cpus = || core_affinity::get_core_ids().map_or(0, |cpus| cpus.len());
    let all = cpus();
    Node::builder()
        .cores(1)
        .pin(true)
        .run(async move |ctx: Context| {
            assert_eq!(ctx.spawn_blocking(cpus).await?, all);
            ctx.stop().await
        })
}

/// So many threads at the most; who comes later waits, and the core goes on.
#[test]
fn the_threads_and_the_queue_are_bounded() -> Result<()> {
    let mut limits = ringpost::Limits::default();
    limits.blocking_threads = 2;
    limits.blocking_queue = 3;
    Node::builder()
        .cores(1)
        .limits(limits)
        .run(async |ctx: Context| {
            let (open, gate): (Sender<()>, _) = channel();
            let (gate, running) = (Arc::new(Mutex::new(gate)), Arc::new(Mutex::new((0, 0))));
            let results = Arc::new(Mutex::new(0));
            for _ in 0..20 {
                let asking = ctx.detached()?;
                let (gate, running, results) = (
                    Arc::clone(&gate),
                    Arc::clone(&running),
                    Arc::clone(&results),
                );
                ctx.spawn(async move {
                    let call = move || {
                        {
                            let (now, most) = &mut *running.lock();
                            *now += 1;
                            *most = (*now).max(*most);
                        }
                        let _ = gate.lock().recv();
                    };
                    let count = asking.spawn_blocking(call).await;
                    *results.lock() += usize::from(count.is_ok());
                });
            }
            // The core does other things meanwhile.
            while *results.lock() == 0 && running.lock().0 < 2 {
                ctx.yield_now().await;
            }
            assert_eq!(*results.lock(), 0);
            assert_eq!(running.lock().0, 2, "the others wait");
            for _ in 0..20 {
                open.send(()).map_err(ringpost::Error::other)?;
            }
            while *results.lock() < 20 {
                ctx.yield_now().await;
            }
            ctx.stop().await
        })
}

/// A call that nobody waits for any more is not made, if it has not begun.
#[test]
fn a_call_that_is_given_up_is_not_made() -> Result<()> {
    let mut limits = ringpost::Limits::default();
    limits.blocking_threads = 1;
    Node::builder()
        .cores(1)
        .limits(limits)
        .run(async |ctx: Context| {
            let (free, blocked): (Sender<()>, Receiver<()>) = channel();
            let begun = Arc::new(Barrier::new(2));
            let there = Arc::clone(&begun);
            let asking = ctx.detached()?;
            ctx.spawn(async move {
                let first = asking.spawn_blocking(move || {
                    there.wait();
                    blocked.recv().is_ok()
                });
                assert!(first.await.is_ok_and(|freed| freed));
            });
            ctx.yield_now().await;
            begun.wait();
            let made = Arc::new(Mutex::new(false));
            let note = Arc::clone(&made);
            {
                let mut second = pin!(ctx.spawn_blocking(move || *note.lock() = true));
                let polled = poll_fn(|polling| Poll::Ready(second.as_mut().poll(polling))).await;
                assert!(polled.is_pending(), "there is one thread, and it is busy");
            }
            free.send(()).map_err(ringpost::Error::other)?;
            assert_eq!(ctx.spawn_blocking(|| 7).await?, 7);
            assert!(!*made.lock());
            ctx.stop().await
        })
}

/// In a simulation there are no threads: a call is made at once.
#[test]
fn in_a_simulation_calls_are_made_where_they_stand() {
    let report = Sim::new(1).cores(2).run(async |ctx: Context| {
        let here = std::thread::current().id();
        let there = ctx.spawn_blocking(|| std::thread::current().id()).await?;
        assert_eq!(here, there);
        ctx.stop().await
    });
    report.output.unwrap();
    assert_eq!(report.elapsed, Duration::ZERO);
}
