//! A node in the hands of its own cores: what would wait for itself is refused, or does not wait (G9).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use ringpost::{Context, Error, ErrorKind, Node, Result};
use ringpost_mailbox::sync::Mutex;

/// Long enough for a hang to be one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells when it is dropped.
struct Note(Sender<&'static str>, &'static str);

impl Drop for Note {
    fn drop(&mut self) {
        // Nobody listens any more if the test has failed.
        let _ = self.0.send(self.1);
    }
}

fn would_block(result: Result<()>, call: &str) {
    let error = result.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlockCore { call: named } if *named == call),
        "{error}"
    );
}

/// Starts a node and gives it to `work` on a core of its own; the note goes when that core has ended.
fn on_own_core<T: Send + 'static>(
    work: impl FnOnce(Node) -> T + Send + 'static,
) -> (T, Receiver<&'static str>) {
    let node = Node::builder().cores(2).start().unwrap();
    let handle = node.handle();
    let (tell, hear) = channel();
    let (give, take) = channel();
    let kept = Note(tell, "the future was dropped");
    let placed = handle.run_on(1, async move |ctx: Context| {
        ctx.spawn(async move {
            let _kept = kept;
            std::future::pending::<()>().await;
        });
        // Nobody listens any more if the test has failed.
        let _ = give.send(work(node));
    });
    // The node may end before its answer is out.
    let _ = pollster::block_on(placed);
    (take.recv_timeout(PATIENCE).unwrap(), hear)
}

#[test]
fn g9_a_core_cannot_wait_for_its_own_node_and_keeps_it() {
    let (node, _hear) = on_own_core(|node| {
        would_block(node.stop(), "Node::stop");
        would_block(node.stop_now(), "Node::stop_now");
        would_block(node.wait(), "Node::wait");
        node
    });
    assert!(!node.handle().is_stopping(), "nothing was changed");
    // What came back is whole.
    let two = pollster::block_on(node.handle().run_on(0, async |_: Context| 2));
    assert_eq!(two.unwrap(), 2);
    node.stop().unwrap();
    node.wait().unwrap();
    node.stop_now().unwrap();
}

#[test]
fn g9_a_node_dropped_on_its_own_core_begins_to_stop_and_is_not_waited_for() {
    let (handle, hear) = on_own_core(|node| {
        let handle = node.handle();
        assert!(!handle.is_stopping());
        drop(node);
        assert!(handle.is_stopping());
        handle
    });
    // It ends by itself.
    assert_eq!(hear.recv_timeout(PATIENCE), Ok("the future was dropped"));
    pollster::block_on(handle.stop()).unwrap();
}

thread_local! {
    static KEPT: Mutex<Option<(Node, Note)>> = const { Mutex::new(None) };
}

#[test]
fn g9_a_node_kept_by_the_thread_of_its_own_core_ends_with_it() {
    let (tell, hear) = channel();
    let (handle, _hear) = on_own_core(move |node| {
        let handle = node.handle();
        KEPT.with(|kept| *kept.lock() = Some((node, Note(tell, "the thread has ended"))));
        handle
    });
    pollster::block_on(handle.stop()).unwrap();
    assert_eq!(hear.recv_timeout(PATIENCE), Ok("the thread has ended"));
}

#[test]
fn g9_two_threads_can_stop_a_node_and_both_wait_for_its_end() {
    let node = Arc::new(Node::builder().cores(2).start().unwrap());
    let (tell, hear) = channel();
    let kept = Note(tell, "the future was dropped");
    let handle = node.handle();
    let placed = handle.run_on(1, async move |ctx: Context| {
        ctx.spawn(async move {
            let _kept = kept;
            std::future::pending::<()>().await;
        });
    });
    pollster::block_on(placed).unwrap();
    let waits = {
        let node = Arc::clone(&node);
        std::thread::Builder::new().spawn(move || node.wait())
    };
    node.stop().unwrap();
    assert_eq!(hear.try_recv(), Ok("the future was dropped"));
    waits.unwrap().join().unwrap().unwrap();
}

#[test]
fn a_call_that_would_wait_for_its_own_core_says_what_to_do() {
    let text = Error::new(ErrorKind::WouldBlockCore { call: "Node::stop" }).to_string();
    assert!(
        text.starts_with("Node::stop was called on a core of the same node"),
        "{text}"
    );
    assert!(
        text.contains("await the call of Context or NodeHandle"),
        "{text}"
    );
}
