//! What a peer is still to be sent that has ended its side, and may read on.
//!
//! Nobody notes which message of a peer a worker has handled; but the covers of a connection say to whom the peer has
//! sent, and whether as much was sent back. A worker that has handled what lay there when the peer ended its side has handled
//! what came from the peer ([`unhandled`](super::unhandled)). Of one on another core that is asked there, behind what came
//! for it, and answered behind what it sent back; and where others are behind a name, it is asked of these from the core
//! that passes messages on, behind what it has passed on.

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
use crate::transport::connection::Connection;
use crate::transport::unhandled::{Unhandled, is_handled};

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
    /// The workers of this core, once all that came is on its way.
    here: Option<Unhandled>,
    /// Each ends when workers of other cores have handled what came for them.
    elsewhere: Vec<Pin<Box<dyn Future<Output = ()> + 'a>>>,
}

impl<'a> Debts<'a> {
    /// `None` where nothing is: a peer that this side has connected to is not waited for, so that the next message connects
    /// anew; nor is a node of this make, which ends both sides at the same time.
    pub(super) fn new(ctx: &'a Context, connection: &Rc<Connection>) -> Option<Self> {
        let may_read = !connection.has_notes.get() && connection.name.is_local();
        may_read.then(|| Self {
            ctx,
            connection: Rc::clone(connection),
            here: None,
            elsewhere: Vec::new(),
        })
    }

    /// What is owed now that all that came is on its way to its receivers, or is not yet.
    pub(super) fn poll(&mut self, is_delivered: bool, polling: &mut Polling<'_>) -> Owed {
        if is_delivered && self.here.is_none() {
            self.ask();
        }
        self.look_here(polling);
        self.elsewhere
            .retain_mut(|it| it.as_mut().poll(polling).is_pending());
        let is_all_handled = is_delivered
            && self.here.as_ref().is_some_and(Unhandled::is_empty)
            && self.elsewhere.is_empty()
            && is_handled(&self.ctx.mailbox);
        match is_all_handled {
            false => Owed::Something,
            true if self.connection.covers.any(|_, is_left| is_left) => Owed::Perhaps,
            true => Owed::Nothing,
        }
    }

    /// Begins to look at all workers to which the peer has sent.
    fn ask(&mut self) {
        let core = &self.ctx.core;
        let (mut here, mut homes) = (Vec::new(), BTreeMap::<u16, Vec<Address>>::new());
        self.connection.covers.any(|worker, _| {
            let home = core.placement.home(worker);
            if home != core.id {
                homes.entry(home).or_default().push(worker.clone());
            }
            // One whose home is elsewhere may be here as well.
            here.push(worker.clone());
            false
        });
        self.here = Some(Unhandled::new(here));
        let asked = homes
            .into_iter()
            .map(|(home, names)| Asked::new(core.id, home, names));
        self.follow(asked.collect());
    }

    fn look_here(&mut self, polling: &Polling<'_>) {
        let core = &self.ctx.core;
        let Some(here) = self.here.as_mut().filter(|here| !here.is_empty()) else {
            return;
        };
        here.look(core);
        if here.is_queued() {
            // What was there is told from what comes later as soon as that can be.
            core.io.put_off(core.tasks.register(polling));
        }
        let passed_on = Asked::behind(core.id, here.take_passed_on());
        self.follow(passed_on);
    }

    fn follow(&mut self, asked: Vec<Asked>) {
        if !asked.is_empty() {
            self.elsewhere.push(Box::pin(all_handled(self.ctx, asked)));
        }
    }
}

/// Workers of one core that are asked for whether they have handled all.
struct Asked {
    /// The core that has sent them messages.
    from: u16,
    core: u16,
    unhandled: Unhandled,
}

impl Asked {
    fn new(from: u16, core: u16, workers: Vec<Address>) -> Self {
        Self {
            from,
            core,
            unhandled: Unhandled::new(workers),
        }
    }

    /// Those to which this core has passed messages on.
    fn behind(from: u16, passed_on: Vec<(u16, Address)>) -> Vec<Self> {
        let mut cores = BTreeMap::<u16, Vec<Address>>::new();
        for (core, worker) in passed_on {
            cores.entry(core).or_default().push(worker);
        }
        let asked = cores.into_iter();
        asked
            .map(|(core, workers)| Self::new(from, core, workers))
            .collect()
    }

    /// Has them looked at where they are, the first time behind what came there for them.
    async fn look(self, ctx: &Context) -> Result<Self> {
        let Self {
            from,
            core,
            mut unhandled,
        } = self;
        let look = move |there: &Rc<Core>, to: ReplyTo| {
            unhandled.look(there);
            // Not as an answer from another core, which would pass what they have sent.
            let back = move |core: &Rc<Core>| core.answer(to, Ok(unhandled.into_body()));
            run_on(there, to.core, back);
        };
        let by_way = move |there: &Rc<Core>, to: ReplyTo| {
            run_on(there, core, move |there| look(there, to));
        };
        let body = ctx.call(from, by_way).await?;
        let unhandled = body.take::<Unhandled>();
        Ok(Self {
            // What is sent there from now on is not waited for.
            from: ctx.core.id,
            core,
            unhandled: unhandled.unwrap_or_else(|_| Unhandled::new([])),
        })
    }
}

/// Does this on that core, behind what this one has sent there.
fn run_on(here: &Rc<Core>, core: u16, job: impl FnOnce(&Rc<Core>) + Send + 'static) {
    match core == here.id {
        true => job(here),
        false => here.send_job(core, Box::new(job)),
    }
}

/// Ends when these, and those to which they pass messages on, have handled what was sent to them before.
async fn all_handled(ctx: &Context, mut asked: Vec<Asked>) {
    while !asked.is_empty() {
        let mut is_moving = false;
        for one in std::mem::take(&mut asked) {
            // A core that does not answer has ended, and its workers with it.
            let Ok(mut one) = one.look(ctx).await else {
                continue;
            };
            let behind = Asked::behind(one.core, one.unhandled.take_passed_on());
            is_moving |= one.unhandled.is_queued() || !behind.is_empty();
            asked.extend(behind);
            asked.extend((!one.unhandled.is_empty()).then_some(one));
        }
        match is_moving {
            true => ctx.yield_now().await,
            false if asked.is_empty() => {}
            false => ctx.sleep(PAUSE).await,
        }
    }
}
