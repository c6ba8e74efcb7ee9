//! Messages that could not be delivered, and the worker to which they go (G3).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::{
    Context, DeadLetter, Limits, NodeStats, Reason, Result, Routed, Supervision, Worker,
};
use ringpost_mailbox::sync::Mutex;

fn assert_balanced(stats: &NodeStats) {
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    let ended = stats.total(|core| core.handled) + stats.undelivered_total();
    assert_eq!(sent, ended, "sent = handled + undelivered: {stats:#?}");
}

fn done<T>(report: Report<T>) -> T {
    assert_balanced(&report.stats);
    report.output.expect("the main function succeeds")
}

type Letters = Arc<Mutex<Vec<(Reason, Option<u64>)>>>;

/// Keeps what it gets.
struct Archive {
    letters: Letters,
    pause: Duration,
}

impl Worker for Archive {
    type Message = DeadLetter;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<DeadLetter>) -> Result<()> {
        ctx.sleep(self.pause).await;
        let DeadLetter {
            undelivered,
            message,
            ..
        } = msg.take();
        let number = message.and_then(|message| message.unpack::<u64>().ok());
        self.letters.lock().push((undelivered.reason, number));
        Ok(())
    }
}

fn archive(letters: &Letters) -> Archive {
    Archive {
        letters: Arc::clone(letters),
        pause: Duration::ZERO,
    }
}

const PANIC: u64 = 100;
const SLEEP: u64 = 200;

struct Fragile;

impl Worker for Fragile {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match *msg {
            PANIC => {
                ctx.sleep(Duration::from_millis(1)).await;
                panic!("asked to")
            }
            SLEEP => ctx.sleep(Duration::from_secs(3600)).await,
            _ => {}
        }
        Ok(())
    }
}

struct Words;

impl Worker for Words {
    type Message = String;
    type Context = Context;
}

/// G3: whatever is reported, for whatever reason, is a letter, with what it held where that is left.
#[test]
fn g3_what_is_not_delivered_goes_to_the_worker_for_dead_letters() {
    for seed in 0..30 {
        let letters = Letters::default();
        let seen = Arc::clone(&letters);
        let sim = Sim::new(seed)
            .cores(3)
            .dead_letters("archive")
            .drain(Duration::from_millis(20));
        let report = sim.run(async move |ctx: Context| {
            ctx.start_worker("archive", archive(&letters)).await?;
            ctx.start_worker("words", Words).await?;
            ctx.send_message("words", 1u64).await?;
            for name in ["panics", "stops", "stays"] {
                ctx.start_worker(name, Fragile).await?;
            }
            let terms = Supervision::transient();
            ctx.start_supervised("supervised", terms, || Fragile)
                .await?;
            ctx.send_message("supervised", PANIC).await?;
            for number in [PANIC, 2, 3] {
                ctx.send_message("panics", number).await?;
            }
            for number in [SLEEP, 4] {
                ctx.send_message("stops", number).await?;
            }
            for number in [SLEEP, 5, 6] {
                ctx.send_message("stays", number).await?;
            }
            ctx.sleep(Duration::from_millis(100)).await;
            ctx.stop_worker_now("stops").await?;
            ctx.sleep(Duration::from_millis(100)).await;
            // What the others leave behind at the node's end is written down too.
            ctx.stop().await
        });
        let mut letters = std::mem::take(&mut *seen.lock());
        letters.sort_by_key(|(_, number)| *number);
        let expected = [
            (Reason::InHand, None),
            (Reason::InHand, None),
            (Reason::WrongType, Some(1)),
            (Reason::Panicked, Some(2)),
            (Reason::Panicked, Some(3)),
            (Reason::Stopped, Some(4)),
            (Reason::NodeStopped, Some(5)),
            (Reason::NodeStopped, Some(6)),
        ];
        assert_eq!(letters, expected, "seed {seed}");
        assert_eq!(report.stats.total(|core| core.letters_dropped), 0);
        done(report);
    }
}

/// Sends last messages, to nobody, when it is dropped with its future at the end of the node.
struct Last {
    ctx: Context,
    to: String,
}

impl Drop for Last {
    fn drop(&mut self) {
        for number in 0..3u64 {
            let _ = self.ctx.try_send_message(self.to.as_str(), number);
        }
    }
}

/// G3, G9: what is reported when the cores of a node end is a letter that was taken, one that is reported itself, or one
/// that is dropped and counted; and no letter goes to a core that has had its last look.
#[test]
fn g3_letters_of_the_last_moment_are_accounted_for() {
    let mut dropped = 0;
    for seed in 0..200 {
        let (letters, reports) = (Letters::default(), Arc::new(Mutex::new([0; 2])));
        let (seen, hook) = (Arc::clone(&letters), Arc::clone(&reports));
        let cores = 2 + seed as u16 % 3;
        let mut limits = Limits::default();
        limits.ring_slots = if seed % 2 == 0 { 8 } else { 0 };
        let sim = Sim::new(seed)
            .cores(cores)
            .limits(limits)
            .dead_letters("archive")
            .on_undelivered(move |lost| {
                let is_letter = lost.type_name.ends_with("DeadLetter");
                hook.lock()[usize::from(is_letter)] += 1;
            });
        let report = sim.run(async move |ctx: Context| {
            ctx.start_worker("archive", archive(&letters)).await?;
            for core in 0..ctx.cores() {
                let mut names = (0..).map(|number| format!("nobody-{number}"));
                let to = names.find(|name| ctx.home(name.as_str()) != core);
                let to = to.expect("some name is");
                let work = async move |ctx: Context| {
                    let own = ctx.detached().expect("the node runs");
                    let last = Last { ctx: own, to };
                    ctx.spawn(async move {
                        loop {
                            last.ctx.sleep(Duration::from_micros(1)).await;
                        }
                    });
                };
                ctx.handle().run_on(core, work).await?;
            }
            ctx.sleep(Duration::from_micros(50)).await;
            ctx.stop().await
        });
        let without_room = report.stats.total(|core| core.letters_dropped);
        let [messages, lost_letters] = *reports.lock();
        assert!(messages > 0, "seed {seed}");
        let letters = seen.lock().len() as u64 + lost_letters + without_room;
        assert_eq!(messages, letters, "seed {seed}");
        dropped += without_room;
        done(report);
    }
    assert!(dropped > 0, "some find nobody any more");
}

/// G3: what a thread outside has sent and could not be delivered is a letter with what it held.
#[test]
fn g3_a_message_from_outside_is_in_its_letter() {
    let letters = Letters::default();
    let seen = Arc::clone(&letters);
    let report = Sim::new(1)
        .dead_letters("archive")
        .run(async move |ctx: Context| {
            ctx.start_worker("archive", archive(&letters)).await?;
            ctx.handle().send_message("nobody", 7u64).await?;
            ctx.handle().send_urgent("nobody", 8u64).await?;
            ctx.stop().await
        });
    let expected = [(Reason::NotFound, Some(7)), (Reason::NotFound, Some(8))];
    assert_eq!(*seen.lock(), expected);
    done(report);
}

/// G3, G4: letters are bounded like all messages, and are nobody's letters themselves.
#[test]
fn g3_letters_without_room_are_dropped_and_counted() {
    let mut limits = Limits::default();
    limits.mailbox_credits = 2;
    limits.link_credits = 2;
    for seed in 0..30 {
        let letters = Letters::default();
        let seen = Arc::clone(&letters);
        let sim = Sim::new(seed)
            .cores(2)
            .limits(limits)
            .dead_letters("archive");
        let report = sim.run(async move |ctx: Context| {
            // There is no such worker yet.
            ctx.start_worker("words", Words).await?;
            for number in 0..5u64 {
                ctx.send_message("words", number).await?;
            }
            ctx.sleep(Duration::from_millis(1)).await;
            let slow = Archive {
                pause: Duration::from_millis(50),
                ..archive(&letters)
            };
            ctx.start_worker("archive", slow).await?;
            for number in 5..20u64 {
                ctx.send_message("words", number).await?;
            }
            ctx.sleep(Duration::from_millis(20)).await;
            // While it handles one letter, the worker for them ends.
            ctx.stop_worker_now("archive").await?;
            ctx.stop().await
        });
        let stats = &report.stats;
        let by_reason: BTreeMap<_, _> = [Reason::WrongType, Reason::Stopped, Reason::NotFound]
            .map(|reason| (format!("{reason:?}"), stats.undelivered(reason)))
            .into();
        assert_eq!(by_reason["WrongType"], 20, "seed {seed}");
        let dropped = stats.total(|core| core.letters_dropped);
        let lost = by_reason["Stopped"] + by_reason["NotFound"];
        // One was in hand when its worker was stopped.
        let handled = stats.total(|core| core.handled);
        assert_eq!(dropped + lost + handled, 20, "seed {seed}: {by_reason:?}");
        assert!(dropped > 0, "seed {seed}");
        assert!(seen.lock().len() <= 1);
        done(report);
    }
}
