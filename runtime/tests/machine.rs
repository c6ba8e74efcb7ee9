//! Nodes on machines of all kinds: few cores, many loops, no pinning; and from other threads.

use std::process::Command;
use std::time::Duration;

use core_affinity::CoreId;
use ringpost::{Context, ErrorKind, Node, NodeBuilder, Result, Routed, Worker};

struct Echo;

impl Worker for Echo {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// A node that answers on every core, and stops.
fn works(builder: NodeBuilder, cores: usize) {
    let node = builder.cores(cores).start().unwrap();
    let handle = node.handle();
    assert_eq!(handle.cores(), cores);
    for number in 0..4 * cores as u64 {
        let name = format!("echo-{number}");
        handle
            .start_worker_blocking(name.as_str(), || Echo)
            .unwrap();
        let reply: u64 = handle.request_blocking(name.as_str(), number).unwrap();
        assert_eq!(reply, number);
    }
    let stats = handle.stats();
    assert_eq!(stats.total(|core| core.found_after_timeout), 0);
    assert_eq!(stats.undelivered_total(), 0);
    node.stop().unwrap();
}

#[test]
fn one_core_is_enough() {
    works(Node::builder(), 1);
}

#[test]
fn more_loops_than_cpus_work() {
    works(Node::builder(), 9);
    works(Node::builder().pin(true), 9);
}

#[test]
fn pinning_is_optional() {
    works(Node::builder().pin(false), 2);
    works(Node::builder().pin(true), 2);
}

/// Runs the rest of the test of this name in a process of its own, since the CPUs of a process are
/// read once: what a test does to its own thread before it starts a node decides what the node sees.
fn alone(name: &str, test: impl FnOnce()) {
    const ALONE: &str = "RINGPOST_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    if !can_be_pinned() {
        return;
    }
    let program = std::env::current_exe().unwrap();
    let child = Command::new(program)
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let (out, err) = (&child.stdout, &child.stderr);
    let text = [out.as_slice(), err].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(child.status.success(), "{text}");
    assert!(text.contains("1 passed"), "there is no test {name}: {text}");
}

/// Whether the system does as it is told; some sandboxes do not, and there is nothing to test there.
fn can_be_pinned() -> bool {
    let pinned = std::thread::Builder::new().spawn(|| {
        let last = allowed().last().copied()?;
        core_affinity::set_for_current(CoreId { id: last }).then(|| allowed() == [last])
    });
    pinned.unwrap().join().unwrap() == Some(true)
}

/// The CPUs that this thread may use, in the order of their numbers.
fn allowed() -> Vec<usize> {
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    let mut cpus: Vec<usize> = cpus.iter().map(|cpu| cpu.id).collect();
    cpus.sort_unstable();
    cpus
}

/// The CPUs that the thread of each core of a running node may use.
fn seen_by_cores(node: &Node) -> Vec<Vec<usize>> {
    let handle = node.handle();
    (0..handle.cores())
        .map(|core| pollster::block_on(handle.run_on(core, async |_: Context| allowed())).unwrap())
        .collect()
}

fn pins_refused(node: &Node) -> u64 {
    node.handle().stats().total(|core| core.pins_refused)
}

/// Lets the process use one CPU, the last of those it has.
fn on_one_cpu() -> usize {
    let last = *allowed().last().unwrap();
    assert!(core_affinity::set_for_current(CoreId { id: last }));
    assert_eq!(allowed(), [last]);
    last
}

#[test]
fn a_process_with_one_cpu_gets_one_core_that_stays_there() {
    alone(
        "a_process_with_one_cpu_gets_one_core_that_stays_there",
        || {
            let cpu = on_one_cpu();
            let node = Node::builder().start().unwrap();
            assert_eq!(seen_by_cores(&node), [[cpu]]);
            assert_eq!(pins_refused(&node), 0);
            node.stop().unwrap();
            works(Node::builder(), 1);
            works(Node::builder().pin(true), 1);
        },
    );
}

#[test]
fn more_loops_than_the_one_cpu_share_it() {
    alone("more_loops_than_the_one_cpu_share_it", || {
        let cpu = on_one_cpu();
        for builder in [Node::builder(), Node::builder().pin(true)] {
            let node = builder.clone().cores(4).start().unwrap();
            assert_eq!(seen_by_cores(&node), vec![[cpu]; 4]);
            assert_eq!(pins_refused(&node), 0, "what shares a CPU is not pinned");
            node.stop().unwrap();
            works(builder, 4);
        }
    });
}

#[test]
fn more_loops_than_cpus_are_not_pinned() {
    alone("more_loops_than_cpus_are_not_pinned", || {
        let all = allowed();
        let node = Node::builder().pin(true).cores(all.len() + 1);
        let node = node.start().unwrap();
        assert_eq!(seen_by_cores(&node), vec![all.clone(); all.len() + 1]);
        assert_eq!(pins_refused(&node), 0);
        node.stop().unwrap();
    });
}

#[test]
fn each_pinned_core_has_a_cpu_of_its_own_among_those_allowed() {
    alone(
        "each_pinned_core_has_a_cpu_of_its_own_among_those_allowed",
        || {
            let all = allowed();
            let cores = std::thread::available_parallelism().unwrap().get();
            let cores = cores.min(all.len());
            let node = Node::builder().pin(true).cores(cores).start().unwrap();
            let seen = seen_by_cores(&node);
            assert!(seen.iter().all(|cpus| cpus.len() == 1), "{seen:?}");
            let mut cpus = seen.concat();
            cpus.sort_unstable();
            cpus.dedup();
            assert_eq!(cpus.len(), cores, "one CPU for each core: {cpus:?}");
            assert!(cpus.iter().all(|cpu| all.contains(cpu)));
            assert_eq!(pins_refused(&node), 0);
            node.stop().unwrap();
            assert_eq!(
                allowed(),
                all,
                "the thread that starts a node is left where it is"
            );
        },
    );
}

#[test]
fn a_node_without_cores_is_refused() {
    let error = Node::builder().cores(0).start().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config { .. }));
    assert!(error.to_string().contains("at least one core"), "{error}");
    let error = Node::builder().cores(1_000_000).start().unwrap_err();
    assert!(error.to_string().contains("the most is"), "{error}");
}

#[test]
fn threads_outside_start_ask_and_stop() {
    let node = Node::builder().cores(2).start().unwrap();
    let handle = node.handle();
    let threads: Vec<_> = (0..4u64)
        .map(|thread| {
            let handle = handle.clone();
            std::thread::Builder::new()
                .spawn(move || {
                    let name = format!("echo-{thread}");
                    handle.start_worker_blocking(name.as_str(), || Echo)?;
                    for number in 0..500 {
                        let reply: u64 = handle.request_blocking(name.as_str(), number)?;
                        assert_eq!(reply, number);
                    }
                    Ok::<_, ringpost::Error>(())
                })
                .unwrap()
        })
        .collect();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    let error = handle.request_blocking::<u64>("nobody", 1u64).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::NotFound { .. }),
        "{error}"
    );
    node.stop().unwrap();
    let error = handle.try_send_message("echo-0", 7u64).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Stopping);
    assert_eq!(error.into_message::<u64>().unwrap(), 7);
}

#[test]
fn work_that_panics_is_told_from_a_node_that_stops() {
    let node = Node::builder().cores(1).start().unwrap();
    let handle = node.handle();
    let panics = handle.run_on(0, async |_: Context| -> u64 { panic!("as planned") });
    let error = pollster::block_on(panics).unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
    node.stop().unwrap();
    let error = pollster::block_on(handle.run_on(0, async |_: Context| ())).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Stopping);
}

#[test]
fn main_that_fails_stops_the_node() {
    let error = Node::builder()
        .cores(2)
        .run(async |ctx: Context| {
            ctx.start_worker("echo", Echo).await?;
            Err(ringpost::Error::other("as planned"))
        })
        .unwrap_err();
    assert_eq!(error.to_string(), "as planned");
}

#[test]
fn main_that_returns_leaves_the_node_serving() {
    let (tell, hear) = std::sync::mpsc::channel();
    let server = std::thread::Builder::new()
        .spawn(move || {
            Node::builder().cores(2).run(async move |ctx: Context| {
                ctx.start_worker("echo", Echo).await?;
                tell.send(ctx.handle()).unwrap();
                Ok(())
            })
        })
        .unwrap();
    let handle = hear.recv_timeout(Duration::from_secs(10)).unwrap();
    for number in 0..10u64 {
        let reply: u64 = handle.request_blocking("echo", number).unwrap();
        assert_eq!(reply, number);
    }
    // The answer may be cut off by the very stop it asks for.
    let _ = pollster::block_on(handle.run_on(0, async |ctx: Context| ctx.stop().await));
    server.join().unwrap().unwrap();
}
