//! Handling messages where they have arrived.
//!
//! A message from another core is put into this core's queue, and moved again when its turn comes. Where nothing is before
//! it, its turn has come: it is handled out of the ring. That is what most find at a core which keeps up with its
//! senders. What came of it leaves at once, before anything else is looked at: where two cores take turns, the other waits for it.

use std::rc::Rc;

use crate::core::Core;
use crate::core::inbound::{Decoder, Inbound};
use crate::core::record::Record;
use crate::task::raw::{Arrived, Next, Queue, Slots};

/// How much has arrived and was taken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    /// All of it: slots of rings, wakes, and what threads outside want.
    pub(crate) all: u32,
    /// How many messages among it were handled.
    pub(crate) handled: u32,
}

impl Inbound {
    /// Takes a burst from each ring: control first, then messages. Up to `most` of these are handled where they lie, for as
    /// long as nothing is before them. If there are so many, those behind them are left for the next time.
    pub(crate) fn take(&mut self, core: &Rc<Core>, burst: u32, most: u32) -> Taken {
        let control = match self.control.is_empty() {
            true => 0,
            false => self.take_controls(core, burst),
        };
        self.decoder.renew_run(core);
        self.decoder.heads = 0;
        let (mut left, mut handled) = (burst, 0);
        if most > 0 && !self.decoder.is_mixed {
            let decoder = &mut self.decoder;
            let handle = |slots: &mut Slots<'_>| {
                handled = decoder.handle(core, slots, burst, most);
                left -= slots.taken();
            };
            self.data.burst(handle);
        }
        if handled == 0 || handled < most {
            left -= self.take_data(core, left);
        }
        if left < burst {
            self.decoder.note_burst(burst - left);
            core.pair_tally(self.from).bursts.add(1);
        }
        let all = control + burst - left;
        Taken { all, handled }
    }

    /// Handles the next message, if it is one of the run that goes on, where the last had come alone. Whether it was. For one that was
    /// awaited: for all that is known it has come alone, too. What may be behind it is not looked at: the other core is about to
    /// write its next message there, and whoever looks takes the line from it.
    #[inline(never)]
    pub(crate) fn take_lone(&mut self, core: &Rc<Core>) -> bool {
        if !self.decoder.goes_on || !self.control.is_empty() {
            return false;
        }
        self.decoder.renew_run(core);
        let decoder = &self.decoder;
        let handled = self.data.burst(|slots| decoder.handle_next(core, slots, 1));
        core.pair_tally(self.from).bursts.add(u64::from(handled));
        handled > 0
    }
}

impl Decoder {
    /// Handles messages where they lie, as long as nothing is before them. Returns how many.
    fn handle(&mut self, core: &Rc<Core>, slots: &mut Slots<'_>, burst: u32, most: u32) -> u32 {
        let mut handled = 0;
        while handled < most && slots.taken() < burst {
            let Some(is_record) = slots.next_is::<Record>() else {
                break;
            };
            if is_record {
                if let Some(record) = slots.take() {
                    self.take_record(core, record.whole());
                }
                continue;
            }
            let left = (most - handled).min(burst - slots.taken());
            let taken = self.handle_run(core, slots, left);
            if taken == 0 {
                break;
            }
            handled += taken;
        }
        handled
    }

    /// Notes what the messages of a burst of so many slots were like. Where most have a head of their own, they are handled
    /// sooner in a row, out of the queue; so are the next. Where there was one message, the next comes alone too; and without a head, if
    /// that had none.
    fn note_burst(&mut self, slots: u32) {
        self.is_mixed = self.heads > 1 && slots <= 3 * self.heads;
        let is_plain = self.run.as_ref().is_some_and(|run| run.is_plain);
        self.is_lone = is_plain && slots == self.heads + 1;
        self.goes_on = self.is_lone && self.heads == 0;
    }

    /// Handles messages of the run where they lie. Returns how many.
    #[inline(never)]
    fn handle_run(&self, core: &Rc<Core>, slots: &mut Slots<'_>, most: u32) -> u32 {
        self.handle_next(core, slots, most)
    }

    /// As [`handle_run`](Self::handle_run), in line where a message is awaited.
    #[inline(always)]
    fn handle_next(&self, core: &Rc<Core>, slots: &mut Slots<'_>, most: u32) -> u32 {
        let Some(run) = self.run.as_ref().filter(|run| run.is_plain) else {
            return 0;
        };
        if !core.queue.is_empty() || !core.urgent.queue.is_empty() {
            return 0;
        }
        let (from, to) = (&run.from, &run.to);
        if self.is_lone {
            core.publish_first();
        }
        let answers = self.is_lone.then_some(self.from);
        let before = slots.taken();
        let arrived = Arrived {
            slots,
            from,
            to,
            answers,
        };
        core.handle_arrived(arrived, most);
        let handled = slots.taken() - before;
        core.publish_batches();
        if handled > 0 {
            core.flush();
            if self.goes_on {
                core.lend_to_next(self.from);
            }
            core.owe_handled(self.from, run.link, handled);
            core.pair_tally(self.from).received.add(u64::from(handled));
        }
        handled
    }
}

impl Core {
    /// Handles what has arrived, `most` messages at the most.
    #[inline(always)]
    fn handle_arrived(self: &Rc<Self>, arrived: Arrived<'_, '_>, most: u32) {
        let mut spare = self.tasks.spare();
        let next = Queue::handle_arrived(self, &mut spare.polling(), arrived, most - 1);
        if let Next::Came(to, step) = next {
            self.after_handler(&to, step, &mut spare);
        }
    }
}
