//! Ten times the load that workers can bear: resident memory stays within the printed budget and 5 %, goodput is nine tenths
//! of the measured peak at least, and every message is accounted for.
//!
//! `cargo run --release -p ringpost-benches --bin overload -- [SECONDS [POLICY]]`; 60 seconds for each policy, if nothing
//! else is said, in a process of its own. Fails if one of the three does not hold; goodput of less than half a minute is shown
//! and not judged.
//!
//! A machine that others use too is now faster and now slower, by more than what is looked for. So the load is offered in
//! rounds, and what can be handled at the most is measured before the first and after each. Goodput is that of all rounds, the
//! peak the mean of its measurements; how far these were apart is shown, and says how far the share can be trusted.
#![allow(clippy::print_stdout, reason = "a program for people")]
#![allow(
    clippy::disallowed_methods,
    reason = "it times a node, from outside of it"
)]

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use ringpost::{
    Budget, Context, Error, Limits, Load, Node, NodeHandle, NodeStats, Overflow, Reason, Result,
    Routed, Worker,
};
use ringpost_benches::Machine;
use ringpost_benches::process::status;

const POLICIES: [(&str, Overflow); 4] = [
    ("wait", Overflow::Wait),
    ("refuse", Overflow::Refuse),
    ("drop-newest", Overflow::DropNewest),
    ("drop-oldest", Overflow::DropOldest),
];
const SECONDS: u64 = 60;
/// How many times as much is offered as can be handled.
const TIMES: f64 = 10.0;
const RECEIVERS: usize = 3;
/// The cores of the producers; the receivers live on the first.
const PRODUCERS: [usize; 6] = [0, 0, 1, 1, 1, 1];
/// How long the load is offered at a time, and how long the peak is measured between.
const ROUND: Duration = Duration::from_secs(10);
const PEAK: Duration = Duration::from_secs(3);
/// More messages a second than anybody handles.
const UNBOUNDED: f64 = 1e9;
/// How long a run is at least whose goodput is judged: shorter ones say more of the machine.
const JUDGED: Duration = Duration::from_secs(30);
/// How often a producer catches up with what it is to offer.
const TICK: Duration = Duration::from_millis(1);
/// How often resident memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

type Payload = [u64; 12];

/// Works for some tens of microseconds on each message.
struct Busy(Overflow);

impl Worker for Busy {
    type Message = Payload;
    type Context = Context;

    fn overflow(&self) -> Overflow {
        self.0
    }

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<Payload>) -> Result<()> {
        let mixed = (0..30_000).fold(msg[0], |sum, round| black_box(sum.rotate_left(7) ^ round));
        black_box(mixed);
        Ok(())
    }
}

/// What a producer has done: what it was to send, what was accepted, and what came back.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    offered: u64,
    accepted: u64,
    returned: u64,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.offered += other.offered;
        self.accepted += other.accepted;
        self.returned += other.returned;
    }
}

/// Names whose home is the first core: who sends to them has no detour, on which messages would be counted twice.
fn names(handle: &NodeHandle) -> Vec<String> {
    let names = (0..).map(|number| format!("busy-{number}"));
    let at_home = names.filter(|name| handle.home(name.as_str()) == 0);
    at_home.take(RECEIVERS).collect()
}

/// Offers so many messages a second, to the receivers in turn, for so long. Where sends wait, it falls behind.
async fn produce(ctx: Context, rate: f64, time: Duration) -> Counts {
    let names = names(&ctx.handle());
    let offered = (rate * time.as_secs_f64()) as u64;
    let (mut counts, begun) = (
        Counts {
            offered,
            ..Counts::default()
        },
        Instant::now(),
    );
    while begun.elapsed() < time {
        let due = (begun.elapsed().as_secs_f64() * rate) as u64;
        while counts.accepted + counts.returned < due && begun.elapsed() < time {
            let number = counts.accepted + counts.returned;
            let name = names[number as usize % RECEIVERS].as_str();
            match ctx.send_message(name, [number; 12]).await {
                Ok(()) => counts.accepted += 1,
                Err(_) => counts.returned += 1,
            }
        }
        ctx.sleep(TICK).await;
    }
    counts
}

fn start_receivers(handle: &NodeHandle, overflow: Overflow) -> Result<()> {
    let start = |name| pollster::block_on(handle.start_worker(name, move || Busy(overflow)));
    names(handle).into_iter().try_for_each(start)
}

fn stop_receivers(handle: &NodeHandle) -> Result<()> {
    let stop = |name| pollster::block_on(handle.stop_worker(name));
    names(handle).into_iter().try_for_each(stop)
}

/// Runs producers for so long, and looks at the memory meanwhile: what they have done, messages handled a second, and the
/// most memory seen, in KiB.
fn run(
    handle: &NodeHandle,
    cores: &[usize],
    rate: f64,
    time: Duration,
) -> Result<(Counts, f64, u64)> {
    let each = rate / cores.len() as f64;
    std::thread::scope(|scope| {
        let producing = |core: &usize| {
            let (handle, core) = (handle.clone(), *core);
            let produce = async move |ctx: Context| produce(ctx, each, time).await;
            scope.spawn(move || pollster::block_on(handle.run_on(core, produce)))
        };
        let threads: Vec<_> = cores.iter().map(producing).collect();
        let (begun, before) = (Instant::now(), handled(handle));
        let mut resident = 0;
        while begun.elapsed() < time {
            std::thread::sleep(LOOK);
            resident = resident.max(status("self", "VmRSS"));
        }
        let rate = (handled(handle) - before) as f64 / begun.elapsed().as_secs_f64();
        let mut sum = Counts::default();
        for thread in threads {
            let panicked = |_| Error::other("a producer panicked");
            sum.add(thread.join().map_err(panicked)??);
        }
        Ok((sum, rate, resident))
    })
}

/// What the receivers can do: whoever waits offers as much as is handled, and no more.
fn peak(handle: &NodeHandle) -> Result<f64> {
    start_receivers(handle, Overflow::Wait)?;
    let (_, peak, _) = run(handle, &[1], UNBOUNDED, PEAK)?;
    stop_receivers(handle)?;
    Ok(peak)
}

/// What came of all rounds: sums, but for the most memory.
#[derive(Debug, Default)]
struct Outcome {
    counts: Counts,
    /// Handled by the time that the load ended, and in all.
    in_time: f64,
    handled: u64,
    dropped: u64,
    lost: u64,
    resident: u64,
    peaks: Vec<f64>,
}

/// Offers ten times what can be handled, in rounds, and measures before and after each what that is.
fn rounds(handle: &NodeHandle, overflow: Overflow, time: Duration) -> Result<Outcome> {
    peak(handle)?;
    let mut outcome = Outcome {
        peaks: vec![peak(handle)?],
        ..Outcome::default()
    };
    let rounds = (time.as_secs() / ROUND.as_secs()).max(1);
    let round = time / u32::try_from(rounds).unwrap_or(u32::MAX);
    for _ in 0..rounds {
        let latest = outcome.peaks.last().copied().unwrap_or_default();
        start_receivers(handle, overflow)?;
        let earlier = handle.stats();
        let (counts, goodput, resident) = run(handle, &PRODUCERS, TIMES * latest, round)?;
        stop_receivers(handle)?;
        let later = handle.stats();
        let since = |figure: fn(&NodeStats) -> u64| figure(&later) - figure(&earlier);
        let dropped = since(|stats| stats.undelivered(Reason::Overflow));
        outcome.counts.add(counts);
        outcome.in_time += goodput * round.as_secs_f64();
        outcome.handled += since(|stats| stats.total(|core| core.handled));
        outcome.dropped += dropped;
        outcome.lost += since(NodeStats::undelivered_total) - dropped;
        outcome.resident = outcome.resident.max(resident);
        outcome.peaks.push(peak(handle)?);
    }
    Ok(outcome)
}

fn handled(handle: &NodeHandle) -> u64 {
    handle.stats().total(|core| core.handled)
}

fn budget(limits: &Limits) -> Budget {
    limits.budget(&Load {
        cores: 2,
        receivers: RECEIVERS as u64,
        senders: PRODUCERS.len() as u64,
        payload: size_of::<Payload>() as u64,
        ..Load::default()
    })
}

/// One policy. Whether everything holds.
fn overload(name: &str, overflow: Overflow, time: Duration) -> Result<bool> {
    let limits = Limits::default();
    let builder = Node::builder().cores(2).limits(limits);
    // They are counted anyway, and not to be shown.
    let node = builder.on_undelivered(|_| {}).start()?;
    let handle = node.handle();
    let before = status("self", "VmRSS");

    let Outcome {
        counts,
        in_time,
        handled,
        dropped,
        lost,
        resident,
        peaks,
    } = rounds(&handle, overflow, time)?;
    node.stop()?;

    let budget = budget(&limits).bytes().div_ceil(1024);
    let grown = resident.saturating_sub(before);
    let (low, high) = peaks.iter().fold((f64::MAX, 0.0f64), |(low, high), peak| {
        (low.min(*peak), high.max(*peak))
    });
    let peak = peaks.iter().sum::<f64>() / peaks.len() as f64;
    let goodput = in_time / time.as_secs_f64();
    let (share, times) = (
        100.0 * goodput / peak,
        counts.offered as f64 / handled as f64,
    );
    let holds = [
        (grown as f64 <= 1.05 * budget as f64, "memory"),
        (goodput >= 0.9 * peak || time < JUDGED, "goodput"),
        (times >= 0.9 * TIMES || time < JUDGED, "load"),
        (counts.accepted == handled + dropped + lost, "counts"),
    ];
    println!("{name}, for {time:?}:");
    println!("  memory   {grown} KiB more resident than when idle, of a budget of {budget}");
    println!(
        "  goodput  {goodput:.0} a second, {share:.1} % of the peak of {peak:.0} ({low:.0} to {high:.0})"
    );
    println!(
        "  counts   {} offered, {times:.1} times what was handled; {} sent, {} returned;",
        counts.offered, counts.accepted, counts.returned
    );
    println!(
        "           of those sent {handled} handled, {dropped} dropped for want of room, {lost} lost otherwise"
    );
    for (_, what) in holds.iter().filter(|(holds, _)| !holds) {
        println!("  FAILED: {what}");
    }
    Ok(holds.iter().all(|(holds, _)| *holds))
}

/// Each policy in a process of its own, as memory that was used once stays resident. Whether everything holds.
fn all(seconds: &str) -> Result<bool> {
    println!("{}", Machine::read());
    println!("what messages may take:\n{}", budget(&Limits::default()));
    let program = std::env::current_exe()?;
    let mut holds = true;
    for (name, _) in POLICIES {
        let mut child = Command::new(&program);
        holds &= child.args([seconds, name]).status()?.success();
    }
    Ok(holds)
}

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().unwrap_or_else(|| SECONDS.to_string());
    let time = Duration::from_secs(seconds.parse().map_err(Error::other)?);
    let policy = arguments.next();
    let holds = match &policy {
        None => all(&seconds)?,
        Some(asked) => {
            let policy = POLICIES.iter().find(|(name, _)| name == asked);
            let unknown = || Error::other(format!("{asked} is none of {POLICIES:?}"));
            let (name, overflow) = policy.ok_or_else(unknown)?;
            overload(name, *overflow, time)?
        }
    };
    Ok(match holds {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
