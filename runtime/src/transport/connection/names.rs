//! What the peer gets to see of the addresses of this node.

use ringpost_router::wire::{Note, Refusal};
use ringpost_router::{Address, Aliases, Route};

use super::Connection;
use crate::core::Core;
use crate::envelope::ReplyTo;
use crate::transport::Terms;

impl Connection {
    /// What the peer gets to see of a return route: the name of an exposed worker, or an alias.
    pub(super) fn name_back(&self, back: &Route) -> Option<Address> {
        let first = back.first()?;
        let is_reply = first.hint().and_then(ReplyTo::from_hint).is_some();
        if back.len() == 1 && !is_reply {
            let is_last = self.named_last.borrow().as_ref() == Some(&first.address);
            if is_last || self.terms.exposes(&first.address) {
                if !is_last && self.terms.always_exposes(&first.address) {
                    self.named_last.replace(Some(first.address.clone()));
                }
                return Some(first.address.clone());
            }
        }
        Some(self.aliases.borrow_mut().name_for(back))
    }

    /// The route that a name stands for, if the peer was given it.
    pub(in crate::transport) fn route_of(&self, name: &Address) -> Option<Route> {
        self.aliases.borrow_mut().route_of(name)
    }

    /// Tells the peer that a message of its was not taken, if it understands.
    pub(in crate::transport) fn refuse(
        &self,
        sender: Option<Address>,
        address: Address,
        refusal: Refusal,
    ) {
        let has_room = self.outlet.borrow().bytes() < self.terms.limits.queued_bytes_max;
        if let Some(sender) = sender
            && self.has_notes.get()
            && has_room
        {
            let address = self.known_as(address, refusal);
            self.tell(&Note::Refused {
                sender,
                address,
                refusal,
            });
        }
    }

    /// What the peer calls this address, as far as it was given another name for it. What it may not reach is called as
    /// it was called by the peer itself.
    fn known_as(&self, address: Address, refusal: Refusal) -> Address {
        if refusal == Refusal::Denied || self.terms.exposes(&address) {
            return address;
        }
        self.aliases.borrow().name_of(&address).unwrap_or(address)
    }
}

/// No names yet, under keys of their own.
pub(super) fn new_aliases(core: &Core, terms: &Terms) -> Aliases {
    let limits = &terms.limits;
    let (routes_max, bytes_max) = (limits.return_routes_max, limits.return_route_bytes_max);
    Aliases::new(core.io.network.secret(), routes_max, bytes_max)
}
