//! User code that panics where nobody calls it directly: in a future's destructor, in a predicate, in a
//! foreign waker.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context as Polling, Poll};
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{
    Context, Encoded, ErrorKind, Limits, Message, Node, Reason, Result, Routed, Worker,
};
use ringpost_mailbox::sync::Mutex;

/// A future that is ready at its n-th poll, and panics when it is dropped.
struct Bad {
    polls: u64,
}

impl Future for Bad {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Result<()>> {
        self.polls -= 1;
        if self.polls == 0 {
            return Poll::Ready(Ok(()));
        }
        polling.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        panic!("a destructor panics");
    }
}

/// Ends each message with a future that panics when it is dropped.
struct Careless;

impl Worker for Careless {
    type Message = u64;
    type Context = Context;

    fn handle_message(
        &mut self,
        _ctx: &mut Context,
        msg: Routed<u64>,
    ) -> impl Future<Output = Result<()>> {
        Bad { polls: msg.take() }
    }
}

/// G7: a handler whose destructor panics ends its worker, whether it was suspended before or not.
#[test]
fn a_destructor_that_panics_ends_its_worker_at_the_first_poll_and_later() {
    for polls in [1u64, 3] {
        let report = Sim::new(3).run(async move |ctx: Context| {
            ctx.start_worker("careless", Careless).await?;
            ctx.send_message("careless", polls).await?;
            ctx.sleep(Duration::from_millis(5)).await;
            let error = ctx.send_message("careless", polls).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::NotFound { .. }),
                "{error}"
            );
            ctx.stop().await
        });
        report.output.unwrap();
        assert_eq!(report.stats.total(|core| core.panics), 1, "{polls} polls");
    }
}

/// Panics in a function before there is a future, in the call that is named.
struct Eager(&'static str);

impl Eager {
    fn panics_in(&self, call: &str) -> impl Future<Output = Result<()>> + use<> {
        assert!(self.0 != call, "panics in {call}");
        async { Ok(()) }
    }
}

impl Worker for Eager {
    type Message = u64;
    type Context = Context;

    fn initialize(&mut self, _ctx: &mut Context) -> impl Future<Output = Result<()>> {
        self.panics_in("initialize")
    }

    fn handle_message(
        &mut self,
        _ctx: &mut Context,
        _msg: Routed<u64>,
    ) -> impl Future<Output = Result<()>> {
        self.panics_in("handle_message")
    }

    fn shutdown(&mut self, _ctx: &mut Context) -> impl Future<Output = Result<()>> {
        self.panics_in("shutdown")
    }
}

/// G7: a call that is no `async fn` may panic before it has returned its future. That costs its worker, too.
#[test]
fn g7_a_panic_where_a_future_is_made_costs_only_its_worker() {
    for call in ["initialize", "handle_message", "shutdown"] {
        let report = Sim::new(3)
            .on_undelivered(|_| {})
            .run(async move |ctx: Context| {
                let started = ctx.start_worker("eager", Eager(call)).await;
                assert_eq!(started.is_err(), call == "initialize");
                if call == "handle_message" {
                    let asked = ctx.request::<u64>("eager", 1u64).await;
                    let error = asked.expect_err("nobody answers");
                    let is_told = matches!(error.kind(), ErrorKind::Dropped { .. });
                    assert!(is_told, "{error}");
                } else if started.is_ok() {
                    ctx.stop_worker("eager").await?;
                }
                ctx.start_worker("eager", Eager("none")).await?;
                ctx.stop().await
            });
        report.output.expect("the node goes on");
        assert_eq!(report.stats.total(|core| core.panics), 1, "{call}");
        let in_hand = report.stats.undelivered(Reason::InHand);
        assert_eq!(in_hand, u64::from(call == "handle_message"));
    }
}

/// Waits for a number with a predicate that panics, and is ended by that.
struct Picky;

impl Worker for Picky {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<String>) -> Result<()> {
        let want = |number: &u64| panic!("not even {number}");
        ctx.receive_match::<u64, _>(want).await.map(drop)
    }
}

/// G3: a message at which a predicate panics is reported with the others of its worker, and so is the one in hand.
#[test]
fn a_message_at_which_a_predicate_panics_is_reported() {
    let reported = Arc::new(Mutex::new(0u64));
    let count = Arc::clone(&reported);
    let sim = Sim::new(5).on_undelivered(move |_| {
        *count.lock() += 1;
    });
    let report = sim.run(async |ctx: Context| {
        ctx.start_worker("picky", Picky).await?;
        ctx.send_message("picky", "begin".to_owned()).await?;
        // It is decoded, and so taken out of the mailbox, for the predicate to look at.
        ctx.send_message("picky", Encoded::decode(&1u64.to_le_bytes())?)
            .await?;
        ctx.send_message("picky", 2u64).await?;
        ctx.sleep(Duration::from_millis(5)).await;
        ctx.stop().await
    });
    report.output.unwrap();
    assert_eq!(report.stats.total(|core| core.panics), 1);
    assert_eq!(*reported.lock(), 3);
}

/// Looks at itself from within a predicate.
#[test]
fn a_predicate_may_use_the_mailbox_that_it_looks_through() {
    let report = Sim::new(6).run(async |mut ctx: Context| {
        let me = ctx.address();
        for number in 1..=3u64 {
            ctx.send_message(&me, number).await?;
        }
        ctx.yield_now().await;
        let other = ctx.detached()?;
        let to = me.clone();
        let want = move |number: &u64| {
            // Sent while the waiting messages are looked through.
            other.try_send_message(&to, 10 * *number).is_ok() && *number == 2
        };
        assert_eq!(ctx.receive_match::<u64, _>(want).await?.take(), 2);
        let mut rest = Vec::new();
        for _ in 0..4 {
            rest.push(ctx.receive::<u64>().await?.take());
        }
        assert_eq!(rest, [1, 3, 10, 20]);
        ctx.stop().await
    });
    report.output.unwrap();
}

/// Panics when its worker ends, or is restarted.
struct Unwilling;

impl Worker for Unwilling {
    type Message = u64;
    type Context = Context;
}

impl Drop for Unwilling {
    fn drop(&mut self) {
        panic!("it does not go");
    }
}

/// G7: a worker whose destructor panics has ended all the same, and the panic counts.
#[test]
fn a_panic_of_the_destructor_of_a_worker_is_counted() {
    let report = Sim::new(1).run(async |ctx: Context| {
        for _ in 0..3 {
            ctx.start_worker("unwilling", Unwilling).await?;
            ctx.stop_worker("unwilling").await?;
        }
        ctx.stop().await
    });
    report.output.unwrap();
    assert_eq!(report.stats.total(|core| core.panics), 3);
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a message panics");
    }
}

ringpost::local_message!(Bomb);

/// G7: a message from outside whose destructor panics, and which finds nobody, ends neither the core nor
/// the process.
#[test]
fn a_message_from_outside_that_panics_when_it_is_dropped_costs_nobody_else() {
    let report = Sim::new(7).run(async |ctx: Context| {
        ctx.handle().send_message("nobody", Bomb).await?;
        let me = ctx.address();
        ctx.sleep(Duration::from_millis(1)).await;
        ctx.send_message(me, 1u64).await
    });
    report.output.unwrap();
    assert_eq!(
        report
            .stats
            .total(|core| core.undelivered(Reason::NotFound)),
        1
    );
}

/// G7: what a blocking call leaves behind, for nobody, and panics when it is dropped, does not cost its thread.
#[test]
fn g7_a_blocking_call_whose_remains_panic_does_not_cost_its_thread() {
    let mut limits = Limits::default();
    limits.blocking_threads = 1;
    let node = Node::builder().cores(1).limits(limits);
    let outcome = node.run(async |ctx: Context| {
        for fails in [false, true] {
            let (begin, begun) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            let mut call = Box::pin(ctx.spawn_blocking(move || {
                begin.send(()).unwrap();
                // Until nobody waits for the result any more.
                let _ = released.recv();
                match fails {
                    false => Bomb,
                    true => std::panic::panic_any(Bomb),
                }
            }));
            let is_over = poll_fn(|polling| Poll::Ready(call.as_mut().poll(polling).is_ready()));
            assert!(!is_over.await);
            begun.recv().unwrap();
            let bomb = Bomb;
            let mut unmade = Box::pin(ctx.spawn_blocking(move || std::mem::forget(bomb)));
            let is_over = poll_fn(|polling| Poll::Ready(unmade.as_mut().poll(polling).is_ready()));
            assert!(!is_over.await);
            drop((call, unmade));
            drop(release);
            assert_eq!(ctx.spawn_blocking(|| 7).await?, 7);
        }
        ctx.stop().await
    });
    outcome.unwrap();
}
