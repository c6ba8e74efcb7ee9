//! Messages between nodes.

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{
    Address, Any, Context, Error, ErrorKind, Reason, Result, Route, Routed, TCP,
    TcpListenerOptions, TcpTransport, Worker,
};

use crate::common::{MIDDLE, SERVER, connected, on_seeds, server, to};

#[test]
fn requests_and_messages_are_answered_from_the_other_node() {
    on_seeds(async |mut ctx: Context| {
        let _tcp = connected(&ctx, SERVER).await?;
        for len in [0usize, 5, 3000, 200_000] {
            let text = "x".repeat(len);
            let reply: String = ctx.request(to(SERVER, "echoer"), text.clone()).await?;
            assert!(reply == text, "{len}");
        }
        for number in 0..300 {
            ctx.send_message(to(SERVER, "echoer"), number.to_string())
                .await?;
        }
        for number in 0..300 {
            let reply = ctx.receive::<String>().await?;
            assert_eq!(*reply, number.to_string());
            assert_eq!(reply.reply(), to(SERVER, "echoer"));
        }
        Ok(())
    });
}

/// Sends back what it gets, as it came.
struct Mirror;

impl Worker for Mirror {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

#[test]
fn a_reply_comes_from_the_worker_that_sent_it_whoever_sent_the_one_before() {
    let serve = async |ctx: Context| -> Result<()> {
        for name in ["echoer-1", "echoer-2"] {
            ctx.start_worker(name, Mirror).await?;
        }
        let options = TcpListenerOptions::new().expose_prefix("echoer-");
        let tcp = TcpTransport::create(&ctx).await?;
        tcp.listen(SERVER, options).await?;
        Ok(())
    };
    for seed in 0..4 {
        let report = Sim::new(seed).beside(serve).run(async |mut ctx: Context| {
            let _tcp = connected(&ctx, SERVER).await?;
            for number in 0..200 {
                let name = if number % 3 == 0 {
                    "echoer-1"
                } else {
                    "echoer-2"
                };
                // Of one length, and of others.
                let text = format!("{name}{}", "x".repeat(number % 7 / 5));
                ctx.send_message(to(SERVER, name), text).await?;
            }
            for _ in 0..200 {
                let reply = ctx.receive::<String>().await?;
                let sent_to = reply.trim_end_matches('x').to_owned();
                assert_eq!(reply.reply(), to(SERVER, &sent_to));
            }
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn an_address_is_connected_to_when_something_is_sent_there() {
    on_seeds(async |ctx: Context| {
        let _tcp = TcpTransport::create(&ctx).await?;
        for _ in 0..100 {
            let ask = ctx.request::<String>(to(SERVER, "echoer"), "first".to_string());
            match ask.await {
                Ok(reply) => {
                    assert_eq!(reply, "first");
                    return Ok(());
                }
                Err(error) => {
                    assert!(
                        matches!(error.kind(), ErrorKind::Disconnected { .. }),
                        "{error}"
                    );
                    ctx.sleep(Duration::from_millis(1)).await;
                }
            }
        }
        Err(Error::other("never connected"))
    });
}

#[test]
fn without_a_transport_a_tcp_address_is_refused() {
    let report = Sim::new(1).run(async |ctx: Context| {
        let sent = ctx
            .send_message(to(SERVER, "echoer"), "x".to_string())
            .await;
        let error = sent.expect_err("there is no transport");
        assert!(matches!(error.kind(), ErrorKind::NoTransport { .. }));
        Ok(())
    });
    report.output.expect("the main function ends well");
}

#[test]
fn g11_a_peer_reaches_what_is_exposed_and_nothing_else() {
    on_seeds(async |ctx: Context| {
        let _tcp = connected(&ctx, SERVER).await?;
        let _: String = ctx.request(to(SERVER, "echoer"), "hi".to_string()).await?;
        let ways = [
            to(SERVER, "secret"),
            to(SERVER, "nobody"),
            to(SERVER, "app"),
            to(SERVER, "echoer").append("secret"),
            Route::new()
                .append_t(TCP, SERVER)
                .append_t(TCP, MIDDLE)
                .append("echoer"),
        ];
        for way in ways {
            let asked = ctx.request::<String>(way.clone(), "hi".to_string()).await;
            let error = asked.expect_err("it is not exposed");
            assert!(
                matches!(error.kind(), ErrorKind::Refused { .. }),
                "{way}: {error}"
            );
        }
        assert_eq!(ctx.handle().stats().undelivered(Reason::Refused), 5);
        Ok(())
    });
}

#[test]
fn a_message_to_an_exposed_name_that_nobody_has_is_answered() {
    on_seeds(async |ctx: Context| {
        let tcp = TcpTransport::create(&ctx).await?;
        let options = TcpListenerOptions::new().expose_prefix("svc-");
        tcp.listen("10.0.0.9:1", options).await?;
        let asked = ctx.request::<String>(to("10.0.0.9:1", "svc-1"), "hi".to_string());
        let error = asked.await.expect_err("nobody is there");
        assert!(
            matches!(error.kind(), ErrorKind::NotFound { .. }),
            "{error}"
        );
        Ok(())
    });
}

async fn middle(ctx: Context) -> Result<()> {
    let tcp = TcpTransport::create(&ctx).await?;
    tcp.listen(MIDDLE, TcpListenerOptions::new().relay_to(SERVER))
        .await?;
    Ok(())
}

#[test]
fn a_route_may_lead_through_several_nodes_and_back() {
    for seed in 0..10 {
        let sim = Sim::new(seed).cores(2).beside(server).beside(middle);
        let report = sim.run(async |ctx: Context| {
            let _tcp = connected(&ctx, MIDDLE).await?;
            let _direct = connected(&ctx, SERVER).await?;
            let way = Route::new()
                .append_t(TCP, MIDDLE)
                .append_t(TCP, SERVER)
                .append("echoer");
            let reply: String = ctx.request(way, "far".to_string()).await?;
            assert_eq!(reply, "far");
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn requests_end_when_the_connection_does() {
    let rude = async |ctx: Context| -> Result<()> {
        let address = SERVER.parse()?;
        let options = ringpost::net::ListenOptions::default();
        let mut listener = ringpost::net::TcpListener::bind(&ctx, address, &options)?;
        let (mut stream, _) = listener.accept().await?;
        let mut some = [0; 1];
        stream.read_exact(&mut some).await?;
        ctx.sleep(Duration::from_millis(5)).await;
        Ok(())
    };
    for seed in 0..10 {
        let report = Sim::new(seed).beside(rude).run(async |ctx: Context| {
            let _tcp = connected(&ctx, SERVER).await?;
            let asked = ctx.request::<String>(to(SERVER, "echoer"), "hi".to_string());
            let error = asked.await.expect_err("the peer hangs up");
            let address = Address::new(TCP, SERVER);
            assert!(
                matches!(error.kind(), ErrorKind::Disconnected { address: at, .. } if *at == address),
                "{error}"
            );
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(
            report.elapsed < Duration::from_secs(1),
            "{:?}",
            report.elapsed
        );
    }
}
