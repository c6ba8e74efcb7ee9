//! What a core does with the time, which it is told: it reads no clock.
//!
//! The driver reads the clock before some of the turns, and before a sleep; what is started meanwhile knows the time
//! of the last reading alone, which may be long over. So nothing is measured from there: waits are young, deadlines of
//! requests are not armed, and the patience of a stage has no end, until the clock has been read once more. Nothing
//! ends early for that. Those of requests are put off somewhat longer, so that most are answered by then.

use std::time::Duration;

use crate::core::Timed;
use crate::shard::Shard;
use crate::task::Wake;
use crate::time::Time;

/// How long user code that is still running is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// There is nothing to be patient with.
    Nothing,
    /// So long from the next reading of the clock.
    For(Duration),
    Until(Time),
}

impl Patience {
    /// Whether it is not over yet.
    pub(super) fn lasts(self, now: Time) -> bool {
        match self {
            Patience::Nothing => false,
            Patience::For(_) => true,
            Patience::Until(end) => now < end,
        }
    }
}

impl Shard {
    /// It is this time. Where that is the time of the last reading, the clock has not been read since.
    #[inline]
    pub(super) fn note_time(&mut self, now: Time) {
        if now != self.core.now.get() {
            self.note_reading(now, true);
        }
    }

    /// The clock was read after all that this core has done, and it is this time. Whether what can be put off may be: there
    /// will be another reading soon.
    pub(super) fn note_reading(&mut self, now: Time, may_put_off: bool) {
        let core = &self.core;
        core.now.set(now);
        core.timers.borrow_mut().grow_up(now);
        core.replies.arm_young(core, may_put_off);
        if let Patience::For(wait) = self.end.patience {
            self.end.patience = Patience::Until(now.saturating_add(wait));
        }
    }

    /// When there is something to do though nothing arrives.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let timer = self.core.timers.borrow().next_deadline();
        // Also one that has passed: no turn has seen that.
        let patience = match self.end.patience {
            Patience::Until(end) => Some(end),
            _ => None,
        };
        [timer, patience].into_iter().flatten().min()
    }

    /// Does what is due. Returns how much.
    pub(super) fn fire_timers(&mut self, now: Time) -> u32 {
        let budget = self.core.limits.timers_burst as usize;
        let mut due = std::mem::take(&mut self.due);
        self.core.timers.borrow_mut().due(now, budget, &mut due);
        let fired = u32::try_from(due.len()).unwrap_or(u32::MAX);
        for timed in due.drain(..) {
            match timed {
                Timed::Sleep(state) => {
                    let mut state = state.borrow_mut();
                    state.over = true;
                    let wake = std::mem::replace(&mut state.wake, Wake::Nobody);
                    drop(state);
                    self.core.wake(&wake);
                }
                Timed::Reply(handle) => self.core.replies.expire(&self.core, handle),
                Timed::Drain(mailbox) => self.core.drain_is_over(&mailbox),
                Timed::Patrol => self.core.patrol(),
            }
        }
        self.due = due;
        fired
    }
}
