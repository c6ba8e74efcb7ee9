//! Whole nodes: starts, stops, sleeps, permits, rings. Under shuttle each core and each thread outside is drawn
//! step by step, and a lost wake is a deadlock. Elsewhere they are real, for a thread sanitizer.
#![cfg(any(shuttle, ringpost_mutable))]

use std::pin::Pin;

use ringpost::{Context, ErrorKind, Limits, Node, NodeBuilder, NodeHandle, Result, Routed, Worker};
use ringpost_loom_tests::{block_on, schedules};
use ringpost_mailbox::sync::thread::{self, JoinHandle};
use ringpost_mailbox::sync::{Arc, Mutex};

/// A node with as little room as there can be.
fn tight(cores: usize) -> NodeBuilder {
    let mut limits = Limits::default();
    limits.mailbox_credits = 1;
    limits.link_credits = 1;
    limits.outside_credits = 1;
    limits.inbox_slots = 1;
    limits.ring_slots = 8;
    Node::builder()
        .cores(cores)
        .pin(false)
        .seed(1)
        .limits(limits)
}

type Log = Arc<Mutex<Vec<u64>>>;

/// Notes what it gets, and answers with it where it is to.
struct Noting {
    log: Log,
    answers: bool,
}

impl Worker for Noting {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.log.lock().push(*msg);
        match self.answers {
            true => ctx.send_message(msg.reply(), *msg).await,
            false => Ok(()),
        }
    }
}

/// Starts a worker that notes.
fn start(handle: &NodeHandle, answers: bool) -> Log {
    let log = Log::default();
    let noted = Arc::clone(&log);
    let build = move || Noting {
        log: noted,
        answers,
    };
    block_on(handle.start_worker("a", build)).unwrap();
    log
}

fn outside<T: Send + 'static>(
    handle: &NodeHandle,
    work: impl FnOnce(NodeHandle) -> T + Send + 'static,
) -> JoinHandle<T> {
    let handle = handle.clone();
    thread::spawn(move || work(handle))
}

/// Sends these until one is refused, and says which were taken.
fn send_all(handle: &NodeHandle, numbers: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut taken = Vec::new();
    for number in numbers {
        match block_on(handle.send_message("a", number)) {
            Ok(()) => taken.push(number),
            Err(error) => {
                assert_eq!(*error.kind(), ErrorKind::Stopping);
                assert_eq!(error.into_message::<u64>().ok(), Some(number));
                break;
            }
        }
    }
    taken
}

/// The first number of each of two senders.
const FIRST: [u64; 2] = [10, 20];

/// Two threads that each send three numbers.
fn two_senders(handle: &NodeHandle) -> [JoinHandle<Vec<u64>>; 2] {
    FIRST.map(|first| outside(handle, move |handle| send_all(&handle, first..first + 3)))
}

/// Ends the node, looks at what it leaves, and says how many messages were not delivered: those that a core had
/// not taken in when its workers ended.
fn end(node: &Node) -> usize {
    node.stop().unwrap();
    let stats = node.handle().stats();
    assert_eq!(stats.total(|core| core.found_after_timeout), 0);
    assert_eq!(stats.total(|core| core.panics), 0);
    stats.undelivered_total() as usize
}

#[test]
fn g9_a_node_that_starts_and_stops_leaves_no_thread() {
    schedules("nodes: start and stop", || {
        assert_eq!(end(&tight(2).start().unwrap()), 0);
    });
}

/// G3, G9: what was taken is handled or reported, whenever the stop comes.
#[test]
fn g9_messages_of_two_threads_are_accounted_for_when_a_third_stops_the_node() {
    schedules("nodes: two senders against a stop", || {
        let node = tight(2).start().unwrap();
        let log = start(&node.handle(), false);
        let senders = two_senders(&node.handle());
        let handle = node.handle();
        let stopper = thread::spawn(move || block_on(handle.stop()).unwrap());
        let taken: usize = senders
            .map(|sender| sender.join().unwrap().len())
            .iter()
            .sum();
        stopper.join().unwrap();
        let undelivered = end(&node);
        assert_eq!(log.lock().len() + undelivered, taken);
    });
}

/// G1, G8: each in its order, and none is left behind in a sleep.
#[test]
fn g8_messages_of_two_threads_wake_the_core_and_keep_their_order() {
    schedules("nodes: two senders and a sleeping core", || {
        let node = tight(1).start().unwrap();
        let log = start(&node.handle(), false);
        let senders = two_senders(&node.handle());
        for sender in senders {
            assert_eq!(sender.join().unwrap().len(), 3);
        }
        while log.lock().len() < 6 {
            thread::yield_now();
        }
        assert_eq!(end(&node), 0);
        for first in FIRST {
            let of_one = log
                .lock()
                .iter()
                .copied()
                .filter(|n| *n / 10 == first / 10)
                .collect::<Vec<_>>();
            assert_eq!(of_one, [first, first + 1, first + 2]);
        }
    });
}

/// G3: each asker has its answer, or hears that there will be none.
#[test]
fn g3_threads_that_ask_are_answered() {
    schedules("nodes: two askers", || {
        let node = tight(2).start().unwrap();
        let log = start(&node.handle(), true);
        let askers = [1u64, 2].map(|number| {
            outside(&node.handle(), move |handle| {
                block_on(handle.request::<u64>("a", number)).unwrap()
            })
        });
        for (number, asker) in [1, 2].into_iter().zip(askers) {
            assert_eq!(asker.join().unwrap(), number);
        }
        assert_eq!((end(&node), log.lock().len()), (0, 2));
    });
}

/// Passes numbers on to the other of a pair, one less each time, until they are 0.
struct Passing {
    to: &'static str,
    log: Log,
}

impl Worker for Passing {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.log.lock().push(*msg);
        match *msg {
            0 => Ok(()),
            left => ctx.send_message(self.to, left - 1).await,
        }
    }
}

/// G5, G8: over rings without room to spare, between cores that sleep in between.
#[test]
fn g5_messages_go_round_two_cores_with_no_room_to_spare() {
    schedules("nodes: two cores, one message", || {
        let node = tight(2).start().unwrap();
        let log = Log::default();
        for (core, (name, to)) in [("left", "right"), ("right", "left")]
            .into_iter()
            .enumerate()
        {
            let log = Arc::clone(&log);
            let work = async move |ctx: Context| {
                ctx.start_worker_on(core, name, Passing { to, log }).await
            };
            block_on(node.handle().run_on(core, work)).unwrap().unwrap();
        }
        block_on(node.handle().send_message("left", 4u64)).unwrap();
        let wanted = [4, 3, 2, 1, 0];
        while log.lock().len() < wanted.len() {
            thread::yield_now();
        }
        assert_eq!(end(&node), 0);
        assert_eq!(*log.lock(), wanted);
    });
}

/// G9: who is in a hurry has the node end sooner, also while somebody else waits for its end.
#[test]
fn g9_a_stop_is_hastened_from_another_thread() {
    schedules("nodes: stop against stop now", || {
        let node = tight(2).start().unwrap();
        start(&node.handle(), false);
        let handle = node.handle();
        let hasty = thread::spawn(move || block_on(handle.stop_now()).unwrap());
        assert_eq!(end(&node), 0);
        hasty.join().unwrap();
    });
}

/// G4: a wait for a permit that is given up passes it on.
#[test]
fn g4_a_send_that_is_given_up_leaves_its_permit_to_the_next() {
    schedules("nodes: a send given up", || {
        let node = tight(1).start().unwrap();
        let log = start(&node.handle(), false);
        let giving_up = outside(&node.handle(), |handle| {
            let mut sent = std::pin::pin!(handle.send_message("a", 1u64));
            let polled = poll_once(sent.as_mut());
            usize::from(polled.is_ready())
        });
        let sender = outside(&node.handle(), |handle| send_all(&handle, 2..5));
        let first = giving_up.join().unwrap();
        assert_eq!(sender.join().unwrap(), [2, 3, 4]);
        let undelivered = end(&node);
        assert_eq!(log.lock().len() + undelivered, 3 + first);
    });
}

fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> std::task::Poll<T> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}
