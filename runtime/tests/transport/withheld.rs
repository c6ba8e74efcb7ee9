//! Peers that greet as nodes of this make do, and give no credit for what they are sent.

use std::net::Shutdown;
use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::{Report, Sim};
use ringpost::transport::TcpLimits;
use ringpost::{Context, Limits, Result, Route, Routed, TcpListenerOptions, TcpTransport, Worker};
use ringpost_router::wire::Note;

use crate::common::{SERVER, append, connected, frame, greeting, serve, to, until_closed};
use crate::hostile::Ends;

const STALL: Duration = Duration::from_secs(20);

/// What a peer says that gives so many credits and asks so often.
fn flood(frames: u32, requests: usize) -> Vec<u8> {
    [greeting(frames), frame(b"\x02hi").repeat(requests)].concat()
}

/// Runs a peer beside a server, and then asks the server whether it is still there, which is to be so within this
/// time. Returns why connections ended.
fn beside<F>(cores: u16, within: Duration, peer: F) -> Vec<String>
where
    F: AsyncFnOnce(&Context) -> Result<()> + Clone + Send + 'static,
{
    let mut limits = TcpLimits::default();
    limits.stall = STALL;
    let mut room = Limits::default();
    room.mailbox_credits = 64;
    room.link_credits = 64;
    let ends = Ends::default();
    for seed in 0..3 {
        let limits = limits.clone();
        let serve = async move |ctx: Context| serve(ctx, limits).await;
        let sim = Sim::new(seed).cores(cores).limits(room).beside(serve);
        let peer = peer.clone();
        let report = tracing::subscriber::with_default(ends.clone(), || {
            sim.run(async move |ctx: Context| {
                let _tcp = connected(&ctx, SERVER).await?;
                peer(&ctx).await?;
                let asked = ctx.request::<String>(to(SERVER, "echoer"), "still".to_owned());
                assert_eq!(asked.without_deadline().await?, "still");
                Ok(())
            })
        });
        checked(seed, within, report);
    }
    ends.take()
}

fn checked(seed: u64, within: Duration, report: Report<()>) {
    report
        .output
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert!(
        report.elapsed <= within,
        "seed {seed}: {:?}",
        report.elapsed
    );
}

#[test]
fn g10_a_peer_that_gives_no_credit_is_gone_by_its_deadline() {
    for cores in [1, 2] {
        let within = STALL + Duration::from_secs(2);
        let ends = beside(cores, within, async |ctx: &Context| {
            let mut stream = TcpStream::connect(ctx, SERVER.parse()?).await?;
            stream.write_all(&flood(8, 400)).await?;
            until_closed(&mut stream).await;
            Ok(())
        });
        let reason = "the peer has given no credit for 20s, and messages wait (stall)";
        let faults = ends.iter().filter(|end| *end == reason).count();
        assert_eq!(faults, 3, "one for each seed: {ends:?}");
    }
}

#[test]
fn g10_that_a_peer_has_gone_is_noticed_while_it_is_not_read() {
    // The first keeps to what it may send, and all that it sends is read.
    for requests in [500, 2000] {
        let within = Duration::from_secs(3);
        beside(1, within, async move |ctx: &Context| {
            let mut stream = TcpStream::connect(ctx, SERVER.parse()?).await?;
            stream.write_all(&flood(8, requests)).await?;
            ctx.sleep(Duration::from_secs(1)).await;
            drop(stream);
            ctx.sleep(Duration::from_secs(1)).await;
            Ok(())
        });
    }
}

/// Whether all that it has sent is read, or more than that.
#[test]
fn g10_a_peer_that_says_nothing_more_gets_what_it_still_takes() {
    for requests in [500, 3000] {
        beside(1, Duration::from_secs(3), async move |ctx: &Context| {
            let mut stream = TcpStream::connect(ctx, SERVER.parse()?).await?;
            stream.write_all(&flood(8, requests)).await?;
            stream.shutdown(Shutdown::Write)?;
            let (mut answer, mut replied) = (vec![0; 4096], Vec::new());
            loop {
                match stream.read(&mut answer).await? {
                    0 => break,
                    count => replied.extend_from_slice(&answer[..count]),
                }
            }
            let replies = replied.windows(3).filter(|part| part == b"\x02hi").count();
            // The connection ends when the last of its messages has found its room.
            assert!(replies > 100, "{replies}");
            Ok(())
        });
    }
}

/// Takes a second for each message.
struct Slow;

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_secs(1)).await;
        Ok(())
    }
}

#[test]
fn a_node_that_goes_on_slowly_is_not_taken_for_one_that_gives_no_credit() {
    let serve = async |ctx: Context| {
        ctx.start_worker("slow", Slow).await?;
        let tcp = TcpTransport::create(&ctx).await?;
        tcp.listen(SERVER, TcpListenerOptions::new().expose("slow"))
            .await?;
        Ok(())
    };
    let mut room = Limits::default();
    room.mailbox_credits = 8;
    let sim = Sim::new(1).limits(room).drain(Duration::ZERO).beside(serve);
    let report = sim.run(async |ctx: Context| {
        let _tcp = connected(&ctx, SERVER).await?;
        // The greeting says how many may be under way.
        ctx.sleep(Duration::from_millis(100)).await;
        for number in 0..1000u64 {
            ctx.send_message(to(SERVER, "slow"), number).await?;
        }
        let closed = ctx.handle().stats().total(|core| core.transport.closed);
        assert_eq!(closed, 0);
        Ok(())
    });
    report.output.expect("the connection stands");
    assert!(
        report.elapsed > Duration::from_secs(400),
        "{:?}",
        report.elapsed
    );
}

/// What came of a peer that asks far more than it may have under way, and gives credits for the replies behind that.
fn asked_before_the_greeting(requests: usize) -> Vec<String> {
    beside(1, Duration::from_secs(3), async move |ctx: &Context| {
        let mut stream = TcpStream::connect(ctx, SERVER.parse()?).await?;
        stream.write_all(&flood(8, requests)).await?;
        let mut credit = Vec::new();
        let note = Note::Credit { frames: 1 }.encode();
        append(Route::new(), Route::new(), &note, &mut credit);
        let (mut answer, mut replies, mut last) = (vec![0; 4096], 0, Vec::new());
        while replies < requests {
            let count = stream.read(&mut answer).await?;
            assert!(count > 0, "it is closed after {replies} replies");
            last.extend_from_slice(&answer[..count]);
            let come = last.windows(3).filter(|part| part == b"\x02hi").count();
            last.drain(..last.len().saturating_sub(2));
            replies += come;
            stream.write_all(&credit.repeat(come)).await?;
        }
        Ok(())
    })
}

#[test]
fn credits_behind_more_than_a_peer_may_send_are_heard() {
    let ends = asked_before_the_greeting(3000);
    assert!(!ends.iter().any(|end| end.contains("stall")), "{ends:?}");
}
