//! Workers of one type whose messages follow each other: what becomes of one of them is its own.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Polling, Wake, Waker};
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Error, Limits, Result, Routed, Worker};
use ringpost_mailbox::sync::Mutex;

/// What workers have noted, in their order.
type Notes = Arc<Mutex<Vec<(&'static str, u64)>>>;

/// Notes a message when its handler is about to end: some wait first, fail or panic instead.
struct Member(&'static str, Notes);

const WAITS: u64 = 100;
const FAILS: u64 = 200;
const PANICS: u64 = 300;

impl Worker for Member {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match *msg {
            WAITS => ctx.sleep(Duration::from_millis(1)).await,
            FAILS => return Err(Error::other("as it was told")),
            PANICS => panic!("as it was told"),
            _ => {}
        }
        self.1.lock().push((self.0, *msg));
        Ok(())
    }
}

/// Sends each of three workers three messages in turn, the second one this first, and then asks who is there.
/// Returns what each has noted, and whether it is.
fn in_turn(first: u64) -> Vec<(Vec<u64>, bool)> {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    let notes = Notes::default();
    let noted = Arc::clone(&notes);
    let report = Sim::new(5).run(async move |ctx: Context| {
        for name in NAMES {
            let member = Member(name, Arc::clone(&noted));
            ctx.start_worker(name, member).await?;
        }
        for number in 0..3 {
            for name in NAMES {
                let is_it = (number, name) == (0, "b");
                let message = if is_it { first } else { number };
                ctx.send_message(name, message).await?;
            }
        }
        ctx.sleep(Duration::from_millis(5)).await;
        let mut there = Vec::new();
        for name in NAMES {
            there.push(ctx.send_message(name, 3_u64).await.is_ok());
        }
        ctx.stop().await?;
        Ok(there)
    });
    let there = report.output.expect("nothing fails");
    let notes = notes.lock();
    let of = |name| notes.iter().filter(move |it| it.0 == name).map(|it| it.1);
    let each = NAMES.iter().zip(there);
    each.map(|(name, is_there)| (of(*name).collect(), is_there))
        .collect()
}

/// G6: a handler that suspends is the one that goes on, and the messages behind it wait for it.
#[test]
fn who_suspends_between_others_of_its_type_goes_on_alone() {
    let others = (vec![0, 1, 2, 3], true);
    let it = (vec![WAITS, 1, 2, 3], true);
    assert_eq!(in_turn(WAITS), [others.clone(), it, others]);
}

/// A handler that fails leaves all of them as they were.
#[test]
fn who_fails_between_others_of_its_type_goes_on() {
    let others = (vec![0, 1, 2, 3], true);
    let it = (vec![1, 2, 3], true);
    assert_eq!(in_turn(FAILS), [others.clone(), it, others]);
}

/// G7: a handler that panics ends its own worker.
#[test]
fn who_panics_between_others_of_its_type_ends_alone() {
    let others = (vec![0, 1, 2, 3], true);
    let it = (Vec::new(), false);
    assert_eq!(in_turn(PANICS), [others.clone(), it, others]);
}

const NOTERS: usize = 8;
/// So that the messages of all fill the first slots of a core's queue, which are 64, and one more has it grow.
const ROOM: u32 = 8;
const AWAITED: u64 = 50;
const LATE: u64 = 51;

thread_local! {
    static SENDER: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// Sends a message when it is woken.
struct Sends;

impl Wake for Sends {
    fn wake(self: Arc<Self>) {
        SENDER.with_borrow(|sender| {
            let sender = sender.as_ref().expect("it is there until the end");
            sender.try_send_message("late", LATE).expect("it has room");
        });
    }
}

/// Who is woken by the credit of a message may send, and have the queue grow in which that message lies.
#[test]
fn a_waker_that_sends_when_a_credit_wakes_it_leaves_the_queue_whole() {
    let notes = Notes::default();
    let noted = Arc::clone(&notes);
    let mut limits = Limits::default();
    limits.mailbox_credits = ROOM;
    let report = Sim::new(5).limits(limits).run(async move |ctx: Context| {
        const NAMES: [&str; NOTERS] = ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"];
        for name in NAMES.into_iter().chain(["late"]) {
            let member = Member(name, Arc::clone(&noted));
            ctx.start_worker(name, member).await?;
        }
        SENDER.set(Some(ctx.detached()?));
        for name in NAMES {
            for number in 0..u64::from(ROOM) {
                ctx.try_send_message(name, number)?;
            }
        }
        let waker = Waker::from(Arc::new(Sends));
        let mut send = pin!(ctx.send_message(NAMES[0], AWAITED));
        let polled = send.as_mut().poll(&mut Polling::from_waker(&waker));
        assert!(polled.is_pending(), "there is no room");
        ctx.sleep(Duration::from_millis(1)).await;
        send.await?;
        ctx.sleep(Duration::from_millis(1)).await;
        SENDER.set(None);
        ctx.stop().await?;
        Ok(NAMES)
    });
    let names = report.output.expect("nothing fails");
    let notes = notes.lock();
    let of = |name: &str| -> Vec<u64> {
        let own = notes.iter().filter(|it| it.0 == name);
        own.map(|it| it.1).collect()
    };
    let mut expected: Vec<u64> = (0..u64::from(ROOM)).collect();
    for name in names.into_iter().skip(1) {
        assert_eq!(of(name), expected, "{name}");
    }
    expected.push(AWAITED);
    assert_eq!(of(names[0]), expected);
    assert_eq!(of("late"), [LATE]);
}
