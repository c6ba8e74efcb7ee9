//! The way in from other cores: from the rings to this core's queue, and credits back.

use std::rc::Rc;

use ringpost_mailbox::canary::{Canary, is_planted};
use ringpost_mailbox::cell::Lying;
use ringpost_mailbox::ring::CellConsumer;
use ringpost_router::{Body, Handle, Messages, NodeCore};

use crate::core::Core;
use crate::core::pairs::Introduced;
use crate::core::record::{Control, Record, Target};
use crate::driver::rare::Rare;
use crate::envelope::{Envelope, Origin, ReplyTo, Sender};
use crate::mailbox::Mailbox;
use crate::overflow::Overflow;
use crate::task::raw::MailboxRc;

pub(crate) mod in_place;

/// What one core has for receiving from one other.
pub(crate) struct Inbound {
    from: u16,
    data: CellConsumer<Messages>,
    control: CellConsumer<Messages>,
    decoder: Decoder,
    /// The request that the next control slot answers.
    answering: Option<Handle>,
}

/// What the records of a data ring have said so far.
struct Decoder {
    from: u16,
    links: Vec<Option<FarEnd>>,
    introduced: Introduced<MailboxRc>,
    run: Option<Run>,
    /// How many heads have come in this burst.
    heads: u32,
    /// Whether most messages of the last burst had one each.
    is_mixed: bool,
    /// Whether the last burst was a single message, and a plain one.
    is_lone: bool,
    /// Whether that was of the run before, so that two workers seem to take turns.
    goes_on: bool,
}

/// Where a link leads on this core.
struct FarEnd {
    target: Target,
    mailbox: Option<MailboxRc>,
    /// Whether the sending core knows that the worker refuses what it has no room for.
    refuses: bool,
}

/// What the last head said.
struct Run {
    link: u32,
    to: MailboxRc,
    from: MailboxRc,
    reply: Handle,
    detour: bool,
    /// Whether neither goes with its messages, so that the head is that of all which follow.
    is_plain: bool,
    /// Payloads that have come for it and are not counted yet.
    arrived: u32,
}

impl Inbound {
    pub(crate) fn new(
        core: &Core,
        from: u16,
        data: CellConsumer<Messages>,
        control: CellConsumer<Messages>,
    ) -> Self {
        let decoder = Decoder {
            from,
            links: Vec::new(),
            introduced: Introduced::new(&core.limits, core.cores()),
            run: None,
            heads: 0,
            is_mixed: false,
            is_lone: false,
            goes_on: false,
        };
        Self {
            from,
            data,
            control,
            decoder,
            answering: None,
        }
    }

    /// Whether the other core has published anything that was not taken yet.
    pub(crate) fn has_work(&self) -> bool {
        !self.data.is_empty() || !self.control.is_empty()
    }

    /// Takes a burst of credits, answers and the like.
    #[inline(never)]
    fn take_controls(&mut self, core: &Rc<Core>, burst: u32) -> u32 {
        let (from, answering) = (self.from, &mut self.answering);
        let take = |cell| take_control(core, from, answering, cell);
        self.control.drain(burst, take)
    }

    /// Takes a burst of messages, and what they need, to the queue.
    #[inline(always)]
    fn take_data(&mut self, core: &Rc<Core>, burst: u32) -> u32 {
        let decoder = &mut self.decoder;
        let take = |cell: Lying<'_, Messages>| decoder.take(core, cell);
        let taken = self.data.drain_lying(burst, take);
        if taken > 0 {
            decoder.count_arrivals(core);
        }
        taken
    }
}

impl Decoder {
    #[inline(always)]
    fn take(&mut self, core: &Rc<Core>, cell: Lying<'_, Messages>) {
        if cell.is::<Record>() {
            return self.take_record(core, cell.whole());
        }
        let Some(run) = &mut self.run else {
            debug_assert!(false, "a payload without a head");
            return drop(cell.whole());
        };
        if !run.is_plain {
            return self.take_single(core, cell);
        }
        // Counted before anything else runs: until then it passes for one that was sent here (`core/sent.rs`).
        run.arrived += 1;
        let origin = Origin::of_link(self.from, run.link);
        core.queue
            .push_arrived(run.to.clone(), &run.from, origin, cell);
    }

    /// Takes a message whose head is not that of the next, too: it wants an answer, or has its routes with it.
    #[inline(never)]
    fn take_single(&mut self, core: &Rc<Core>, cell: Lying<'_, Messages>) {
        let body = cell.whole();
        let Some(run) = self.run.take() else { return };
        let origin = Origin {
            detour: run.detour,
            ..Origin::of_link(self.from, run.link)
        };
        self.count(core, &run, 1);
        let sender = Sender::new(run.from, run.reply);
        let envelope = Envelope {
            sender,
            origin,
            body,
        };
        core.queue.push(run.to, envelope);
    }

    /// Counts what has come since the last time: once a run or a burst, not for each message. Nothing of
    /// it has been handled yet.
    fn count_arrivals(&mut self, core: &Core) {
        let Some(run) = &mut self.run else { return };
        let arrived = std::mem::take(&mut run.arrived);
        if arrived > 0
            && let Some(run) = &self.run
        {
            self.count(core, run, arrived);
        }
    }

    /// Counts so many messages of a run.
    fn count(&self, core: &Core, run: &Run, arrived: u32) {
        run.to.add_queued(arrived);
        core.sent_here.take_off(arrived);
        core.note_arrivals(self.from, run.link, arrived);
        core.pair_tally(self.from).received.add(u64::from(arrived));
    }

    /// Before a burst: the receiver of a run that goes on may have ended since the last one, or have
    /// been started where there was nobody.
    fn renew_run(&mut self, core: &Rc<Core>) {
        if let Some(run) = &mut self.run
            && (!run.to.accepts() || run.to.handle() == Handle::NONE)
        {
            run.to = resolve(&mut self.links, core, self.from, run.link);
        }
    }

    /// Takes what is no payload: heads, most of the time, in line wherever they are taken.
    #[inline(always)]
    fn take_record(&mut self, core: &Rc<Core>, cell: Body) {
        let Ok(record) = cell.take::<Record>() else {
            return;
        };
        self.count_arrivals(core);
        match record {
            Record::Head { link, from, reply } => self.begin_run(core, link, from, reply, false),
            Record::DetourHead { link, from } => {
                self.begin_run(core, link, from, Handle::NONE, true);
            }
            record => self.take_rare(core, record),
        }
    }

    #[inline(never)]
    fn take_rare(&mut self, core: &Rc<Core>, record: Record) {
        match record {
            Record::Head { .. } | Record::DetourHead { .. } => {
                debug_assert!(false, "heads are taken in line");
            }
            Record::Introduce(introduction) => {
                let from = NodeCore::new(core.here.node(), self.from);
                let stub = Mailbox::stub(introduction.address, from, introduction.handle);
                *self.introduced.slot(introduction.handle) = Some(MailboxRc::new(stub));
            }
            Record::Open(opening) => {
                let link = opening.link as usize;
                if self.links.len() <= link {
                    self.links.resize_with(link + 1, || None);
                }
                self.links[link] = Some(FarEnd {
                    target: opening.target,
                    mailbox: None,
                    refuses: false,
                });
            }
            Record::Close { link } => {
                if let Some(slot) = self.links.get_mut(link as usize) {
                    *slot = None;
                }
                // The sender forgets its last head only if it was for this link; so do we.
                self.run.take_if(|run| run.link == link);
                core.close_far_end(self.from, link);
            }
            Record::Job(job) => {
                job(core);
                // It may have ended or started the receiver of the run that goes on.
                self.renew_run(core);
            }
        }
    }

    #[inline(always)]
    fn begin_run(&mut self, core: &Rc<Core>, link: u32, from: Handle, reply: Handle, detour: bool) {
        self.heads += 1;
        let known = self.introduced.slot(from).as_ref();
        let from = known.map_or_else(|| core.outside.clone(), MailboxRc::clone);
        let to = resolve(&mut self.links, core, self.from, link);
        self.run = Some(Run {
            link,
            to,
            from,
            reply,
            detour,
            is_plain: reply == Handle::NONE && !detour,
            arrived: 0,
        });
    }
}

/// The mailbox at the far end of a link. A place is good for one worker's life; a name is looked up
/// again when the worker that had it is gone. Where nobody is, a stub stands in, and what is sent to
/// it is reported undelivered when its turn comes.
fn resolve(links: &mut [Option<FarEnd>], core: &Rc<Core>, from: u16, link: u32) -> MailboxRc {
    let nobody = || core.outside.clone();
    let Some(Some(far)) = links.get_mut(link as usize) else {
        return nobody();
    };
    if let Some(mailbox) = &far.mailbox
        && mailbox.accepts()
    {
        return mailbox.clone();
    }
    let found = match &far.target {
        Target::Place(handle, _) => core.at(*handle),
        Target::Name(address) => core.named(address).or_else(|| core.connect_to(address)),
    };
    far.mailbox = found.filter(|mailbox| mailbox.accepts());
    let refuses = |mailbox: &MailboxRc| mailbox.overflow.get() == Overflow::Refuse;
    let refuses = far.mailbox.as_ref().is_some_and(refuses);
    if std::mem::replace(&mut far.refuses, refuses) != refuses {
        core.send_control(from, Control::Refuses { link, refuses });
    }
    match &far.mailbox {
        Some(mailbox) => mailbox.clone(),
        None => MailboxRc::new(Mailbox::stub(
            far.target.address().clone(),
            core.here,
            Handle::NONE,
        )),
    }
}

fn take_control(core: &Rc<Core>, from: u16, answering: &mut Option<Handle>, cell: Body) {
    if let Some(handle) = answering.take() {
        return core.answer(
            ReplyTo {
                core: core.id,
                handle,
            },
            Ok(cell),
        );
    }
    let Ok(control) = cell.take::<Control>() else {
        return;
    };
    match control {
        Control::Credit { link, count, ended } => core.credit_arrived(from, link, count, ended),
        Control::Refuses { link, refuses } => core.far_end_refuses(from, link, refuses),
        Control::Chain(chain) => core.pool.accept(chain),
        Control::LinkFree { link } => core.link_freed(from, link),
        Control::Answer { to } => *answering = Some(to),
        Control::Urgent(hurrying) => core.take_hurrying(from, *hurrying),
        Control::UrgentTaken { lane } => core.urgent_back(lane),
        Control::Return(returning) => core.take_returning(from, *returning),
        Control::Fail { to, error } => {
            core.answer(
                ReplyTo {
                    core: core.id,
                    handle: to,
                },
                Err(error),
            );
        }
    }
}

/// Credits that this core owes to one other, by link.
#[derive(Default)]
pub(crate) struct Owed {
    links: Vec<OwedLink>,
    /// Links with a debt, for the next time this core has nothing better to do.
    indebted: Vec<u32>,
}

/// Messages of one link that were taken one after the other and are not written down yet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Owing {
    /// The sending core and its link.
    core: u16,
    link: u32,
    taken: u32,
    /// How many more may be taken before it is to be looked whether the credits are due.
    left: u32,
}

impl Owed {
    /// How many credits of this link are here.
    pub(crate) fn held(&self, link: u32) -> u32 {
        let entry = self.links.get(link as usize);
        entry.map_or(0, |entry| entry.count + entry.pending)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct OwedLink {
    /// Taken and not given back.
    count: u32,
    /// Arrived and not taken.
    pending: u32,
    listed: bool,
    closing: bool,
}

impl Core {
    /// So many messages of this link are in this core's hands.
    #[inline]
    pub(crate) fn note_arrivals(&self, from: u16, link: u32, count: u32) {
        let mut owed = self.owed.borrow_mut();
        if owed.len() <= usize::from(from) {
            owed.resize_with(usize::from(from) + 1, Owed::default);
        }
        let links = &mut owed[usize::from(from)].links;
        if links.len() <= link as usize {
            links.resize(link as usize + 1, OwedLink::default());
        }
        links[link as usize].pending += count;
    }

    /// A message of this link was taken: its sender's core gets the credit back, in batches. Whether that is all there
    /// is to do; else [`owe`](Self::owe) is to be told.
    #[inline(always)]
    pub(crate) fn owe_next(&self, from: u16, link: u32) -> bool {
        let owing = self.owing.get();
        let is_next = owing.left > 0 && owing.link == link && owing.core == from;
        if is_next {
            self.owing.set(Owing {
                left: owing.left - 1,
                taken: owing.taken + 1,
                ..owing
            });
        }
        is_next
    }

    /// So many messages of this link were handled where they had arrived.
    #[inline]
    fn owe_handled(&self, from: u16, link: u32, count: u32) {
        self.note_arrivals(from, link, count);
        let owing = self.owing.get();
        if owing.left >= count && owing.link == link && owing.core == from {
            return self.owing.set(Owing {
                left: owing.left - count,
                taken: owing.taken + count,
                ..owing
            });
        }
        self.note_taken();
        // All but the last, for which it is looked whether the credits are due.
        self.owing.set(Owing {
            core: from,
            link,
            taken: count - 1,
            left: 0,
        });
        self.owe(from, link, false);
    }

    /// Writes down what was taken of one link since the last time.
    fn note_taken(&self) {
        let Owing {
            core: from,
            link,
            taken,
            ..
        } = self.owing.take();
        if taken == 0 {
            return;
        }
        let mut owed = self.owed.borrow_mut();
        let links = owed.get_mut(usize::from(from)).map(|owed| &mut owed.links);
        if let Some(entry) = links.and_then(|links| links.get_mut(link as usize)) {
            entry.pending -= taken;
            entry.count += taken;
        }
    }

    /// A message of another link than the last, or one that may complete a batch.
    #[inline(never)]
    pub(crate) fn owe(&self, from: u16, link: u32, ended: bool) {
        self.note_taken();
        let batch = self.limits.link_credits / 2;
        let due = {
            let mut owed = self.owed.borrow_mut();
            let Some(Owed { links, indebted }) = owed.get_mut(usize::from(from)) else {
                return;
            };
            let Some(entry) = links.get_mut(link as usize) else {
                return;
            };
            entry.pending -= 1;
            entry.count += 1;
            if entry.closing {
                if entry.pending == 0 {
                    *entry = OwedLink {
                        listed: entry.listed,
                        ..OwedLink::default()
                    };
                    drop(owed);
                    self.send_control(from, Control::LinkFree { link });
                }
                return;
            }
            let is_time = match entry.count >= batch.max(1) {
                true => !self.rare.takes(Rare::LateCredit),
                false => self.rare.takes(Rare::EarlyCredit),
            };
            if ended || is_time {
                std::mem::take(&mut entry.count)
            } else {
                if !entry.listed {
                    entry.listed = true;
                    indebted.push(link);
                }
                self.owing.set(Owing {
                    core: from,
                    link,
                    left: batch.saturating_sub(entry.count + 1),
                    taken: 0,
                });
                return;
            }
        };
        let lost = u32::from(is_planted(Canary::DroppedCredit) && due > 1);
        self.send_control(
            from,
            Control::Credit {
                link,
                count: due - lost,
                ended,
            },
        );
    }

    /// Pays every debt: this core has nothing else to do.
    pub(crate) fn pay_debts(&self) {
        self.note_taken();
        for from in 0..self.cores() {
            loop {
                let (link, count) = {
                    let mut owed = self.owed.borrow_mut();
                    let Some(Owed { links, indebted }) = owed.get_mut(usize::from(from)) else {
                        return;
                    };
                    let Some(link) = indebted.pop() else { break };
                    let Some(entry) = links.get_mut(link as usize) else {
                        continue;
                    };
                    entry.listed = false;
                    (link, std::mem::take(&mut entry.count))
                };
                if count > 0 {
                    self.send_control(
                        from,
                        Control::Credit {
                            link,
                            count,
                            ended: false,
                        },
                    );
                }
            }
        }
    }

    /// The sending core will not use this link again.
    fn close_far_end(&self, from: u16, link: u32) {
        self.note_taken();
        {
            let mut owed = self.owed.borrow_mut();
            let entry = owed
                .get_mut(usize::from(from))
                .and_then(|owed| owed.links.get_mut(link as usize));
            if let Some(entry) = entry {
                if entry.pending > 0 {
                    entry.closing = true;
                    return;
                }
                *entry = OwedLink {
                    listed: entry.listed,
                    ..OwedLink::default()
                };
            }
        }
        self.send_control(from, Control::LinkFree { link });
    }
}
