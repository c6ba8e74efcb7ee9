//! No message is handled twice (G2), whatever becomes of the workers that it comes to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{
    Context, DeadLetter, Error, ErrorKind, Limits, Overflow, Result, Routed, Supervision, Worker,
};
use ringpost_mailbox::sync::Mutex;

/// How often each number was handled, to the end of its handler or not; and how often one came as a dead letter.
#[derive(Default)]
struct Counts {
    handled: BTreeMap<u64, u32>,
    letters: BTreeMap<u64, u32>,
}

type Book = Arc<Mutex<Counts>>;

/// Looks at messages and puts them back, passes them on, panics and fails.
struct Fickle {
    book: Book,
    overflow: Overflow,
    next: &'static str,
}

impl Worker for Fickle {
    type Message = u64;
    type Context = Context;

    fn overflow(&self) -> Overflow {
        self.overflow
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let soon = Duration::from_micros(10);
        if msg.is_multiple_of(3) {
            let mut held = Vec::new();
            while held.len() < 3
                && let Ok(next) = ctx.receive_timeout::<u64>(soon).await
            {
                held.push(next);
            }
            held.into_iter().rev().for_each(|next| ctx.put_back(next));
        }
        if msg.is_multiple_of(5) {
            return ctx.relay(msg, self.next).await;
        }
        *self.book.lock().handled.entry(*msg).or_default() += 1;
        if msg.is_multiple_of(7) {
            ctx.sleep(soon).await;
        }
        match *msg % 31 {
            11 => panic!("asked to"),
            13 => Err(Error::other("asked to")),
            17 => ctx.stop_worker_now(ctx.address()).await,
            _ => Ok(()),
        }
    }
}

/// Takes what is passed on, and what is reported.
struct Last(Book);

impl Worker for Last {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        *self.0.lock().handled.entry(*msg).or_default() += 1;
        Ok(())
    }
}

struct Letters(Book);

impl Worker for Letters {
    type Message = DeadLetter;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<DeadLetter>) -> Result<()> {
        if let Some(message) = msg.take().message
            && let Ok(number) = message.unpack::<u64>()
        {
            *self.0.lock().letters.entry(number).or_default() += 1;
        }
        Ok(())
    }
}

/// Sends numbers, each once, now as a message and now as an urgent one, and starts again who has ended.
async fn send(ctx: &Context, first: u64, book: &Book) -> Result<u64> {
    let mut returned = 0;
    for number in first..first + 300 {
        let names = ["restarted", "dropping", "ends"];
        let name = names[number as usize % names.len()];
        let sent = match number % 4 {
            0 => ctx.send_urgent(name, number).await,
            1 => ctx.handle().send_message(name, number).await,
            2 => ctx.try_send_message(name, number),
            _ => ctx.send_message(name, number).await,
        };
        if let Err(error) = sent {
            let gone = matches!(error.kind(), ErrorKind::NotFound { .. });
            assert_eq!(error.into_message::<u64>().ok(), Some(number));
            returned += 1;
            if gone {
                let next = fickle(book, Overflow::Wait);
                // Somebody else may have done so.
                drop(ctx.start_worker(name, next).await);
            }
        }
    }
    Ok(returned)
}

fn fickle(book: &Book, overflow: Overflow) -> Fickle {
    let book = Arc::clone(book);
    let next = "last";
    Fickle {
        book,
        overflow,
        next,
    }
}

/// G2: under put back, relay, restart, stop and start, overflow, urgency, and the end of the node.
#[test]
fn g2_no_message_is_handled_twice_whatever_becomes_of_its_worker() {
    let (mut handled, mut letters) = (0, 0);
    for seed in 0..30 {
        let book = Book::default();
        let notes = Arc::clone(&book);
        let mut limits = Limits::default();
        limits.mailbox_credits = 6;
        limits.link_credits = 6;
        limits.urgent_credits = 6;
        let sim = Sim::new(seed)
            .cores(3)
            .limits(limits)
            .dead_letters("letters");
        let report = sim.run(async move |ctx: Context| {
            ctx.start_worker("letters", Letters(Arc::clone(&notes)))
                .await?;
            ctx.start_worker("last", Last(Arc::clone(&notes))).await?;
            let terms = Supervision::permanent().intensity(1_000, Duration::from_secs(1));
            let build = {
                let notes = Arc::clone(&notes);
                move || fickle(&notes, Overflow::Wait)
            };
            ctx.start_supervised("restarted", terms, build).await?;
            ctx.start_worker("dropping", fickle(&notes, Overflow::DropOldest))
                .await?;
            ctx.start_worker("ends", fickle(&notes, Overflow::Refuse))
                .await?;
            let (notes, handle) = (&notes, ctx.handle());
            let sends = (0..3).map(|core| {
                let (notes, handle) = (Arc::clone(notes), handle.clone());
                let work = async move |ctx: Context| send(&ctx, core * 1_000, &notes).await;
                async move { handle.run_on(core as usize, work).await? }
            });
            let mut returned = 0;
            for sent in sends.map(|send| spawned(&ctx, send)).collect::<Vec<_>>() {
                returned += sent.await.map_err(Error::other)??;
            }
            assert!(returned > 0);
            ctx.stop().await
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let counts = book.lock();
        for (number, times) in counts.handled.iter().chain(&counts.letters) {
            assert_eq!(*times, 1, "seed {seed}: {number}");
        }
        handled += counts.handled.len();
        letters += counts.letters.len();
        let both = counts
            .handled
            .keys()
            .find(|it| counts.letters.contains_key(it));
        assert_eq!(
            both, None,
            "seed {seed}: handled, and reported with what it held"
        );
    }
    assert!(handled > 10_000 && letters > 1_000, "{handled} {letters}");
}

/// Runs a future beside others. What comes of it.
fn spawned<T: 'static>(
    ctx: &Context,
    future: impl Future<Output = T> + 'static,
) -> futures_channel::oneshot::Receiver<T> {
    let (tell, told) = futures_channel::oneshot::channel();
    ctx.spawn(async move {
        // Whoever waits for it is there to the end.
        let _ = tell.send(future.await);
    });
    told
}
