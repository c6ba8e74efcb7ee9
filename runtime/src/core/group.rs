//! The worker that leads a group.
//!
//! A worker of a group that fails is taken down as any that is restarted, tells its leader, and waits for the
//! leader's word to come back. The leader handles one failure at a time: it has those taken down that are to be
//! restarted too, waits, and has all come back in order. A failure that it hears of when the worker has come back
//! since is an old one.
//!
//! The end of a leader is that of its workers: it is cut short by no deadline of its mailbox, but sees to its own,
//! after which it has those that are left end at once. Each of them has a deadline, so that is soon. What the leader
//! is told then is the runtime's own, and no loss to anybody: it is not reported.

mod led;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use ringpost_router::Address;

use crate::context::Context;
use crate::core::Core;
use crate::core::supervised::pass_the_time;
use crate::envelope::ReplyTo;
use crate::error::{Error, ErrorKind, Result};
use crate::group::{Group, Strategy};
use crate::mailbox::Stop;
use crate::routed::Routed;
use crate::time::Time;
use crate::worker::Worker;

use self::led::Event;

pub(crate) use self::led::{Led, News, Role, is_event};

/// What a leader knows of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Up,
    /// Taken down, to come back.
    Down,
    Gone,
}

/// The worker at the address of a group.
pub(crate) struct Leader {
    group: Group,
    reign: u64,
    presence: Vec<Presence>,
    /// How many times each has come back.
    lives: Vec<u64>,
    recent: VecDeque<Time>,
    core: Option<Rc<Core>>,
    has_failed: bool,
}

impl Leader {
    pub(crate) fn new(group: Group) -> Self {
        let members = group.members.len();
        Self {
            group,
            reign: 0,
            presence: vec![Presence::Gone; members],
            lives: vec![0; members],
            recent: VecDeque::new(),
            core: None,
            has_failed: false,
        }
    }

    fn name(&self, member: usize) -> Address {
        self.group.members[member].address.clone()
    }

    fn role(&self, member: usize) -> Role {
        let reign = self.reign;
        Role { reign, member }
    }

    /// Starts the next worker.
    async fn start(&mut self, member: usize, ctx: &Context) -> Result<()> {
        let led = Led {
            core: ctx.core.id,
            leader: ctx.mailbox.handle(),
            role: self.role(member),
        };
        let start = self.group.members[member].start.clone();
        let home = ctx.core.placement.home(&self.name(member));
        let begin = move |core: &Rc<Core>, to| start(core, led, to);
        // From here on it may be there, whatever becomes of this call.
        self.presence[member] = Presence::Up;
        let started = unless_hurried(ctx, ctx.call(home, begin)).await?;
        if started.is_err() {
            self.presence[member] = Presence::Gone;
        }
        started?;
        let (reign, news) = (self.reign, News::Gone);
        let gone = move |_| Event {
            reign,
            member,
            news,
        };
        ctx.watch_as(self.name(member), gone).await.map(drop)
    }

    /// Ends the workers, the last first, each when those after it have ended; when the time to drain is over, all
    /// that are left at once. Returns when none is left.
    async fn stop(&mut self, stop: Stop, ctx: &Context) {
        let mut deadline = pin!(ctx.sleep(ctx.core.node.drain));
        for member in (0..self.presence.len()).rev() {
            if self.presence[member] == Presence::Gone {
                continue;
            }
            let (name, role) = (self.name(member), self.role(member));
            let mut ends = pin!(end_member(name, role, stop, ctx));
            let is_in_time = poll_fn(|polling| match ends.as_mut().poll(polling) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => deadline.as_mut().poll(polling).map(|()| false),
            });
            if !is_in_time.await {
                self.stop_rest(ctx).await;
                return self.presence.fill(Presence::Gone);
            }
            self.presence[member] = Presence::Gone;
        }
    }

    /// Ends all that are left, at the same time.
    async fn stop_rest(&self, ctx: &Context) {
        let end = |member| {
            let (name, role) = (self.name(member), self.role(member));
            Box::pin(end_member(name, role, Stop::Now, ctx))
        };
        let mut ends: Vec<Pin<Box<_>>> = self.left().map(end).collect();
        poll_fn(|polling| {
            ends.retain_mut(|end| end.as_mut().poll(polling).is_pending());
            match ends.is_empty() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// Those that may not have ended, the last first.
    fn left(&self) -> impl Iterator<Item = usize> {
        let is_left = move |member: &usize| self.presence[*member] != Presence::Gone;
        (0..self.presence.len()).rev().filter(is_left)
    }

    /// Whether this one is restarted when that one has failed.
    fn follows(&self, member: usize, failed: usize) -> bool {
        match self.group.strategy {
            Strategy::OneForOne => false,
            Strategy::OneForAll => true,
            Strategy::RestForOne => member > failed,
        }
    }

    /// Has a worker that has failed come back, and those that are restarted with it.
    async fn restart(&mut self, mut failed: usize, ctx: &Context) -> Result<()> {
        loop {
            self.presence[failed] = Presence::Down;
            self.take_down_with(failed, ctx).await;
            let wait = self.count_restart(failed, ctx)?;
            pass_the_time(ctx, wait).await?;
            match self.bring_back(ctx).await {
                None => return Ok(()),
                Some(member) => failed = member,
            }
        }
    }

    async fn take_down_with(&mut self, failed: usize, ctx: &Context) {
        for member in (0..self.presence.len()).rev() {
            if self.presence[member] == Presence::Up && self.follows(member, failed) {
                let down = self.ask(member, Core::take_down, ctx).await;
                self.presence[member] = match down {
                    Ok(()) => Presence::Down,
                    Err(_) => Presence::Gone,
                };
            }
        }
    }

    /// Which one has failed to come back, if one has.
    async fn bring_back(&mut self, ctx: &Context) -> Option<usize> {
        for member in 0..self.presence.len() {
            if self.presence[member] != Presence::Down {
                continue;
            }
            self.lives[member] += 1;
            match self.ask(member, Core::bring_back, ctx).await {
                Ok(()) => self.presence[member] = Presence::Up,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => {
                    self.presence[member] = Presence::Gone;
                }
                Err(_) => return Some(member),
            }
        }
        None
    }

    /// Asks something of a worker's core.
    async fn ask(
        &self,
        member: usize,
        what: fn(&Rc<Core>, &Address, Role, ReplyTo),
        ctx: &Context,
    ) -> Result<()> {
        let (name, role) = (self.name(member), self.role(member));
        let home = ctx.core.placement.home(&name);
        let ask = move |core: &Rc<Core>, to| what(core, &name, role, to);
        ctx.call(home, ask).await.map(drop)
    }

    /// How long to wait before the next restart, or that there are too many.
    fn count_restart(&mut self, failed: usize, ctx: &Context) -> Result<std::time::Duration> {
        let restarts = &self.group.restarts;
        if restarts.count(&mut self.recent, ctx.core.now.get()) {
            return Ok(restarts.wait(&self.recent, ctx.core.random()));
        }
        let (name, within, most) = (self.name(failed), restarts.within, restarts.max);
        Err(Error::other(format!(
            "{name} has failed, and within {within:?} no more than {most} restarts are allowed"
        )))
    }
}

impl Worker for Leader {
    type Message = Event;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        self.core = Some(Rc::clone(&ctx.core));
        self.reign = ctx.core.random();
        ctx.mailbox.note_that_it_leads();
        for member in 0..self.presence.len() {
            if let Err(error) = self.start(member, ctx).await {
                if ctx.mailbox.stop.get() != Stop::Now {
                    self.stop(Stop::Drain, ctx).await;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Event>) -> Result<()> {
        let Event {
            reign,
            member,
            news,
        } = *msg;
        if reign != self.reign {
            return Ok(());
        }
        let heeded = match news {
            News::Failed { life } if life == self.lives[member] => self.restart(member, ctx).await,
            News::Failed { .. } => Ok(()),
            News::Escalated => {
                let name = self.name(member);
                Err(Error::other(format!("{name} has failed")))
            }
            News::Gone => {
                self.presence[member] = Presence::Gone;
                Ok(())
            }
        };
        if ctx.mailbox.stop.get().is_asked() {
            return Ok(());
        }
        self.has_failed = heeded.is_err();
        heeded
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        let stop = match ctx.mailbox.stop.get() {
            Stop::Now if !self.has_failed => Stop::Now,
            _ => Stop::Drain,
        };
        self.stop(stop, ctx).await;
        Ok(())
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        // None is left, unless it has not been asked to shut down, as at the end of the node.
        let Some(core) = &self.core else { return };
        for member in self.left() {
            let (name, role) = (self.name(member), self.role(member));
            core.on_core(core.placement.home(&name), move |core: &Rc<Core>| {
                core.stop_led(&name, role, Stop::Now, ReplyTo::NOBODY);
            });
        }
    }
}

/// Waits for this, unless the leader is to end at once.
async fn unless_hurried<T>(ctx: &Context, work: impl Future<Output = T>) -> Result<T> {
    let mut work = pin!(work);
    poll_fn(|polling| match ctx.mailbox.stop.get() {
        Stop::Now => Poll::Ready(Err(Error::new(ErrorKind::Stopping))),
        _ => work.as_mut().poll(polling).map(Ok),
    })
    .await
}

/// Has a worker end, and waits until its address is free.
async fn end_member(name: Address, role: Role, stop: Stop, ctx: &Context) {
    let home = ctx.core.placement.home(&name);
    let end = move |core: &Rc<Core>, to| core.stop_led(&name, role, stop, to);
    // It may have ended by itself.
    let _ = ctx.call(home, end).await;
}
