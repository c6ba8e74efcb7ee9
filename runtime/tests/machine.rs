//! Nodes on machines of all kinds: few cores, many loops, no pinning; and from other threads.

use std::time::Duration;

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
