//! Savina's bank: a teller has accounts send each other money, with an answer for each step.

use std::sync::Arc;
use std::time::Instant;

use ringpost::{Context, Result, Route, Routed, Worker};

use super::stage::{Dice, Stage, announce};
use crate::Measured;

/// Transactions that the teller keeps under way. Fewer than fit in its mailbox, so that no account
/// ever waits for the teller while the teller waits for an account.
const WINDOW: u64 = 256;

const BALANCE: u64 = 1 << 40;

#[derive(Debug, Clone)]
enum Word {
    /// All accounts.
    Open(Arc<[Route]>),
    /// To an account: send so much to the account of that number.
    Transfer { amount: u32, to: u32 },
    /// To an account: take so much.
    Deposit(u32),
    /// To an account: how much do you hold?
    Balance,
    /// To the teller: do so many transactions.
    Begin(u64),
    /// To the teller: one is done.
    Done,
}

ringpost::local_message!(Word);

struct Account {
    balance: u64,
    accounts: Arc<[Route]>,
    driver: Route,
}

impl Worker for Account {
    type Message = Word;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        announce(ctx, &self.driver).await
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        match &*msg {
            Word::Open(accounts) => self.accounts = Arc::clone(accounts),
            Word::Transfer { amount, to } => {
                let to = &self.accounts[*to as usize];
                let taken: bool = ctx.request(to, Word::Deposit(*amount)).await?;
                self.balance -= u64::from(*amount) * u64::from(taken);
                return ctx.send_message(msg.reply(), Word::Done).await;
            }
            Word::Deposit(amount) => {
                self.balance += u64::from(*amount);
                return ctx.send_message(msg.reply(), true).await;
            }
            Word::Balance => return ctx.send_message(msg.reply(), self.balance).await,
            Word::Begin(_) | Word::Done => {}
        }
        Ok(())
    }
}

/// Orders transactions, a window of them at a time.
struct Teller {
    accounts: Arc<[Route]>,
    unsent: u64,
    undone: u64,
    dice: Dice,
    driver: Route,
}

impl Teller {
    /// Money goes from lower to higher numbers only, so no two accounts can wait for each other.
    async fn order(&mut self, ctx: &Context) -> Result<()> {
        let from = self.dice.below(self.accounts.len() - 1);
        let to = from + 1 + self.dice.below(self.accounts.len() - from - 1);
        let word = Word::Transfer {
            amount: 1 + self.dice.below(1000) as u32,
            to: to as u32,
        };
        self.unsent -= 1;
        ctx.send_message(&self.accounts[from], word).await
    }
}

impl Worker for Teller {
    type Message = Word;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        if let Word::Begin(transactions) = *msg {
            (self.unsent, self.undone) = (transactions, transactions);
            for _ in 0..transactions.min(WINDOW) {
                self.order(ctx).await?;
            }
            return Ok(());
        }
        self.undone -= 1;
        if self.undone == 0 {
            return ctx.send_message(&self.driver, true).await;
        }
        if self.unsent > 0 {
            self.order(ctx).await?;
        }
        Ok(())
    }
}

/// `n` transactions between `accounts`, four messages each.
///
/// # Errors
/// Those of the node.
pub async fn bank(ctx: Context, n: u64, accounts: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let mut routes = Vec::new();
    for number in 0..accounts {
        let account = Account {
            balance: BALANCE,
            accounts: Arc::new([]),
            driver: stage.driver(),
        };
        let core = number as usize % stage.cores();
        let name = format!("account-{number}");
        routes.push(stage.introduce(core, name, account).await?);
    }
    let routes: Arc<[Route]> = routes.into();
    for route in routes.iter() {
        let word = Word::Open(Arc::clone(&routes));
        stage.ctx().send_message(route, word).await?;
    }
    let teller = Teller {
        accounts: Arc::clone(&routes),
        unsent: 0,
        undone: 0,
        dice: Dice::new(n),
        driver: stage.driver(),
    };
    let teller = stage.start(0, "teller", teller).await?;
    let start = Instant::now();
    stage.ctx().send_message(teller, Word::Begin(n)).await?;
    assert!(stage.report::<bool>().await?);
    let took = start.elapsed();
    let mut total = 0;
    for route in routes.iter() {
        let balance: u64 = stage.ctx().request(route, Word::Balance).await?;
        total += balance;
    }
    assert_eq!(total, accounts * BALANCE, "money was made or lost");
    stage.end().await?;
    Ok(Measured::new(took, n))
}
