//! A node that has stopped has left no thread (G9). The tests of this file have a process of their own; that is one test,
//! as the threads of the whole process are counted.

use std::fs;

use ringpost::{Context, Node, NodeBuilder, Result};
use ringpost_mailbox::sync::atomic::{AtomicUsize, Ordering};
use ringpost_mailbox::sync::thread::yield_now;

const CORES: usize = 2;
/// With one thread for calls that block.
const THREADS: usize = CORES + 1;

/// Threads that have come to their end, with all that was left to do there.
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// What a thread drops last, and takes its time for.
struct Last;

impl Last {
    /// Has this thread drop one.
    fn leave() {
        thread_local!(static LAST: Last = const { Last });
        LAST.with(|_| ());
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        for _ in 0..1_000 {
            yield_now();
        }
        ENDED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Marks the threads of a node: those of the cores, and one for calls that block.
async fn mark(ctx: &Context) -> Result<()> {
    for core in 0..CORES {
        ctx.handle().run_on(core, async |_| Last::leave()).await?;
    }
    ctx.spawn_blocking(Last::leave).await
}

/// The threads of this process that nodes have started, by name.
fn left() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // One that is just going has no name.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("ringpost")).collect()
}

/// Looks whether any thread is there. The kernel shows one that was joined for a moment more.
fn assert_none_is_left(how: &str) {
    let mut left_now = left();
    for _ in 0..10_000 {
        if left_now.is_empty() {
            return;
        }
        yield_now();
        left_now = left();
    }
    panic!("{how}: left {left_now:?}");
}

/// Starts a node and marks its threads.
fn started(node: NodeBuilder) -> Node {
    let node = node.start().unwrap();
    let marked = node.handle();
    let marked = marked.run_on(0, async |ctx: Context| mark(&ctx).await);
    pollster::block_on(marked).unwrap().unwrap();
    node
}

async fn mark_and_stop(ctx: Context) -> Result<()> {
    mark(&ctx).await?;
    ctx.stop().await
}

fn stopped(node: NodeBuilder) {
    let node = started(node);
    let all = left();
    assert_eq!(all.len(), THREADS + 1, "the helper is there too: {all:?}");
    node.stop().unwrap();
}

fn dropped(node: NodeBuilder) {
    drop(started(node));
}

fn run(node: NodeBuilder) {
    node.run(mark_and_stop).unwrap();
}

fn served(node: NodeBuilder) {
    node.serve(mark_and_stop).unwrap();
}

/// Starts a node, and has it end.
type Way = fn(NodeBuilder);

/// G9: each thread of a node has ended when `Node::stop` returns, or whatever else ends it.
#[test]
fn g9_a_node_joins_each_thread_that_it_started() {
    let ways: [(&str, Way); 4] = [
        ("stopped", stopped),
        ("dropped", dropped),
        ("run", run),
        ("served", served),
    ];
    for (how, end) in ways {
        ENDED.store(0, Ordering::Relaxed);
        end(Node::builder().cores(CORES).pin(false));
        assert_eq!(ENDED.load(Ordering::Relaxed), THREADS, "{how}");
        assert_none_is_left(how);
    }
}
