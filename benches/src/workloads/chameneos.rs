//! Savina's chameneos: creatures that meet in pairs at a mall, where all of them queue up.

use std::time::Instant;

use ringpost::{Context, Result, Route, Routed, Worker};

use super::stage::{Stage, announce};
use crate::Measured;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Blue,
    Red,
    Yellow,
}

impl Colour {
    const ALL: [Colour; 3] = [Colour::Blue, Colour::Red, Colour::Yellow];

    /// The colour that both take on: the third, if they differ.
    fn complement(self, other: Colour) -> Colour {
        let third = |colour: &&Colour| **colour != self && **colour != other;
        if self == other {
            return self;
        }
        *Self::ALL.iter().find(third).unwrap_or(&self)
    }
}

#[derive(Debug, Clone, Copy)]
enum Word {
    /// To a creature: go to the mall.
    Begin,
    /// Somebody of this colour wants to meet; the mall passes it on to whom it meets.
    Meet(Colour),
    /// The colour that the receiver takes on after a meeting.
    Change(Colour),
    /// No more meetings.
    Fade,
    /// To the mall: how many meetings somebody who faded had.
    Faded(u64),
}

ringpost::local_message!(Word);

/// Brings each second one that comes to the one before it.
struct Mall {
    meetings_left: u64,
    waiting: Option<Route>,
    creatures: u64,
    met: u64,
    driver: Route,
}

impl Worker for Mall {
    type Message = Word;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        announce(ctx, &self.driver).await
    }

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        if let Word::Faded(met) = *msg {
            self.met += met;
            self.creatures -= 1;
            return match self.creatures {
                0 => ctx.send_message(&self.driver, self.met).await,
                _ => Ok(()),
            };
        }
        if self.meetings_left == 0 {
            return ctx.send_message(msg.reply(), Word::Fade).await;
        }
        match self.waiting.take() {
            None => {
                self.waiting = Some(msg.reply());
                Ok(())
            }
            Some(first) => {
                self.meetings_left -= 1;
                ctx.relay(msg, first).await
            }
        }
    }
}

struct Creature {
    colour: Colour,
    met: u64,
    mall: Route,
    driver: Route,
}

impl Worker for Creature {
    type Message = Word;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        announce(ctx, &self.driver).await
    }

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        match *msg {
            Word::Begin => {}
            Word::Meet(other) => {
                self.met += 1;
                self.colour = self.colour.complement(other);
                ctx.send_message(msg.reply(), Word::Change(self.colour))
                    .await?;
            }
            Word::Change(colour) => {
                self.met += 1;
                self.colour = colour;
            }
            Word::Fade | Word::Faded(_) => {
                return ctx.send_message(&self.mall, Word::Faded(self.met)).await;
            }
        }
        ctx.send_message(&self.mall, Word::Meet(self.colour)).await
    }
}

/// `n` meetings of `creatures`, four messages each.
///
/// # Errors
/// Those of the node.
pub async fn chameneos(ctx: Context, n: u64, creatures: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let mall = Mall {
        meetings_left: n,
        waiting: None,
        creatures,
        met: 0,
        driver: stage.driver(),
    };
    let mall = stage.introduce(0, "mall", mall).await?;
    let mut routes = Vec::new();
    for number in 0..creatures as usize {
        let creature = Creature {
            colour: Colour::ALL[number % Colour::ALL.len()],
            met: 0,
            mall: mall.clone(),
            driver: stage.driver(),
        };
        let core = number % stage.cores();
        let name = format!("creature-{number}");
        routes.push(stage.introduce(core, name, creature).await?);
    }
    let start = Instant::now();
    for route in routes {
        stage.ctx().send_message(route, Word::Begin).await?;
    }
    let met: u64 = stage.report().await?;
    let took = start.elapsed();
    assert_eq!(met, 2 * n, "each meeting has two sides");
    stage.end().await?;
    Ok(Measured::new(took, n))
}

#[cfg(test)]
mod tests {
    use super::Colour::{Blue, Red, Yellow};

    #[test]
    fn unlike_colours_turn_into_the_third() {
        assert_eq!(Blue.complement(Red), Yellow);
        assert_eq!(Red.complement(Blue), Yellow);
        assert_eq!(Yellow.complement(Blue), Red);
        assert_eq!(Red.complement(Red), Red);
    }
}
