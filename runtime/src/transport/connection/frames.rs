//! What is put among the frames that are to be written.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringpost_mailbox::buf::Buf;
use ringpost_router::wire::Note;
use ringpost_router::{Address, Any, CodecError, Hop, Message, Route};

use super::Connection;
use super::credit::takes_credit;
use crate::envelope::{ReplyTo, Routes};
use crate::error::{ErrorKind, Reason, Undelivered};
use crate::routed::Routed;
use crate::task::panics::{drop_guarded, into_text};
use crate::transport::carrier::Bounce;
use crate::transport::watches::EndedHere;

/// Room to encode in that is kept from one message to the next.
const ENCODED_BYTES_KEPT: usize = 64 * 1024;

impl Connection {
    /// Puts a note among the frames.
    pub(in crate::transport) fn tell(&self, note: &Note) {
        if self.is_broken.get() {
            return;
        }
        let payload = note.encode();
        self.straight_last.take();
        let mut outlet = self.outlet.borrow_mut();
        let put = outlet.push_copy([].iter(), [].iter(), &payload);
        drop(outlet);
        if let Err(error) = put {
            tracing::debug!(%error, "a note to the peer was left out");
        }
        self.notice();
    }

    /// Has what is queued written in the next turn, with all else of this turn; or sooner, if much is read.
    #[inline]
    pub(super) fn notice(&self) {
        if !self.noticed.get() {
            self.notice_first();
        }
    }

    #[inline(never)]
    fn notice_first(&self) {
        self.noticed.set(true);
        self.core.io.put_first(self.pump.borrow().clone());
    }

    /// Puts a message among the frames to be written.
    pub(in crate::transport) fn send(&self, message: Routed<Any>) {
        if self.drops_messages() {
            return self.drop_message(message);
        }
        if message.routes().is_none() {
            return self.send_further(message);
        }
        // A request is the peer's from here on; who asked is told below if it does not get there.
        let (routes, message) = message.into_parts();
        self.straight_last.take();
        let Some(routes) = routes else { return };
        let type_name = message.type_name();
        if routes.onward.len() < 2 {
            self.lose(&routes, type_name, Reason::NotFound, None);
            return drop_guarded(message);
        }
        let back = self.name_back(&routes.back);
        let onward = routes.onward.iter().skip(1);
        let is_counted = takes_credit(&routes.onward);
        match self.put(onward, back.as_slice().iter(), message) {
            Ok(()) => {
                if is_counted {
                    self.allowance.borrow_mut().note_sent();
                }
                self.notice();
            }
            Err(cause) => {
                let kind = ErrorKind::Codec(cause);
                self.lose(&routes, type_name, Reason::Unencodable, Some(kind));
            }
        }
    }

    /// What is to be sent to the peer without a way on: a word of this node, or nothing that can be.
    #[cold]
    fn send_further(&self, message: Routed<Any>) {
        let (routes, message, obligation) = message.into_rerouted(Route::new());
        if let Some(obligation) = obligation {
            obligation.pass_on();
        }
        let type_name = message.type_name();
        if let Some(ended) = message.peek::<EndedHere>() {
            return self.tell_ended(ended);
        }
        if message.peek::<Bounce>().is_none() {
            self.lose(&routes, type_name, Reason::NotFound, None);
            return drop_guarded(message);
        }
        if let Ok(bounce) = message.unpack::<Bounce>() {
            let Bounce {
                sender,
                address,
                refusal,
            } = bounce;
            self.refuse(Some(sender), address, refusal);
        }
    }

    pub(super) fn put<'a>(
        &self,
        onward: impl ExactSizeIterator<Item = &'a Address> + Clone,
        back: impl ExactSizeIterator<Item = &'a Address> + Clone,
        message: Any,
    ) -> Result<(), CodecError> {
        let type_name = message.type_name();
        let failed = |cause: String| CodecError::Encode { type_name, cause };
        let put = if message.is::<Buf>() {
            let payload = message
                .unpack::<Buf>()
                .map_err(|_| failed("its bytes cannot be had".to_owned()))?;
            self.outlet.borrow_mut().push(onward, back, payload)
        } else {
            let mut payload = self.encoded.take();
            payload.clear();
            let encoded = encode(&message, &mut payload).map_err(failed);
            drop_guarded(message);
            let put = encoded.map(|()| {
                let mut outlet = self.outlet.borrow_mut();
                outlet.push_copy(onward, back, &payload)
            });
            if payload.capacity() <= ENCODED_BYTES_KEPT {
                self.encoded.replace(payload);
            }
            put?
        };
        put.map_err(|error| failed(error.to_string()))
    }

    /// Reports a message that does not leave, and tells its requester. The worker of the connection had taken it, or it
    /// was counted as if; it is not handled.
    #[cold]
    pub(super) fn lose(
        &self,
        routes: &Routes,
        type_name: &'static str,
        reason: Reason,
        kind: Option<ErrorKind>,
    ) {
        let address = routes.onward.last().unwrap_or(&self.name).clone();
        let from = routes.back.last().unwrap_or(&self.name).clone();
        let last = routes.back.hops().next_back();
        let requester = last.and_then(Hop::hint).and_then(ReplyTo::from_hint);
        self.core.uncount_handled();
        self.core.report(&Undelivered {
            to: address.clone(),
            from,
            type_name,
            expected: None,
            reason,
        });
        let kind = kind.unwrap_or(ErrorKind::NotFound { address });
        self.core.refuse(requester, kind);
    }
}

/// Encodes a message, which its own code does: should it panic, the connection goes on.
fn encode(message: &Any, payload: &mut Vec<u8>) -> Result<(), String> {
    let encoded = catch_unwind(AssertUnwindSafe(|| message.encode(payload)));
    encoded
        .map_err(into_text)?
        .map_err(|error| error.to_string())
}
