//! Peers whose notes say what is not so, or ask for what they do not want.

use std::sync::Arc;
use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::Sim;
use ringpost::transport::TcpLimits;
use ringpost::{
    Address, Context, Limits, NodeHandle, Result, Routed, TcpListenerOptions, TcpTransport, Worker,
};
use ringpost_mailbox::sync::Mutex;
use ringpost_router::wire::{Note, Refusal};

use crate::common::SERVER;
use crate::hostile::Ends;
use crate::raw::{Came, Raw};

/// What a talker says for one message.
const ANSWERS: usize = 8;
/// Watches of a peer at one time.
const WATCHES: u32 = 8;

/// Answers so often, which is more than its peer gives credits for.
struct Talker;

impl Worker for Talker {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        for _ in 0..ANSWERS {
            ctx.send_message(msg.return_route(), "answer".to_owned())
                .await?;
        }
        Ok(())
    }
}

/// Answers under a name that the peer does not know.
struct Hidden;

impl Worker for Hidden {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        let own = ctx.detached()?;
        own.send_message(msg.return_route(), "answer".to_owned())
            .await
    }
}

async fn serve(ctx: Context) -> Result<()> {
    ctx.start_worker("talker", Talker).await?;
    ctx.start_worker("hidden", Hidden).await?;
    let mut limits = TcpLimits::default();
    limits.watches_max = WATCHES;
    let tcp = TcpTransport::create(&ctx).await?;
    let options = TcpListenerOptions::new().expose("talker").expose("hidden");
    tcp.listen(SERVER, options.limits(limits)).await?;
    Ok(())
}

/// How many messages have no end yet.
fn waiting(node: &NodeHandle) -> u64 {
    let stats = node.stats();
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    sent - stats.total(|core| core.handled) - stats.undelivered_total()
}

fn watch_of_nobody(id: u32) -> Note {
    let address = Address::local("nobody");
    Note::Watch { id, address }
}

/// G10, G4: while the answers of a worker wait for credits, so does news for the peer, but no more of it than the peer may watch
/// and as much that it has given up; what it still wants comes behind the answers.
#[test]
fn g10_news_of_watches_that_were_given_up_does_not_pile_up() {
    let there: Arc<Mutex<Option<NodeHandle>>> = Arc::default();
    let node = Arc::clone(&there);
    let serve = async move |ctx: Context| {
        *there.lock() = Some(ctx.handle());
        serve(ctx).await
    };
    let report = Sim::new(3).beside(serve).run(async move |ctx: Context| {
        ctx.sleep(Duration::from_millis(10)).await;
        let node = node.lock().clone().expect("the server runs");
        let stream = TcpStream::connect(&ctx, SERVER.parse()?).await?;
        let mut peer = Raw::giving(1, stream).await?;
        peer.send("talker", "me", "hi").await?;
        ctx.sleep(Duration::from_millis(10)).await;
        for round in 0..100 {
            let pair = |id| [watch_of_nobody(id), Note::Unwatch { id }];
            let ids = 1 + 20 * round..=20 * (round + 1);
            let notes: Vec<_> = ids.flat_map(pair).collect();
            peer.tell(&notes).await?;
            ctx.sleep(Duration::from_millis(10)).await;
        }
        let wanted = 3000..3000 + WATCHES;
        let watches: Vec<_> = wanted.clone().map(watch_of_nobody).collect();
        peer.tell(&watches).await?;
        ctx.sleep(Duration::from_millis(10)).await;
        let most = waiting(&node);
        for _ in 0..ANSWERS {
            assert_eq!(peer.text().await?.0, "answer");
            peer.tell(&[Note::Credit { frames: 1 }]).await?;
        }
        for id in wanted {
            assert_eq!(peer.next().await?, Some(Came::Ended { id }));
        }
        assert_eq!(peer.next().await?, None, "nothing else is told");
        Ok(most)
    });
    let most = report.output.expect("the peer keeps to the rules");
    let faulted = report.neighbours[0].1.total(|core| core.transport.faulted);
    assert_eq!(faulted, 0);
    let news = u64::from(2 * WATCHES) + 20;
    assert!(most > ANSWERS as u64, "answers wait, and news: {most}");
    assert!(most < ANSWERS as u64 + news, "{most} messages wait");
}

/// G3, G9: a peer can refuse what was sent to it, each message once; who says more loses the connection.
#[test]
fn g3_a_message_is_refused_once_whatever_the_peer_says() {
    let ends = Ends::default();
    let report = tracing::subscriber::with_default(ends.clone(), || {
        Sim::new(3)
            .on_undelivered(|_| {})
            .beside(serve)
            .run(async |ctx: Context| {
                let mut peer = Raw::connect(&ctx, SERVER).await?;
                peer.send("hidden", "me", "hi").await?;
                let (_, sender) = peer.text().await?;
                let refused = Note::Refused {
                    sender,
                    address: Address::local("made-up"),
                    refusal: Refusal::Gone,
                };
                peer.tell(&vec![refused; 100]).await?;
                assert_eq!(peer.next().await?, Some(Came::Nothing));
                Ok(())
            })
    });
    report.output.expect("the books are right");
    let server = &report.neighbours[0].1;
    assert_eq!(server.undelivered_total(), 1);
    assert_eq!(server.total(|core| core.transport.faulted), 1);
    let reason = "the peer refuses more messages than were sent to it";
    let ends = ends.take();
    assert!(ends.iter().any(|end| end == reason), "{ends:?}");
}

/// G10, G4: what a peer asks of a core that is slow waits with the peer, but for as much as it may watch.
#[test]
fn g10_watches_of_workers_of_a_slow_core_do_not_pile_up() {
    let mut limits = Limits::default();
    // What one core takes of another in one turn.
    limits.ring_burst = 1;
    let mut looked_at = 0;
    for seed in 0..5 {
        let there: Arc<Mutex<Option<(NodeHandle, usize)>>> = Arc::default();
        let node = Arc::clone(&there);
        let serve = async move |ctx: Context| {
            *there.lock() = Some((ctx.handle(), ctx.home("talker")));
            serve(ctx).await
        };
        let sim = Sim::new(seed).limits(limits).node("server", 2);
        let report = sim.main("server", serve).run(async move |ctx: Context| {
            let mut peer = Raw::connect(&ctx, SERVER).await?;
            let (node, home) = node.lock().clone().expect("the server runs");
            let pair = |id| {
                let address = Address::local("talker");
                [Note::Watch { id, address }, Note::Unwatch { id }]
            };
            let notes: Vec<_> = (1..=1_000).flat_map(pair).collect();
            let before = node.stats().cores[home].turns;
            let (mut most, mut is_there) = (0, false);
            for some in notes.chunks(100) {
                peer.tell(some).await?;
                let cores = node.stats().cores;
                let read: u64 = cores.iter().map(|core| core.transport.frames_read).sum();
                most = most.max((before + read).saturating_sub(cores[home].turns));
                is_there = cores[home].transport.frames_read > 0;
            }
            peer.tell(&[watch_of_nobody(20_000)]).await?;
            assert_eq!(peer.next().await?, Some(Came::Ended { id: 20_000 }));
            Ok(most * u64::from(!is_there))
        });
        let most = report.output.expect("the peer keeps to the rules");
        assert!(most < u64::from(2 * WATCHES), "seed {seed}: {most} wait");
        looked_at += u32::from(most > 0);
    }
    assert!(looked_at > 0, "the connection was where the worker is");
}
