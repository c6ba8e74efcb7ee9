//! What a peer is still to be sent that has ended its side, and may read on.
//!
//! Nobody notes which message of a peer a worker has handled; but the covers of a connection say to whom the peer has
//! sent, and whether as much was sent back. A worker that has nothing left to handle has handled what came from the
//! peer. Of one on another core that is asked there, behind what came for it, and answered behind what it sent back.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context as Polling;
use std::time::Duration;

use ringpost_router::{Address, Message};

use crate::context::Context;
use crate::core::Core;
use crate::envelope::ReplyTo;
use crate::error::Result;
use crate::mailbox::State;
use crate::task::raw::MailboxRc;
use crate::transport::connection::Connection;

/// How long to wait until another core is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether more will be sent to a peer that says nothing more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    /// All that it has sent is handled, and as much was sent back.
    Nothing,
    /// All is handled, and less was sent back: it may have been passed on.
    Perhaps,
    /// Not all is handled.
    Something,
}

/// What the peer of one connection is owed.
pub(super) struct Debts<'a> {
    ctx: &'a Context,
    connection: Rc<Connection>,
    has_asked: bool,
    /// Ends when the workers of other cores have handled what came for them.
    elsewhere: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
}

impl<'a> Debts<'a> {
    /// `None` where nothing is: a peer that this side has connected to is not waited for, so that the next message connects
    /// anew; nor is a node of this make, which ends both sides at the same time.
    pub(super) fn new(ctx: &'a Context, connection: &Rc<Connection>) -> Option<Self> {
        let may_read = !connection.has_notes.get() && connection.name.is_local();
        may_read.then(|| Self {
            ctx,
            connection: Rc::clone(connection),
            has_asked: false,
            elsewhere: None,
        })
    }

    /// What is owed now that all that came is on its way to its receivers, or is not yet.
    pub(super) fn poll(&mut self, is_delivered: bool, polling: &mut Polling<'_>) -> Owed {
        if is_delivered && !self.has_asked {
            self.has_asked = true;
            self.ask();
        }
        if let Some(elsewhere) = &mut self.elsewhere
            && elsewhere.as_mut().poll(polling).is_ready()
        {
            self.elsewhere = None;
        }
        let core = &self.ctx.core;
        let is_busy = |worker: &Address| core.named(worker).is_some_and(|it| !has_handled_all(&it));
        let covers = &self.connection.covers;
        let is_all_handled = is_delivered
            && self.elsewhere.is_none()
            && has_handled_all(&self.ctx.mailbox)
            && !covers.any(|worker, _| is_busy(worker));
        match is_all_handled {
            false => Owed::Something,
            true if covers.any(|_, is_left| is_left) => Owed::Perhaps,
            true => Owed::Nothing,
        }
    }

    /// Has other cores asked whether their workers have handled all.
    fn ask(&mut self) {
        let core = &self.ctx.core;
        let mut homes = BTreeMap::<u16, Vec<Address>>::new();
        self.connection.covers.any(|worker, _| {
            let home = core.placement.home(worker);
            if home != core.id {
                homes.entry(home).or_default().push(worker.clone());
            }
            false
        });
        if !homes.is_empty() {
            self.elsewhere = Some(Box::pin(all_handled(self.ctx, homes)));
        }
    }
}

/// Ends when the workers with these names, by their homes, have handled what was sent to them before.
async fn all_handled(ctx: &Context, homes: BTreeMap<u16, Vec<Address>>) {
    for (home, names) in homes {
        while is_busy(ctx, home, names.clone()).await.unwrap_or(false) {
            ctx.sleep(PAUSE).await;
        }
    }
}

/// Whether any of these workers of another core has something left to handle.
async fn is_busy(ctx: &Context, home: u16, names: Vec<Address>) -> Result<bool> {
    let look = move |core: &Rc<Core>, to: ReplyTo| {
        let there = names.iter().filter_map(|name| core.named(name));
        let is_busy = there.into_iter().any(|mailbox| !has_handled_all(&mailbox));
        // Not as an answer, which would pass what they have sent.
        let back = move |core: &Rc<Core>| core.answer(to, Ok(is_busy.into_body()));
        core.send_job(to.core, Box::new(back));
    };
    let body = ctx.call(home, look).await?;
    Ok(body.take::<bool>().unwrap_or(false))
}

/// Whether a worker, if it is here, has handled all that it was sent.
fn has_handled_all(mailbox: &MailboxRc) -> bool {
    match mailbox.state.get() {
        State::Idle => mailbox.queued.get() == 0,
        State::Closed | State::Stub | State::Detached => true,
        _ => false,
    }
}
