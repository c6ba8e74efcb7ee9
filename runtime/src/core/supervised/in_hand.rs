//! The message that a worker handles, and how it is reported if the handler does not come to its end.

use ringpost_router::Address;

use crate::core::Core;
use crate::envelope::{Head, ReplyTo};
use crate::error::{Reason, Undelivered};
use crate::mailbox::Mailbox;
use crate::task::raw::MailboxRc;

/// A message that a handler was given.
pub(super) struct InHand {
    sender: Address,
    /// What tells it from others: who waits for the answer, or which call it is that was given it.
    requester: Option<ReplyTo>,
    call: u32,
}

impl InHand {
    pub(super) fn new(head: &Head, call: u32) -> Self {
        head.set_stamp(call);
        Self {
            sender: head.first_sender().clone(),
            requester: head.requester(),
            call: head.stamp(),
        }
    }

    fn is(&self, head: &Head) -> bool {
        match self.requester {
            Some(_) => head.requester() == self.requester,
            None => head.stamp() == self.call,
        }
    }
}

impl Mailbox {
    /// A message that this mailbox's worker had is in a mailbox again. If its call was given it, it has it no more.
    pub(crate) fn note_put_back(&self, head: &Head) {
        self.with_more(|more| match &mut more.supervised {
            Some(supervised) => drop(supervised.in_hand.take_if(|it| it.is(head))),
            None => more.put_back |= !head.was_received(),
        });
    }
}

impl Core {
    /// Reports the message whose handler has panicked, or was cancelled, if its worker is supervised; not what a leader is
    /// told.
    #[cold]
    pub(crate) fn report_in_hand(&self, mailbox: &MailboxRc) {
        let in_hand = mailbox.if_more(|more| {
            let supervised = more.supervised.as_mut().filter(|it| !it.leads)?;
            Some((supervised.in_hand.take()?, supervised.type_name))
        });
        if let Some((in_hand, type_name)) = in_hand.flatten() {
            self.report_unfinished(mailbox, in_hand.sender, type_name, false);
        }
    }

    /// Reports the message whose handler has panicked. Of a worker without supervision nobody has noted who sent it, so where
    /// there is no hook, the line that says that it has panicked says as much.
    #[cold]
    pub(crate) fn report_panicked(&self, mailbox: &MailboxRc) {
        let is_supervised = mailbox.if_more(|more| more.supervised.is_some()) == Some(true);
        if is_supervised {
            return self.report_in_hand(mailbox);
        }
        if mailbox.if_more(|more| more.put_back) == Some(true) {
            return;
        }
        let (_, type_name) = mailbox.type_names();
        self.report_unfinished(mailbox, self.outside.address.clone(), type_name, true);
    }

    fn report_unfinished(
        &self,
        mailbox: &MailboxRc,
        from: Address,
        type_name: &'static str,
        told: bool,
    ) {
        self.uncount_handled();
        let undelivered = Undelivered {
            to: mailbox.address.clone(),
            from,
            type_name,
            expected: None,
            reason: Reason::InHand,
        };
        self.report_with(&undelivered, told, None);
    }
}
