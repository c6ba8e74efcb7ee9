//! Misuse and mishaps, each of which once did harm.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{
    Any, CodecError, Context, Encoded, Error, ErrorKind, Limits, Message, Node, Reason, Result,
    Route, Routed, Worker, route,
};
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

fn on_two_cores<F>(main: F)
where
    F: AsyncFnOnce(Context) -> Result<()> + Clone + Send + 'static,
{
    for seed in 0..16 {
        let report = Sim::new(seed).cores(2).run(main.clone());
        if let Err(error) = report.output {
            panic!("seed {seed}: {error}");
        }
    }
}

#[test]
fn a_detached_context_at_a_taken_name_leaves_its_holder_alone() {
    on_two_cores(async |ctx: Context| {
        for name in ["a", "b", "c", "d"] {
            ctx.start_worker(name, Numbered(1)).await?;
            let error = ctx.new_detached(name).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::AlreadyExists { .. }),
                "{error}"
            );
            ctx.sleep(Duration::from_millis(1)).await;
            assert_eq!(ctx.request::<u64>(name, 0u64).await?, 1);
        }
        ctx.stop().await
    });
}

#[test]
fn a_panic_while_a_worker_is_built_fails_its_start() {
    on_two_cores(async |ctx: Context| {
        for name in ["a", "b", "c", "d"] {
            let build = || -> Numbered { panic!("cannot be built") };
            let error = ctx.start_worker_with(name, build).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Panicked { .. }),
                "{error}"
            );
            ctx.start_worker(name, Numbered(2)).await?;
            assert_eq!(ctx.request::<u64>(name, 0u64).await?, 2);
        }
        ctx.stop().await
    });
}

#[test]
fn a_main_that_panics_ends_its_node() {
    let error = Node::builder()
        .cores(2)
        .run(async |_| panic!("main panics"))
        .unwrap_err();
    assert!(
        error.to_string().contains("main function panicked"),
        "{error}"
    );
}

#[test]
fn a_receiver_that_wants_nothing_keeps_its_mailbox_bounded() {
    let mut limits = Limits::default();
    limits.mailbox_credits = 4;
    let report = Sim::new(1).limits(limits).run(async |ctx: Context| {
        let mut picky = ctx.detached()?;
        let address = picky.address();
        ctx.spawn(async move {
            let never = picky.receive_match::<u64, _>(|_| false).await;
            assert!(never.is_err(), "it wants nothing");
        });
        ctx.yield_now().await;
        let mut accepted = 0;
        while ctx.try_send_message(&address, 1u64).is_ok() {
            accepted += 1;
            ctx.sleep(Duration::from_millis(1)).await;
            assert!(accepted <= 4, "the mailbox is bounded");
        }
        ctx.stop().await
    });
    report.output.unwrap();
}

/// Begins to wait for the node's stop twice.
struct Impatient;

impl Worker for Impatient {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        {
            let mut first = std::pin::pin!(ctx.stop());
            std::future::poll_fn(|polling| {
                let _ = first.as_mut().poll(polling);
                std::task::Poll::Ready(())
            })
            .await;
        }
        ctx.stop().await
    }
}

#[test]
fn a_worker_may_wait_for_the_stop_twice() {
    on_two_cores(async |mut ctx: Context| {
        ctx.start_worker("impatient", Impatient).await?;
        ctx.send_message("impatient", 1u64).await?;
        let error = ctx.receive::<u64>().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Stopping);
        Ok(())
    });
}

#[test]
fn a_placed_worker_that_panics_frees_its_name_everywhere() {
    on_two_cores(async |ctx: Context| {
        let there = 1 - ctx.home("placed");
        ctx.start_worker_on(there, "placed", Numbered(3)).await?;
        ctx.send_message("placed", 13u64).await?;
        ctx.sleep(Duration::from_millis(1)).await;
        for _ in 0..2 {
            let error = ctx.request::<u64>("placed", 0u64).await.unwrap_err();
            let gone = matches!(
                error.kind(),
                ErrorKind::NotFound { .. } | ErrorKind::Dropped { .. } | ErrorKind::Panicked { .. }
            );
            assert!(gone, "{error}");
            ctx.sleep(Duration::from_millis(1)).await;
        }
        ctx.start_worker_on(there, "placed", Numbered(4)).await?;
        assert_eq!(ctx.request::<u64>("placed", 0u64).await?, 4);
        ctx.stop().await
    });
}

#[test]
fn limits_that_let_nothing_move_are_refused() {
    let mut limits = Limits::default();
    limits.inbox_slots = 0;
    let error = Node::builder().limits(limits).start().unwrap_err();
    assert!(error.to_string().contains("inbox_slots"), "{error}");
}

/// Panics when it is dropped.
struct BadDrop;

ringpost::local_message!(BadDrop);

impl Drop for BadDrop {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// Panics when it is decoded.
struct BadDecode;

impl Message for BadDecode {
    fn encode(&self, _out: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(())
    }

    fn decode(_bytes: &[u8]) -> Result<Self, CodecError> {
        panic!("decoded")
    }
}

fn is_taken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::AlreadyExists { .. })
}

/// A worker that panics when it is dropped.
struct BadWorker(BadDrop);

impl Worker for BadWorker {
    type Message = u64;
    type Context = Context;
}

/// G7: a worker that is refused is dropped, and its destructor is its own affair.
#[test]
fn a_refused_worker_may_panic_in_its_destructor() {
    on_two_cores(async |ctx: Context| {
        for name in ["a", "b", "c", "d"] {
            ctx.start_worker(name, Numbered(1)).await?;
            let error = ctx.start_worker(name, BadWorker(BadDrop)).await;
            assert!(is_taken(&error.unwrap_err()));
            for core in 0..2 {
                let error = ctx.start_worker_on(core, name, BadWorker(BadDrop)).await;
                assert!(is_taken(&error.unwrap_err()));
            }
            assert_eq!(ctx.request::<u64>(name, 0u64).await?, 1);
        }
        ctx.stop().await
    });
}

struct TakesBadDecode;

impl Worker for TakesBadDecode {
    type Message = BadDecode;
    type Context = Context;
}

/// G7: what panics in a destructor, a decoder or a hook costs one message.
#[test]
fn panics_outside_handlers_cost_one_message() {
    let lost: Arc<Mutex<Vec<Reason>>> = Arc::default();
    let hook = Arc::clone(&lost);
    let sim = Sim::new(4).cores(2).on_undelivered(move |undelivered| {
        hook.lock().push(undelivered.reason);
        panic!("the hook panics");
    });
    let report = sim.run(async |ctx: Context| {
        ctx.start_worker("numbered", Numbered(5)).await?;
        ctx.start_worker("decodes", TakesBadDecode).await?;
        ctx.send_message("numbered", BadDrop).await?;
        ctx.send_message("decodes", Encoded::decode(b"bytes")?)
            .await?;
        assert_eq!(ctx.request::<u64>("numbered", 0u64).await?, 5);
        ctx.stop().await
    });
    report.output.unwrap();
    assert_eq!(*lost.lock(), [Reason::WrongType, Reason::Undecodable]);
}

/// G3: messages that threads outside send while the node stops are handled or reported.
#[test]
fn messages_from_outside_at_the_stop_are_accounted_for() {
    for _ in 0..20 {
        let reported = Arc::new(Mutex::new(0u64));
        let hook = Arc::clone(&reported);
        let node = Node::builder()
            .cores(2)
            .on_undelivered(move |_| *hook.lock() += 1);
        let node = node.start().unwrap();
        let handle = node.handle();
        handle.start_worker_blocking("silent", || Silent).unwrap();
        let senders: Vec<_> = (0..3)
            .map(|_| {
                let handle = handle.clone();
                let send = move || {
                    (0..)
                        .take_while(|_| handle.send_message_blocking("silent", 1u64).is_ok())
                        .count()
                };
                std::thread::Builder::new().spawn(send).unwrap()
            })
            .collect();
        while handle.stats().total(|core| core.handled) < 100 {
            std::thread::yield_now();
        }
        node.stop().unwrap();
        let sent: usize = senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .sum();
        let handled = handle.stats().total(|core| core.handled);
        assert_eq!(sent as u64, handled + *reported.lock());
    }
}

/// Takes numbers and says nothing.
struct Silent;

impl Worker for Silent {
    type Message = u64;
    type Context = Context;
}

/// The errors of sending, each with the message that it handed back.
type Errors = Arc<Mutex<Vec<(ErrorKind, Option<u64>)>>>;

/// Passes messages round in a circle: `way` takes its place, or it forwards where there is none.
struct InCircles {
    way: Option<Route>,
    errors: Errors,
}

impl Worker for InCircles {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let sent = match &self.way {
            Some(way) => ctx.relay(msg, way.clone()).await,
            None => ctx.forward(msg).await,
        };
        if let Err(error) = sent {
            let kind = error.kind().clone();
            let message = error.into_message::<u64>().ok();
            self.errors.lock().push((kind, message));
        }
        Ok(())
    }
}

/// A message that is sent to "a" ends with an error that hands it back.
async fn ends(ctx: &Context, a: Option<Route>, b: Option<Route>) -> Result<()> {
    let errors: Errors = Arc::default();
    for (name, way) in [("a", a), ("b", b)] {
        let errors = Arc::clone(&errors);
        ctx.start_worker(name, InCircles { way, errors }).await?;
    }
    ctx.send_message(route!["a", "b"], 7u64).await?;
    ctx.sleep(Duration::from_millis(1)).await;
    let hops = Route::HOPS_MAX + 1;
    assert_eq!(
        *errors.lock(),
        [(ErrorKind::RouteTooLong { hops }, Some(7))]
    );
    ctx.stop_worker("a").await?;
    ctx.stop_worker("b").await
}

#[test]
fn a_message_that_goes_round_in_circles_comes_to_an_end() {
    on_two_cores(async |ctx: Context| {
        // The way back grows: "b" puts itself on it each time round.
        ends(&ctx, Some(route!["b", "a"]), None).await?;
        // The way on grows.
        ends(&ctx, Some(route!["b", "a"]), Some(route!["a", "b"])).await?;
        ctx.stop().await
    });
}

#[test]
fn a_route_that_is_too_long_is_refused_with_its_message() {
    on_two_cores(async |ctx: Context| {
        ctx.start_worker("hop", Forwards).await?;
        ctx.start_worker("end", Numbered(1)).await?;
        let way = |hops: usize| Route::from(vec!["hop"; hops - 1]).append("end");
        let most = Route::HOPS_MAX;
        let too_long = |error: Error| {
            assert_eq!(*error.kind(), ErrorKind::RouteTooLong { hops: most + 1 });
            assert!(error.to_string().contains("65 addresses and may have 64"));
            assert_eq!(error.into_message::<u64>().unwrap(), 7);
        };
        // The requester is on the way back too.
        assert_eq!(ctx.request::<u64>(way(most), 7u64).await?, 1);
        too_long(ctx.request::<u64>(way(most + 1), 7u64).await.unwrap_err());
        too_long(ctx.send_message(way(most + 1), 7u64).await.unwrap_err());
        too_long(ctx.try_send_message(way(most + 1), 7u64).unwrap_err());
        let handle = ctx.handle();
        too_long(handle.send_message(way(most + 1), 7u64).await.unwrap_err());
        too_long(handle.try_send_message(way(most + 1), 7u64).unwrap_err());
        let request = handle.request::<u64>(way(most + 1), 7u64);
        too_long(request.await.unwrap_err());
        ctx.stop().await
    });
}

/// Forwards whatever comes.
struct Forwards;

impl Worker for Forwards {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.forward(msg).await
    }
}

/// Needs a while to start and to end.
struct Sluggish;

impl Worker for Sluggish {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(Duration::from_millis(1)).await;
        Ok(())
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_millis(1)).await;
        ctx.send_message(msg.reply(), *msg).await
    }
}

/// Polls a future once, and drops it.
async fn abandoned(future: impl Future) {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|polling| {
        assert!(future.as_mut().poll(polling).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}

/// G3: only messages are reported as undelivered, not what cores tell each other.
#[test]
fn a_start_or_a_stop_that_nobody_waits_for_is_no_message() {
    for seed in 0..16 {
        let lost: Arc<Mutex<Vec<Reason>>> = Arc::default();
        let hook = Arc::clone(&lost);
        let sim = Sim::new(seed)
            .cores(2)
            .on_undelivered(move |undelivered| hook.lock().push(undelivered.reason));
        let report = sim.run(async |mut ctx: Context| {
            let pause = Duration::from_millis(4);
            for name in ["a", "b", "c", "d"] {
                abandoned(ctx.start_worker(name, Sluggish)).await;
                ctx.sleep(pause).await;
                assert_eq!(ctx.request::<u64>(name, 7u64).await?, 7);
                // The answer to this, which comes too late, is a message of the worker.
                abandoned(ctx.request::<u64>(name, 8u64)).await;
                ctx.sleep(pause).await;
                ctx.send_message(name, 9u64).await?;
                abandoned(ctx.stop_worker(name)).await;
                ctx.sleep(pause).await;
                assert_eq!(*ctx.receive::<u64>().await?, 9);
                let error = ctx.stop_worker(name).await.unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::NotFound { .. }));
            }
            ctx.stop().await
        });
        report.output.unwrap();
        assert_eq!(*lost.lock(), [Reason::LateReply; 4], "seed {seed}");
    }
}

/// G4: a message that is put back takes the room of another.
#[test]
fn messages_that_are_put_back_leave_the_mailbox_bounded() {
    let mut limits = Limits::default();
    limits.mailbox_credits = 4;
    let report = Sim::new(1).limits(limits).run(async |ctx: Context| {
        let mut own = ctx.detached()?;
        let address = own.address();
        let mut sent = 0u64;
        let mut last = u64::MAX;
        for round in 0..50 {
            while ctx.try_send_message(&address, sent).is_ok() {
                sent += 1;
            }
            let another = own.receive_match(move |number: &u64| *number != last);
            let message = another.within(Duration::from_millis(1)).await?;
            // There may be room for one more, and it is taken.
            sent += u64::from(ctx.try_send_message(&address, sent).is_ok());
            last = *message;
            own.put_back(message);
            assert!(sent <= 5, "round {round}: {sent}");
        }
        for left in (0..sent).rev() {
            own.receive::<u64>().await?;
            let room = ctx.try_send_message(&address, 100u64).is_ok();
            assert_eq!(room, left < 4, "one was owed");
            if room {
                own.receive_match(|number: &u64| *number == 100).await?;
            }
        }
        ctx.stop().await
    });
    report.output.unwrap();
}

/// What was begun, and what was accepted, in that order.
type Logs = Arc<Mutex<[Vec<u64>; 2]>>;

/// Sends each number to a worker of its own on another core.
struct Scatters {
    names: Arc<[String]>,
    logs: Logs,
}

impl Worker for Scatters {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let number = *msg;
        self.logs.lock()[0].push(number);
        ctx.send_message(self.names[number as usize].as_str(), number)
            .await?;
        self.logs.lock()[1].push(number);
        Ok(())
    }
}

#[test]
fn senders_get_a_link_in_the_order_in_which_they_asked() {
    for seed in 0..40 {
        let mut limits = Limits::default();
        limits.links_max = 1;
        // Turns end with messages in the queue: they are handled before anybody is woken in the next.
        limits.turn_messages = 2 + seed as u32 % 4;
        limits.worker_burst = 1 + seed as u32 % 2;
        let logs = Logs::default();
        let seen = Arc::clone(&logs);
        let sim = Sim::new(seed).cores(2).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            let name = |number: u64| format!("silent-{number}");
            let away = |name: &String| ctx.home(name.as_str()) != ctx.core();
            let names: Arc<[String]> = (0..300).map(name).filter(away).take(100).collect();
            for name in names.iter() {
                ctx.start_worker(name.as_str(), Silent).await?;
            }
            for sender in 0..100 {
                let (names, logs) = (Arc::clone(&names), Arc::clone(&logs));
                let scatters = Scatters { names, logs };
                ctx.start_worker_on(ctx.core(), format!("scatters-{sender}"), scatters)
                    .await?;
            }
            for number in 0..100u64 {
                ctx.send_message(format!("scatters-{number}"), number)
                    .await?;
                for _ in 0..seed % 5 {
                    ctx.yield_now().await;
                }
            }
            ctx.sleep(Duration::from_secs(1)).await;
            ctx.stop().await
        });
        report.output.unwrap();
        let [begun, accepted] = &*seen.lock();
        assert_eq!(begun, accepted, "seed {seed}");
        assert_eq!(accepted.len(), 100, "seed {seed}");
    }
}
