//! One seed: a cluster, its faults, and what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ringpost::sim::{Cluster, Event, Fault, Faults, Network, Rare, Sim};
use ringpost::{Context, Error, Result};

use crate::dice::Dice;
use crate::ledger::{Ledger, Parcel, prefix};
use crate::players::{self, Game};

/// How long a cluster may take, after the time of faults, until every node has reached every other.
const SETTLED_WITHIN: Duration = Duration::from_secs(900);

/// Turns after which a run is given up: many times what any takes.
const TURNS_MAX: u64 = 3_000_000;

/// What a seed is run with; what is left open, the seed draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) nodes: u16,
    pub(crate) cores: u16,
    pub(crate) players: u64,
    pub(crate) faulty_for: Duration,
    pub(crate) faults: Faults,
    pub(crate) has_rare_paths: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) hash: u64,
    pub(crate) events: u64,
    pub(crate) elapsed: Duration,
    pub(crate) handled: u64,
    pub(crate) answered: u64,
    pub(crate) faults: Vec<(Fault, u64)>,
    pub(crate) rare: Vec<(Rare, u64)>,
    pub(crate) last_events: Vec<(Duration, Event)>,
    pub(crate) failure: Option<String>,
}

impl Setup {
    pub(crate) fn drawn(seed: u64, nodes: Option<u16>, cores: Option<u16>) -> Self {
        let mut dice = Dice(seed ^ 0x5e7_0000);
        // These are small.
        let (some_nodes, some_cores) = (1 + dice.roll(4) as u16, 1 + dice.roll(4) as u16);
        Self {
            seed,
            nodes: nodes.unwrap_or(some_nodes),
            cores: cores.unwrap_or(some_cores),
            players: 1 + dice.roll(3),
            faulty_for: Duration::from_millis(5 + dice.roll(60)),
            faults: Faults::drawn(seed),
            has_rare_paths: true,
        }
    }

    /// Whether what is not delivered goes to a worker for that.
    fn has_letters(&self) -> bool {
        Dice(self.seed ^ 0x1e7_0000).roll(2) == 0
    }

    /// Whether no connection can break, so that what one worker sends to another stays in order.
    fn keeps_connections(&self) -> bool {
        let breaks = |fault: Fault| {
            matches!(
                fault,
                Fault::Crash
                    | Fault::Shutdown
                    | Fault::PowerLoss
                    | Fault::ClockJump
                    | Fault::FewDescriptors
                    | Fault::Reset
                    | Fault::HalfClose
                    | Fault::Blackhole
                    | Fault::Refuse
                    | Fault::AcceptFails
            )
        };
        !self.faults.kinds().any(breaks)
    }

    /// Runs it.
    pub(crate) fn run(&self, trace: Option<fn(Duration, &Event)>) -> Outcome {
        let run = AssertUnwindSafe(|| self.run_unguarded(trace));
        catch_unwind(run).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Outcome::failed(format!("a panic: {}", text.unwrap_or_default()))
        })
    }

    fn run_unguarded(&self, trace: Option<fn(Duration, &Event)>) -> Outcome {
        let ledger = Ledger::new(self.keeps_connections());
        let mut sim = Sim::new(self.seed)
            .network(self.network())
            .faults(self.faults.clone())
            .heal_after(self.faulty_for)
            .drain(Duration::from_millis(20))
            .turns_max(TURNS_MAX);
        if self.has_rare_paths {
            sim = sim.rare_paths(self.seed);
        }
        if let Some(trace) = trace {
            sim = sim.on_event(trace);
        }
        if self.has_letters() {
            sim = sim.dead_letters(players::ARCHIVE);
        }
        let book = ledger.clone();
        sim = sim.on_undelivered(move |lost| book.report(lost));
        let book = ledger.clone();
        sim = sim.on_wait_cycle(move |cycle| {
            book.complain(format!("G5: there is no circle, but it is said: {cycle}"));
        });
        for node in 1..=self.nodes {
            let game = Game {
                node,
                nodes: self.nodes,
                seed: self.seed,
                players: self.players,
                ledger: ledger.clone(),
                cluster: sim.cluster(),
            };
            let name = format!("node {node}");
            let main = async move |ctx: Context| players::node(ctx, game).await;
            sim = sim.node(&*name, self.cores).main(&name, main);
        }
        let (nodes, book, cluster) = (self.nodes, ledger.clone(), sim.cluster());
        let report = sim.run(async move |ctx: Context| {
            write_from_outside(&ctx, nodes, &cluster).await;
            watch(&ctx, nodes, &book).await
        });
        let (handled, answered, complaint) = ledger.close();
        let failed = report.output.err().map(|error| error.to_string());
        let mains = report.neighbours.into_iter().zip(1..);
        let main = mains.filter_map(|((output, _), node)| {
            let error = output?.err()?;
            Some(format!("the main function of node {node} failed: {error}"))
        });
        let main = main.reduce(|first, _| first);
        Outcome {
            hash: report.trace,
            events: report.events,
            elapsed: report.elapsed,
            handled,
            answered,
            faults: report.faults,
            rare: report.rare,
            last_events: report.last_events,
            failure: report.violation.or(complaint).or(failed).or(main),
        }
    }

    fn network(&self) -> Network {
        let mut dice = Dice(self.seed ^ 0x7e7_0000);
        match dice.roll(3) {
            0 => Network::new(),
            1 => Network::new().latency(Duration::from_micros(20), Duration::from_micros(60)),
            _ => {
                let far = Duration::from_micros(200 + dice.roll(3_000));
                Network::new().latency(far, 2 * far).bandwidth(1_000_000)
            }
        }
    }
}

/// Writes to all nodes as threads outside of them do, until the time of faults is over: to a worker, and to somebody who
/// takes nothing.
async fn write_from_outside(ctx: &Context, nodes: u16, cluster: &Cluster) {
    let mut number = 0;
    while !cluster.is_calm() {
        number += 1;
        for node in 1..=nodes {
            let parcel = Parcel {
                from: node.into(),
                number,
                is_remote: true,
            };
            if let Some(handle) = cluster.handle(&format!("node {node}")) {
                drop(handle.try_send_message(format!("{}sink-0", prefix(node)), parcel));
                drop(handle.try_send_message(players::INBOX, number));
            }
        }
        ctx.sleep(Duration::from_micros(700)).await;
    }
}

/// Waits until the cluster has come to rest after the faults.
async fn watch(ctx: &Context, nodes: u16, ledger: &Ledger) -> Result<()> {
    let pause = Duration::from_millis(20);
    let mut left = SETTLED_WITHIN.as_millis() / pause.as_millis();
    while !ledger.are_settled(nodes) {
        if left == 0 {
            return Err(Error::other(
                "the cluster does not come to rest after the faults",
            ));
        }
        left -= 1;
        ctx.sleep(pause).await;
    }
    // What is on its way arrives.
    ctx.sleep(Duration::from_secs(2)).await;
    ledger.check_balance();
    Ok(())
}

impl Outcome {
    fn failed(failure: String) -> Self {
        Self {
            hash: 0,
            events: 0,
            elapsed: Duration::ZERO,
            handled: 0,
            answered: 0,
            faults: Vec::new(),
            rare: Vec::new(),
            last_events: Vec::new(),
            failure: Some(failure),
        }
    }
}
