//! Messages that are not delivered are events of the program's trace (G3).

use std::fmt::{self, Write};
use std::sync::Arc;

use ringpost::sim::Sim;
use ringpost::{Context, Result, Routed, Worker};
use ringpost_mailbox::sync::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span, subscriber};

type Lines = Arc<Mutex<Vec<String>>>;

/// Writes each event down as a line.
struct Listening(Lines);

/// The fields of one event.
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{field}={value:?} ").expect("a string takes all");
    }
}

impl Subscriber for Listening {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.0.lock().push(fields.0);
    }

    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

/// Takes numbers.
struct Taker;

impl Worker for Taker {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        Ok(())
    }
}

/// G3: each message that is reported is an event, with where it was to go, its type and the reason.
#[test]
fn g3_what_is_not_delivered_is_an_event_of_the_trace() {
    for seed in 0..10 {
        let lines = Lines::default();
        let listening = Listening(Arc::clone(&lines));
        let report = subscriber::with_default(listening, || {
            Sim::new(seed).cores(2).run(async |ctx: Context| {
                for core in 0..ctx.cores() {
                    let name = format!("taker-{core}");
                    ctx.start_worker_on(core, &*name, Taker).await?;
                    ctx.send_message(&*name, 1u64).await?;
                    ctx.send_message(&*name, "no number".to_owned()).await?;
                }
                ctx.stop().await
            })
        });
        report.output.unwrap();
        let lines = std::mem::take(&mut *lines.lock());
        let lost = "message=a message was not delivered";
        let lost = lines.iter().filter(|line| line.contains(lost));
        let lost: Vec<_> = lost.collect();
        let counted = report.stats.undelivered_total();
        assert_eq!((lost.len(), counted), (2, 2), "seed {seed}: {lines:?}");
        for core in 0..2 {
            let to = format!("to=0#taker-{core} ");
            let told = lost.iter().filter(|line| line.contains(&to));
            let whole = |line: &&&String| line.contains("String") && line.contains("reason=");
            assert_eq!(told.filter(whole).count(), 1, "seed {seed}: {lost:?}");
        }
    }
}
