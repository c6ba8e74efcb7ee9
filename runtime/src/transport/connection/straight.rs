//! Messages of workers of this core that go straight among the frames, where nothing is in the way.

use std::rc::Rc;

use ringpost_router::{Address, Any, Body, Encoded, Message, Route};

use super::Connection;
use super::credit::takes_credit;
use crate::envelope::Routes;
use crate::error::{ErrorKind, Reason};
use crate::task::raw::MailboxRc;
use crate::transport::covers::{Cover, leads_back};

/// The way of a message that a worker sent straight.
pub(super) struct Straight {
    route: Route,
    /// Who sent it: an exposed worker, of which the peer sees the name.
    from: Address,
    needs: Needs,
}

/// What a message to the peer needs.
#[derive(Clone)]
struct Needs {
    credit: bool,
    /// What may stand for the credit, if the message goes back.
    cover: Option<Rc<Cover>>,
}

impl Connection {
    /// Puts a message of a worker of this core among the frames, if it has to wait for nothing; gives its payload back
    /// if it has.
    pub(in crate::transport) fn send_straight(
        &self,
        from: &MailboxRc,
        route: &Route,
        body: Body,
    ) -> Result<(), Body> {
        let needs = self.needs(from, route);
        if !self.is_free(&needs) {
            return Err(body);
        }
        self.count_straight(&needs);
        let back = self.name_back(&from.route());
        let is_named = self.named_last.borrow().as_ref() == Some(&from.address);
        self.straight_last.replace(is_named.then(|| Straight {
            route: route.clone(),
            from: from.address.clone(),
            needs,
        }));
        let message = Any::from(body);
        let type_name = message.type_name();
        let onward = route.iter().skip(1);
        match self.put(onward, back.as_slice().iter(), message) {
            Ok(()) => self.notice(),
            Err(cause) => {
                self.straight_last.take();
                let routes = Routes::new(route.clone(), from.route());
                let kind = ErrorKind::Codec(cause);
                self.lose(&routes, type_name, Reason::Unencodable, Some(kind));
            }
        }
        Ok(())
    }

    /// As [`send_straight`](Self::send_straight), for bytes that take the way of the frame before them and are as many.
    #[inline]
    pub(in crate::transport) fn send_alike(
        &self,
        from: &MailboxRc,
        route: &Route,
        body: Body,
    ) -> Result<(), Body> {
        let last = self.straight_last.borrow();
        let needs = match &*last {
            Some(last) if last.route.shares_with(route) && last.from == from.address => &last.needs,
            _ => return Err(body),
        };
        if !self.is_free(needs) {
            return Err(body);
        }
        let payload = body.take::<Encoded>()?;
        if !self.outlet.borrow_mut().push_alike(&payload.0) {
            return Err(payload.into_body());
        }
        self.count_straight(needs);
        self.notice();
        Ok(())
    }

    /// What a message of this worker along this route needs.
    fn needs(&self, from: &MailboxRc, route: &Route) -> Needs {
        let cover = match leads_back(route) {
            true => self.covers.find(&from.address),
            false => None,
        };
        let credit = takes_credit(route);
        Needs { credit, cover }
    }

    /// Whether a message can be put among the frames now.
    #[inline]
    fn is_free(&self, needs: &Needs) -> bool {
        self.takes_messages()
            && !self.ending.get()
            && !self.is_broken.get()
            && self.covers.is_empty()
            && self.has_room()
            && (!needs.credit || self.has_credit() || self.may_overdraw(needs))
    }

    /// Whether a message for which the peer has given no room goes all the same.
    #[cold]
    fn may_overdraw(&self, needs: &Needs) -> bool {
        let is_left = needs.cover.as_ref().is_some_and(|cover| cover.is_left());
        is_left && self.allowance.borrow().may_overdraw()
    }

    /// A message goes as if the worker of the connection had handled it.
    #[inline]
    fn count_straight(&self, needs: &Needs) {
        self.core.tally().sent_local.add(1);
        self.core.tally().handled.add(1);
        if needs.credit {
            self.allowance.borrow_mut().note_sent();
        }
        if let Some(cover) = &needs.cover {
            cover.spend();
        }
    }
}
