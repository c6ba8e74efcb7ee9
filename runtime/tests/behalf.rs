//! Who waits in another's name (G5): a handler that awaits what a detached context or a `NodeHandle` sends or asks is
//! named in circles and not left to wait for itself, as if it did so by its own context.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, ErrorKind, Limits, Result, Routed, WaitCycle, Worker, route};
use ringpost_mailbox::sync::{Mutex, thread_local};

type Cycles = Arc<Mutex<Vec<WaitCycle>>>;

const CORES: u16 = 3;
/// How much of anything there may be.
const FEW: u32 = 4;
const SECOND: Duration = Duration::from_secs(1);

fn tight() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = FEW;
    limits.link_credits = FEW;
    limits.urgent_credits = FEW;
    limits.outside_credits = FEW;
    limits.ring_slots = 16;
    limits
}

/// Runs `main`, and says which circles were reported.
fn cycles_of<F>(seed: u64, main: F) -> Vec<String>
where
    F: AsyncFnOnce(Context, Cycles) -> Result<()> + Send + 'static,
{
    let cycles = Cycles::default();
    let (hook, main_sees) = (Arc::clone(&cycles), Arc::clone(&cycles));
    let sim = Sim::new(seed).cores(CORES).limits(tight());
    let sim = sim.on_wait_cycle(move |cycle| hook.lock().push(cycle.clone()));
    let report = sim.run(async move |ctx: Context| main(ctx, main_sees).await);
    report.output.unwrap();
    let told = cycles.lock();
    told.iter().map(WaitCycle::to_string).collect()
}

/// In whose name something is sent or asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Itself,
    Detached,
    Handle,
}

/// What is done in that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Send,
    SendUrgent,
    Ask,
    AskUrgent,
}

const BYS: [By; 3] = [By::Itself, By::Detached, By::Handle];
const DEEDS: [Deed; 4] = [Deed::Send, Deed::SendUrgent, Deed::Ask, Deed::AskUrgent];

impl Deed {
    /// What is waited for where it cannot be done at once.
    fn wait(self) -> &'static str {
        match self {
            Deed::Send => "waits for room at",
            Deed::SendUrgent => "waits for urgent room at",
            Deed::Ask | Deed::AskUrgent => "waits for a reply of",
        }
    }

    /// How often it has to be done until it waits for long, if that is no question.
    fn times(self) -> u32 {
        match self {
            Deed::Send | Deed::SendUrgent => 16 * FEW,
            Deed::Ask | Deed::AskUrgent => 1,
        }
    }
}

/// Does this once.
async fn act(ctx: &Context, by: By, deed: Deed, to: &'static str) -> Result<()> {
    let detached;
    let from = match by {
        By::Itself => ctx,
        By::Detached => {
            detached = ctx.detached()?;
            &detached
        }
        By::Handle => {
            let handle = ctx.handle();
            return match deed {
                Deed::Send => handle.send_message(to, 7u64).await,
                Deed::SendUrgent => handle.send_urgent(to, 7u64).await,
                Deed::Ask => handle.request::<u64>(to, 7u64).await.map(drop),
                Deed::AskUrgent => handle.request_urgent::<u64>(to, 7u64).await.map(drop),
            };
        }
    };
    match deed {
        Deed::Send => from.send_message(to, 7u64).await,
        Deed::SendUrgent => from.send_urgent(to, 7u64).await,
        Deed::Ask => from.request::<u64>(to, 7u64).await.map(drop),
        Deed::AskUrgent => from.request::<u64>(to, 7u64).urgent().await.map(drop),
    }
}

/// Does something to another at its first message, as often as it takes until it waits; and nothing at others.
struct Partner(Option<(By, Deed, &'static str)>);

impl Worker for Partner {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        if let Some((by, deed, to)) = self.0.take() {
            for _ in 0..deed.times() {
                act(ctx, by, deed, to).await?;
            }
        }
        Ok(())
    }
}

/// G5: two workers that wait for each other are named within a second, in whosever name and for whatever they wait.
#[test]
fn g5_circles_of_waits_in_the_name_of_others_are_named() {
    let ways = BYS.iter().flat_map(|by| DEEDS.map(|deed| (*by, deed)));
    let ways: Vec<_> = ways.collect();
    for (seed, first) in (0..).zip(&ways) {
        for second in &ways {
            for places in [[0, 0], [0, 1], [2, 1]] {
                circle_of_two(seed, *first, *second, places);
            }
        }
    }
}

fn circle_of_two(seed: u64, first: (By, Deed), second: (By, Deed), places: [usize; 2]) {
    let what = format!("seed {seed}, {first:?} and {second:?} at {places:?}");
    let shown = what.clone();
    let told = cycles_of(seed, async move |ctx, cycles| {
        let left = Partner(Some((first.0, first.1, "right")));
        let right = Partner(Some((second.0, second.1, "left")));
        ctx.start_worker_on(places[0], "left", left).await?;
        ctx.start_worker_on(places[1], "right", right).await?;
        ctx.send_message("left", 1u64).await?;
        ctx.send_message("right", 1u64).await?;
        ctx.sleep(SECOND).await;
        assert!(!cycles.lock().is_empty(), "{shown}: told within a second");
        ctx.sleep(5 * SECOND).await;
        ctx.stop_now().await
    });
    assert_eq!(told.len(), 1, "{what}: {told:?}");
    for wait in [
        format!("0#left {} 0#right", first.1.wait()),
        format!("0#right {} 0#left", second.1.wait()),
    ] {
        assert!(told[0].contains(&wait), "{what}: {told:?}");
    }
}

/// Asks by way of another, in some name.
struct Roundabout(By);

impl Worker for Roundabout {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        // By then the other has asked this one.
        ctx.sleep(Duration::from_millis(10)).await;
        let (detached, route) = (ctx.detached()?, route!["right", "end"]);
        match self.0 {
            By::Detached => detached.request::<u64>(route, 7u64).await.map(drop),
            _ => ctx.request::<u64>(route, 7u64).await.map(drop),
        }
    }
}

/// G5: who has asked by way of another waits for that one, as long as it has not taken what is asked.
#[test]
fn g5_a_request_in_the_name_of_others_waits_where_it_lies() {
    for by in [By::Itself, By::Detached] {
        for places in [[0, 0], [0, 1], [2, 1]] {
            let told = cycles_of(1, async move |ctx, _| {
                let right = Partner(Some((By::Itself, Deed::Ask, "left")));
                ctx.start_worker_on(places[0], "left", Roundabout(by))
                    .await?;
                ctx.start_worker_on(places[1], "right", right).await?;
                ctx.start_worker("end", Partner(None)).await?;
                ctx.send_message("left", 1u64).await?;
                ctx.send_message("right", 1u64).await?;
                ctx.sleep(2 * SECOND).await;
                ctx.stop_now().await
            });
            let circle = "0#left waits for a reply of 0#right, 0#right waits for a reply of 0#left";
            assert_eq!(told, [circle], "{by:?} {places:?}");
        }
    }
}

/// Does everything to itself, in the name of another.
struct Narcissus(By);

impl Narcissus {
    /// As often as it takes, until it is refused. How often it was not.
    async fn until_refused(&self, ctx: &Context, deed: Deed) -> u32 {
        let own = ctx.address();
        for done in 0..=16 * FEW {
            let Err(error) = act(ctx, self.0, deed, "narcissus").await else {
                continue;
            };
            let kind = error.kind().clone();
            let is_own = matches!(&kind, ErrorKind::WaitsForItself { address } if *address == own);
            assert!(is_own, "{:?} {deed:?}: {kind:?}", self.0);
            assert_eq!(error.into_message::<u64>().unwrap(), 7);
            return done;
        }
        panic!("{:?} {deed:?} is never refused", self.0);
    }
}

impl Worker for Narcissus {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg == 7 {
            return Ok(());
        }
        for deed in [Deed::Ask, Deed::AskUrgent] {
            assert_eq!(self.until_refused(ctx, deed).await, 0, "{deed:?}");
        }
        // Between cores room comes back to those who wait for it in another way.
        if self.0 != By::Handle || ctx.home("narcissus") == ctx.core() {
            for deed in [Deed::Send, Deed::SendUrgent] {
                let sent = self.until_refused(ctx, deed).await;
                assert!((3..=4 * FEW).contains(&sent), "{deed:?}: {sent} at once");
            }
        }
        ctx.send_message(msg.reply(), 1u64).await
    }
}

/// G5: so is who would wait for itself, and has its message back.
#[test]
fn g5_nobody_waits_for_itself_in_the_name_of_others() {
    for seed in 0..10 {
        let told = cycles_of(seed, async |ctx, _| {
            for by in BYS {
                for core in 0..usize::from(CORES) {
                    let (what, worker) = (format!("{by:?} on {core}"), Narcissus(by));
                    ctx.start_worker_on(core, "narcissus", worker).await?;
                    let asked = ctx.request::<u64>("narcissus", 0u64).within(SECOND).await;
                    assert_eq!(asked.map_err(|error| error.to_string()), Ok(1), "{what}");
                    ctx.stop_worker("narcissus").await?;
                }
            }
            ctx.stop().await
        });
        assert_eq!(told, [""; 0], "seed {seed}");
    }
}

type Doing = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    /// What one worker hands to another, or leaves.
    static HANDED: RefCell<Option<Doing>> = const { RefCell::new(None) };
}

/// What becomes of a future that a handler has polled, and does not wait for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Dropped,
    /// Polled by a future without a worker.
    Spawned,
    /// Polled by the handler of another worker.
    Handed,
    /// Left when the handler ends, which has been suspended before or not.
    Left {
        suspended: bool,
    },
}

/// Begins something in the name of another, polls that so often, and does something else then.
struct Fickle {
    by: By,
    deed: Deed,
    polls: u32,
    fate: Fate,
    is_done: bool,
}

impl Worker for Fickle {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        if std::mem::replace(&mut self.is_done, true) {
            if self.polls.is_multiple_of(2) {
                // Waits for somebody else in the name of another.
                let (own, soon) = (ctx.detached()?, Duration::from_millis(10));
                drop(own.request::<u64>("app", 1u64).within(soon).await);
            }
            ctx.sleep(4 * SECOND).await;
            return Ok(());
        }
        let (own, by, deed) = (ctx.detached()?, self.by, self.deed);
        let mut doing: Doing = Box::pin(async move {
            for _ in 0..deed.times() {
                drop(act(&own, by, deed, "other").await);
            }
        });
        for _ in 0..self.polls {
            // It waits, sooner or later.
            let _ = poll_fn(|polling| Poll::Ready(doing.as_mut().poll(polling))).await;
            if self.fate != (Fate::Left { suspended: false }) {
                ctx.sleep(Duration::from_millis(1)).await;
            }
        }
        match self.fate {
            Fate::Dropped => drop(doing),
            Fate::Spawned => ctx.spawn(doing),
            Fate::Handed => {
                HANDED.with(|handed| handed.replace(Some(doing)));
                ctx.send_message("taker", 1u64).await?;
            }
            Fate::Left { .. } => {
                HANDED.with(|left| left.replace(Some(doing)));
                return Ok(());
            }
        }
        ctx.sleep(4 * SECOND).await;
        Ok(())
    }
}

/// Waits for what is handed to it.
struct Taker;

impl Worker for Taker {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        loop {
            if let Some(doing) = HANDED.with(RefCell::take) {
                doing.await;
                return Ok(());
            }
            ctx.sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Plays it, with another that waits for somebody, and says which circles were reported.
fn play(seed: u64, fickle: Fickle, waits_for: &'static str) -> Vec<String> {
    cycles_of(seed, async move |ctx, _| {
        let other = Partner(Some((By::Itself, Deed::Ask, waits_for)));
        ctx.start_worker_on(1, "other", other).await?;
        ctx.start_worker_on(0, "taker", Taker).await?;
        ctx.start_worker_on(0, "fickle", fickle).await?;
        for _ in 0..2 {
            ctx.send_message("fickle", 1u64).await?;
        }
        ctx.sleep(Duration::from_millis(50)).await;
        ctx.send_message("other", 1u64).await?;
        ctx.sleep(3 * SECOND).await;
        drop(HANDED.with(RefCell::take));
        ctx.stop_now().await
    })
}

const FATES: [Fate; 5] = [
    Fate::Dropped,
    Fate::Spawned,
    Fate::Handed,
    Fate::Left { suspended: false },
    Fate::Left { suspended: true },
];

fn for_each_way(mut look: impl FnMut(By, Deed, u32)) {
    for by in [By::Detached, By::Handle] {
        for deed in DEEDS {
            (0..6).for_each(|polls| look(by, deed, polls));
        }
    }
}

/// G5: what a handler has polled so often, and waits for no more, is not its wait.
#[test]
fn g5_what_is_not_waited_for_any_more_closes_no_circle() {
    for fate in FATES {
        for_each_way(|by, deed, polls| {
            let fickle = Fickle {
                by,
                deed,
                polls,
                fate,
                is_done: false,
            };
            let told = play(u64::from(polls), fickle, "fickle");
            assert_eq!(told, [""; 0], "{by:?} {deed:?} {polls} {fate:?}");
        });
    }
}

/// G5: it is that of the worker in whose handler it is polled next.
#[test]
fn g5_who_is_handed_a_wait_is_named_with_it() {
    for_each_way(|by, deed, polls| {
        let fickle = Fickle {
            by,
            deed,
            polls,
            fate: Fate::Handed,
            is_done: false,
        };
        let told = play(u64::from(polls), fickle, "taker");
        let what = format!("{by:?} {deed:?} {polls}: {told:?}");
        assert_eq!(told.len(), 1, "{what}");
        let wait = format!("0#taker {} 0#other", deed.wait());
        assert!(told[0].contains(&wait), "{what}");
        assert!(
            told[0].contains("0#other waits for a reply of 0#taker"),
            "{what}"
        );
    });
}
