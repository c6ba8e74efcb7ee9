//! Savina's concurrent dictionary: many clients of one worker that reads and writes a map.

use std::collections::HashMap;
use std::time::Instant;

use ringpost::{Context, Result, Route, Routed, Worker};

use super::stage::{Dice, Stage, announce};
use crate::Measured;

/// Keys in the map: few enough to stay in the cache, as the messages are what is measured.
const KEYS: usize = 4096;

/// Of a hundred operations so many are writes.
const WRITES_PERCENT: usize = 10;

#[derive(Debug, Clone, Copy)]
enum Operation {
    Read(u64),
    Write(u64, u64),
}

ringpost::local_message!(Operation);

struct Dictionary {
    values: HashMap<u64, u64>,
    driver: Route,
}

impl Worker for Dictionary {
    type Message = Operation;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        announce(ctx, &self.driver).await
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Operation>) -> Result<()> {
        let value = match *msg {
            Operation::Read(key) => self.values.get(&key).copied(),
            Operation::Write(key, value) => self.values.insert(key, value),
        };
        ctx.send_message(msg.reply(), value.unwrap_or(0)).await
    }
}

/// Asks as often as it is told to.
struct Client {
    dictionary: Route,
    dice: Dice,
    driver: Route,
}

impl Worker for Client {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for number in 0..*msg {
            let key = self.dice.below(KEYS) as u64;
            let operation = if self.dice.below(100) < WRITES_PERCENT {
                Operation::Write(key, number)
            } else {
                Operation::Read(key)
            };
            let _before: u64 = ctx.request(&self.dictionary, operation).await?;
        }
        ctx.send_message(&self.driver, true).await
    }
}

/// `n` operations by `clients`, each a request and its reply.
///
/// # Errors
/// Those of the node.
pub async fn dictionary(ctx: Context, n: u64, clients: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let dictionary = Dictionary {
        values: (0..KEYS as u64).map(|key| (key, key)).collect(),
        driver: stage.driver(),
    };
    let dictionary = stage.introduce(0, "dictionary", dictionary).await?;
    let mut names = Vec::new();
    for number in 0..clients {
        let client = Client {
            dictionary: dictionary.clone(),
            dice: Dice::new(number + 1),
            driver: stage.driver(),
        };
        let core = stage.elsewhere(number as usize);
        let name = format!("client-{number}");
        names.push(stage.start(core, name, client).await?);
    }
    let each = n.div_ceil(clients);
    let start = Instant::now();
    for name in names {
        stage.ctx().send_message(name, each).await?;
    }
    for _ in 0..clients {
        assert!(stage.report::<bool>().await?);
    }
    let took = start.elapsed();
    stage.end().await?;
    Ok(Measured::new(took, each * clients))
}
