//! Messages from another core, handled where they have arrived (`core/inbound/in_place.rs`).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Address, Context, Node, Result, Routed, Worker};
use ringpost_mailbox::sync::{Counter, Mutex};

type Log = Arc<Mutex<Vec<&'static str>>>;

/// Writes down that it got something.
struct Writer(&'static str, Log);

impl Worker for Writer {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        self.1.lock().push(self.0);
        Ok(())
    }
}

/// Does so too, and tells somebody of it: of another type, as a worker goes on with what the queue has for one of its own.
struct Teller(Address, Log);

impl Worker for Teller {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.1.lock().push("first");
        ctx.send_message(&self.0, *msg).await
    }
}

/// A name whose home is the other core.
fn name_away(ctx: &Context, what: &str) -> String {
    let mut names = (0..).map(|number| format!("{what}-{number}"));
    names
        .find(|name| ctx.home(name.as_str()) != ctx.core())
        .expect("a name")
}

/// What a handler sends to its own core does not wait for all that has come from another core behind the message which it handles:
/// that goes to the queue then, behind it.
#[test]
fn g7_what_is_in_the_queue_goes_before_what_has_arrived() {
    const MANY: usize = 20;
    for seed in 0..40 {
        let log = Log::default();
        let seen = Arc::clone(&log);
        let sim = Sim::new(seed).cores(2);
        let report = sim.run(async move |ctx: Context| {
            let names = ["first", "second", "third"].map(|what| name_away(&ctx, what));
            let second = || names[1].as_str().into();
            ctx.start_worker(names[0].as_str(), Teller(second(), Arc::clone(&log)))
                .await?;
            for (name, label) in names[1..].iter().zip(["second", "third"]) {
                let writer = Writer(label, Arc::clone(&log));
                ctx.start_worker(name.as_str(), writer).await?;
            }
            // By then all that the starts have left behind is over.
            ctx.sleep(Duration::from_millis(10)).await;
            ctx.try_send_message(names[0].as_str(), 1u64)?;
            for number in 0..MANY as u64 {
                ctx.try_send_message(names[2].as_str(), number)?;
            }
            ctx.sleep(Duration::from_millis(10)).await;
            ctx.stop().await
        });
        report.output.expect("it stops");
        let seen = seen.lock();
        assert_eq!(seen.len(), MANY + 2, "seed {seed}");
        assert_eq!(seen[..2], ["first", "second"], "seed {seed}");
    }
}

/// Answers, and is not done before the asker has the answer, or some time has passed.
struct Lingerer {
    seen: Arc<Counter>,
    in_time: Arc<Counter>,
}

impl Worker for Lingerer {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), *msg).await?;
        for _ in 0..20_000 {
            if self.seen.value() >= *msg {
                self.in_time.add(1);
                break;
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

/// Asks again when it has had an answer for a while.
struct Asker {
    seen: Arc<Counter>,
    most: u64,
}

impl Worker for Asker {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.seen.set(*msg);
        if *msg == self.most {
            return ctx.stop().await;
        }
        // What came while the last is handled would be handled with it.
        ctx.sleep(Duration::from_millis(1)).await;
        let next = *msg + 1;
        match *msg {
            0 => ctx.send_message("lingerer", next).await,
            _ => ctx.send_message(msg.reply(), next).await,
        }
    }
}

/// Where two cores take turns, an answer leaves when it is sent, and not when its handler is done (`core/prompt.rs`).
#[test]
fn an_answer_to_a_message_that_came_alone_leaves_before_its_handler_ends() -> Result<()> {
    const MOST: u64 = 20;
    let (seen, in_time) = (Arc::<Counter>::default(), Arc::<Counter>::default());
    let node = Node::builder().cores(2).pin(false).start()?;
    let lingerer = Lingerer {
        seen: Arc::clone(&seen),
        in_time: Arc::clone(&in_time),
    };
    let asker = Asker { seen, most: MOST };
    let start = async move |ctx: Context| {
        ctx.start_worker_on(1, "lingerer", lingerer).await?;
        ctx.start_worker_on(0, "asker", asker).await?;
        ctx.send_message("asker", 0u64).await
    };
    let handle = node.handle().clone();
    pollster::block_on(handle.run_on(0, start))??;
    node.wait()?;
    // One that comes together with something else may leave later.
    let in_time = in_time.value();
    assert!(in_time > MOST / 2, "{in_time} of {MOST}");
    Ok(())
}
