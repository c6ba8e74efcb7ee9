//! What the node itself has to say passes urgent messages: answers, credits, restarts and stops.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Limits, Result, Routed, Supervision, Worker};
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

use crate::common::{done, tight};

/// How many urgent messages were handled, and how many when something happened that others wait for.
#[derive(Default)]
struct Count {
    handled: AtomicU64,
    mark: AtomicU64,
    late: Mutex<Vec<String>>,
}

impl Count {
    fn mark(&self) {
        // Relaxed: a simulation has one thread.
        let handled = self.handled.load(Ordering::Relaxed);
        self.mark.store(handled, Ordering::Relaxed);
    }

    /// It has happened: notes it if more urgent messages were handled since the mark than a few turns of the core let in.
    fn check(&self, what: &str) {
        let since = self.handled.load(Ordering::Relaxed) - self.mark.load(Ordering::Relaxed);
        if since > 4 * u64::from(limits().turn_messages) {
            let late = format!("{since} urgent messages before {what}");
            self.late.lock().push(late);
        }
    }
}

fn limits() -> Limits {
    let mut limits = tight();
    limits.turn_messages = 8;
    limits
}

/// Sends itself an urgent message for each that it handles.
struct Restless(Arc<Count>);

impl Worker for Restless {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0.handled.fetch_add(1, Ordering::Relaxed);
        ctx.send_urgent(ctx.address(), *msg).await
    }
}

/// Notes when it is asked, and answers.
struct Echo(Arc<Count>);

impl Worker for Echo {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0.mark();
        ctx.send_message(msg.reply(), *msg).await
    }
}

/// Takes what it gets.
struct Sink;

impl Worker for Sink {
    type Message = u64;
    type Context = Context;
}

/// Fails at each message, and begins again.
struct Failing(Arc<Count>);

impl Worker for Failing {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, _ctx: &mut Context) -> Result<()> {
        self.0.check("a restart");
        Ok(())
    }

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        self.0.mark();
        panic!("asked to");
    }
}

/// Answers, credits, restarts and stops on a core where urgent messages never end.
async fn play(ctx: Context, count: Arc<Count>) -> Result<()> {
    for number in 0..3 {
        let name = format!("restless-{number}");
        ctx.start_worker_on(0, name.as_str(), Restless(Arc::clone(&count)))
            .await?;
        ctx.send_urgent(name.as_str(), number).await?;
    }
    for core in 0..2 {
        let echo = Echo(Arc::clone(&count));
        let name = format!("echo-{core}");
        ctx.start_worker_on(core, name.as_str(), echo).await?;
        for number in 0..20u64 {
            let answer: u64 = ctx.request(name.as_str(), number).await?;
            assert_eq!(answer, number);
            count.check("an answer");
        }
    }
    ctx.start_worker_on(1, "sink", Sink).await?;
    for number in 0..100u64 {
        count.mark();
        // More than the credits of the link, so most of these wait for some.
        ctx.send_message("sink", number).await?;
        count.check("credits");
    }
    let failing = (0..).map(|number| format!("failing-{number}"));
    let failing = failing
        .into_iter()
        .find(|name| ctx.home(name.as_str()) == 0);
    let failing = failing.unwrap_or_default();
    let (build, terms) = (Arc::clone(&count), Supervision::permanent());
    let terms = terms.intensity(100, Duration::from_secs(1));
    count.mark();
    ctx.start_supervised(failing.as_str(), terms, move || Failing(Arc::clone(&build)))
        .await?;
    for number in 0..10u64 {
        ctx.send_message(failing.as_str(), number).await?;
    }
    count.mark();
    ctx.stop_worker_now("restless-0").await?;
    count.check("a stop");
    Ok(())
}

/// G15: no answer, no credit, no restart and no stop waits for urgent messages, however many there are.
#[test]
fn g15_the_words_of_the_node_pass_urgent_messages() {
    for seed in 0..20 {
        let sim = Sim::new(seed).cores(2).limits(limits());
        let report = sim.on_undelivered(|_| {}).run(async move |ctx: Context| {
            let count = Arc::<Count>::default();
            let counted = Arc::clone(&count);
            let work = async move |ctx: Context| play(ctx, count).await;
            ctx.handle().run_on(0, work).await??;
            let late = std::mem::take(&mut *counted.late.lock());
            assert!(late.is_empty(), "seed {seed}: {late:?}");
            ctx.stop_now().await
        });
        assert!(report.stats.total(|core| core.workers_restarted) >= 5);
        done(report);
    }
}
