//! Watches on workers of other nodes: what is heard when the connection is lost (G13).

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::transport::Backoff;
use ringpost::{
    Address, Context, EndReason, Ended, Error, Result, Routed, TCP, TcpConnectionOptions,
    TcpListenerOptions, TcpTransport, Worker,
};

use crate::common::{SERVER, connected, on_seeds, to};

fn peer() -> Address {
    Address::new(TCP, SERVER)
}

/// Hears that a connection is lost, and nothing more.
async fn hears_of_the_loss(ctx: &mut Context, of: &Address) -> Result<()> {
    let ended = ctx.receive::<Ended>().await?;
    let is_loss = matches!(ended.reason, EndReason::Disconnected { .. });
    assert!(is_loss && ended.address == *of, "{ended:?}");
    let more = ctx.receive_timeout::<Ended>(Duration::from_secs(60)).await;
    assert!(more.is_err(), "a loss is told once: {more:?}");
    Ok(())
}

/// G13: the connection is ended here, or was never there.
#[test]
fn g13_who_watches_a_worker_of_another_node_hears_of_a_lost_connection() {
    on_seeds(async |mut ctx: Context| {
        let tcp = connected(&ctx, SERVER).await?;
        ctx.watch(to(SERVER, "echoer")).await?;
        tcp.disconnect(peer()).await?;
        hears_of_the_loss(&mut ctx, &"echoer".into()).await?;
        ctx.watch(peer()).await?;
        tcp.disconnect(peer()).await?;
        assert_eq!(ctx.receive::<Ended>().await?.reason, EndReason::Stopped);
        ctx.watch(to("10.0.0.99:1", "echoer")).await?;
        hears_of_the_loss(&mut ctx, &"echoer".into()).await
    });
}

/// Watches whoever writes to it, and ends the connection when it is told to.
struct Careful {
    lost: u64,
}

impl Worker for Careful {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, mut msg: Routed<String>) -> Result<()> {
        let back = msg.reply();
        match std::mem::take(&mut *msg).as_str() {
            "hello" => {
                let ended = |ended: Ended| format!("lost {}", ended.reason);
                ctx.watch_as(back.clone(), ended).await?;
                ctx.send_message(back, "hello".to_owned()).await
            }
            "kill" => {
                ctx.stop_worker_now(back.next().map_err(Error::other)?)
                    .await
            }
            "lost?" => ctx.send_message(back, self.lost.to_string()).await,
            news => {
                assert!(news.starts_with("lost the connection is lost"), "{news}");
                self.lost += 1;
                Ok(())
            }
        }
    }
}

async fn careful(ctx: Context) -> Result<()> {
    ctx.start_worker("careful", Careful { lost: 0 }).await?;
    let tcp = TcpTransport::create(&ctx).await?;
    let options = TcpListenerOptions::new().expose("careful");
    tcp.listen(SERVER, options).await?;
    Ok(())
}

async fn say(ctx: &Context, text: &str) -> Result<String> {
    ctx.request(to(SERVER, "careful"), text.to_owned()).await
}

/// G13: both sides hear of a connection that the peer has ended, also where it is opened again.
#[test]
fn g13_both_sides_hear_of_a_lost_connection_that_comes_again() {
    for seed in 0..10 {
        let sim = Sim::new(seed).cores(2).beside(careful);
        let report = sim.run(async |mut ctx: Context| {
            let tcp = TcpTransport::create(&ctx).await?;
            let patient = TcpConnectionOptions::new().reconnect(Backoff::default());
            tcp.connect(SERVER, patient).await?;
            for lost in 1..4u64 {
                assert_eq!(say(&ctx, "hello").await?, "hello");
                ctx.watch(to(SERVER, "careful")).await?;
                ctx.send_message(to(SERVER, "careful"), "kill".to_owned())
                    .await?;
                hears_of_the_loss(&mut ctx, &"careful".into()).await?;
                assert_eq!(say(&ctx, "lost?").await?, lost.to_string());
            }
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}
