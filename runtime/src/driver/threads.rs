//! The real driver: one thread for each core, pinned where that helps, asleep when idle.
//!
//! A loop that finds nothing spins for a while, calibrated by what a wake-up costs on this machine,
//! and then parks in the kernel's poll, which a bell, a socket or the next deadline ends. Every sleep is
//! bounded. A core with sockets asks the kernel about them before it spins on, and while it is busy, from
//! time to time.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use core_affinity::CoreId;
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::thread::{JoinHandle, ThreadId, current, yield_now};
use ringpost_mailbox::wake::{Parked, Parker};
use ringpost_router::Address;

use crate::core::Core;
use crate::driver::cores::CorePlan;
use crate::driver::helper;
use crate::driver::net::Network;
use crate::driver::spin::Spin;
use crate::driver::stderr::failure;
use crate::driver::system::{Crew, Os, System};
use crate::driver::threads::kernel::{Clock, Kernel, bell_and_kernel, calibrate};
use crate::driver::watchdog::Watchdog;
use crate::driver::{APP, MainMaker};
use crate::error::{Error, ErrorKind, Result};
use crate::node::shared::{NodeShared, Plan, Seed, assemble};
use crate::shard::{Shard, Turn};
use crate::time::Time;

/// No sleep is longer than this, so that a lost wake-up would be a delay, and counted.
const SLEEP_MAX: Duration = Duration::from_millis(100);
/// How long to sleep while senders wait for room in a ring: draining it does not ring a bell.
const SLEEP_FOR_ROOM: Duration = Duration::from_millis(1);
/// Busy turns and passes between two looks at the sockets, and at the clock where they have done little.
const TURNS_PER_CLOCK: u32 = 8;
/// Looks for arrivals between two turns of an idle loop.
const LOOKS_PER_TURN: u32 = 32;
/// The running threads of a node.
pub(crate) struct Threads {
    pub(crate) node: Arc<NodeShared>,
    ids: Box<[ThreadId]>,
    /// Those that nobody has joined. The lock is held while they are, so that whoever comes second waits too.
    joins: Mutex<Vec<JoinHandle<()>>>,
}

/// Starts the threads of a node. The main future, if there is one, runs on the core of its address.
///
/// # Errors
/// [`ErrorKind::Io`] of the system: no descriptors or no threads. No thread is left then.
pub(crate) fn start(
    plan: Plan,
    cores: CorePlan,
    stall_after: Duration,
    main: Option<MainMaker>,
) -> Result<Threads> {
    start_on(&Os, plan, cores, stall_after, main)
}

fn start_on(
    system: &impl System,
    plan: Plan,
    cores: CorePlan,
    stall_after: Duration,
    mut main: Option<MainMaker>,
) -> Result<Threads> {
    let count = cores.loops.len();
    let clock = Clock::start();
    let (bells, mut kernels) = (0..count)
        .map(|core| bell_and_kernel(&clock).map_err(|error| no_poll(core, count, &error)))
        .collect::<Result<(Vec<_>, Vec<_>)>>()?;
    let spin = match (cores.spin, bells.first(), kernels.first_mut()) {
        (true, Some(bell), Some(kernel)) => calibrate(&**bell, kernel),
        _ => Duration::ZERO,
    };
    let spin = Spin::new(spin, count);
    let (node, seeds) = assemble(plan, bells);
    let home = node.placement.home(&Address::local(APP));
    let mut crew = Crew::new();
    for ((seed, kernel), cpu) in seeds.into_iter().zip(kernels).zip(cores.loops) {
        let core = seed.id;
        let main = main.take_if(|_| core == home);
        let (clock, system_there) = (clock.clone(), system.clone());
        let body = move || {
            if let Some(cpu) = cpu {
                pin(&system_there, &seed, cpu);
            }
            let node = Arc::clone(&seed.node);
            run_core(seed, kernel, &clock, spin, main);
            node.blocking.core_is_over();
        };
        crew.spawn(system, format!("ringpost-{core}"), body)
            .map_err(|error| no_thread(core, count, &error))?;
    }
    let (there, system_there) = (Arc::clone(&node), system.clone());
    let watchdog = Watchdog::new(Arc::clone(&node), stall_after);
    let help = move || helper::run(&system_there, &there, watchdog, || clock.now());
    crew.spawn(system, "ringpost-helper".to_owned(), help)
        .map_err(|error| no_thread(count as u16, count, &error))?;
    node.blocking.use_threads();
    let joins = crew.open();
    Ok(Threads {
        node,
        ids: joins.iter().map(|join| join.thread().id()).collect(),
        joins: Mutex::new(joins),
    })
}

#[cold]
fn no_poll(core: usize, count: usize, error: &io::Error) -> Error {
    Error::new(ErrorKind::Io(format!(
        "no poll for core {core} of {count} ({error}); the node was not started: \
         ask for fewer cores, or raise the limit on open files"
    )))
}

#[cold]
fn no_thread(core: u16, count: usize, error: &io::Error) -> Error {
    Error::new(ErrorKind::Io(format!(
        "no thread for core {core} of {count} ({error}); the node was not started, and the threads \
         that were have ended: ask for fewer cores, or raise the limit on threads"
    )))
}

/// Pins the thread of a core. A refusal is counted and reported; the core does its work unpinned.
fn pin(system: &impl System, seed: &Seed, cpu: CoreId) {
    if system.pin(cpu) {
        return;
    }
    let shared = &seed.node.cores[usize::from(seed.id)];
    shared.counters.core.pins_refused.add(1);
    tracing::warn!(
        core = seed.id,
        cpu = cpu.id,
        "the system refused to pin this core's thread; it runs unpinned"
    );
}

impl Threads {
    /// Waits until every core has ended. Not to be called by one of them.
    pub(crate) fn join(&self) {
        for join in self.joins.lock().drain(..) {
            if join.join().is_err() {
                let what = "a core's thread panicked; this is a defect of ringpost";
                failure(what, None, None);
            }
        }
    }

    /// Whether the calling thread is one of these, also while it ends.
    pub(crate) fn is_own(&self) -> bool {
        self.ids.contains(&current().id())
    }
}

/// The loop of one core.
fn run_core(seed: Seed, kernel: Kernel, clock: &Clock, mut spin: Spin, main: Option<MainMaker>) {
    let id = seed.id;
    let mut now = clock.now();
    let Kernel { registry, mut poll } = kernel;
    let (mut shard, mut parker) = Shard::new(seed, now, Network::System(registry));
    if let Some(main) = main {
        let future = main(&shard.core);
        shard.spawn_main(future);
    }
    tracing::debug!(core = id, ?spin, "a core runs");
    let mut idle_since: Option<Time> = None;
    let mut turns = 0;
    let mut woken = false;
    loop {
        match guarded(|| shard.turn(now)) {
            Turn::Over => return let_go(&shard),
            Turn::Busy => {
                if let Some(since) = idle_since.take() {
                    spin.note_look(now.saturating_since(since));
                }
                woken = false;
                turns += 1;
                // Who was put off has had a share: those come first that have become ready since.
                if turns >= TURNS_PER_CLOCK || shard.core.io.has_unfinished() {
                    turns = 0;
                    now = clock.now();
                    poll.look(&shard.core);
                } else if shard.has_done_much() {
                    now = clock.now();
                }
                if !spin.is_none() && shard.may_listen() {
                    turns += listen(&mut shard, now, TURNS_PER_CLOCK - turns);
                }
            }
            Turn::Idle => {
                now = clock.now();
                if std::mem::take(&mut woken) {
                    shard.core.tally().wakes_spurious.add(1);
                }
                let since = *idle_since.get_or_insert(now);
                let look = spin.time(shard.core.io.has_sources());
                if now.saturating_since(since) < look {
                    if !poll.look(&shard.core) {
                        turns = listen(&mut shard, now, TURNS_PER_CLOCK);
                        if turns > 0 {
                            idle_since = None;
                            spin.note_look(now.saturating_since(since));
                        }
                    }
                    continue;
                }
                let deadline = shard.settle(now);
                let wait = sleep_time(&shard, now, deadline);
                woken = sleep(&mut shard, &mut parker, |core| poll.wait(core, wait));
                idle_since = None;
                now = clock.now();
                spin.note_sleep(now.saturating_since(since), woken);
            }
        }
    }
}

/// Waits until nobody looks at a worker of this core any more: they are freed with it.
fn let_go(shard: &Shard) {
    while !shard.core.shared.shown.may_free() {
        yield_now();
    }
}

/// A turn, or a part of one. User code is guarded where it is called; a panic that comes up to here is a defect of this
/// crate, and a node that goes on without one of its cores could never stop.
fn guarded<R>(part: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(part)).unwrap_or_else(|_| {
        let what = "a core panicked outside its workers; the process cannot go on";
        failure(what, None, None);
        std::process::abort()
    })
}

/// Listens for a while, which is quicker than turns that find nothing. Returns how many passes there were, `most` at the most:
/// each is as good as a turn.
fn listen(shard: &mut Shard, now: Time, most: u32) -> u32 {
    // Room that is waited for does not arrive, it is there. (Who is idle may wait for it.)
    if shard.core.waits_for_room() {
        std::hint::spin_loop();
        return 0;
    }
    guarded(|| shard.listen(now, LOOKS_PER_TURN, most))
}

fn sleep_time(shard: &Shard, now: Time, deadline: Option<Time>) -> Duration {
    let bound = if shard.core.waits_for_room() {
        SLEEP_FOR_ROOM
    } else {
        SLEEP_MAX
    };
    deadline.map_or(bound, |deadline| bound.min(deadline.saturating_since(now)))
}

/// Sleeps in `block`, which ends when the bell rings, a socket has news or the time is over. Whether the bell ended it.
fn sleep(shard: &mut Shard, parker: &mut Parker, block: impl FnOnce(&Core)) -> bool {
    let core = std::rc::Rc::clone(&shard.core);
    core.tally().parks.add(1);
    match parker.park(|| shard.has_arrivals(), || block(&core)) {
        Parked::Notified => return true,
        Parked::FoundAfterTimeout => core.tally().found_after_timeout.add(1),
        Parked::FoundWork | Parked::TimedOut => {}
    }
    false
}

#[cfg_attr(shuttle, path = "threads/drawn.rs")]
mod kernel;
#[cfg(test)]
mod tests;
