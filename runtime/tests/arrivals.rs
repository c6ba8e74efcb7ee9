//! Messages from another core, handled where they have arrived (`core/inbound/in_place.rs`).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Address, Context, Result, Routed, Worker};
use ringpost_mailbox::sync::Mutex;

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
