//! Nodes on threads of their own, under load of threads outside, while workers start, fail and end, up to the stop: what
//! only real threads can get wrong. `.ci/sanitizers.sh thread` has a sanitizer look on.

use std::sync::Arc;

use ringpost::{
    Context, ErrorKind, Limits, Node, NodeHandle, NodeStats, Reason, Result, Routed, Supervision,
    Worker,
};
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};
use ringpost_mailbox::sync::thread::{self, JoinHandle};

/// Nodes that are started and stopped, one after the other.
const NODES: u64 = 6;
/// What each thread outside sends, if the stop does not come before.
const EACH: u64 = 600;
const THREADS: u64 = 3;

/// Cores without room to spare, so that all waits and ways of going to sleep are taken.
fn node() -> Node {
    let mut limits = Limits::default();
    limits.mailbox_credits = 8;
    limits.link_credits = 8;
    limits.urgent_credits = 4;
    limits.outside_credits = 8;
    limits.inbox_slots = 16;
    limits.ring_slots = 16;
    let node = Node::builder().cores(2).pin(false).limits(limits);
    node.start().expect("two cores without pins can be had")
}

/// What is sent: by whom, the how manieth of that, how often it is still to be passed on, and something that lies in a
/// block of the sender's core.
type Parcel = (u64, u64, u64, Vec<u8>);

fn parcel(sender: u64, count: u64, hops: u64) -> Parcel {
    let bytes = vec![sender as u8; (count as usize * 37) % 300];
    (sender, count, hops, bytes)
}

/// Numbers by lane: those of a thread, sent as usual, and those that it has sent urgently.
type Lanes = Arc<Mutex<Vec<(u64, u64)>>>;

/// Notes what comes from outside, and passes it on to the other side, so that both cores always have something from the
/// other; fails at some.
struct Busy {
    other: &'static str,
    lanes: Lanes,
}

const URGENT: u64 = 100;

impl Worker for Busy {
    type Message = Parcel;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Parcel>) -> Result<()> {
        let (sender, count, hops, ref bytes) = *msg;
        assert!(bytes.iter().all(|byte| *byte == sender as u8));
        if hops == 3 {
            self.lanes.lock().push((sender, count));
        }
        if count % 101 == 50 && hops == 2 {
            panic!("asked to");
        }
        if hops > 0 {
            let on = (sender, count, hops - 1, bytes.clone());
            // There may be no room, as the other one may wait for this one.
            drop(ctx.try_send_message(self.other, on));
        }
        if count % 16 == 3 && hops == 1 {
            let name = format!("guest-{sender}-{count}");
            // The node may be stopping.
            if ctx.start_worker(&*name, Guest).await.is_ok() {
                drop(ctx.try_send_message(name, count));
            }
        }
        Ok(())
    }
}

/// Ends at its first message, after a call that blocks.
struct Guest;

impl Worker for Guest {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let number = *msg;
        if let Ok(answer) = ctx.spawn_blocking(move || number + 1).await {
            assert_eq!(answer, number + 1);
        }
        ctx.stop_worker(ctx.address()).await
    }
}

/// Answers.
struct Echo;

impl Worker for Echo {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), *msg).await
    }
}

/// Two workers on two cores that restart when they fail, and one that answers.
async fn begin(ctx: Context, lanes: Lanes) -> Result<()> {
    for (core, (name, other)) in [("left", "right"), ("right", "left")]
        .into_iter()
        .enumerate()
    {
        let lanes = Arc::clone(&lanes);
        let terms = Supervision::permanent().intensity(u32::MAX, std::time::Duration::MAX);
        let build = move || Busy {
            other,
            lanes: Arc::clone(&lanes),
        };
        let start = async move |ctx: Context| ctx.start_supervised(name, terms, build).await;
        ctx.handle().run_on(core, start).await??;
    }
    ctx.start_worker("echo", Echo).await
}

/// Sends in each way that a thread outside has, until it is told that the node stops. How many messages were taken.
fn send_all(handle: &NodeHandle, sender: u64, sent: &AtomicU64) -> u64 {
    let mut taken = 0;
    for count in 0..EACH {
        // Relaxed: it only says when to stop.
        sent.fetch_add(1, Ordering::Relaxed);
        let to = ["left", "right"][sender as usize % 2];
        let outcome = match count % 4 {
            0 => pollster::block_on(handle.send_urgent(to, parcel(URGENT + sender, count, 3))),
            1 => match handle.try_send_message(to, parcel(sender, count, 3)) {
                Err(error) if matches!(error.kind(), ErrorKind::Full { .. }) => continue,
                outcome => outcome,
            },
            2 => handle.send_message_blocking(to, parcel(sender, count, 3)),
            _ => handle
                .request_blocking::<u64>("echo", count)
                .map(|answer| assert_eq!(answer, count)),
        };
        match outcome {
            Ok(()) => taken += u64::from(count % 4 != 3),
            Err(error) if *error.kind() == ErrorKind::Stopping => break,
            // A request that was under way.
            Err(error) => assert!(count % 4 == 3, "{error}"),
        }
    }
    taken
}

fn assert_balanced(stats: &NodeStats) {
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    let late = stats.undelivered(Reason::LateReply);
    let ended = stats.total(|core| core.handled) + stats.undelivered_total() - late;
    assert_eq!(sent, ended, "sent = handled + undelivered: {stats:#?}");
    assert_eq!(stats.total(|core| core.found_after_timeout), 0);
}

/// G1, G3, G8, G9: of a node under load that is stopped in the middle of it, or when all is done.
#[test]
fn g9_nodes_of_real_threads_account_for_all_they_were_sent() {
    for round in 0..NODES {
        let (node, lanes) = (node(), Lanes::default());
        let (handle, notes) = (node.handle(), Arc::clone(&lanes));
        let started = handle.run_on(0, async move |ctx: Context| begin(ctx, notes).await);
        pollster::block_on(started).unwrap().unwrap();
        let sent = Arc::new(AtomicU64::new(0));
        let senders: Vec<JoinHandle<u64>> = (0..THREADS)
            .map(|sender| {
                let (handle, sent) = (handle.clone(), Arc::clone(&sent));
                thread::spawn(move || send_all(&handle, sender, &sent))
            })
            .collect();
        let until = THREADS * EACH * (1 + round) / NODES;
        // Relaxed: as above.
        while sent.load(Ordering::Relaxed) < until {
            thread::yield_now();
        }
        if round.is_multiple_of(2) {
            node.stop().unwrap();
        } else {
            node.stop_now().unwrap();
        }
        let taken: u64 = senders.into_iter().map(|it| it.join().unwrap()).sum();
        assert!(taken > 0);
        assert_balanced(&handle.stats());
        assert_in_order(&lanes.lock());
    }
}

/// G1: each lane of each thread.
fn assert_in_order(lanes: &[(u64, u64)]) {
    for lane in (0..THREADS).chain(URGENT..URGENT + THREADS) {
        let of_one = lanes.iter().filter(|(from, _)| *from == lane);
        let of_one: Vec<u64> = of_one.map(|(_, count)| *count).collect();
        assert!(of_one.is_sorted_by(|a, b| a < b), "{lane}: {of_one:?}");
    }
}
