//! Workers of one type whose messages follow each other: what becomes of one of them is its own.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Error, Result, Routed, Worker};
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
