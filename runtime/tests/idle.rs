//! Nodes of real threads that have nothing to do (G8).

use std::time::Duration;

use ringpost::{Context, CoreStats, Limits, Node, NodeHandle, NodeStats, Result, Routed, Worker};

/// Sends two messages to a partner for each that it gets.
struct Doubler(&'static str);

impl Worker for Doubler {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(self.0, *msg).await?;
        ctx.send_message(self.0, *msg).await
    }
}

/// How long the node is watched, in milliseconds.
const WATCHED: u64 = 500;

/// What the node has counted when so much time has passed.
fn stats_after(handle: &NodeHandle, millis: u64) -> NodeStats {
    let sleep = async move |ctx: Context| ctx.sleep(Duration::from_millis(millis)).await;
    pollster::block_on(handle.run_on(0, sleep)).expect("the node runs");
    handle.stats()
}

/// A node of two workers that send each other more than there is room for, once they get a message.
fn node_of_two() -> Result<Node> {
    let mut limits = Limits::default();
    (limits.mailbox_credits, limits.link_credits) = (4, 4);
    let node = Node::builder().cores(2).pin(false).limits(limits);
    let node = node.on_wait_cycle(|_| {}).on_undelivered(|_| {}).start()?;
    for (core, own, partner) in [(0, "left", "right"), (1, "right", "left")] {
        let start =
            async move |ctx: Context| ctx.start_worker_on(core, own, Doubler(partner)).await;
        pollster::block_on(node.handle().run_on(core, start))??;
    }
    Ok(node)
}

/// G8: a node without work sleeps as long as a sleep may be, again and again, also when its workers wait for each other.
#[test]
fn g8_idle_nodes_of_real_threads_sleep() -> Result<()> {
    for waits in [false, true] {
        let node = node_of_two()?;
        let handle = node.handle();
        if waits {
            handle.try_send_message("left", 0u64)?;
        }
        // Circles are looked for within a second or so.
        let before = stats_after(&handle, 1_500);
        let after = stats_after(&handle, WATCHED);
        let cycles = after.total(|core| core.wait_cycles);
        assert_eq!(cycles > 0, waits, "{cycles} circles");
        let since = |count: fn(&CoreStats) -> u64| after.total(count) - before.total(count);
        // A sleep may last for 100 ms. A few more begin and end what is watched.
        let sleeps = since(|core| core.parks);
        assert!(sleeps <= 2 * (WATCHED / 100 + 4), "{sleeps} sleeps");
        assert_eq!(since(|core| core.found_after_timeout), 0);
        node.stop_now()?;
    }
    Ok(())
}
