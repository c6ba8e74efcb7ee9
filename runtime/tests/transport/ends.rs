//! Connections and listeners that end, and begin again.

use std::time::Duration;

use ringpost::net::{ListenOptions, TcpListener, TcpStream};
use ringpost::sim::Sim;
use ringpost::transport::{Backoff, TcpLimits, TransportStats};
use ringpost::{
    Address, Context, Error, ErrorKind, Reason, Result, Route, Routed, TCP, TcpConnectionOptions,
    TcpListenerOptions, TcpTransport, Worker,
};

use crate::common::{Echoer, SERVER, connected, on_seeds, serve, server, to};

fn patient() -> TcpConnectionOptions {
    TcpConnectionOptions::new().reconnect(Backoff::default())
}

fn peer() -> Address {
    Address::new(TCP, SERVER)
}

/// The connections of a node, summed over its cores.
fn connections(ctx: &Context) -> TransportStats {
    let mut sum = TransportStats::default();
    for core in ctx.handle().stats().cores {
        sum.opened += core.transport.opened;
        sum.closed += core.transport.closed;
        sum.connects_failed += core.transport.connects_failed;
        sum.frames_read += core.transport.frames_read;
        sum.frames_written += core.transport.frames_written;
        sum.bytes_read += core.transport.bytes_read;
        sum.bytes_written += core.transport.bytes_written;
    }
    sum
}

async fn ask(ctx: &Context, text: &str) -> Result<()> {
    let reply: String = ctx.request(to(SERVER, "echoer"), text.to_owned()).await?;
    assert_eq!(reply, text);
    Ok(())
}

#[test]
fn who_connects_to_an_address_that_is_being_connected_to_hears_what_comes_of_it() {
    for seed in 0..10 {
        let report = Sim::new(seed).cores(2).run(async |ctx: Context| {
            let tcp = TcpTransport::create(&ctx).await?;
            // Opens a connection, which will be refused.
            let sent = ctx.send_message(to(SERVER, "echoer"), "lost".to_owned());
            sent.await?;
            for _ in 0..2 {
                let connected = tcp.connect(SERVER, TcpConnectionOptions::new()).await;
                let error = connected.expect_err("nobody listens there");
                assert!(
                    matches!(error.kind(), ErrorKind::Disconnected { .. }),
                    "{error}"
                );
            }
            Ok(connections(&ctx).opened)
        });
        assert_eq!(report.output.expect("it ends well"), 0, "seed {seed}");
    }
}

#[test]
fn a_connection_that_is_ended_delivers_what_was_sent_and_is_opened_anew() {
    on_seeds(async |mut ctx: Context| {
        let tcp = connected(&ctx, SERVER).await?;
        for number in 0..100 {
            ctx.send_message(to(SERVER, "echoer"), number.to_string())
                .await?;
        }
        let first = ctx.receive::<String>().await?.return_route();
        tcp.disconnect(peer()).await?;
        assert_eq!(connections(&ctx).closed, 1);
        let again = tcp.disconnect(peer()).await;
        let error = again.expect_err("it has ended");
        assert!(
            matches!(error.kind(), ErrorKind::NotFound { .. }),
            "{error}"
        );
        assert_eq!(first, to(SERVER, "echoer"));
        ask(&ctx, "anew").await?;
        assert_eq!(connections(&ctx).opened, 2);
        assert_eq!(ctx.handle().stats().undelivered(Reason::Disconnected), 0);
        Ok(())
    });
}

#[test]
fn requests_under_way_on_a_connection_that_is_ended_end_with_it() {
    let silent = async |ctx: Context| -> Result<()> {
        let address = SERVER.parse()?;
        let mut listener = TcpListener::bind(&ctx, address, &ListenOptions::default())?;
        let (_stream, _) = listener.accept().await?;
        ctx.sleep(Duration::from_secs(3600)).await;
        Ok(())
    };
    for seed in 0..10 {
        let sim = Sim::new(seed).beside(silent);
        let report = sim.run(async |ctx: Context| {
            let tcp = connected(&ctx, SERVER).await?;
            let asking = ctx.detached()?;
            let (tell, told) = futures_channel::oneshot::channel();
            ctx.spawn(async move {
                let asked = asking.request::<String>(to(SERVER, "echoer"), "?".to_owned());
                let _ = tell.send(asked.without_deadline().await);
            });
            ctx.sleep(Duration::from_millis(1)).await;
            tcp.disconnect(peer()).await?;
            let error = told
                .await
                .map_err(Error::other)?
                .expect_err("nobody answered");
            assert!(
                matches!(error.kind(), ErrorKind::Disconnected { .. }),
                "{error}"
            );
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(
            report.elapsed < Duration::from_secs(60),
            "{:?}",
            report.elapsed
        );
    }
}

#[test]
fn a_connection_that_is_still_being_opened_can_be_ended() {
    let report = Sim::new(1).run(async |ctx: Context| {
        let tcp = TcpTransport::create(&ctx).await?;
        let trying = ctx.detached()?;
        ctx.spawn(async move {
            let Ok(tcp) = TcpTransport::create(&trying).await else {
                return;
            };
            // Nobody listens there, ever.
            let _ = tcp.connect(SERVER, patient()).await;
        });
        ctx.sleep(Duration::from_secs(60)).await;
        let failed = connections(&ctx).connects_failed;
        assert!((10..=30).contains(&failed), "{failed}");
        tcp.disconnect(peer()).await?;
        ctx.sleep(Duration::from_secs(3600)).await;
        assert_eq!(connections(&ctx).connects_failed, failed);
        Ok(())
    });
    report.output.expect("the main function ends well");
}

#[test]
fn a_listener_that_is_stopped_keeps_its_connections_and_frees_its_address() {
    on_seeds(async |ctx: Context| {
        let tcp = TcpTransport::create(&ctx).await?;
        ctx.start_worker("mine", Echoer).await?;
        let options = || TcpListenerOptions::new().expose("mine");
        let listener = tcp.listen("10.0.0.7:1", options()).await?;
        let way = Route::new().append_t(TCP, "10.0.0.7:1").append("mine");
        let _: String = ctx.request(way.clone(), "one".to_owned()).await?;
        listener.stop(&ctx).await?;
        listener.stop(&ctx).await?;
        let _: String = ctx.request(way, "two".to_owned()).await?;
        let refused = TcpStream::connect(&ctx, listener.socket_address()).await;
        assert!(refused.is_err());
        tcp.listen("10.0.0.7:1", options()).await?;
        Ok(())
    });
}

#[test]
fn counters_of_both_ends_add_up() {
    for seed in 0..10 {
        let report = Sim::new(seed)
            .cores(2)
            .beside(server)
            .run(async |ctx: Context| {
                let tcp = connected(&ctx, SERVER).await?;
                for number in 0..50 {
                    ask(&ctx, &number.to_string()).await?;
                }
                tcp.disconnect(peer()).await?;
                ctx.sleep(Duration::from_secs(1)).await;
                Ok(connections(&ctx))
            });
        let client = report.output.expect("it ends well");
        let total = |figure: fn(&TransportStats) -> u64| {
            report.neighbours[0].1.total(|core| figure(&core.transport))
        };
        assert_eq!((client.opened, client.closed), (1, 1));
        assert_eq!((total(|t| t.opened), total(|t| t.closed)), (1, 1));
        // Fifty messages and a word of greeting, each way.
        assert_eq!((client.frames_read, client.frames_written), (51, 51));
        assert_eq!(total(|t| t.frames_read), client.frames_written);
        assert_eq!(total(|t| t.frames_written), client.frames_read);
        assert_eq!(total(|t| t.bytes_read), client.bytes_written);
        assert_eq!(total(|t| t.bytes_written), client.bytes_read);
        assert_eq!(total(|t| t.faulted) + total(|t| t.refused), 0);
    }
}

#[test]
fn more_connections_than_allowed_are_refused_and_counted() {
    let mut limits = TcpLimits::default();
    limits.connections_max = 3;
    let serve = async move |ctx: Context| serve(ctx, limits).await;
    let report = Sim::new(1).beside(serve).run(async |ctx: Context| {
        let _tcp = connected(&ctx, SERVER).await?;
        let mut streams = Vec::new();
        for _ in 0..5 {
            streams.push(TcpStream::connect(&ctx, SERVER.parse()?).await?);
        }
        ctx.sleep(Duration::from_millis(1)).await;
        ask(&ctx, "still").await
    });
    report.output.expect("it ends well");
    let refused = report.neighbours[0].1.total(|core| core.transport.refused);
    assert_eq!(refused, 3);
}

/// Ends the connection that its messages come from, as if the process were killed.
struct Killer;

impl Worker for Killer {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<()>) -> Result<()> {
        let way = msg.return_route();
        ctx.stop_worker_now(way.next().map_err(Error::other)?).await
    }
}

/// Serves `echoer` and `killer`, and is gone for a while from time to time.
async fn flickering(ctx: Context) -> Result<()> {
    ctx.start_worker("echoer", Echoer).await?;
    ctx.start_worker("killer", Killer).await?;
    let tcp = TcpTransport::create(&ctx).await?;
    for _ in 0..100 {
        let options = TcpListenerOptions::new().expose("echoer").expose("killer");
        let listener = tcp.listen(SERVER, options).await?;
        ctx.sleep(Duration::from_millis(60)).await;
        listener.stop(&ctx).await?;
        ctx.sleep(Duration::from_millis(30)).await;
    }
    Ok(())
}

/// Sends requests, and now and then what ends the connection. How many were answered, and how many not.
async fn load(ctx: &Context) -> Result<(u64, u64)> {
    let (mut replied, mut failed) = (0, 0);
    for number in 0..100 {
        if number % 20 == 10 {
            // It may be the one that is lost.
            let _ = ctx.send_message(to(SERVER, "killer"), ()).await;
        }
        let asked = ctx.request::<String>(to(SERVER, "echoer"), number.to_string());
        match asked.within(Duration::from_secs(5)).await {
            Ok(reply) => {
                assert_eq!(reply, number.to_string());
                replied += 1;
            }
            Err(_) => failed += 1,
        }
        ctx.sleep(Duration::from_millis(1)).await;
    }
    Ok((replied, failed))
}

#[test]
fn under_load_every_request_ends_while_the_other_side_dies_and_returns() {
    for seed in 0..6 {
        let sim = Sim::new(seed).cores(2).beside(flickering);
        let report = sim.run(async |ctx: Context| {
            let tcp = TcpTransport::create(&ctx).await?;
            let backoff = Backoff {
                first: Duration::from_millis(5),
                ..Backoff::default()
            };
            let options = TcpConnectionOptions::new().reconnect(backoff);
            tcp.connect(SERVER, options).await?;
            let mut tasks = Vec::new();
            for _ in 0..8 {
                let (tell, told) = futures_channel::oneshot::channel();
                let there = ctx.detached()?;
                ctx.spawn(async move {
                    let _ = tell.send(load(&there).await);
                });
                tasks.push(told);
            }
            let (mut replied, mut failed) = (0, 0);
            for told in tasks {
                let (some, others) = told.await.map_err(Error::other)??;
                (replied, failed) = (replied + some, failed + others);
            }
            tcp.disconnect(peer()).await?;
            assert_eq!(replied + failed, 800);
            assert!(replied > 400, "{replied} of 800 were answered");
            let seen = connections(&ctx);
            assert!(seen.opened > 3 && failed > 0, "{seen:?}");
            assert_eq!(seen.opened, seen.closed, "{seen:?}");
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(
            report.elapsed < Duration::from_secs(60),
            "{:?}",
            report.elapsed
        );
    }
}

#[test]
fn messages_wait_for_a_connection_that_is_to_be_opened_again() {
    let late = async |ctx: Context| -> Result<()> {
        ctx.sleep(Duration::from_secs(20)).await;
        serve(ctx, TcpLimits::default()).await
    };
    for seed in 0..4 {
        let report = Sim::new(seed).beside(late).run(async |mut ctx: Context| {
            let tcp = TcpTransport::create(&ctx).await?;
            let there = ctx.detached()?;
            ctx.spawn(async move {
                let Ok(tcp) = TcpTransport::create(&there).await else {
                    return;
                };
                let _ = tcp.connect(SERVER, patient()).await;
            });
            ctx.sleep(Duration::from_secs(1)).await;
            for number in 0..10 {
                ctx.send_message(to(SERVER, "echoer"), number.to_string())
                    .await?;
            }
            for number in 0..10 {
                let reply = ctx.receive::<String>().await?;
                assert_eq!(*reply, number.to_string());
            }
            drop(tcp);
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(report.stats.undelivered_total(), 0);
    }
}

#[test]
fn an_address_that_cannot_be_listened_at_is_named() {
    let report = Sim::new(1).cores(2).run(async |ctx: Context| {
        let tcp = TcpTransport::create(&ctx).await?;
        let listener = tcp.listen("0.0.0.0:4000", TcpListenerOptions::new());
        let _listener = listener.await?;
        for address in ["0.0.0.0:4000", "no such name"] {
            let refused = tcp.listen(address, TcpListenerOptions::new()).await;
            let error = refused.err().map(|error| error.to_string());
            let error = error.unwrap_or_default();
            assert!(error.contains(address), "{error}");
        }
        Ok(())
    });
    report.output.expect("all is said");
}

#[test]
fn a_peer_that_takes_connections_and_closes_them_is_tried_less_and_less() {
    let closes = async |ctx: Context| -> Result<()> {
        let mut listener = TcpListener::bind(&ctx, SERVER.parse()?, &ListenOptions::default())?;
        loop {
            drop(listener.accept().await?);
        }
    };
    let report = Sim::new(3).beside(closes).run(async |ctx: Context| {
        ctx.sleep(Duration::from_millis(10)).await;
        let tcp = TcpTransport::create(&ctx).await?;
        tcp.connect(SERVER, patient()).await?;
        ctx.sleep(Duration::from_secs(60)).await;
        Ok(connections(&ctx).opened)
    });
    let opened = report.output.expect("it goes on trying");
    assert!((10..20).contains(&opened), "{opened} times in a minute");
}
