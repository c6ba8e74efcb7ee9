//! Notes of a peer of this make, which come in frames without a route.

use ringpost_router::wire::Note;

use super::Arrivals;
use crate::transport::end::End;

impl Arrivals<'_> {
    /// A frame without a route: a note of a node of this make, or a sign of life.
    pub(super) fn take_note(&mut self, payload: &[u8]) -> Result<(), End> {
        self.heartbeats = self.heartbeats.saturating_add(1);
        let most = self.connection.terms.limits.heartbeats_max;
        if self.heartbeats > most {
            return Err(End::Fault(format!(
                "the peer sent more than {most} frames without a message (heartbeats_max)"
            )));
        }
        match Note::decode(payload) {
            Some(Note::Hello { frames, watches }) => {
                self.connection.has_notes.set(true);
                self.connection.may_ask(watches);
                self.connection.allowance.borrow_mut().greeted(frames);
                self.connection.wake_waiting();
            }
            Some(Note::Credit { frames }) if self.took_back(frames) => {
                self.heartbeats = 0;
                self.connection.wake_waiting();
            }
            Some(Note::Refused {
                sender,
                address,
                refusal,
            }) => {
                self.heartbeats = 0;
                let known = self.connection.route_of(&sender);
                // Only what was sent from here can have been refused.
                if let Some(route) = known {
                    self.was_refused(&route, address, refusal)?;
                }
            }
            Some(Note::Watch { id, address }) => {
                self.heartbeats = 0;
                let mailbox = &self.ctx.mailbox;
                self.connection.note_watch(mailbox, id, &address)?;
            }
            Some(Note::Unwatch { id }) => {
                self.heartbeats = 0;
                self.connection.note_unwatch(&self.ctx.mailbox, id);
            }
            Some(Note::Ended { id, ending }) if self.connection.has_asked(id) => {
                self.heartbeats = 0;
                if let Some((watcher, to)) = self.connection.take_asked(id) {
                    self.has_ended(watcher, &to, ending);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Credits for this side. Whether so many were out.
    fn took_back(&self, frames: u32) -> bool {
        self.connection.allowance.borrow_mut().returned(frames)
    }
}
