//! Memory that is refused where messages are sent: who sends one that needs a block has it back, whatever it is sent by; and
//! what needs none goes on.

use std::time::Duration;

use ringpost::sim::{Fault, Faults, Sim};
use ringpost::{Any, Context, ErrorKind, Result, Routed, Worker, route};
use serde::{Deserialize, Serialize};

use crate::lost;

/// Takes a block.
#[derive(Serialize, Deserialize, ringpost::Message, Clone, Debug, PartialEq)]
struct Large([u64; 20]);

/// Says how many came, if it is asked.
struct Sink(u64);

impl Worker for Sink {
    type Message = Large;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Large>) -> Result<()> {
        self.0 += 1;
        match msg.0[0] {
            0 => Ok(()),
            _ => ctx.send_message(msg.reply(), self.0).await,
        }
    }
}

/// Passes everything on.
struct Hop;

impl Worker for Hop {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.forward(msg).await
    }
}

/// Takes none.
struct Small;

impl Worker for Small {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _: &mut Context, _: Routed<u64>) -> Result<()> {
        Ok(())
    }
}

/// What became of messages: accepted, and refused.
#[derive(Default)]
struct Fates {
    accepted: u64,
    refused: u64,
}

impl Fates {
    /// Notes one; a message that is refused has to come back as it was.
    fn note<T>(&mut self, sent: Result<T>, message: &Large) {
        let Err(error) = sent else {
            return self.accepted += 1;
        };
        match error.kind() {
            ErrorKind::NoMemory { bytes } => assert!(*bytes > 24, "{bytes}"),
            other => assert!(matches!(other, ErrorKind::Full { .. }), "{error}"),
        }
        assert_eq!(
            error.into_message::<Large>().expect("it comes back"),
            *message
        );
        self.refused += 1;
    }
}

async fn send_all(ctx: &Context, sink: &str) -> Result<Fates> {
    let (mut fates, message, asks) = (Fates::default(), Large([0; 20]), Large([1; 20]));
    for number in 0..100_u64 {
        fates.note(ctx.send_message(sink, message.clone()).await, &message);
        fates.note(ctx.try_send_message(sink, message.clone()), &message);
        fates.note(ctx.send_urgent(sink, message.clone()).await, &message);
        fates.note(ctx.try_send_urgent(sink, message.clone()), &message);
        fates.note(ctx.request::<u64>(sink, asks.clone()).await, &asks);
        let asked = ctx.request::<u64>(sink, asks.clone()).urgent();
        fates.note(asked.await, &asks);
        let along = route!["hop", sink];
        fates.note(
            ctx.send_message(along.clone(), message.clone()).await,
            &message,
        );
        fates.note(ctx.try_send_message(along, message.clone()), &message);
        ctx.send_message("small", number).await?;
        ctx.sleep(Duration::from_micros(10)).await;
    }
    Ok(fates)
}

/// How many came, asked as often as there is no memory for the question.
async fn count(ctx: &Context, sink: &str) -> Result<u64> {
    loop {
        match ctx.request::<u64>(sink, Large([1; 20])).await {
            Err(error) if matches!(error.kind(), ErrorKind::NoMemory { .. }) => {}
            // The question is one more.
            answer => return answer.map(|count| count - 1),
        }
    }
}

async fn play(ctx: Context) -> Result<u64> {
    ctx.start_worker("hop", Hop).await?;
    ctx.start_worker("small", Small).await?;
    let mut refused = 0;
    for sink in ["sink-0", "sink-1", "sink-2"] {
        ctx.start_worker(sink, Sink(0)).await?;
        let fates = send_all(&ctx, sink).await?;
        assert_eq!(count(&ctx, sink).await?, fates.accepted);
        assert!(fates.accepted > 50, "{}", fates.accepted);
        refused += fates.refused;
    }
    Ok(refused)
}

/// G3, G4: a message for which there is no memory comes back; each that was accepted is handled.
#[test]
fn g4_a_message_without_memory_comes_back() {
    for (seed, cores) in (0..10).flat_map(|seed| [(seed, 1), (seed, 2)]) {
        let faults = Faults::none().with(Fault::NoMemory, 0.5);
        let report = Sim::new(seed)
            .cores(cores)
            .faults(faults.with(Fault::EmptyPools, 1.0))
            .heal_after(Duration::from_secs(100_000))
            .on_undelivered(|_| {})
            .run(play);
        assert_eq!(report.violation, None, "{seed}");
        let refused = *report.output.as_ref().expect("all is accounted for");
        assert!(refused > 100, "{seed} {cores}: {refused}");
        assert_eq!(lost(&report.stats, "memory"), 0, "{seed}");
        assert!(report.stats.total(|core| core.memory_refused) > 100);
    }
}
