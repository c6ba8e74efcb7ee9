//! Load inside one process: pairs of workers on a node, one sending and one echoing.

mod pair;

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use ringpost::{Address, Context, ErrorKind, Node};
use ringpost_mailbox::sync::Arc;
use ringpost_mailbox::sync::atomic::{AtomicBool, Ordering};

use crate::clock::Clock;
use crate::error::StartError;
use crate::outcome::{Outcome, Watch};
use crate::recorder::Live;
use crate::settings::{Settings, Timeline};

use pair::{Echo, Letter, PairOf, Part};

const TICK: Duration = Duration::from_millis(100);

/// Each pair has a histogram of its own, so they are bounded.
pub(crate) const PAIRS_MAX: usize = 1000;

/// The cores that the pairs stretch over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Cores {
    /// The user's choice on a machine with so many CPUs: without one, from the first core to the next.
    pub(crate) fn choose(from: Option<usize>, to: Option<usize>, cpus: usize) -> Self {
        let from = from.unwrap_or(0);
        let next = if from + 1 < cpus { from + 1 } else { 0 };
        Self {
            from,
            to: to.unwrap_or(next),
        }
    }

    /// What is to be said of cores that are more than the machine's CPUs.
    pub(crate) fn warning(self, cpus: usize) -> Option<String> {
        let most = self.from.max(self.to);
        (most >= cpus).then(|| {
            let numbers = match cpus {
                1 => "core 0".to_owned(),
                cpus => format!("cores 0 to {}", cpus - 1),
            };
            format!(
                "there is no CPU for core {most}: this process may use {cpus}, for {numbers}; the node's cores share them, and figures \
                 are not those of cores with CPUs of their own"
            )
        })
    }

    /// How many cores take part.
    pub(crate) fn count(self) -> usize {
        if self.from == self.to { 1 } else { 2 }
    }
}

/// What the workers of a run share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    clock: Clock,
    cores: Cores,
    /// Counted by the senders' core only.
    live: Arc<Live>,
    /// Set when senders are to report what they have.
    ends: AtomicBool,
}

/// Puts a node under load and says what came of it.
///
/// # Errors
/// Those of the node, when it cannot start.
pub(crate) fn measure(
    cores: Cores,
    settings: &Settings,
    clock: Clock,
    watch: &mut dyn Watch,
) -> Result<Outcome, StartError> {
    let node = Node::builder()
        .cores(cores.from.max(cores.to) + 1)
        .start()?;
    let shared = Arc::new(Shared {
        settings: settings.clone(),
        clock,
        cores,
        live: Arc::default(),
        ends: AtomicBool::new(false),
    });
    let outcome = std::thread::scope(|scope| {
        let (begun, begins) = channel();
        let (handle, driven) = (node.handle(), Arc::clone(&shared));
        let work = move || {
            let drive = async move |ctx: Context| drive(ctx, &driven, &begun).await;
            pollster::block_on(handle.run_on(cores.from, drive))
        };
        let thread = std::thread::Builder::new().name("load-local".into());
        let thread = thread
            .spawn_scoped(scope, work)
            .map_err(StartError::Thread)?;
        if let Ok(timeline) = begins.recv() {
            while matches!(begins.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
                if !watch.look(&timeline, clock.now(), shared.live.answered.value()) {
                    // Relaxed: the flag stands for itself.
                    shared.ends.store(true, Ordering::Relaxed);
                }
            }
        }
        match thread.join() {
            Ok(outcome) => Ok(outcome??),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    node.stop()?;
    outcome
}

/// Starts the pairs, lets them begin, and collects their reports.
async fn drive(
    mut ctx: Context,
    shared: &Arc<Shared>,
    begun: &Sender<Timeline>,
) -> ringpost::Result<Outcome> {
    let run = shared.clock.now();
    let tags = (
        tag_of(&ctx, shared.cores.from),
        tag_of(&ctx, shared.cores.to),
    );
    let mut senders: Vec<Address> = Vec::new();
    for number in 0..shared.settings.connections {
        let sender = Address::from(format!("{{{}}}sender-{number}", tags.0));
        let echo = Address::from(format!("{{{}}}echo-{number}", tags.1));
        ctx.start_worker(echo.clone(), Echo).await?;
        let driver = ctx.address();
        let shared = Arc::clone(shared);
        let pair = move || PairOf::new(shared, run, number, echo, driver);
        ctx.start_worker_with(sender.clone(), pair).await?;
        senders.push(sender);
    }
    let timeline = shared.settings.timeline(shared.clock.now());
    // Nobody listens if the program is ending.
    let _ = begun.send(timeline);
    for sender in &senders {
        ctx.send_message(sender, Letter::Begin(Box::new(timeline)))
            .await?;
    }
    let mut outcome = Outcome::new(timeline.measure);
    let mut waits_for = senders.len();
    while waits_for > 0 {
        match ctx.receive_timeout::<Part>(TICK).await {
            Ok(part) => {
                outcome.add(part.take().0);
                waits_for -= 1;
            }
            Err(error) if matches!(error.kind(), ErrorKind::Timeout { .. }) => {
                if shared.clock.now() >= timeline.end {
                    // Relaxed: as above.
                    shared.ends.store(true, Ordering::Relaxed);
                }
                if shared.ends.load(Ordering::Relaxed) {
                    nudge(&ctx, &senders);
                }
            }
            Err(error) => return Err(error),
        }
    }
    // Relaxed: as above.
    let is_ended = shared.ends.load(Ordering::Relaxed);
    outcome.interrupted = is_ended && shared.clock.now() < timeline.end;
    Ok(outcome)
}

/// Lets the senders look at the wish to end.
fn nudge(ctx: &Context, senders: &[Address]) {
    for sender in senders {
        // One without room handles messages anyway.
        let _ = ctx.try_send_message(sender, Letter::Tick);
    }
}

/// A tag that keeps the names that bear it on this core.
fn tag_of(ctx: &Context, core: usize) -> String {
    let mut tags = (0_u64..).map(|number| number.to_string());
    let tag = tags.find(|tag| ctx.home(format!("{{{tag}}}")) == core);
    tag.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Counts;
    use crate::progress::Progress;

    fn run(cores: Cores, settings: &Settings) -> Outcome {
        let mut watch = Progress::new(true);
        measure(cores, settings, Clock::start(), &mut watch).expect("the node runs")
    }

    #[test]
    fn every_message_of_every_pair_is_answered() {
        for (from, to, size) in [(0, 0, 64), (0, 1, 64), (1, 0, 5000)] {
            let settings = Settings {
                connections: 3,
                window: 300,
                size,
                ..Settings::small()
            };
            let outcome = run(Cores { from, to }, &settings);
            let clean = Counts {
                sent: 1000,
                answered: 1000,
                ..Counts::default()
            };
            assert_eq!(outcome.counts, clean, "from {from} to {to}");
            assert_eq!((outcome.latencies.len(), outcome.answered), (1000, 1000));
            assert!(!outcome.interrupted && outcome.broken == 0);
        }
    }

    #[test]
    fn an_open_loop_sends_all_that_is_due() {
        // So many that mailboxes are full on the way: nobody may wait for itself.
        let settings = Settings {
            rate: Some(1e9),
            window: 5000,
            messages: Some(50_000),
            ..Settings::small()
        };
        let outcome = run(Cores { from: 0, to: 0 }, &settings);
        assert_eq!((outcome.counts.answered, outcome.unsent), (50_000, 0));
    }

    #[test]
    fn cores_without_a_cpu_are_told() {
        let warning = |from, to, cpus| Cores { from, to }.warning(cpus);
        assert_eq!((warning(0, 1, 2), warning(0, 0, 1)), (None, None));
        for (from, to, cpus, part) in [
            (
                7,
                0,
                2,
                "no CPU for core 7: this process may use 2, for cores 0 to 1;",
            ),
            (
                0,
                1,
                1,
                "no CPU for core 1: this process may use 1, for core 0;",
            ),
        ] {
            let warning = warning(from, to, cpus).unwrap();
            assert!(warning.contains(part), "{warning}");
        }
    }

    #[test]
    fn cores_are_chosen_within_the_machine() {
        let chosen = |from, to, cpus| {
            let cores = Cores::choose(from, to, cpus);
            (cores.from, cores.to, cores.count())
        };
        assert_eq!(chosen(None, None, 4), (0, 1, 2));
        assert_eq!(chosen(None, None, 1), (0, 0, 1));
        assert_eq!(chosen(Some(3), None, 4), (3, 0, 2));
        assert_eq!(chosen(Some(2), Some(2), 4), (2, 2, 1));
    }
}
