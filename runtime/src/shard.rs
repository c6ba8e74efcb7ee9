//! One core's loop body: a function of time, called by a driver.
//!
//! [`Shard::turn`] does a bounded amount of everything: it takes what other cores and other threads
//! have sent, handles messages, polls woken tasks, fires timers, and publishes what this core has for
//! others. It never blocks, reads no clock and starts no thread; that is the driver's part.

use std::cell::Cell;
use std::rc::Rc;

use ringpost_mailbox::canary::{Canary, is_planted};
use ringpost_mailbox::inbox::InboxReceiver;
use ringpost_mailbox::ring::cell_ring_at;
use ringpost_mailbox::sync::thread_local;
use ringpost_mailbox::wake::Parker;
use ringpost_mailbox::wake_list::WakeList;

use crate::core::inbound::Inbound;
use crate::core::inbound::in_place::Taken;
use crate::core::kept;
use crate::core::{Core, Timed};
use crate::driver::net::Network;
use crate::driver::rare::Rare;
use crate::mailbox::State;
use crate::node::shared::{InboxItem, Rings, Seed};
use crate::node::stop::Stage;
use crate::shard::clock::Patience;
use crate::task::Spawned;
use crate::task::panics::drop_guarded;
use crate::task::raw::MailboxRc;
use crate::time::Time;

mod clock;
mod listen;

/// Turns after which freed blocks go home however few there are, and every debt of credits is paid: a
/// link whose credits are not all back cannot make way for another. That is also done before a sleep, and
/// not whenever there is nothing to do: who waits for an answer is to be ready when it comes.
const TURNS_PER_ERRAND: u64 = 64;

/// What a turn found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something was done; there may be more.
    Busy,
    /// Nothing to do until something arrives, or until [`settle`](Shard::settle) says.
    Idle,
    /// This core has ended.
    Over,
}

thread_local! {
    /// The core of which this thread runs a turn, or a part of one.
    static CORE: Cell<Option<Rc<Core>>> = const { Cell::new(None) };
}

/// The node of which this thread is running a turn, if it is.
pub(crate) fn node_of_this_thread() -> Option<u32> {
    core_of_this_thread().map(|core| core.node.id)
}

/// The core of which this thread is running a turn, if it is.
pub(crate) fn core_of_this_thread() -> Option<Rc<Core>> {
    let look = |cell: &Cell<Option<Rc<Core>>>| {
        let core = cell.take();
        cell.set(core.clone());
        core
    };
    // A thread that ends runs no turns.
    CORE.try_with(look).ok().flatten()
}

/// Notes that this thread runs a turn of a core, until dropped.
struct Turning(Option<Rc<Core>>);

impl Turning {
    fn of(core: &Rc<Core>) -> Self {
        Self(CORE.with(|current| current.replace(Some(Rc::clone(core)))))
    }
}

impl Drop for Turning {
    fn drop(&mut self) {
        CORE.with(|current| current.set(self.0.take()));
    }
}

/// One core of a node, as the driver sees it.
pub(crate) struct Shard {
    pub(crate) core: Rc<Core>,
    inbound: Vec<Inbound>,
    wakes: WakeList,
    inbox: InboxReceiver<InboxItem>,
    due: Vec<Timed>,
    /// How many messages and steps the last turn has handled, and the passes since.
    handled: u32,
    /// Whether the last of these that did anything handled a single message, where it had arrived.
    was_lone: bool,
    end: End,
    /// The key of the main future, if this core runs it.
    main: Option<u32>,
}

/// How far this core is with the node's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    entered: Stage,
    arrived: bool,
    /// When user code that is still running is dropped.
    patience: Patience,
}

impl Shard {
    /// Makes the core; to be called on the thread that will run it. The parker goes to the driver.
    pub(crate) fn new(seed: Seed, now: Time, network: Network) -> (Self, Parker) {
        let Seed {
            id,
            node,
            parker,
            wakes,
            inbox,
        } = seed;
        let core = Core::new(id, &node, now, network);
        let end = End {
            entered: Stage::Running,
            arrived: false,
            patience: Patience::Nothing,
        };
        let shard = Self {
            core,
            inbound: Vec::new(),
            wakes,
            inbox,
            due: Vec::new(),
            handled: 0,
            was_lone: false,
            end,
            main: None,
        };
        (shard, parker)
    }

    /// Runs the node's main future on this core.
    pub(crate) fn spawn_main(&mut self, future: Spawned) {
        self.main = Some(self.core.tasks.spawn(future));
    }

    /// Ends this core as the crash of its process would: nothing is handled any more. What it held is dropped.
    pub(crate) fn abandon(mut self) {
        let core = Rc::clone(&self.core);
        let _current = core.pool.enter();
        let _turning = Turning::of(&core);
        core.drop_user_code();
        core.pairs.borrow_mut().seal();
        self.sweep();
    }

    /// One turn of the loop.
    pub(crate) fn turn(&mut self, now: Time) -> Turn {
        let turn = self.take_turn(now);
        self.core.count();
        turn
    }

    fn take_turn(&mut self, now: Time) -> Turn {
        let core = Rc::clone(&self.core);
        let _current = core.pool.enter();
        let _turning = Turning::of(&core);
        self.note_time(now);
        core.tally().turns.add(1);
        let mut done = 0;
        if core.rare.takes(Rare::Pass) && self.may_listen() {
            done += self.pass(&core, 0, true);
        }
        let may_handle = !core.has_local_work() && !core.node.is_stopping();
        let arrived = self.take_arrivals(may_handle);
        done += arrived.all;
        done += core.io.resume(&core);
        if !core.rare.takes(Rare::LateTimers) && core.timers.borrow().may_be_due(now) {
            done += self.fire_timers(now);
        }
        if !core.rare.takes(Rare::LateRoom) {
            core.grant_room();
            core.end_pauses();
        }
        let handled = self.run();
        self.handled = arrived.handled + handled;
        self.note_done(self.handled, arrived.handled);
        done += handled;
        core.flush();
        core.bury();
        if self.core.node.is_stopping() {
            if core.rare.takes(Rare::LateStage) {
                done += 1;
            } else if self.pass_stages(now) {
                return Turn::Over;
            }
        }
        core.arm_drains();
        if self.is_time_for_errands() || core.rare.takes(Rare::EarlyErrands) {
            core.run_errands();
            kept::let_go_unused();
        }
        core.flush();
        if done > 0 || core.has_local_work() {
            return Turn::Busy;
        }
        Turn::Idle
    }

    fn is_time_for_errands(&self) -> bool {
        let turns = self.core.tally().turns.value();
        turns.is_multiple_of(TURNS_PER_ERRAND)
    }

    /// What can wait as long as there is something to do, or soon may be: to be called before a sleep, with the time that
    /// it is then. Returns when there is something to do though nothing arrives.
    pub(crate) fn settle(&mut self, now: Time) -> Option<Time> {
        self.note_reading(now, false);
        self.core.run_errands();
        if !is_planted(Canary::ForgottenFlush) {
            self.core.flush();
        }
        self.next_deadline()
    }

    /// Whether the last turn has handled so much that it may have taken long.
    pub(crate) fn has_done_much(&self) -> bool {
        self.handled >= self.core.limits.worker_burst
    }

    /// Whether anything has arrived: the look that a parker takes after announcing sleep.
    pub(crate) fn has_arrivals(&mut self) -> bool {
        let stage = self.core.node.stop.stage();
        stage != self.end.entered || self.has_untaken()
    }

    /// Whether other cores or threads have sent anything that was not taken yet.
    fn has_untaken(&mut self) -> bool {
        !self.inbox.is_empty()
            || !self.wakes.is_empty()
            || self.inbound.iter().any(Inbound::has_work)
    }

    /// Takes what other cores and threads have sent, and handles messages among it, if it may.
    fn take_arrivals(&mut self, may_handle: bool) -> Taken {
        let burst = self.core.limits.ring_burst;
        let most = match may_handle && !self.core.rare.takes(Rare::Queued) {
            true => self.core.limits.worker_burst,
            false => 0,
        };
        let mut taken = Taken::default();
        let is_time = self.is_time_for_errands();
        let rare = &self.core.rare;
        for inbound in &mut self.inbound {
            if rare.takes(Rare::LateRing) {
                continue;
            }
            let burst = if rare.takes(Rare::ShortBurst) {
                1
            } else {
                burst
            };
            // Most have nothing, where there are many. But a run that goes on keeps its receiver's block, also when
            // that has ended, until it is drained: so all are from time to time.
            if is_time || inbound.has_work() {
                let from_there = inbound.take(&self.core, burst, most);
                taken.all += from_there.all;
                taken.handled += from_there.handled;
            }
        }
        if !self.wakes.is_empty() && !rare.takes(Rare::LateWakes) {
            let tasks = &self.core.tasks;
            let woken = self
                .wakes
                .drain(|key| tasks.make_ready(u32::try_from(key).unwrap_or(u32::MAX)));
            taken.all += u32::try_from(woken).unwrap_or(u32::MAX);
        }
        if rare.takes(Rare::LateInbox) {
            return taken;
        }
        taken.all += self.take_inbox(burst);
        taken
    }

    fn take_inbox(&mut self, burst: u32) -> u32 {
        for done in 0..burst {
            let Some(item) = self.inbox.pop() else {
                return done;
            };
            match item {
                InboxItem::Connect { from } => self.connect(from),
                InboxItem::Connected(rings) => self.core.connected(*rings),
                InboxItem::Visit(visit) => visit.enter(&self.core),
            }
        }
        burst
    }

    /// Makes the rings from another core to this one, here, where they are read.
    fn connect(&mut self, from: u16) {
        let slots = self.core.limits.ring_slots_for(self.core.cores());
        let origin = match self.core.rare.takes(Rare::WrappingRing) {
            true => 0u32.wrapping_sub(slots / 2),
            false => 0,
        };
        let (data_in, data_out) = cell_ring_at(slots, origin);
        let (control_in, control_out) = cell_ring_at(slots, origin);
        let inbound = Inbound::new(&self.core, from, data_out, control_out);
        self.inbound.push(inbound);
        let item = InboxItem::Connected(Box::new(Rings {
            core: self.core.id,
            data: data_in,
            control: control_in,
        }));
        let there = &self.core.node.cores[usize::from(from)];
        // The inbox has a place for this answer; if the core there has ended, nobody needs it.
        if there.inbox.push(item).is_ok() {
            there.ring_bell();
        }
    }

    /// Handles messages and polls tasks, in turns, within this turn's budget. Returns how many.
    fn run(&mut self) -> u32 {
        let core = &self.core;
        let mut budget = core.limits.turn_messages;
        let mut slice = core.limits.worker_burst;
        if core.rare.takes(Rare::ShortTurn) {
            (budget, slice) = (1, 1);
        } else if core.rare.takes(Rare::ShortSlice) {
            slice = 1;
        }
        let mut done = 0;
        while done < budget {
            let before = done;
            if core.rare.takes(Rare::TasksFirst) {
                done += core.run_ready(slice);
            }
            if core.rare.takes(Rare::EarlyFlush) {
                core.flush();
            }
            if !core.urgent.queue.is_empty() {
                done += core.run_urgent(slice);
            }
            done += core.run_queue(slice);
            let is_full = core.io.is_full() || core.rare.takes(Rare::EarlyAnswers);
            if is_full && core.queue.is_empty() {
                core.io.resume_writers(core);
            }
            if !core.woken_later.is_empty() && core.queue.is_empty() {
                core.wake_later_ones();
            }
            done += core.run_ready(slice);
            done += core.run_attention(slice);
            if !core.turns.borrow().is_empty() {
                done += core.run_turns(slice);
            }
            // A pass that finds nothing is spared: what was sent leaves that much sooner.
            if done == before || !core.has_local_work() {
                break;
            }
        }
        if !core.woken_later.is_empty() {
            core.wake_later_ones();
        }
        done
    }

    /// Takes this core through the stages of the node's end. Whether it is over.
    fn pass_stages(&mut self, now: Time) -> bool {
        let stage = self.core.node.stop.stage();
        if stage != self.end.entered {
            self.enter(stage);
        }
        let ready = match stage {
            Stage::Running => false,
            Stage::Draining | Stage::Hastening => {
                // What is left behind may be for those who end last.
                self.core.workers.get() == self.core.exempt.borrow().len()
                    && !self.core.is_connecting()
            }
            Stage::Finishing => self.is_finished(now),
            Stage::Sweeping => !self.core.waits_for_room(),
            Stage::Gone => {
                self.sweep();
                return true;
            }
        };
        if ready && !self.end.arrived {
            self.leave(stage);
        }
        false
    }

    fn enter(&mut self, stage: Stage) {
        let (stop, drain) = self.core.node.stop.terms();
        // Who drains has timers; what `Finishing` finds running is waited for here.
        let patience = match stage {
            Stage::Finishing => Patience::For(drain),
            _ => Patience::Nothing,
        };
        self.end = End {
            entered: stage,
            arrived: false,
            patience,
        };
        match stage {
            // The workers of a group are for it to end, in their order, unless somebody is in a hurry.
            Stage::Draining => self.core.stop_workers(stop, drain, |it| !it.is_led()),
            Stage::Hastening => self.core.stop_workers(stop, drain, |_| true),
            Stage::Finishing => {
                // What the others have left behind, for those who end last.
                self.take_arrivals(false);
                self.core.exempt.borrow_mut().clear();
                self.core.stop_workers(stop, drain, |_| true);
                self.core.replies.fail_all(&self.core);
                self.core.wake_detached();
            }
            _ => {}
        }
    }

    /// Whether no user code is left here. After the deadline what is left is dropped, the main future when it has
    /// had its chance to go on: also where there is no time to drain, and others were polled before it.
    fn is_finished(&mut self, now: Time) -> bool {
        let main_runs = self.main.is_some_and(|key| self.core.tasks.is_live(key));
        let patient = self.end.patience.lasts(now);
        if !patient {
            self.end.patience = Patience::Nothing;
        }
        if patient && (main_runs || self.core.workers.get() > 0) {
            return false;
        }
        if self.core.workers.get() > 0 || (main_runs && !self.core.node.stop.has_told()) {
            return false;
        }
        if let Some(main) = self.main.filter(|_| main_runs) {
            self.core.poll_unasked(main);
        }
        true
    }

    fn leave(&mut self, stage: Stage) {
        self.end.arrived = true;
        if stage == Stage::Finishing {
            self.core.drop_user_code();
        }
        // What this core still has for others must be in the rings before the stage can end.
        self.core.flush();
        if stage == Stage::Sweeping {
            // From now on others may take their last look, and what is reported here is found by none of them.
            self.core.pairs.borrow_mut().seal();
        }
        let stop = &self.core.node.stop;
        let Some(begun) = stop.arrive(stage) else {
            return;
        };
        if begun == Stage::Finishing {
            stop.tell_waiters();
        }
        self.core.node.ring_all();
    }

    /// The last look: whatever has arrived is reported undelivered.
    fn sweep(&mut self) {
        self.inbox.close();
        while self.take_arrivals(false).all > 0 || self.has_untaken() {}
        while self.core.run_urgent(u32::MAX) > 0 || self.core.run_queue(u32::MAX) > 0 {}
        self.core.drop_user_code();
        kept::let_go_all();
    }
}

impl Core {
    /// Pays every debt of credits, and sends all buffers home.
    fn run_errands(&self) {
        self.pay_debts();
        self.send_chains(1);
    }

    /// Asks every worker that this concerns to end, but for those whose handler awaits the end of the others.
    fn stop_workers(
        self: &Rc<Self>,
        stop: crate::mailbox::Stop,
        drain: std::time::Duration,
        concerns: fn(&MailboxRc) -> bool,
    ) {
        let mut workers = self.table.all();
        workers.retain(|mailbox: &MailboxRc| {
            let is_exempt = self.exempt.borrow().contains(&mailbox.handle());
            mailbox.state.get() != State::Detached && !is_exempt && concerns(mailbox)
        });
        for worker in workers {
            self.begin_stop(&worker, stop, drain);
        }
    }

    /// Wakes whoever waits in `receive` outside a worker: nothing will come any more.
    fn wake_detached(&self) {
        for mailbox in self.table.all() {
            if mailbox.is_detached()
                && let Some(mut receivers) =
                    mailbox.if_more(|more| std::mem::take(&mut more.receivers))
            {
                self.close_waiters(&mut receivers);
            }
        }
    }

    /// Drops spawned futures and closes detached mailboxes.
    fn drop_user_code(self: &Rc<Self>) {
        let waiting = self.entrance.take_futures();
        for future in waiting.into_iter().chain(self.tasks.take_futures()) {
            drop_guarded(future);
        }
        for mailbox in self.table.all() {
            self.close(&mailbox, crate::error::Reason::NodeStopped);
        }
        let timers = self.timers.borrow_mut().clear();
        drop(timers);
    }
}
