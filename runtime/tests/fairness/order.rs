//! Whose messages are handled when some were sent more than others.

use std::sync::Arc;

use ringpost::sim::Sim;
use ringpost::{Context, Result, Routed, Worker};
use ringpost_mailbox::sync::Mutex;

use crate::common::*;

/// Notes whose message was handled.
struct Noting {
    number: usize,
    noted: Arc<Mutex<Vec<usize>>>,
}

impl Worker for Noting {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        self.noted.lock().push(self.number);
        Ok(())
    }
}

/// Stands for a moment at which messages were sent.
const SENT: usize = usize::MAX;

/// When so much has been noted, a message is sent to each of these at once.
type Sends = (usize, Vec<usize>);

/// Returns whose messages were handled by so many workers, one after the other, and between them when some were sent.
fn handled_of(workers: usize, sends: &[Sends]) -> Vec<usize> {
    let sends = sends.to_vec();
    let report = Sim::new(1).run(async move |ctx: Context| {
        let noted: Arc<Mutex<Vec<usize>>> = Arc::default();
        for number in 0..workers {
            let noted = Arc::clone(&noted);
            ctx.start_worker(name_of(number), Noting { number, noted })
                .await?;
        }
        let has = async |count| {
            while noted.lock().len() < count {
                ctx.yield_now().await;
            }
        };
        let mut all = 0;
        for (after, receivers) in sends {
            has(after).await;
            noted.lock().push(SENT);
            let mut receivers = receivers.iter();
            all += 1 + receivers.len();
            receivers.try_for_each(|it| ctx.try_send_message(name_of(*it), 0u64))?;
        }
        has(all).await;
        ctx.stop().await?;
        let noted = std::mem::take(&mut *noted.lock());
        Ok(noted)
    });
    done(report)
}

/// So many messages to these workers, which alternate after so many.
fn alternating(messages: usize, run: usize, workers: usize) -> Vec<usize> {
    (0..messages).map(|it| it / run % workers).collect()
}

/// The most messages of one of so many workers before that of the one behind them, since messages were last sent to it.
fn waited_for(workers: usize, handled: &[usize]) -> u64 {
    let first = handled.iter().position(|it| *it == workers);
    let until = &handled[..first.expect("it was handled")];
    let since = until.iter().rposition(|it| *it == SENT);
    let between = &until[since.expect("it was sent")..];
    let of = |worker| between.iter().filter(|it| **it == worker).count() as u64;
    (0..workers).map(of).max().unwrap_or(0)
}

/// G7: where nobody was sent more than the others, however much that is, all is handled in the order in which it came;
/// also where one of them was sent nothing before.
#[test]
fn g7_where_all_were_sent_as_much_messages_are_handled_as_they_came() {
    for run in [1, 16] {
        let (early, late) = (alternating(6_000, run, 6), alternating(7_000, run, 7));
        let handled = handled_of(7, &[(0, early.clone()), (6_001, late.clone())]);
        let handled: Vec<_> = handled.into_iter().filter(|it| *it != SENT).collect();
        assert!(handled[..6_000] == early, "runs of {run}");
        assert!(handled[6_000..] == late, "runs of {run}, and one is new");
    }
}

/// G7: who was sent more than a burst, but after others that were sent more, waits for two bursts of each of them.
#[test]
fn g7_who_was_sent_much_after_others_waits_for_two_bursts_of_each() {
    let receivers = [alternating(2_000, 1, 2), vec![2; 200]].concat();
    let waited = waited_for(2, &handled_of(3, &[(0, receivers)]));
    assert!(waited <= two_bursts(), "for {waited}");
}

/// G7: who is sent something while others work off as much, each as much as the others, waits for two bursts of each.
#[test]
fn g7_who_comes_late_waits_for_two_bursts_of_each_of_the_others() {
    for after in (1..1_500).step_by(100) {
        let sends = [(0, alternating(2_000, 1, 2)), (after, vec![2])];
        let waited = waited_for(2, &handled_of(3, &sends));
        assert!(waited <= two_bursts(), "for {waited} after {after}");
    }
}
