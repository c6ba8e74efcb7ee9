//! Starts and stops without end, under load: sent = handled + returned + undelivered by reason (G3, G9).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, DeadLetter, Limits, Reason, Result, Routed, Supervision, Worker};
use ringpost_mailbox::sync::Mutex;

/// What became of the messages of this test's type.
#[derive(Debug, Default)]
struct Ledger {
    sent: u64,
    returned: u64,
    /// Handlers that have begun.
    taken: u64,
    undelivered: BTreeMap<String, u64>,
    /// Dead letters that were taken, and those that were reported themselves.
    letters: [u64; 2],
}

type Book = Arc<Mutex<Ledger>>;

struct Taker {
    book: Book,
}

impl Worker for Taker {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.book.lock().taken += 1;
        if msg.is_multiple_of(3) {
            ctx.sleep(Duration::from_micros(20)).await;
        }
        if msg.is_multiple_of(97) {
            panic!("now and then");
        }
        Ok(())
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(Duration::from_micros(30)).await;
        Ok(())
    }
}

/// Takes dead letters.
struct Archive {
    book: Book,
}

impl Worker for Archive {
    type Message = DeadLetter;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<DeadLetter>) -> Result<()> {
        self.book.lock().letters[0] += 1;
        drop(msg);
        Ok(())
    }
}

/// Whether a message was sent, or came back.
fn note(book: &Book, sent: Result<()>, number: u64) {
    let mut ledger = book.lock();
    ledger.sent += 1;
    if let Err(error) = sent {
        let message = error.into_message::<u64>();
        assert_eq!(message.expect("it comes back"), number);
        ledger.returned += 1;
    }
}

/// Sends last messages to each worker when it is dropped with its future, at the very end of the node: what goes to
/// another core then, and is more than a turn takes, is found there by the last sweep.
struct Farewell {
    ctx: Context,
    book: Book,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        for name in ["taker-a", "taker-b", "taker-c", "nobody"].repeat(3) {
            let sent = self.ctx.try_send_message(name, 1u64);
            note(&self.book, sent, 1);
        }
    }
}

/// Sends until the node ends, in every way there is.
async fn load(ctx: Context, book: Book, first: u64) {
    let _last = Farewell {
        ctx: ctx.detached().expect("the node runs"),
        book: Arc::clone(&book),
    };
    for number in first.. {
        let name = ["taker-a", "taker-b", "taker-c"][number as usize % 3];
        let sent = match number % 8 {
            0 => ctx.try_send_message(name, number),
            1 => ctx.send_urgent(name, number).await,
            2 => ctx.handle().send_message(name, number).await,
            // Nobody takes these, which wait to get in until the node ends.
            3 => ctx.handle().try_send_message("inbox", number),
            4 => ctx.handle().try_send_urgent("inbox", number),
            _ => ctx.send_message(name, number).await,
        };
        note(&book, sent, number);
        if number % 16 == 0 {
            ctx.sleep(Duration::from_micros(50)).await;
        }
    }
}

/// Has a context with a name that takes no message, as long as the node runs.
async fn keep_inbox(ctx: &Context) -> Result<()> {
    let inbox = ctx.new_detached("inbox").await?;
    ctx.spawn(async move {
        let _inbox = inbox;
        std::future::pending::<()>().await;
    });
    Ok(())
}

/// Starts and stops the workers a number of times, with and without a drain.
async fn cycle(ctx: &Context, book: &Book, cycles: usize) -> Result<()> {
    for number in 0..cycles {
        let name = ["taker-a", "taker-b", "taker-c"][number % 3];
        let build = {
            let book = Arc::clone(book);
            move || Taker {
                book: Arc::clone(&book),
            }
        };
        match number % 2 {
            0 => ctx.start_worker(name, build()).await?,
            _ => {
                let terms = Supervision::transient().intensity(1_000, Duration::from_secs(1));
                ctx.start_supervised(name, terms, build).await?;
            }
        }
        ctx.sleep(Duration::from_micros(100)).await;
        // It may have panicked, and ended.
        let _ = match number % 4 {
            0 | 1 => ctx.stop_worker(name).await,
            _ => ctx.stop_worker_now(name).await,
        };
    }
    Ok(())
}

/// G3, G9: 2,000 starts and stops of workers under load, and 20 of their node, leave nothing unaccounted for, neither
/// messages of workers nor those that come in from outside, nor letters about either.
#[test]
fn g9_two_thousand_starts_and_stops_under_load_balance() {
    let mut limits = Limits::default();
    limits.mailbox_credits = 8;
    limits.link_credits = 8;
    limits.urgent_credits = 4;
    limits.outside_credits = 12;
    for seed in 0..20 {
        // What comes at the very end is more than the last turns take, in some.
        let most = if seed % 5 < 3 { 1 } else { 256 };
        (limits.ring_burst, limits.turn_messages) = (most, most);
        let has_letters = seed % 4 < 2;
        let book = Book::default();
        let (own, hook) = (Arc::clone(&book), Arc::clone(&book));
        let mut sim = Sim::new(seed)
            .cores(1 + seed as u16 % 3)
            .limits(limits)
            .drain(Duration::from_millis(1))
            .on_undelivered(move |lost| {
                if lost.type_name.ends_with("DeadLetter") {
                    hook.lock().letters[1] += 1;
                } else if lost.reason != Reason::LateReply {
                    let reason = format!("{:?}", lost.reason);
                    *hook.lock().undelivered.entry(reason).or_default() += 1;
                }
            });
        if has_letters {
            sim = sim.dead_letters("archive");
        }
        let report = sim.run(async move |ctx: Context| {
            if has_letters {
                let book = Arc::clone(&own);
                ctx.start_worker("archive", Archive { book }).await?;
            }
            keep_inbox(&ctx).await?;
            for sender in 0..3 {
                let load = load(ctx.detached()?, Arc::clone(&own), sender * 1_000_000);
                ctx.spawn(load);
            }
            cycle(&ctx, &own, 100).await?;
            match seed % 2 {
                0 => ctx.stop().await,
                _ => ctx.stop_now().await,
            }
        });
        let letters_dropped = report.stats.total(|core| core.letters_dropped);
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let ledger = book.lock();
        let undelivered: u64 = ledger.undelivered.values().sum();
        // Of those that were in hand when their worker was restarted, the handlers had begun.
        let handled = ledger.taken - ledger.undelivered.get("InHand").copied().unwrap_or(0);
        assert_eq!(
            ledger.sent,
            handled + ledger.returned + undelivered,
            "seed {seed}: {ledger:?}"
        );
        if has_letters {
            let letters: u64 = ledger.letters.iter().sum();
            let written = letters + letters_dropped;
            assert_eq!(undelivered, written, "seed {seed}: {ledger:?}");
        }
        assert!(
            ledger.returned > 0 && handled > 0 && undelivered > 0,
            "{ledger:?}"
        );
    }
}
