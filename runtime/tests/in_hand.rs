//! What becomes of a message whose handler does not come to its end (G3, G14).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{
    Context, Error, ErrorKind, NodeStats, Outcome, Reason, Result, Routed, Supervision,
    Undelivered, Worker,
};
use ringpost_mailbox::sync::Mutex;

const PANIC: u64 = 1;
const PANIC_LATER: u64 = 2;
const FAIL: u64 = 3;

/// Does as it is told; takes long to come back, if that is wanted.
struct Obedient {
    comes_back_after: Duration,
}

impl Worker for Obedient {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(self.comes_back_after).await;
        Ok(())
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match *msg {
            PANIC => panic!("asked to"),
            PANIC_LATER => {
                ctx.sleep(Duration::from_millis(1)).await;
                panic!("asked to, later")
            }
            FAIL => Err(Error::other("asked to")),
            _ => Ok(()),
        }
    }
}

/// Runs `main` on two cores: what was reported, and the counters.
fn lost_in<F>(seed: u64, main: F) -> (Vec<Undelivered>, NodeStats)
where
    F: AsyncFnOnce(Context) -> Result<()> + Send + 'static,
{
    let lost: Arc<Mutex<Vec<_>>> = Arc::default();
    let hook = Arc::clone(&lost);
    let sim = Sim::new(seed).cores(2);
    let sim = sim.on_undelivered(move |undelivered| hook.lock().push(undelivered.clone()));
    let report = sim.run(main);
    report.output.unwrap();
    let lost = std::mem::take(&mut *lost.lock());
    (lost, report.stats)
}

fn soon() -> Obedient {
    Obedient {
        comes_back_after: Duration::ZERO,
    }
}

/// G3: a message in whose handling a worker panics is reported, once, and does not count as handled; whether the worker is
/// supervised or not, and on whatever core. Nobody has noted who sent it, without supervision.
#[test]
fn g3_a_message_in_whose_handling_a_worker_panics_is_reported() {
    for seed in 0..20 {
        for how in [PANIC, PANIC_LATER] {
            for is_supervised in [false, true] {
                let (lost, stats) = lost_in(seed, async move |ctx: Context| {
                    for (core, name) in ["here", "there"].into_iter().enumerate() {
                        match is_supervised {
                            true => {
                                let terms = Supervision::transient();
                                ctx.start_supervised(name, terms, soon).await?;
                            }
                            false => ctx.start_worker_on(core, name, soon()).await?,
                        }
                        ctx.send_message(name, 10u64).await?;
                        ctx.send_message(name, how).await?;
                    }
                    ctx.start_worker("asked", soon()).await?;
                    let asked = ctx.request::<u64>("asked", how).await.unwrap_err();
                    assert!(matches!(asked.kind(), ErrorKind::Dropped { .. }), "{asked}");
                    ctx.sleep(Duration::from_secs(1)).await;
                    ctx.stop().await
                });
                let what = format!("seed {seed}, {how}, {is_supervised}: {lost:?}");
                let names = lost.iter().map(|it| it.to.to_string());
                let mut names: Vec<_> = names.collect();
                names.sort_unstable();
                assert_eq!(names, ["0#asked", "0#here", "0#there"], "{what}");
                for undelivered in lost {
                    assert_eq!(undelivered.reason, Reason::InHand, "{what}");
                    assert_eq!(undelivered.type_name, "u64", "{what}");
                    let is_noted = is_supervised && undelivered.to != "asked".into();
                    let from = if is_noted { "app" } else { "~outside" };
                    assert_eq!(undelivered.from, from.into(), "{what}");
                }
                assert_eq!(stats.total(|core| core.panics), 3, "{what}");
                assert_eq!(stats.undelivered_total(), 3, "{what}");
            }
        }
    }
}

/// G14: a message whose handler has come to its end, well or with an error, is not reported when the worker fails later in
/// handling another, or is stopped while it comes back.
#[test]
fn g14_what_was_handled_before_is_never_reported() {
    for seed in 0..20 {
        let (lost, _) = lost_in(seed, async |ctx: Context| {
            let slow = || Obedient {
                comes_back_after: Duration::from_secs(1),
            };
            let terms = Supervision::transient().on_error(Outcome::Restart);
            for name in ["fails", "panics"] {
                ctx.start_supervised(name, terms.clone(), slow).await?;
                let early = ctx.new_detached(format!("early-{name}")).await?;
                early.send_message(name, 10u64).await?;
                ctx.sleep(Duration::from_millis(10)).await;
            }
            ctx.send_message("panics", PANIC).await?;
            ctx.send_message("fails", FAIL).await?;
            ctx.sleep(Duration::from_millis(10)).await;
            // It is coming back, and has nothing in hand.
            ctx.stop_worker_now("fails").await?;
            ctx.sleep(Duration::from_secs(5)).await;
            ctx.stop_now().await
        });
        assert_eq!(lost.len(), 1, "seed {seed}: {lost:?}");
        assert_eq!(lost[0].to, "panics".into(), "seed {seed}: {lost:?}");
        assert_eq!(lost[0].from, "app".into(), "seed {seed}: {lost:?}");
    }
}
