//! What waits for room at its receiver, in a line for each.

use std::collections::VecDeque;
use std::task::{Context as Polling, Poll};

use ringpost_router::Address;
use ringpost_router::wire::Ending;

use super::Arrivals;
use crate::context::send::Blocked;
use crate::core::deliver::{Attempt, Outgoing};
use crate::core::watches::Watcher;
use crate::envelope::ReplyTo;
use crate::error::Error;
use crate::transport::watches::reason_of;

/// Messages for one receiver, in the order in which they came. Each has its place among those who send to it, so
/// that several get what they lack in one turn; but none is sent before those in front of it.
pub(super) struct Line {
    pub(super) to: Address,
    pub(super) messages: VecDeque<(Blocked, Waiting)>,
    /// Ends that were told behind these messages.
    pub(super) ends: Vec<Told>,
}

/// News of the end of a worker of the peer, for who watches it.
pub(super) struct Told {
    watcher: Watcher,
    ending: Ending,
    /// How many messages of the line are to be sent before.
    behind: usize,
}

/// What is to be known of a message that waits.
pub(super) struct Waiting {
    pub(super) bytes: usize,
    pub(super) is_counted: bool,
    pub(super) asks: Option<ReplyTo>,
    pub(super) sender: Option<Address>,
}

impl Arrivals<'_> {
    /// Sends on what waited and has room now.
    pub(in crate::transport) fn poll_waiting(&mut self, polling: &mut Polling<'_>) {
        if self.lines.is_empty() {
            return;
        }
        let mut lines = std::mem::take(&mut self.lines);
        lines.retain_mut(|line| self.go_on(line, polling));
        if !lines.is_empty() {
            self.lines = lines;
        }
    }

    /// Sends what can be sent of a line. Whether any is left.
    fn go_on(&mut self, line: &mut Line, polling: &mut Polling<'_>) -> bool {
        while let Some((first, note)) = line.messages.front_mut() {
            if first.is_queued() {
                return true;
            }
            let core = &self.ctx.core;
            let Poll::Ready(sent) = first.poll(core, &self.ctx.mailbox, polling) else {
                return true;
            };
            self.conclude(note, sent);
            line.messages.pop_front();
            self.tell_ends(line);
        }
        false
    }

    /// A message of a line was sent: tells of the ends that came behind it.
    fn tell_ends(&self, line: &mut Line) {
        line.ends.retain_mut(|told| {
            told.behind -= 1;
            if told.behind == 0 {
                self.tell_of_end(told.watcher, told.ending);
            }
            told.behind > 0
        });
    }

    fn tell_of_end(&self, watcher: Watcher, ending: Ending) {
        let ctx = self.ctx;
        ctx.core
            .tell_from_afar(&ctx.mailbox, watcher, reason_of(ending));
    }

    /// A worker of the peer has ended that somebody here watches. What it has sent to them may wait for room.
    pub(super) fn has_ended(&mut self, watcher: Watcher, to: &Address, ending: Ending) {
        let line = self.lines.iter_mut().find(|line| line.to == *to);
        match line.filter(|line| !line.messages.is_empty()) {
            Some(line) => line.ends.push(Told {
                watcher,
                ending,
                behind: line.messages.len(),
            }),
            None => self.tell_of_end(watcher, ending),
        }
    }

    /// A message that could not be sent yet waits for what it lacks.
    pub(super) fn blocked(
        &self,
        out: Outgoing,
        attempt: Attempt,
        polling: &Polling<'_>,
    ) -> Blocked {
        let core = &self.ctx.core;
        match attempt {
            Attempt::Blocked(lack) => {
                let from = &self.ctx.mailbox;
                Blocked::for_lack(out, core, from, lack, polling)
            }
            _ => {
                core.io.put_off(core.tasks.register(polling));
                Blocked::new(out)
            }
        }
    }

    /// A message has waited: it was sent, or cannot be.
    fn conclude(&mut self, note: &mut Waiting, sent: Result<(), Error>) {
        self.waiting = self.waiting.saturating_sub(1);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(note.bytes);
        match note.is_counted {
            true => self.grants.note_settled(),
            false => self.uncredited = self.uncredited.saturating_sub(1),
        }
        if let Err(error) = sent {
            if let Some(place) = note.asks {
                self.ctx.core.take_expected(&self.ctx.mailbox, place);
            }
            self.lost(&error, note.sender.take());
        }
    }
}
