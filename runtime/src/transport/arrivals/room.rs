//! How much there is room for of what the peer sends, and the credits that it is given for that.

use std::task::Context as Polling;
use std::time::Duration;

use ringpost_router::wire::Note;

use super::Arrivals;
use crate::held::{Account, Hold};
use crate::time::Time;
use crate::transport::end::End;

/// Messages of fewer bytes, with their routes, hold nothing: what limits them is the number that a mailbox takes.
const HELD_BYTES_MIN: usize = 2048;

impl Arrivals<'_> {
    /// Whether so much waits that no more is to be taken from the connection.
    #[inline]
    pub(in crate::transport) fn is_full(&self) -> bool {
        let limits = &self.connection.terms.limits;
        let too_many = match self.has_credits() {
            // The credits that are waited for may lie behind what the peer sent before it was greeted.
            true if self.connection.awaits_credits() => {
                self.waiting + self.connection.covers.len() >= limits.queued_frames_max
            }
            true => self.grants.is_overdrawn(),
            false => self.waiting >= limits.waiting_frames_max,
        };
        too_many
            || self.waiting_bytes >= limits.waiting_bytes_max
            || self.is_spent()
            || self.connection.asks_much()
    }

    /// Whether what is not handled yet, wherever it is, is all that the peer may have here.
    pub(super) fn is_spent(&self) -> bool {
        let account = self.account.as_ref();
        account.is_some_and(|account| account.is_spent())
    }

    /// Whether half of that is.
    fn is_half_spent(&self) -> bool {
        let account = self.account.as_ref();
        account.is_some_and(|account| account.is_half_spent())
    }

    /// How long a peer gets no credits for what is not handled: not so long that it takes this side for dead.
    fn patience(&self) -> Duration {
        self.connection.terms.limits.stall / 4
    }

    /// What a message counts for until it is handled.
    #[inline]
    pub(super) fn hold(&mut self, payload: usize, polling: &Polling<'_>) -> Option<Hold> {
        let bytes = payload.saturating_add(self.way.bytes);
        (bytes >= HELD_BYTES_MIN).then(|| self.hold_bytes(bytes, polling))
    }

    fn hold_bytes(&mut self, bytes: usize, polling: &Polling<'_>) -> Hold {
        let most = self.connection.terms.limits.unhandled_bytes_max;
        let open = || Account::new(most, polling.waker().clone());
        Hold::new(self.account.get_or_insert_with(open), bytes)
    }

    /// Whether the peer keeps to the credits that it is given.
    fn has_credits(&self) -> bool {
        self.connection.has_notes.get() && self.connection.terms.limits.peer_credits > 0
    }

    /// Gives the peer credits for what has found room, unless it does not take what is sent to it.
    pub(in crate::transport) fn return_credits(&mut self) {
        if !self.has_credits() || self.connection.is_half_full() {
            return;
        }
        let now = self.ctx.core.now.get();
        let most = self.credits_due(now);
        if let Some(frames) = self.grants.take_settled(now, most) {
            self.connection.tell(&Note::Credit { frames });
        }
    }

    /// How many credits the peer may have now, if so many of its messages have found room. While answers wait for it, it
    /// is to send nothing that has more of them made, but those of its own that were sent beyond its window are made up for:
    /// they wait for nobody here, and else two nodes with answers for each other would both wait.
    fn credits_due(&self, now: Time) -> u32 {
        let is_late = || self.grants.are_late(now, self.patience());
        match self.connection.covers.len() {
            0 if self.is_half_spent() && !is_late() => 0,
            0 => u32::MAX,
            waiting if waiting >= self.connection.terms.limits.queued_frames_max => 0,
            _ => self.grants.beyond().max(u32::from(is_late())),
        }
    }

    /// A message waits that took no credit. A reply that is waited for here never does, so this is none.
    #[cold]
    pub(super) fn note_uncredited(&mut self) -> Result<(), End> {
        self.uncredited = self.uncredited.saturating_add(1);
        let most = self.connection.terms.limits.peer_credits;
        if self.has_credits() && self.uncredited > most {
            return Err(End::Fault(format!(
                "more than {most} messages of the peer wait that are named like replies and are none (peer_credits)"
            )));
        }
        Ok(())
    }
}
