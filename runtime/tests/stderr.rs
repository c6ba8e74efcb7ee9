//! Failures are seen by somebody: on standard error, unless the program traces. Each test has a process of
//! its own, whose standard error it reads.

use std::future::{Future, poll_fn};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use ringpost::{
    Context, CoreStats, Error, Limits, Node, NodeHandle, Result, Routed, TcpListenerOptions,
    TcpTransport, Worker,
};
use tracing::span;

/// Runs the rest of the test of this name in a process of its own. What that says about failures.
fn alone(name: &str, test: impl FnOnce()) -> Option<Vec<String>> {
    const ALONE: &str = "RINGPOST_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        test();
        return None;
    }
    let program = std::env::current_exe().unwrap();
    let child = Command::new(program)
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{err}");
    let lines = err.lines().filter(|line| line.starts_with("ringpost: "));
    Some(lines.map(str::to_owned).collect())
}

/// Fails at 0 and panics at 1.
struct Failing;

impl Worker for Failing {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        assert_eq!(*msg, 0, "as planned");
        Err(Error::other("as expected"))
    }
}

/// Starts a node that says nothing of cores that are held: a panic takes long on a busy machine.
fn start(cores: usize) -> Node {
    let node = Node::builder().cores(cores);
    let node = node.stall_after(Duration::from_secs(3600));
    node.start().unwrap()
}

/// Has a worker fail so often, and then panic.
fn fail(times: u64) {
    let node = start(1);
    let handle = node.handle();
    handle.start_worker_blocking("failing", || Failing).unwrap();
    for _ in 0..times {
        handle.send_message_blocking("failing", 0u64).unwrap();
    }
    handle.send_message_blocking("failing", 1u64).unwrap();
    while handle.stats().total(|core| core.panics) == 0 {
        pollster::block_on(handle.run_on(0, async |ctx: Context| ctx.yield_now().await)).unwrap();
    }
    node.stop().unwrap();
    let stats = node.handle().stats();
    assert_eq!(stats.total(|core| core.handler_errors), times);
    assert_eq!(stats.total(|core| core.panics), 1);
}

#[test]
fn failures_are_printed_where_nobody_traces() {
    let name = "failures_are_printed_where_nobody_traces";
    let Some(lines) = alone(name, || fail(1)) else {
        return;
    };
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].contains("a handler returned an error"),
        "{lines:?}"
    );
    assert!(lines[0].ends_with("failing]: as expected"), "{lines:?}");
    assert!(
        lines[1].contains("a worker panicked and is ended"),
        "{lines:?}"
    );
    assert!(lines[1].contains("as planned"), "{lines:?}");
}

#[test]
fn a_flood_of_failures_is_no_flood_of_lines() {
    const FAILURES: u64 = 20_000;
    let name = "a_flood_of_failures_is_no_flood_of_lines";
    let Some(lines) = alone(name, || fail(FAILURES)) else {
        return;
    };
    // How many seconds it took is the machine's affair.
    let last = |line: &&String| line.ends_with("(no more are shown in this second)");
    let seconds = lines.iter().filter(last).count();
    assert!(seconds > 0, "{lines:?}");
    assert!(lines.len() <= 10 * (seconds + 2), "{lines:?}");
    assert!((lines.len() as u64) < FAILURES / 10, "{}", lines.len());
}

/// A subscriber that looks at nothing.
struct Blind;

impl tracing::Subscriber for Blind {
    fn enabled(&self, _metadata: &tracing::Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn event(&self, _event: &tracing::Event<'_>) {}
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

#[test]
fn where_somebody_traces_nothing_is_printed() {
    let name = "where_somebody_traces_nothing_is_printed";
    let lines = alone(name, || {
        tracing::subscriber::set_global_default(Blind).unwrap();
        fail(1);
    });
    assert!(lines.is_none_or(|lines| lines.is_empty()));
}

/// A name that is misspelled, and a message of a type that the worker does not take.
#[test]
fn messages_that_are_not_delivered_are_printed_where_nobody_traces() {
    let name = "messages_that_are_not_delivered_are_printed_where_nobody_traces";
    let test = || {
        let node = start(2);
        let handle = node.handle();
        handle.start_worker_blocking("failing", || Failing).unwrap();
        handle.send_message_blocking("falling", 0u64).unwrap();
        let wrong = "no number".to_owned();
        handle.send_message_blocking("failing", wrong).unwrap();
        // Of these their requesters are told.
        assert!(handle.request_blocking::<u64>("falling", 0u64).is_err());
        let wrong = "no number".to_owned();
        assert!(handle.request_blocking::<u64>("failing", wrong).is_err());
        while handle.stats().undelivered_total() < 3 {
            pollster::block_on(handle.run_on(0, async |ctx: Context| ctx.yield_now().await))
                .unwrap();
        }
        node.stop().unwrap();
    };
    let Some(lines) = alone(name, test) else {
        return;
    };
    assert_eq!(lines.len(), 2, "{lines:?}");
    let all = lines.join(" ");
    assert!(
        all.contains("a u64 from") && all.contains("falling: there is no worker"),
        "{all}"
    );
    assert!(
        all.contains("the worker takes another type, which is u64"),
        "{all}"
    );
}

/// Asks the next before it answers, or holds its core until that is counted.
enum Stuck {
    Asks(&'static str),
    Holds(NodeHandle),
}

impl Worker for Stuck {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match self {
            Self::Asks(next) => ctx.request::<u64>(*next, *msg).await.map(drop),
            Self::Holds(node) => {
                while node.stats().total(|core| core.stalls) == 0 {
                    std::hint::spin_loop();
                }
                Ok(())
            }
        }
    }
}

/// G5, G7: workers that wait for each other, and one that holds its core, are named where nobody traces.
#[test]
fn g5_and_g7_what_stands_still_is_printed_where_nobody_traces() {
    let name = "g5_and_g7_what_stands_still_is_printed_where_nobody_traces";
    let test = || {
        let node = Node::builder().cores(1);
        let node = node.stall_after(Duration::from_millis(100)).start();
        let node = node.unwrap();
        let handle = node.handle();
        let start = |name, worker| handle.start_worker_blocking(name, move || worker).unwrap();
        start("left", Stuck::Asks("right"));
        start("right", Stuck::Asks("left"));
        start("holder", Stuck::Holds(handle.clone()));
        handle.send_message_blocking("left", 0u64).unwrap();
        while handle.stats().total(|core| core.wait_cycles) == 0 {
            pollster::block_on(handle.run_on(0, async |ctx: Context| ctx.yield_now().await))
                .unwrap();
        }
        handle.send_message_blocking("holder", 0u64).unwrap();
        while handle.stats().total(|core| core.stalls) == 0 {
            std::hint::spin_loop();
        }
        node.stop_now().unwrap();
    };
    let Some(lines) = alone(name, test) else {
        return;
    };
    let is_there = |part: &str| lines.iter().any(|line| line.contains(part));
    let circle =
        "in a circle: 0#left waits for a reply of 0#right, 0#right waits for a reply of 0#left";
    assert!(is_there(circle), "{lines:?}");
    assert!(is_there("a core is held up [0#holder]"), "{lines:?}");
}

/// Panics when it is dropped.
struct BadEnd;

impl Worker for BadEnd {
    type Message = u64;
    type Context = Context;
}

impl Drop for BadEnd {
    fn drop(&mut self) {
        panic!("badly");
    }
}

/// G7: the worker is named, whatever of it has panicked.
#[test]
fn a_worker_whose_destructor_panics_is_named() {
    let name = "a_worker_whose_destructor_panics_is_named";
    let test = || {
        let node = start(1);
        let handle = node.handle();
        handle.start_worker_blocking("ending", || BadEnd).unwrap();
        pollster::block_on(handle.stop_worker("ending")).unwrap();
        node.stop().unwrap();
    };
    let Some(lines) = alone(name, test) else {
        return;
    };
    let expected = "ringpost: the destructor of a worker panicked [0#ending]: badly";
    assert_eq!(lines, [expected]);
}

/// Lets go of a blocking call when it is dropped, and panics.
struct Bomb(Option<mpsc::Sender<()>>);

impl Drop for Bomb {
    fn drop(&mut self) {
        drop(self.0.take());
        panic!("it does not go");
    }
}

/// A call that was not made before the end of the node, and panics when it is dropped, is no defect of the node.
#[test]
fn a_blocking_call_that_is_left_and_panics_is_said_and_nothing_more() {
    let lines = alone(
        "a_blocking_call_that_is_left_and_panics_is_said_and_nothing_more",
        || {
            let mut limits = Limits::default();
            limits.blocking_threads = 1;
            let node = Node::builder().cores(1).limits(limits);
            let node = node.stall_after(Duration::from_secs(3600));
            let main = async |ctx: Context| {
                let (release, released) = mpsc::channel::<()>();
                let (begin, begun) = mpsc::channel();
                let mut held = Box::pin(ctx.spawn_blocking(move || {
                    begin.send(()).unwrap();
                    released.recv().is_err()
                }));
                let is_over =
                    poll_fn(|polling| Poll::Ready(held.as_mut().poll(polling).is_ready()));
                assert!(!is_over.await);
                begun.recv().unwrap();
                let bomb = Bomb(Some(release));
                let mut left = Box::pin(ctx.spawn_blocking(move || drop(bomb)));
                let is_over =
                    poll_fn(|polling| Poll::Ready(left.as_mut().poll(polling).is_ready()));
                assert!(!is_over.await);
                ctx.stop().await
            };
            node.run(main).unwrap();
        },
    );
    let Some(lines) = lines else { return };
    assert_eq!(lines, ["ringpost: a destructor panicked: it does not go"]);
}

/// Connects so often and speaks another language, until the node has ended that.
fn babble(node: &Node, times: u64) {
    let handle = node.handle();
    let listen = async |ctx: Context| {
        let tcp = TcpTransport::create(&ctx).await?;
        let listener = tcp.listen("127.0.0.1:0", TcpListenerOptions::new());
        Ok::<_, Error>(listener.await?.address())
    };
    let listening = pollster::block_on(handle.run_on(0, listen)).unwrap();
    let address = listening.unwrap();
    for _ in 0..times {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let faults = |core: &CoreStats| core.transport.closed;
    while handle.stats().total(faults) < times {
        pollster::block_on(handle.run_on(0, async |ctx: Context| ctx.yield_now().await)).unwrap();
    }
}

/// The faults of peers are printed too, but not so many that a failure of a worker could not be seen.
#[test]
fn the_faults_of_peers_are_printed_and_hide_nothing() {
    let name = "the_faults_of_peers_are_printed_and_hide_nothing";
    let test = || {
        let node = start(1);
        babble(&node, 30);
        let handle = node.handle();
        handle.start_worker_blocking("failing", || Failing).unwrap();
        handle.send_message_blocking("failing", 0u64).unwrap();
        while handle.stats().total(|core| core.handler_errors) == 0 {
            let turn = async |ctx: Context| ctx.yield_now().await;
            pollster::block_on(handle.run_on(0, turn)).unwrap();
        }
        node.stop().unwrap();
    };
    let Some(lines) = alone(name, test) else {
        return;
    };
    let is_fault = |line: &&String| line.contains("ended for its peer's fault [");
    let faults = lines.iter().filter(is_fault).count();
    assert!((2..30).contains(&faults), "{lines:?}");
    let failure = lines.iter().any(|line| line.contains("as expected"));
    assert!(failure, "{lines:?}");
}
