//! Who sends on and on to workers of its own core pauses until those messages have had their turn (G7), and nothing else
//! changes by it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::{Context, ErrorKind, Limits, Node, Result, Route, Routed, SendMessage, Worker};
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

type Count = Arc<AtomicU64>;

/// What came, in its order.
type Log = Arc<Mutex<Vec<u64>>>;

/// Messages between two looks at the queue of a core: what a sender has put there is known no more precisely.
const LOOK: u64 = 128;

/// What one who sends on and on puts in the queue before it pauses, at the most.
fn most_at_once() -> u64 {
    u64::from(Limits::default().turn_messages) + 2 * LOOK
}

fn done<T>(report: Report<T>) -> T {
    let sent = report.stats.total(|core| core.sent_local);
    let ended = report.stats.total(|core| core.handled) + report.stats.undelivered_total();
    assert_eq!(sent, ended, "sent = handled + undelivered");
    report.output.expect("the main function succeeds")
}

fn value(count: &Count) -> u64 {
    count.load(Ordering::Relaxed)
}

/// Counts what it gets.
struct Counting(Count);

impl Worker for Counting {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Writes down what it gets.
struct Listing(Log);

impl Worker for Listing {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0.lock().push(*msg);
        Ok(())
    }
}

async fn counting(ctx: &Context, workers: usize, count: &Count) -> Result<Vec<Route>> {
    let mut routes = Vec::new();
    for number in 0..workers {
        let name = format!("counting-{number}");
        ctx.start_worker(name.as_str(), Counting(Arc::clone(count)))
            .await?;
        routes.push(Route::from(name));
    }
    Ok(routes)
}

/// Whether a send has to wait, which is polled once.
async fn is_pending(send: &mut SendMessage<'_>) -> Result<bool> {
    let mut send = pin!(send);
    match poll_fn(|polling| Poll::Ready(send.as_mut().poll(polling))).await {
        Poll::Ready(sent) => sent.map(|()| false),
        Poll::Pending => Ok(true),
    }
}

/// Sends `each` messages to each of the others, and counts those that are handled while it does, and how often it had to wait.
struct Sender {
    to: Vec<Route>,
    each: u64,
    sent: Count,
    handled: Count,
    most_ahead: Count,
    waits: Count,
}

impl Sender {
    async fn run(&self, ctx: &Context) -> Result<()> {
        for _ in 0..self.each {
            for route in &self.to {
                let mut send = ctx.send_message(route, 0u64);
                if is_pending(&mut send).await? {
                    self.waits.fetch_add(1, Ordering::Relaxed);
                    send.await?;
                }
                let sent = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
                let ahead = sent - value(&self.handled);
                self.most_ahead.fetch_max(ahead, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

impl Worker for Sender {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<()>) -> Result<()> {
        self.run(ctx).await
    }
}

impl Sender {
    async fn to(ctx: &Context, workers: usize, each: u64) -> Result<Self> {
        let handled = Count::default();
        Ok(Self {
            to: counting(ctx, workers, &handled).await?,
            each,
            handled,
            sent: Count::default(),
            most_ahead: Count::default(),
            waits: Count::default(),
        })
    }
}

/// Notes how many had been sent when a message came.
struct Modest {
    sent: Count,
    seen: Log,
}

impl Worker for Modest {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<()>) -> Result<()> {
        self.seen.lock().push(value(&self.sent));
        Ok(())
    }
}

/// G7: a handler and a future that send to many workers of their core, which have room for much more, are no further ahead of
/// them than a turn and the looks between; whoever comes meanwhile waits for no more.
#[test]
fn g7_who_sends_on_and_on_to_its_core_leaves_others_their_turns() {
    for seed in 0..10 {
        for workers in [10, 200] {
            let report = Sim::new(seed).run(async move |ctx: Context| {
                let each = 900;
                let sender = Sender::to(&ctx, workers, each).await?;
                let (sent, ahead) = (Arc::clone(&sender.sent), Arc::clone(&sender.most_ahead));
                sender.run(&ctx).await?;
                let all = each * workers as u64;
                assert_eq!(value(&sent), all);
                assert!(
                    value(&ahead) <= most_at_once(),
                    "{seed} {workers}: {} ahead",
                    value(&ahead)
                );
                let before = value(&sent);
                ahead.store(0, Ordering::Relaxed);
                let seen = Log::default();
                let modest = Modest {
                    sent: Arc::clone(&sent),
                    seen: Arc::clone(&seen),
                };
                ctx.start_worker("modest", modest).await?;
                ctx.start_worker("sender", sender).await?;
                ctx.send_message("sender", ()).await?;
                ctx.send_message("modest", ()).await?;
                ctx.sleep(Duration::from_millis(1)).await;
                assert_eq!(value(&sent), 2 * all);
                assert!(
                    value(&ahead) <= most_at_once(),
                    "{seed} {workers}: {} ahead",
                    value(&ahead)
                );
                let seen = seen.lock()[0] - before;
                assert!(
                    seen <= most_at_once(),
                    "seed {seed}: {seen} before the next"
                );
                ctx.stop().await
            });
            done(report);
        }
    }
}

/// G7: what each handler sends is its own: none waits for what the ones before it in the same turn have sent.
#[test]
fn g7_who_sends_little_to_its_core_waits_for_nobody() {
    for seed in 0..10 {
        let report = Sim::new(seed).run(async move |ctx: Context| {
            let sender = Sender::to(&ctx, 20, 12).await?;
            let (sent, waits) = (Arc::clone(&sender.sent), Arc::clone(&sender.waits));
            ctx.start_worker("sender", sender).await?;
            for _ in 0..50 {
                ctx.send_message("sender", ()).await?;
            }
            ctx.sleep(Duration::from_millis(1)).await;
            assert_eq!((value(&sent), value(&waits)), (50 * 240, 0));
            ctx.stop().await
        });
        assert_eq!(report.stats.total(|core| core.senders_blocked), 0);
        done(report);
    }
}

/// Sends numbers to the first of these until one has to wait; what comes then is for the tests to say.
async fn until_it_waits<'a>(ctx: &'a Context, to: &str) -> Result<(u64, SendMessage<'a>)> {
    for number in 0..most_at_once() {
        let mut send = ctx.send_message(to, number);
        if is_pending(&mut send).await? {
            return Ok((number, send));
        }
    }
    panic!("it never waits");
}

/// G1, G7: nothing that a sender tries, or awaits in another future, passes its message that waits in line; what it sends to others does,
/// and so does what others send.
#[test]
fn g1_who_pauses_in_front_of_its_core_keeps_its_order_alone() {
    for seed in 0..10 {
        let (log, other) = (Log::default(), Log::default());
        let (its, others) = (Arc::clone(&log), Arc::clone(&other));
        let report = Sim::new(seed).run(async move |ctx: Context| {
            ctx.start_worker("listing", Listing(its)).await?;
            ctx.start_worker("other", Listing(others)).await?;
            let stranger = ctx.detached()?;
            let (number, first) = until_it_waits(&ctx, "listing").await?;
            let refused = ctx.try_send_message("listing", 1_000_000u64);
            assert!(matches!(
                refused.unwrap_err().kind(),
                ErrorKind::Full { .. }
            ));
            ctx.try_send_message("other", 1u64)?;
            stranger.try_send_message("listing", 2_000_000u64)?;
            let mut second = ctx.send_message("listing", number + 1);
            assert!(is_pending(&mut second).await?);
            // Their wakers are of this step, and of a later one.
            ctx.yield_now().await;
            let mut third = ctx.send_message("listing", number + 2);
            let waits = is_pending(&mut third).await?;
            first.await?;
            second.await?;
            if waits {
                third.await?;
            }
            ctx.send_message("listing", number + 3).await?;
            ctx.sleep(Duration::from_millis(1)).await;
            let mut expected: Vec<u64> = (0..number).chain([2_000_000]).collect();
            expected.extend(number..number + 4);
            ctx.stop().await?;
            Ok(expected)
        });
        assert_eq!(done(report), *log.lock(), "seed {seed}");
        assert_eq!(*other.lock(), [1]);
    }
}

/// G4: who gives up while it pauses has sent nothing, and leaves nothing behind.
#[test]
fn g4_a_send_that_pauses_and_is_dropped_leaves_nothing_behind() {
    for seed in 0..10 {
        let log = Log::default();
        let its = Arc::clone(&log);
        let report = Sim::new(seed).run(async move |ctx: Context| {
            ctx.start_worker("listing", Listing(its)).await?;
            let (number, paused) = until_it_waits(&ctx, "listing").await?;
            drop(paused);
            let again = ctx.send_message("listing", number + 1);
            match seed % 2 {
                0 => again.await?,
                _ => drop(again),
            }
            ctx.yield_now().await;
            ctx.sleep(Duration::from_millis(1)).await;
            ctx.try_send_message("listing", number + 2)?;
            ctx.stop().await?;
            let awaited = (seed % 2 == 0).then_some(number + 1);
            Ok((0..number)
                .chain(awaited)
                .chain([number + 2])
                .collect::<Vec<_>>())
        });
        assert_eq!(done(report), *log.lock());
    }
}

/// Sends itself as many as it has room for.
struct Selfish(Count);

impl Worker for Selfish {
    type Message = bool;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<bool>) -> Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        if *msg {
            for _ in 0..Limits::default().mailbox_credits {
                ctx.send_message(ctx.address(), false).await?;
            }
        }
        Ok(())
    }
}

/// G5, G6: who pauses behind messages for itself goes on, though it handles none of them before it is done.
#[test]
fn g5_who_pauses_behind_its_own_messages_goes_on() {
    for seed in 0..10 {
        let handled = Count::default();
        let its = Arc::clone(&handled);
        let report = Sim::new(seed).run(async move |ctx: Context| {
            ctx.start_worker("selfish", Selfish(its)).await?;
            ctx.send_message("selfish", true).await?;
            ctx.sleep(Duration::from_millis(1)).await;
            ctx.stop().await
        });
        done(report);
        let all = 1 + u64::from(Limits::default().mailbox_credits);
        assert_eq!(value(&handled), all);
    }
}

/// G9: who pauses when the node is stopped goes on, as long as there is anybody to send to, and each message is accounted for. It
/// takes no time that anybody waits for.
#[test]
fn g9_who_pauses_when_the_node_stops_is_accounted_for() {
    for seed in 0..20 {
        let report = Sim::new(seed).run(async move |ctx: Context| {
            let sender = Sender::to(&ctx, 200, 50).await?;
            let (sent, waits) = (Arc::clone(&sender.sent), Arc::clone(&sender.waits));
            ctx.start_worker("sender", sender).await?;
            ctx.send_message("sender", ()).await?;
            while value(&waits) < 3 + seed / 4 {
                ctx.yield_now().await;
            }
            match seed % 2 {
                0 => ctx.stop().await?,
                _ => ctx.stop_now().await?,
            }
            Ok(value(&sent))
        });
        assert!(report.elapsed < Duration::from_millis(500));
        let sent = done(report);
        assert!(sent < 200 * 50, "{sent}");
    }
}

/// G8: threads let those go on who pause, also where nothing else happens.
#[test]
fn g8_who_pauses_on_a_core_of_its_own_thread_goes_on() {
    let node = Node::builder().cores(1).pin(false).start().unwrap();
    let handle = node.handle();
    let sent = handle.run_on(0, async move |ctx: Context| {
        let sender = Sender::to(&ctx, 300, 300).await?;
        sender.run(&ctx).await?;
        while value(&sender.handled) < value(&sender.sent) {
            ctx.yield_now().await;
        }
        Ok::<_, ringpost::Error>((value(&sender.sent), value(&sender.most_ahead)))
    });
    let (sent, ahead) = pollster::block_on(sent).unwrap().unwrap();
    assert_eq!(sent, 90_000);
    assert!(ahead <= most_at_once(), "{ahead} ahead");
    assert_eq!(
        node.handle().stats().total(|core| core.found_after_timeout),
        0
    );
    node.stop().unwrap();
}

/// Says where it is to who asks, and counts the rest.
struct Placed(Count);

/// Asks where somebody is.
const WHERE: u64 = u64::MAX;

impl Worker for Placed {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg == WHERE {
            return ctx.send_message(msg.reply(), WHERE).await;
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Places of workers, where messages take the shortest way.
async fn places(ctx: &mut Context, workers: usize, count: &Count) -> Result<Vec<Route>> {
    let mut routes = Vec::new();
    for number in 0..workers {
        let name = format!("placed-{number}");
        ctx.start_worker(name.as_str(), Placed(Arc::clone(count)))
            .await?;
        ctx.send_message(name, WHERE).await?;
        routes.push(ctx.receive::<u64>().await?.return_route());
    }
    Ok(routes)
}

/// G7: whatever else a sender tries between the messages that it awaits, it pauses before these.
#[test]
fn g7_who_tries_between_what_it_awaits_pauses_too() {
    for (first, tries) in [(0, 1), (1, 1), (0, 3), (1, 3), (2, 3), (3, 3)] {
        let report = Sim::new(1).run(async move |ctx: Context| {
            let step = async move |mut ctx: Context| {
                let handled = Count::default();
                let routes = places(&mut ctx, 100, &handled).await?;
                ctx.yield_now().await;
                let (mut sent, mut most) = (first, 0);
                for _ in 0..first {
                    ctx.try_send_message(&routes[0], 0u64)?;
                }
                for _ in 0..20 {
                    for route in &routes {
                        ctx.send_message(route, 0u64).await?;
                        for _ in 0..tries {
                            ctx.try_send_message(route, 0u64)?;
                        }
                        sent += 1 + tries;
                        most = most.max(sent - value(&handled));
                    }
                }
                ctx.sleep(Duration::from_millis(1)).await;
                assert_eq!(value(&handled), sent);
                Ok::<_, ringpost::Error>(most)
            };
            let most = ctx.handle().run_on(0, step).await??;
            ctx.stop().await?;
            Ok(most)
        });
        let most = done(report);
        assert!(most <= most_at_once() + tries, "{first} {tries}: {most}");
    }
}

/// G7: requests are sent on and on no more than messages are.
#[test]
fn g7_who_asks_on_and_on_leaves_others_their_turns() {
    let report = Sim::new(1).run(async |ctx: Context| {
        let step = async |mut ctx: Context| {
            let routes = places(&mut ctx, 100, &Count::default()).await?;
            let all = (0..2_000).map(|number| &routes[number % routes.len()]);
            let ask = |to: &Route| Box::pin(ctx.request::<u64>(to.clone(), WHERE));
            let mut asked: Vec<_> = all.map(ask).collect();
            let handle = ctx.handle();
            let sent = || handle.stats().total(|core| core.sent_local);
            ctx.yield_now().await;
            ctx.yield_now().await;
            let before = sent();
            poll_fn(|polling| {
                for asked in &mut asked {
                    assert!(asked.as_mut().poll(polling).is_pending());
                }
                Poll::Ready(())
            })
            .await;
            ctx.yield_now().await;
            let most = sent() - before;
            for asked in asked {
                assert_eq!(asked.await?, WHERE);
            }
            Ok::<_, ringpost::Error>(most)
        };
        let most = ctx.handle().run_on(0, step).await??;
        ctx.stop().await?;
        Ok(most)
    });
    let most = done(report);
    assert!(most <= most_at_once(), "{most} in one step");
}
