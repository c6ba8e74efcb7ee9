//! Savina's big: many workers, each of which pings others at random and waits for the pong.

use std::sync::Arc;
use std::time::Instant;

use ringpost::{Context, Result, Route, Routed, Worker};

use super::stage::{Dice, Stage, announce};
use crate::Measured;

#[derive(Debug, Clone)]
enum Word {
    /// Everybody, in the order of their numbers.
    Neighbours(Arc<[Route]>),
    Ping,
    Pong,
}

ringpost::local_message!(Word);

struct Player {
    neighbours: Arc<[Route]>,
    pings_left: u64,
    dice: Dice,
    driver: Route,
}

impl Player {
    #[inline]
    async fn ping(&mut self, ctx: &Context) -> Result<()> {
        if self.pings_left == 0 {
            return ctx.send_message(&self.driver, true).await;
        }
        self.pings_left -= 1;
        let to = &self.neighbours[self.dice.below(self.neighbours.len())];
        ctx.send_message(to, Word::Ping).await
    }
}

impl Worker for Player {
    type Message = Word;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        announce(ctx, &self.driver).await
    }

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        match &*msg {
            Word::Ping => ctx.send_message(msg.reply(), Word::Pong).await,
            Word::Pong => self.ping(ctx).await,
            Word::Neighbours(neighbours) => {
                self.neighbours = Arc::clone(neighbours);
                self.ping(ctx).await
            }
        }
    }
}

/// `n` messages among `players`, half of them pings and half pongs.
///
/// # Errors
/// Those of the node.
pub async fn big(ctx: Context, n: u64, players: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let pings = n.div_ceil(2 * players);
    let mut routes = Vec::new();
    for number in 0..players {
        let player = Player {
            neighbours: Arc::new([]),
            pings_left: pings,
            dice: Dice::new(number + 1),
            driver: stage.driver(),
        };
        let core = number as usize % stage.cores();
        let name = format!("player-{number}");
        routes.push(stage.introduce(core, name, player).await?);
    }
    let neighbours: Arc<[Route]> = routes.into();
    let start = Instant::now();
    for route in neighbours.iter() {
        let word = Word::Neighbours(Arc::clone(&neighbours));
        stage.ctx().send_message(route, word).await?;
    }
    for _ in 0..players {
        assert!(stage.report::<bool>().await?);
    }
    let took = start.elapsed();
    stage.end().await?;
    Ok(Measured::new(took, 2 * pings * players))
}
