//! What becomes of requests that wait for room when what they wait for ends (G3): each message comes to one end, and
//! who asked is told of it once.

use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{
    Address, Any, Context, DeadLetter, Limits, Result, Route, Routed, TCP, TcpListenerOptions,
    TcpTransport, Undelivered, Worker, route,
};
use ringpost_mailbox::sync::Mutex;

const SERVER: &str = "10.0.0.1:4000";
const ASKERS: u64 = 12;
const EACH: u64 = 4;

/// What has become of a request, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Handled,
    Answered,
    /// The send failed, and the message came back.
    Returned,
    /// An error came instead of an answer.
    Failed,
    /// It was reported as undelivered.
    Letter,
    /// Who had taken it, to pass it on, had it back, or was stopped.
    InHand,
}

type Ends = Arc<Mutex<BTreeMap<u64, Vec<End>>>>;

fn note(ends: &Ends, number: u64, end: End) {
    ends.lock().entry(number).or_default().push(end);
}

/// Takes its time, and answers; panics at this number.
struct Slow(Ends, u64);

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        note(&self.0, *msg, End::Handled);
        ctx.sleep(Duration::from_micros(700)).await;
        assert!(*msg != self.1, "asked to");
        // Of another type, so that it is not taken for its request where it is reported.
        ctx.send_message(msg.return_route(), msg.to_string()).await
    }
}

/// Passes everything on, and notes what it has taken and could not.
struct Hop(Ends);

/// A request in the hands of a worker, which may be stopped there.
struct InHand<'a>(&'a Ends, Option<u64>);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.1
            .into_iter()
            .for_each(|number| note(self.0, number, End::InHand));
    }
}

impl Worker for Hop {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        let mut in_hand = InHand(&self.0, msg.peek::<u64>().copied());
        let passed_on = ctx.forward(msg).await;
        if passed_on.is_ok() {
            in_hand.1 = None;
        }
        passed_on
    }
}

struct Archive(Ends);

impl Worker for Archive {
    type Message = DeadLetter;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<DeadLetter>) -> Result<()> {
        let message = msg.take().message;
        if let Some(number) = message.and_then(|message| message.unpack::<u64>().ok()) {
            note(&self.0, number, End::Letter);
        }
        Ok(())
    }
}

/// The ways to the one who answers: straight, by others, and to another node.
fn way(number: u64) -> Route {
    match number % 4 {
        0 => "slow".into(),
        1 => route!["hop", "slow"],
        2 => Route::new().append_t(TCP, SERVER).append("slow"),
        _ => route!["far-hop", "slow"],
    }
}

async fn ask(ctx: Context, asker: u64, ends: Ends) {
    for number in asker * EACH..(asker + 1) * EACH {
        let request = ctx.request::<String>(way(asker), number);
        let request = match number % 3 {
            0 => request.urgent(),
            _ => request,
        };
        let limit = Duration::from_millis(1 + number % 7 * 3);
        let end = match request.within(limit).await {
            Ok(answer) => {
                assert_eq!(answer, number.to_string());
                End::Answered
            }
            Err(error) => match error.into_message::<u64>() {
                Ok(back) => {
                    assert_eq!(back, number);
                    End::Returned
                }
                Err(_) => End::Failed,
            },
        };
        note(&ends, number, end);
    }
}

/// Ends what is waited for, in one of several ways.
async fn end(ctx: &Context, tcp: &TcpTransport, how: u64) -> Result<()> {
    ctx.sleep(Duration::from_micros(500 + how * 311 % 4000))
        .await;
    // Who has panicked before is not there to be stopped.
    let _ = match how % 6 {
        0 => ctx.stop_worker_now("slow").await,
        1 => ctx.stop_worker("slow").await,
        2 => ctx.stop_worker_now("hop").await,
        3 => ctx.stop_worker("far-hop").await,
        4 => tcp.disconnect(Address::new(TCP, SERVER)).await,
        _ => Ok(()),
    };
    ctx.sleep(Duration::from_millis(how % 50)).await;
    Ok(())
}

async fn play(ctx: Context, seed: u64, ends: Ends) -> Result<()> {
    ctx.start_worker("archive", Archive(Arc::clone(&ends)))
        .await?;
    let panics = if seed.is_multiple_of(5) {
        seed % (ASKERS * EACH)
    } else {
        u64::MAX
    };
    ctx.start_worker_on(0, "slow", Slow(Arc::clone(&ends), panics))
        .await?;
    ctx.start_worker_on(0, "hop", Hop(Arc::clone(&ends)))
        .await?;
    ctx.start_worker_on(1, "far-hop", Hop(Arc::clone(&ends)))
        .await?;
    let tcp = TcpTransport::create(&ctx).await?;
    for asker in 0..ASKERS {
        let ends = Arc::clone(&ends);
        let begin = async move |ctx: Context| {
            let mine = ctx.detached().expect("a context");
            ctx.spawn(ask(mine, asker, ends));
        };
        ctx.handle().run_on((asker / 4) as usize % 2, begin).await?;
    }
    end(&ctx, &tcp, seed).await?;
    match seed % 2 {
        0 => ctx.stop().await,
        _ => ctx.stop_now().await,
    }
}

fn tight() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 2;
    limits.link_credits = 2;
    limits.urgent_credits = 1;
    limits.ring_slots = 8;
    limits
}

/// Whether a report comes to no letter that says which request it was: it is of such a letter itself, at the last moment,
/// or of what only the bytes are left.
fn is_unread(lost: &Undelivered) -> bool {
    let unread = [type_name::<DeadLetter>(), "message between nodes"];
    unread.contains(&lost.type_name)
}

/// G3: a request that waits for room, at a worker, at a link, at a connection or at who passes it on, is given back or
/// reported when that ends, or lost by who had taken it to pass it on; never two of these, and its requester is told once.
/// Each comes to one of these ends, but for as many as letters were dropped or not read.
#[test]
fn g3_a_request_that_waits_for_room_is_told_of_once() {
    let mut met = BTreeSet::new();
    for seed in 0..150 {
        let unread = Arc::new(Mutex::new(0));
        let count = Arc::clone(&unread);
        let ends = Ends::default();
        let seen = Arc::clone(&ends);
        let serving = Arc::clone(&ends);
        let serve = async move |ctx: Context| {
            ctx.start_worker("archive", Archive(Arc::clone(&serving)))
                .await?;
            ctx.start_worker("slow", Slow(Arc::clone(&serving), u64::MAX))
                .await?;
            let tcp = TcpTransport::create(&ctx).await?;
            tcp.listen(SERVER, TcpListenerOptions::new().expose("slow"))
                .await?;
            Ok(())
        };
        let sim = Sim::new(seed)
            .cores(2)
            .limits(tight())
            .dead_letters("archive")
            .on_undelivered(move |lost| *count.lock() += u64::from(is_unread(lost)))
            .node("server", 1)
            .main("server", serve);
        let report = sim.run(async move |ctx: Context| play(ctx, seed, ends).await);
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let nodes = [&report.stats, &report.neighbours[0].1];
        let dropped = nodes.map(|stats| stats.total(|core| core.letters_dropped));
        let mut nowhere = 0;
        for (number, mut all) in std::mem::take(&mut *seen.lock()) {
            all.sort();
            let what = format!("seed {seed}, request {number}: {all:?}");
            let count = |end| all.iter().filter(|it| **it == end).count();
            let told = count(End::Answered) + count(End::Returned) + count(End::Failed);
            assert!(told <= 1, "{what}");
            let ended = all.len() - count(End::Answered) - count(End::Failed);
            assert!(ended <= 1, "{what}");
            nowhere += u64::from(ended == 0);
            met.insert(all);
        }
        let unseen = dropped.iter().sum::<u64>() + *unread.lock();
        assert!(
            nowhere <= unseen,
            "seed {seed}: {nowhere} have no end, {unseen} letters were not read"
        );
    }
    for end in [vec![End::Returned], vec![End::Failed, End::Letter]] {
        assert!(met.contains(&end), "{end:?} is met");
    }
}
