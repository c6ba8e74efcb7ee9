//! Seeing that a core does not come back from a handler.
//!
//! Each core counts its turns and the messages it handles, and shows whose handler it runs. Where none of that
//! changes, and a handler is shown, it holds the core. Nothing interrupts the core, and no signals are used.

use std::sync::Arc;
use std::time::Duration;

use crate::driver::stderr::failure;
use crate::node::shared::{CoreShared, NodeShared};
use crate::stall::Stall;
use crate::task::panics::guarded;
use crate::time::Time;

/// How many looks are taken in the time after which a handler is reported.
pub(crate) const LOOKS: u32 = 4;

/// What was seen of each core of a node.
pub(crate) struct Watchdog {
    node: Arc<NodeShared>,
    after: Duration,
    seen: Vec<Seen>,
}

/// How a core was found, since when, and how long that may last before it is said.
#[derive(Debug, Clone, Copy)]
struct Seen {
    state: State,
    since: Time,
    patience: Duration,
}

/// What changes when a core goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    shown: usize,
    turns: u64,
    handled: u64,
}

impl Watchdog {
    pub(crate) fn new(node: Arc<NodeShared>, after: Duration) -> Self {
        let nothing = Seen {
            state: State::of(&node.cores[0]),
            since: Time::ZERO,
            patience: after,
        };
        let seen = vec![nothing; node.cores.len()];
        Self { node, after, seen }
    }

    /// How long to wait between two looks.
    pub(crate) fn pause(&self) -> Duration {
        self.after / LOOKS
    }

    /// Looks at each core; tells of those that are held.
    pub(crate) fn look(&mut self, now: Time) {
        for (core, seen) in self.node.cores.iter().zip(&mut self.seen) {
            let state = State::of(core);
            if state != seen.state || state.shown == 0 {
                *seen = Seen {
                    state,
                    since: now,
                    patience: self.after,
                };
                continue;
            }
            let held = now.saturating_since(seen.since);
            if held < seen.patience {
                continue;
            }
            seen.patience = seen.patience.saturating_mul(2);
            if let Some(stall) = stall(core, held) {
                self.node.tell_stall(core, &stall);
            }
        }
    }
}

impl State {
    fn of(core: &CoreShared) -> Self {
        let tally = &core.counters.core;
        Self {
            shown: core.shown.mark(),
            turns: tally.turns.value(),
            handled: tally.handled.value(),
        }
    }
}

fn stall(core: &CoreShared, held: Duration) -> Option<Stall> {
    let running = core.shown.look()?;
    let is_worker = running.address.as_bytes().first() != Some(&b'~');
    Some(Stall {
        core: usize::from(core.id),
        worker: is_worker.then_some(running.address),
        worker_type: running.worker,
        message_type: running.message,
        held,
    })
}

impl NodeShared {
    fn tell_stall(&self, core: &CoreShared, stall: &Stall) {
        core.counters.stalls.add(1);
        let what = "a core is held up";
        failure(what, stall.worker.as_ref(), Some(stall));
        if let Some(hook) = &self.hooks.stall {
            guarded(
                "the hook for stalls panicked",
                stall.worker.as_ref(),
                || hook(stall),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ringpost_mailbox::sync::Mutex;
    use ringpost_router::{Address, NodeCore};

    use super::*;
    use crate::limits::Limits;
    use crate::mailbox::{Mailbox, State as MailboxState};
    use crate::node::shared::{Bell, Hooks, Plan, assemble};
    use crate::task::raw::MailboxRc;

    struct Silent;

    impl Bell for Silent {
        fn ring(&self) {}
    }

    #[test]
    fn a_core_is_held_when_nothing_changes_and_a_worker_is_shown() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let hook = Arc::clone(&told);
        let hooks = Hooks {
            stall: Some(Arc::new(move |stall: &Stall| {
                hook.lock().push(stall.clone())
            })),
            ..Hooks::default()
        };
        let plan = Plan {
            id: crate::node::builder::next_node_id(),
            limits: Limits::default(),
            drain: crate::DRAIN_TIMEOUT,
            seed: 7,
            hooks,
        };
        let (node, _seeds) = assemble(plan, vec![Box::new(Silent)]);
        let mailbox = Mailbox::new(
            Address::from("busy"),
            NodeCore::new(node.id, 0),
            MailboxState::Busy,
            0,
        );
        let mailbox = MailboxRc::new(mailbox);
        let core = &node.cores[0];
        let mut watchdog = Watchdog::new(Arc::clone(&node), Duration::from_millis(100));
        let mut look = |millis: u64| {
            watchdog.look(Time::ZERO.saturating_add(Duration::from_millis(millis)));
            std::mem::take(&mut *told.lock())
        };
        assert!(look(1000).is_empty(), "nothing is shown: the core sleeps");
        core.shown.show(&mailbox);
        assert!(look(1100).is_empty(), "it has just begun");
        for at in (1125..2000).step_by(25) {
            core.counters.core.handled.add(1);
            assert!(look(at).is_empty(), "messages are handled");
        }
        for at in (2000..3000).step_by(25) {
            core.counters.core.turns.add(1);
            assert!(look(at).is_empty(), "the core turns");
        }
        let held: Vec<_> = (3000..3500).step_by(25).flat_map(&mut look).collect();
        let millis: Vec<_> = held.iter().map(|stall| stall.held.as_millis()).collect();
        assert_eq!(
            millis,
            [100, 200, 400],
            "since the last look at which it went on"
        );
        assert_eq!(held[0].worker, Some(Address::from("busy")));
        assert_eq!(core.counters.stalls.value(), 3);
        core.shown.hide();
        assert!(look(9000).is_empty());
    }
}
