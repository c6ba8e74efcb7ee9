//! What waits, for how long, and what passes it.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::Sim;
use ringpost::transport::TcpLimits;
use ringpost::{
    Address, Context, Error, Limits, Result, Route, Routed, TCP, TcpConnectionOptions,
    TcpListenerOptions, TcpTransport, Worker, route,
};
use ringpost_router::wire::VERSION;
use ringpost_router::{CodecError, Message};

use crate::common::{Echoer, SERVER, append, connected, server, to};

/// Takes a while for each message, and tells how many it had, in order, when asked with 0.
struct Slow {
    each: Duration,
    had: u64,
}

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg == 0 {
            return ctx.send_message(msg.reply(), self.had).await;
        }
        assert_eq!(*msg, self.had + 1);
        self.had += 1;
        if !self.each.is_zero() {
            ctx.sleep(self.each).await;
        }
        Ok(())
    }
}

/// Serves `echoer`, and `slow`, which takes so long for each message.
fn slow_server(
    each: Duration,
    limits: TcpLimits,
) -> impl AsyncFnOnce(Context) -> Result<()> + Send + 'static {
    async move |ctx: Context| {
        ctx.start_worker("slow", Slow { each, had: 0 }).await?;
        ctx.start_worker("echoer", Echoer).await?;
        let options = TcpListenerOptions::new().expose("slow").expose("echoer");
        let tcp = TcpTransport::create(&ctx).await?;
        tcp.listen(SERVER, options.limits(limits)).await?;
        Ok(())
    }
}

/// Room for so many messages at each worker.
fn room(credits: u32) -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = credits;
    limits.link_credits = credits;
    limits
}

/// Asks until `slow` has had so many messages.
async fn until_had(ctx: &Context, count: u64) -> Result<()> {
    for _ in 0..1000 {
        let had: u64 = ctx.request(to(SERVER, "slow"), 0u64).await?;
        if had == count {
            return Ok(());
        }
        ctx.sleep(Duration::from_millis(10)).await;
    }
    Err(Error::other("not all have come"))
}

#[test]
fn a_message_whose_receiver_has_no_room_lets_those_for_others_pass() {
    let hour = Duration::from_secs(3600);
    for (seed, cores) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        let sim = Sim::new(seed).cores(cores).limits(room(4));
        let sim = sim.drain(Duration::ZERO);
        let report =
            sim.beside(slow_server(hour, TcpLimits::default()))
                .run(async |ctx: Context| {
                    let _tcp = connected(&ctx, SERVER).await?;
                    for number in 1..=40u64 {
                        ctx.send_message(to(SERVER, "slow"), number).await?;
                    }
                    for _ in 0..10 {
                        let reply: String =
                            ctx.request(to(SERVER, "echoer"), "hi".to_string()).await?;
                        assert_eq!(reply, "hi");
                    }
                    Ok(())
                });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(report.elapsed < hour, "{:?}", report.elapsed);
    }
}

#[test]
fn g1_messages_that_wait_for_one_receiver_stay_in_order() {
    // With more credits, who waits is given several at a time.
    for (seed, cores, credits) in [(1, 1, 3), (2, 1, 64), (3, 1, 200), (4, 2, 3), (5, 2, 64)] {
        let sim = Sim::new(seed).cores(cores).limits(room(credits));
        let server = slow_server(Duration::ZERO, TcpLimits::default());
        let report = sim.beside(server).run(async |ctx: Context| {
            let _tcp = connected(&ctx, SERVER).await?;
            for number in 1..=3000u64 {
                ctx.send_message(to(SERVER, "slow"), number).await?;
            }
            until_had(&ctx, 3000).await
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(report.neighbours[0].1.total(|core| core.panics), 0);
    }
}

#[test]
fn what_a_peer_sent_before_it_closed_is_delivered() {
    for seed in 0..4 {
        let sim = Sim::new(seed).limits(room(3));
        let server = slow_server(Duration::from_millis(1), TcpLimits::default());
        let report = sim.beside(server).run(async |ctx: Context| {
            let _tcp = connected(&ctx, SERVER).await?;
            let mut stream = TcpStream::connect(&ctx, SERVER.parse()?).await?;
            let mut bytes = vec![VERSION];
            for number in 1..=40u64 {
                let mut payload = Vec::new();
                number.encode(&mut payload)?;
                append(route!["slow"], Route::new(), &payload, &mut bytes);
            }
            stream.write_all(&bytes).await?;
            drop(stream);
            until_had(&ctx, 40).await
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn the_time_that_a_receiver_takes_is_not_held_against_the_peer() {
    for peer_credits in [0, 512] {
        let mut limits = TcpLimits::default();
        limits.idle = Some(Duration::from_secs(35));
        limits.waiting_frames_max = 1;
        limits.peer_credits = peer_credits;
        not_held_against(limits);
    }
}

fn not_held_against(limits: TcpLimits) {
    let server = slow_server(Duration::from_secs(10), limits);
    let report = Sim::new(1)
        .limits(room(1))
        .drain(Duration::ZERO)
        .beside(server)
        .run(async |ctx: Context| {
            let _tcp = connected(&ctx, SERVER).await?;
            for number in 1..=10u64 {
                ctx.send_message(to(SERVER, "slow"), number).await?;
            }
            let asked = ctx.request::<u64>(to(SERVER, "slow"), 0u64);
            assert_eq!(asked.without_deadline().await?, 10);
            Ok(())
        });
    report.output.expect("the connection stands");
}

/// How many messages a node sends to one that handles none before it has to wait, with so many credits.
fn accepted(seed: u64, peer_credits: u32) -> u64 {
    let mut limits = TcpLimits::default();
    limits.peer_credits = peer_credits;
    let hour = Duration::from_secs(3600);
    let server = slow_server(hour, limits);
    let sim = Sim::new(seed).limits(room(8)).drain(Duration::ZERO);
    let report = sim.beside(server).run(async |ctx: Context| {
        let _tcp = connected(&ctx, SERVER).await?;
        // Something has to be received, or nobody knows yet what the other side can take.
        let _: String = ctx.request(to(SERVER, "echoer"), "hi".to_string()).await?;
        for number in 1..=10_000u64 {
            let sent = ctx.send_message(to(SERVER, "slow"), number);
            if within(&ctx, Duration::from_secs(1), sent).await.is_none() {
                return Ok(number - 1);
            }
        }
        Ok(10_000)
    });
    let accepted = report.output.expect("the main function ends well");
    let undelivered = report.stats.undelivered_total();
    assert!(undelivered < accepted, "{undelivered} of {accepted}");
    accepted
}

/// What comes of a future, if it does so in time.
async fn within<F: Future>(ctx: &Context, time: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut sleep) = (Box::pin(future), Box::pin(ctx.sleep(time)));
    poll_fn(|polling| match future.as_mut().poll(polling) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => sleep.as_mut().poll(polling).map(|()| None),
    })
    .await
}

#[test]
fn g4_a_slow_worker_suspends_those_who_send_to_it_from_another_node() {
    for seed in 0..4 {
        // One is handled, 8 are in its mailbox, 16 wait there, one here, and 8 in a mailbox here.
        let with = accepted(seed, 16);
        assert!((16..=1 + 8 + 16 + 1 + 8).contains(&with), "{with}");
        let without = accepted(seed, 0);
        assert!(without > 1000, "{without}");
    }
}

/// Asks the node that each of its messages comes from, and waits for the reply.
struct Asker;

impl Worker for Asker {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let mut way = msg.return_route();
        let peer = way.step().map_err(Error::other)?;
        let way = Route::from(peer).append("echoer");
        let reply: String = ctx.request(way, msg.to_string()).await?;
        assert_eq!(reply, msg.to_string());
        Ok(())
    }
}

#[test]
fn g5_replies_pass_messages_that_wait_for_credits() {
    for (seed, cores) in [(1, 1), (2, 1), (3, 3), (4, 3)] {
        let serve = async |ctx: Context| -> Result<()> {
            ctx.start_worker("asker", Asker).await?;
            ctx.start_worker("echoer", Echoer).await?;
            let mut limits = TcpLimits::default();
            limits.peer_credits = 4;
            let options = TcpListenerOptions::new().expose("asker").expose("echoer");
            let options = options.limits(limits);
            let tcp = TcpTransport::create(&ctx).await?;
            tcp.listen(SERVER, options).await?;
            ctx.sleep(Duration::from_secs(3600)).await;
            Ok(())
        };
        let sim = Sim::new(seed).cores(cores).limits(room(4)).beside(serve);
        let report = sim.run(async |ctx: Context| {
            ctx.start_worker("echoer", Echoer).await?;
            let tcp = TcpTransport::create(&ctx).await?;
            let options = || TcpConnectionOptions::new().expose("echoer");
            while tcp.connect(SERVER, options()).await.is_err() {
                ctx.sleep(Duration::from_millis(1)).await;
            }
            let _: String = ctx.request(to(SERVER, "echoer"), "hi".to_string()).await?;
            for number in 0..300u64 {
                ctx.send_message(to(SERVER, "asker"), number).await?;
            }
            ctx.sleep(Duration::from_secs(1)).await;
            let replies = ctx.handle().stats().total(|core| core.handled);
            assert!(replies >= 600, "{replies}");
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(
            report.elapsed < Duration::from_secs(20),
            "{:?}",
            report.elapsed
        );
        let failed = report.neighbours[0].1.total(|core| core.handler_errors);
        assert_eq!(failed, 0);
    }
}

#[test]
fn credits_come_back_as_messages_find_room() {
    for (seed, cores) in [(1, 1), (2, 2)] {
        let mut limits = TcpLimits::default();
        limits.peer_credits = 3;
        let server = slow_server(Duration::ZERO, limits);
        let sim = Sim::new(seed).cores(cores).limits(room(3));
        let report = sim.beside(server).run(async |ctx: Context| {
            let _tcp = connected(&ctx, SERVER).await?;
            // More than there may be signs of life without a message.
            for number in 1..=5_000u64 {
                ctx.send_message(to(SERVER, "slow"), number).await?;
            }
            until_had(&ctx, 5_000).await?;
            let opened = ctx.handle().stats().total(|core| core.transport.opened);
            assert_eq!(opened, 1);
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn g3_a_message_that_waits_for_a_credit_when_its_connection_ends_is_reported() {
    let mut limits = TcpLimits::default();
    limits.peer_credits = 4;
    let hour = Duration::from_secs(3600);
    let server = slow_server(hour, limits);
    let sim = Sim::new(1).limits(room(8)).drain(Duration::ZERO);
    let report = sim.beside(server).run(async |ctx: Context| {
        let tcp = connected(&ctx, SERVER).await?;
        let _: String = ctx.request(to(SERVER, "echoer"), "hi".to_string()).await?;
        for number in 1..=20u64 {
            ctx.send_message(to(SERVER, "slow"), number).await?;
        }
        ctx.sleep(Duration::from_secs(1)).await;
        tcp.disconnect(Address::new(TCP, SERVER)).await?;
        let here = ctx.handle().stats().undelivered_total();
        // One is handled, 8 are in its mailbox and 4 wait there.
        assert_eq!(here, 20 - 1 - 8 - 4);
        Ok(())
    });
    report.output.expect("the main function ends well");
}

/// Cannot be encoded, and does not say so.
struct Bad;

impl Message for Bad {
    fn encode(&self, _out: &mut Vec<u8>) -> Result<(), CodecError> {
        panic!("it cannot be encoded");
    }

    fn decode(_bytes: &[u8]) -> Result<Self, CodecError> {
        Ok(Self)
    }
}

#[test]
fn g7_a_message_that_panics_when_it_is_encoded_costs_itself_alone() {
    let report = Sim::new(1).beside(server).run(async |ctx: Context| {
        let _tcp = connected(&ctx, SERVER).await?;
        let asked = ctx.request::<String>(to(SERVER, "echoer"), Bad).await;
        let error = asked.expect_err("it has no bytes").to_string();
        assert!(error.contains("it cannot be encoded"), "{error}");
        let reply: String = ctx.request(to(SERVER, "echoer"), "hi".to_string()).await?;
        assert_eq!(reply, "hi");
        Ok(())
    });
    report.output.expect("the main function ends well");
}

/// Is a text for its peer, and panics when it is dropped.
struct Fragile;

impl Message for Fragile {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        "hi".to_string().encode(out)
    }

    fn decode(_bytes: &[u8]) -> Result<Self, CodecError> {
        Ok(Self)
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("it is fragile");
    }
}

/// G7: nor does one that panics when its connection is done with it, which has been sent then.
#[test]
fn g7_a_message_that_panics_when_it_is_dropped_costs_nobody_anything() {
    let report = Sim::new(1).beside(server).run(async |ctx: Context| {
        let _tcp = connected(&ctx, SERVER).await?;
        for _ in 0..3 {
            // For nobody there, so it is reported; and for the echoer.
            let nobody = Route::new().append_t(TCP, SERVER);
            ctx.send_message(nobody, Fragile).await?;
            let reply: String = ctx.request(to(SERVER, "echoer"), Fragile).await?;
            assert_eq!(reply, "hi");
        }
        Ok(())
    });
    report.output.expect("the main function ends well");
}
