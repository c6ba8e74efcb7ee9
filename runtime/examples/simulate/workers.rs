//! The workers of each node.

use std::time::Duration;

use ringpost::{Any, Context, DeadLetter, Error, Result, Routed, Worker};

use crate::dice::Dice;
use crate::ledger::{Ledger, Parcel, Question};

/// Takes parcels, some at once, some slowly.
pub(crate) struct Sink {
    pub(crate) node: u16,
    pub(crate) name: String,
    pub(crate) ledger: Ledger,
    pub(crate) dice: Dice,
    /// Whether it fails and panics now and then.
    pub(crate) is_flaky: bool,
}

/// Notes that a handler has ended, also if it is cancelled or panics.
struct Handling<'a>(&'a Sink);

impl Drop for Handling<'_> {
    fn drop(&mut self) {
        self.0.ledger.end(&self.0.name);
    }
}

impl Worker for Sink {
    type Message = Parcel;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        match self.dice.roll(8) {
            0 if self.is_flaky => Err(Error::other("refuses to start")),
            1 => {
                ctx.sleep(Duration::from_micros(self.dice.roll(300))).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Parcel>) -> Result<()> {
        let (kind, micros) = (self.dice.roll(32), self.dice.roll(400));
        self.ledger.begin(self.node, &self.name, *msg);
        let _handling = Handling(self);
        match kind {
            0..=3 => ctx.sleep(Duration::from_micros(micros)).await,
            4..=7 => ctx.yield_now().await,
            8 if self.is_flaky => return Err(Error::other("fails at random")),
            9 if self.is_flaky => panic!("panics at random"),
            _ => {}
        }
        Ok(())
    }
}

/// Answers every question.
pub(crate) struct Echo;

impl Worker for Echo {
    type Message = Question;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Question>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// Has every question answered by its echo, which it asks in one name or another.
pub(crate) struct Clerk {
    pub(crate) echo: String,
    pub(crate) dice: Dice,
}

impl Worker for Clerk {
    type Message = Question;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Question>) -> Result<()> {
        let (echo, question) = (&*self.echo, *msg);
        let wait = Duration::from_micros(self.dice.roll(2_000));
        let answer: Question = match self.dice.roll(5) {
            0 => ctx.handle().request_within(wait, echo, question).await?,
            1 => {
                let handle = ctx.handle();
                handle.request_urgent_within(wait, echo, question).await?
            }
            2 => ctx.detached()?.request(echo, question).within(wait).await?,
            3 => {
                let detached = ctx.detached()?;
                let asked = detached.request(echo, question).urgent();
                asked.within(wait).await?
            }
            _ => ctx.request(echo, question).within(wait).await?,
        };
        ctx.send_message(msg.reply(), answer).await
    }
}

/// Panics at some messages.
pub(crate) struct Fragile;

impl Worker for Fragile {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        assert!(*msg > 0, "as it was told");
        Ok(())
    }
}

/// Passes everything on.
pub(crate) struct Hop;

impl Worker for Hop {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.forward(msg).await
    }
}

/// Takes the letters about what is not delivered.
pub(crate) struct Archive;

impl Worker for Archive {
    type Message = DeadLetter;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<DeadLetter>) -> Result<()> {
        drop(msg);
        Ok(())
    }
}

/// Was never exposed to anybody: nothing may come (G11).
pub(crate) struct Secret(pub(crate) Ledger);

impl Worker for Secret {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        let from = msg.return_route();
        self.0.complain(format!(
            "G11: a message from {from} reached a worker that is not exposed"
        ));
        Ok(())
    }
}
