//! What a core does between its turns while it waits: it listens, and handles what other cores have sent as soon as it comes.
//!
//! A turn does a little of everything, and most of that is nothing where two workers of different cores take turns: who waits
//! for an answer waits for it all the same. So a core that has nothing else to do takes what has come, handles it and
//! publishes what came of that, and goes on listening: a *pass*. It is a part of a turn, and legal in any order with the others. As
//! soon as there is anything else to do, or as much was done as a turn may do, the next turn has it: timers, room, errands, and
//! the end of the node are left to that.

use std::rc::Rc;

use ringpost_mailbox::sync::hint::{await_look, spin_loop};

use crate::core::Core;
use crate::shard::{Shard, Turning};
use crate::time::Time;

/// Looks in close succession for what may follow a message that came alone, before those with more time between.
const CLOSE_LOOKS: u32 = 64;

impl Shard {
    /// Looks so many times for what other cores have sent, and handles it at once: `most` passes, and what the turn before has left
    /// of what a turn may handle, are enough. Returns how many there were.
    pub(crate) fn listen(&mut self, now: Time, looks: u32, most: u32) -> u32 {
        let core = Rc::clone(&self.core);
        let _current = core.pool.enter();
        let _turning = Turning::of(&core);
        self.note_time(now);
        let mut is_free = self.may_listen();
        let (mut left, mut passes) = (looks, 0);
        let mut close = self.close_looks();
        let mut is_awaited = false;
        while left > 0 && !self.has_other_arrivals() {
            let Some(first) = self.first_with_messages() else {
                is_awaited = true;
                if close > 0 {
                    close -= 1;
                    await_look();
                } else {
                    left -= 1;
                    spin_loop();
                }
                continue;
            };
            let is_enough = passes == most || self.handled >= core.limits.turn_messages;
            if is_enough || !is_free {
                break;
            }
            self.handled += self.pass(&core, first, is_awaited);
            is_awaited = false;
            passes += 1;
            is_free = self.may_listen();
            left = if is_free { looks } else { 0 };
            close = self.close_looks();
        }
        passes
    }

    /// Notes how many messages and steps a turn or a pass has done, if it has any, and how many of these it has handled where they had
    /// arrived.
    pub(super) fn note_done(&mut self, done: u32, arrived: u32) {
        if done > 0 {
            self.was_lone = done == 1 && arrived == 1;
        }
    }

    /// Where a single message has come, two cores may take turns, and each waits for the other. Where many come, who looks for the
    /// next ones all the time takes their lines from the core that writes them.
    fn close_looks(&self) -> u32 {
        if self.was_lone { CLOSE_LOOKS } else { 0 }
    }

    /// Whether all that this core could do now, but for timers, would have to arrive from another core or thread:
    /// who has just answered one is to be ready for the next question, and not in a turn that finds nothing.
    pub(crate) fn may_listen(&self) -> bool {
        let core = &self.core;
        !core.has_local_work()
            && !core.io.has_sources()
            && !core.waits_for_room()
            && !core.node.is_stopping()
    }

    /// Takes what other cores have sent, from the first on that has sent anything, handles a slice of it, and publishes what came of
    /// it. Whether that had not come when it was looked for before is said by the caller. Returns how many messages and steps it took.
    pub(super) fn pass(&mut self, core: &Rc<Core>, first: usize, is_awaited: bool) -> u32 {
        let slice = core.limits.worker_burst;
        let burst = core.limits.ring_burst;
        let mut arrived = 0;
        let mut rest = self.inbound.get_mut(first..).unwrap_or_default().iter_mut();
        if is_awaited && let Some(inbound) = rest.next() {
            arrived += match inbound.take_lone(core) {
                true => 1,
                false => inbound.take(core, burst, slice).handled,
            };
        }
        for inbound in rest {
            if inbound.has_work() {
                arrived += inbound.take(core, burst, slice).handled;
            }
        }
        let mut done = arrived;
        done += match core.urgent.queue.is_empty() {
            true => 0,
            false => core.run_urgent(slice),
        };
        done += core.run_queue(slice);
        done += core.run_ready(slice);
        core.flush();
        self.note_done(done, arrived);
        done
    }

    fn first_with_messages(&self) -> Option<usize> {
        self.inbound.iter().position(|inbound| inbound.has_work())
    }

    /// Whether there is something that is not for a pass.
    fn has_other_arrivals(&mut self) -> bool {
        let stage = self.core.node.stop.stage();
        stage != self.end.entered || !self.inbox.is_empty() || !self.wakes.is_empty()
    }
}
