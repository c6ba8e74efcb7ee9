//! What a send does where its message cannot simply be put into a queue of its core: it is a reply, or goes to another core
//! or over a connection, or something is lacking.

use ringpost_router::{Body, Handle, HandleKind, Hop, Message, Route};

use crate::context::Context;
use crate::context::send::{Blocked, Rest};
use crate::core::deliver::{Attempt, Lack, Outgoing};
use crate::core::returning::place_at_the_end;
use crate::envelope::{Origin, Routes};
use crate::task::raw::MailboxRc;
use crate::transport::{send_alike, send_straight};

/// A message that is handed to what is done out of line. The value is new, so that the optimizer needs no
/// address of the ones it is made of, which where the message can be sent at once are never in memory.
pub(super) struct Unsent<M>(pub(super) Route, pub(super) M);

/// Whether a message is handed on as it travels where it cannot be sent at once: one that lies in its cell and in no
/// registers. It is put there where it is made, in the pieces in which it is made; what is moved once more may be moved in
/// larger ones, which a processor waits for.
pub(super) const fn goes_whole<M: Message>() -> bool {
    size_of::<M>() > 2 * size_of::<usize>()
        && size_of::<M>() < size_of::<Body>()
        && !M::TAKES_MEMORY
}

/// The place where a reply is awaited on this core, if the route leads to one and has nothing to be dropped.
#[inline(always)]
pub(super) fn reply_place(ctx: &Context, route: &Route) -> Option<Handle> {
    route.only_short()?.reply_on(ctx.core.here)
}

/// A reply to a request of this core. By itself, so that nothing is put into memory for it, and little saved and restored; and looked
/// for by the caller, so that the route of what goes elsewhere is not moved once more.
#[inline(never)]
pub(super) fn reply<M: Message>(ctx: &Context, place: Handle, message: M) -> Option<Box<Rest>> {
    ctx.core.post_reply(place, message.into_body());
    None
}

/// The message cannot simply be put into a queue of this core, and is no reply to a request of it; it may follow another
/// to another core. Then the payload goes straight to where it is fetched, as what it is, and the route stays
/// where it is: a processor waits for what it has just stored in smaller pieces than it is to be moved in, and
/// while it does so for what it has stored before, which may be in a ring that another core looks at.
#[inline(never)]
pub(super) fn further<M: Message>(ctx: &Context, unsent: Unsent<M>) -> Option<Box<Rest>> {
    let message = unsent.1;
    let route = &unsent.0;
    if route.only().is_none() {
        return match send_alike(&ctx.core, &ctx.mailbox, route, message.into_body()) {
            Ok(()) => None,
            Err(body) => set_up(ctx, Unsent(unsent.0, Some(body))),
        };
    }
    let mut lent = match follow(ctx, route, message.into_body()) {
        Ok(()) => return None,
        Err(body) => Some(body),
    };
    match go_further(ctx, route, &mut lent) {
        true => None,
        false => set_up(ctx, Unsent(unsent.0, lent)),
    }
}

/// As [`further`], of a message as it travels, which is no reply to a request of this core.
#[inline(never)]
pub(super) fn go_on(ctx: &Context, mut unsent: Unsent<Option<Body>>) -> Option<Box<Rest>> {
    let Unsent(route, lent) = &mut unsent;
    match send_whole(ctx, route, lent) {
        true => None,
        false => set_up(ctx, unsent),
    }
}

/// As [`further`], along a route that is the caller's. What follows another message to a place is all that is done here.
#[inline(never)]
pub(super) fn further_along<M: Message>(
    ctx: &Context,
    route: &Route,
    message: M,
) -> Option<Box<Rest>> {
    let way = || ctx.core.ways.of_next(&ctx.mailbox, route.only_short()?);
    if way().is_none() {
        return still_further(ctx, route, message);
    }
    let body = message.into_body();
    // It may be made by code of the user's, which sends something else: then the stream is over. Where it is not, the second look is
    // seen to be the first when this is compiled.
    let Some(way) = way() else {
        return go_on_along(ctx, route, Some(body));
    };
    match way.push_next(body) {
        Ok(false) => None,
        Ok(true) => end_batch(ctx, route),
        Err(body) => go_on_along(ctx, route, Some(body)),
    }
}

/// The batch of the stream in which the message went is full. It was sent.
#[inline(never)]
fn end_batch(ctx: &Context, route: &Route) -> Option<Box<Rest>> {
    if let Some(hop) = route.only() {
        ctx.core.end_batch(hop.near());
    }
    None
}

/// As [`further_along`], of what is not the next message of a stream to a place.
#[inline(never)]
fn still_further<M: Message>(ctx: &Context, route: &Route, message: M) -> Option<Box<Rest>> {
    match follow(ctx, route, message.into_body()) {
        Ok(()) => None,
        Err(body) => go_on_along(ctx, route, Some(body)),
    }
}

/// As [`go_on`], along a route that is the caller's.
#[inline(never)]
pub(super) fn go_on_along(
    ctx: &Context,
    route: &Route,
    mut lent: Option<Body>,
) -> Option<Box<Rest>> {
    match send_whole(ctx, route, &mut lent) {
        true => None,
        false => set_up(ctx, Unsent(route.clone(), lent)),
    }
}

/// Sends a message of one who does not wait, if nothing has to be set up for it: it follows others to another core as those
/// do that are waited for. Any other comes back.
#[inline(never)]
pub(super) fn send_at_once<M: Message>(ctx: &Context, route: &Route, message: M) -> Option<Body> {
    let is_place = |hop: &&Hop| !hop.is_unseen();
    let Some(hop) = route.only_short().filter(is_place) else {
        return send_any_at_once(ctx, route, Some(message.into_body()));
    };
    match ctx.core.post_next(&ctx.mailbox, hop, message.into_body()) {
        Ok(()) => None,
        Err(body) => send_any_at_once(ctx, route, Some(body)),
    }
}

/// As [`send_at_once`], of what does not follow a message to a place along a short route.
#[inline(never)]
fn send_any_at_once(ctx: &Context, route: &Route, mut lent: Option<Body>) -> Option<Body> {
    if route.only().is_some() {
        send_whole(ctx, route, &mut lent);
    }
    lent
}

/// Sends a message as it travels, if nothing has to be set up for it. Whether it was sent.
#[inline(always)]
fn send_whole(ctx: &Context, route: &Route, lent: &mut Option<Body>) -> bool {
    match route.only() {
        Some(hop) if !hop.is_unseen() => {
            ctx.core.post_next_out_of(&ctx.mailbox, hop, lent) || go_further(ctx, route, lent)
        }
        Some(_) => follow_from(ctx, route, lent) || go_further(ctx, route, lent),
        None => send_from(ctx, route, lent),
    }
}

/// As [`follow`], out of where the message lies.
#[inline(never)]
fn follow_from(ctx: &Context, route: &Route, lent: &mut Option<Body>) -> bool {
    *lent = lent.take().and_then(|body| follow(ctx, route, body).err());
    lent.is_none()
}

/// As [`send_alike`], likewise.
#[inline(never)]
fn send_from(ctx: &Context, route: &Route, lent: &mut Option<Body>) -> bool {
    let from = &ctx.mailbox;
    *lent = lent
        .take()
        .and_then(|body| send_alike(&ctx.core, from, route, body).err());
    lent.is_none()
}

/// Sends what follows another message, to a place or to a name. Any other comes back.
#[inline(always)]
fn follow(ctx: &Context, route: &Route, body: Body) -> Result<(), Body> {
    let core = &ctx.core;
    match route.only() {
        Some(hop) if !hop.is_unseen() => core.post_next(&ctx.mailbox, hop, body),
        Some(hop) if hop.address.is_local() => {
            core.post_next_by_name(&ctx.mailbox, &hop.address, body)
        }
        _ => Err(body),
    }
}

/// Sends a message that is none for a queue or a request of this core, or finds no room there, if nothing has to be set
/// up for it. Whether it was sent; any other stays where it is.
#[inline(never)]
fn go_further(ctx: &Context, route: &Route, lent: &mut Option<Body>) -> bool {
    let core = &ctx.core;
    let Some(hop) = route.only() else {
        return false;
    };
    let hint = hop.hint_of(core.here.node());
    if let Some(hint) = hint.filter(|hint| hint.kind == HandleKind::Reply) {
        if let Some(body) = lent.take() {
            core.post_reply_to(hint, body);
        }
        return true;
    }
    // Nobody here is where a place on another core is; who has a name is asked there, if it is not to be asked here first.
    if core.post_linked(&ctx.mailbox, hop, hint, Handle::NONE, lent) {
        return true;
    }
    if ctx.mailbox.is_held.get() {
        return false;
    }
    let Some(to) = core.receiver_at(hop) else {
        return false;
    };
    if let Some(body) = lent.take() {
        core.enqueue(to, &ctx.mailbox, Handle::NONE, Origin::LOCAL, body);
        core.look_at_step(&ctx.mailbox);
    }
    true
}

/// Something has to be set up first: the message's routes, a link, or the wait for what is lacking.
#[inline(never)]
fn set_up(ctx: &Context, unsent: Unsent<Option<Body>>) -> Option<Box<Rest>> {
    let Unsent(route, body) = unsent;
    let body = body?;
    if route.len() > 1
        && route.check().is_ok()
        && place_at_the_end(&route, ctx.core.here.node()).is_none()
        && !ctx.mailbox.is_held.get()
        && let Some(to) = route.first().and_then(|hop| ctx.core.receiver_at(hop))
    {
        let sent = send_straight(&ctx.core, &to, &ctx.mailbox, &route, body);
        let Err(body) = sent else {
            // The credit that it was given is not needed.
            to.set_room(to.room().saturating_add(1));
            return None;
        };
        if ctx.core.pool.is_short() {
            to.set_room(to.room().saturating_add(1));
            return Some(Box::new(Rest::Fail(ctx.core.no_memory_for_routes(body))));
        }
        let routes = Routes::new(route, ctx.mailbox.route());
        ctx.core.enqueue_along(to, &ctx.mailbox, routes, body);
        return None;
    }
    let mut out = Outgoing::with_body(route, body);
    out.waits = true;
    match ctx.core.attempt_or_wait(&ctx.mailbox, &mut out) {
        Attempt::Sent => None,
        Attempt::Failed(error) => Some(Box::new(Rest::Fail(error))),
        Attempt::Blocked(Lack::Local(of)) if MailboxRc::ptr_eq(&of, &ctx.mailbox) => {
            Some(Box::new(Rest::Fail(out.fail_own(&of))))
        }
        Attempt::Blocked(lack) => Some(Box::new(Rest::Send(Blocked::lacking(out, lack)))),
        Attempt::Misgranted => Some(Box::new(Rest::Send(Blocked::new(out)))),
    }
}
