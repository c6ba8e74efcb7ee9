//! The way of the message that came last, with what is known of it: the next one takes it too, as a rule.

use std::rc::Rc;

use ringpost_router::wire::Incoming;
use ringpost_router::{Address, Aliases, Hop, Route};

use super::lines::Waiting;
use crate::core::kept::Kin;
use crate::core::returning::place_of_name;
use crate::envelope::ReplyTo;
use crate::task::raw::MailboxRc;
use crate::transport::connection::Connection;
use crate::transport::covers::Cover;

/// The way of the message that came last, which is that of the next one too, as a rule.
pub(super) struct Way {
    /// Whose routes its messages have.
    pub(super) kin: Kin,
    pub(super) onward: Route,
    /// The way back, this connection in front.
    pub(super) back: Route,
    /// Whom the peer is told of if nobody takes the message.
    pub(super) sender: Option<Address>,
    /// Whether the onward route is an exposed worker, now and for good.
    pub(super) is_plain: bool,
    /// Whether its messages take credits.
    pub(super) is_counted: bool,
    /// Of the receiver, if that is one exposed worker and may send back what is no reply to a request.
    pub(super) cover: Option<Rc<Cover>>,
    /// If they are requests, what stands for the place where the reply is waited for.
    pub(super) asks: Option<ReplyTo>,
    /// What both routes take.
    pub(super) bytes: usize,
}

impl Way {
    /// None that leads anywhere.
    pub(super) fn none(core: u16) -> Self {
        Self {
            kin: Kin::new(core),
            onward: Route::new(),
            back: Route::new(),
            sender: None,
            is_plain: false,
            is_counted: false,
            cover: None,
            asks: None,
            bytes: 0,
        }
    }

    /// What is to be known of a message of this way that waits.
    pub(super) fn waiting(&self, bytes: usize) -> Waiting {
        Waiting {
            bytes,
            is_counted: self.is_counted,
            asks: self.asks,
            sender: self.sender.clone(),
        }
    }

    /// Whether what comes back for a message of this way is to wait for nothing. Replies to requests never do, and what
    /// is sent as datagrams is not made to wait by the peer.
    pub(super) fn wants_cover(&self, connection: &Connection) -> bool {
        self.sender.is_some() && self.asks.is_none() && connection.terms.datagrams.is_none()
    }

    #[inline]
    pub(super) fn follow(
        &mut self,
        incoming: &Incoming,
        connection: &Connection,
        carrier: &MailboxRc,
    ) {
        if incoming.onward.is_some() || incoming.return_route.is_some() {
            self.change(incoming, connection, carrier);
        }
    }

    fn change(&mut self, incoming: &Incoming, connection: &Connection, carrier: &MailboxRc) {
        self.kin.turn();
        if let Some(onward) = &incoming.onward {
            self.onward.clone_from(onward);
        }
        if let Some(back) = &incoming.return_route {
            let asker = back.only();
            self.asks = asker.and_then(|hop| place_of_name(&hop.address));
            self.sender = back.first().map(|hop| hop.address.clone());
            self.back.clone_from(back);
            self.back.push_front(carrier.hop());
        }
        let exposed = |hop: &Hop| connection.terms.always_exposes(&hop.address);
        let first = self.onward.first();
        self.is_counted = first.is_some_and(|hop| !Aliases::is_once(&hop.address));
        self.is_plain = self.onward.only().is_some_and(exposed) && self.back.check().is_ok();
        let covers = &connection.covers;
        let covered = first.filter(|_| self.is_plain && self.wants_cover(connection));
        self.cover = covered.map(|hop| covers.of(&hop.address));
        let back = self.back.memory_bytes();
        self.bytes = self.onward.memory_bytes().saturating_add(back);
    }
}
