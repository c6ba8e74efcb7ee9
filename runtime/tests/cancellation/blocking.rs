//! Calls beside the cores: those that block, and looking up names. They take real threads.

use std::sync::Arc;
use std::sync::mpsc;

use ringpost::net::resolve;
use ringpost::{Context, Limits, Node, Result};
use ringpost_mailbox::sync::atomic::{AtomicU32, Ordering};

use crate::{drop_after, drop_at_every_poll};

/// The futures that are dropped here, after every number of polls.
pub(crate) const DROPPED: &[&str] = &["Context::spawn_blocking", "resolve"];

/// One thread, which is held up, one call that waits for it, and one that waits for a place: the last two are
/// dropped, and never made.
#[test]
fn g4_a_call_that_blocks_and_is_dropped_gives_its_place_back() {
    let mut limits = Limits::default();
    (limits.blocking_threads, limits.blocking_queue) = (1, 1);
    let node = Node::builder().cores(1).limits(limits);
    let made = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&made);
    let outcome = node.run(async move |ctx: Context| {
        for polls in 1..5 {
            let (go, wait) = mpsc::channel::<()>();
            let (tell, held) = mpsc::channel();
            let hold = ctx.spawn_blocking(move || tell.send(()).is_ok() && wait.recv().is_ok());
            let mut hold = Box::pin(hold);
            while held.try_recv().is_err() {
                assert!(drop_after(&ctx, 1, hold.as_mut()).await.is_none());
            }
            let call = |counts: &Arc<AtomicU32>| {
                let counts = Arc::clone(counts);
                // Relaxed: read when the thread has been waited for.
                move || counts.fetch_add(1, Ordering::Relaxed)
            };
            let mut queued = Box::pin(ctx.spawn_blocking(call(&counts)));
            assert!(drop_after(&ctx, 1, queued.as_mut()).await.is_none());
            let placeless = ctx.spawn_blocking(call(&counts));
            assert!(drop_after(&ctx, polls, placeless).await.is_none());
            assert!(drop_after(&ctx, polls, queued).await.is_none());
            go.send(()).map_err(ringpost::Error::other)?;
            assert!(hold.await?);
            // There is room for a call, and for one that waits.
            let (one, two) = (ctx.spawn_blocking(|| 1), ctx.spawn_blocking(|| 2));
            assert_eq!((one.await?, two.await?), (1, 2));
        }
        ctx.stop().await
    });
    outcome.expect("on a real node");
    assert_eq!(made.load(Ordering::Relaxed), 0);
}

/// No more than 16 names are looked up at one time: those that nobody waits for any more make room.
#[test]
fn g4_a_look_up_that_is_dropped_makes_room_for_others() {
    let look_up = async |ctx: Context| -> Result<()> {
        for _ in 0..8 {
            drop_at_every_poll(async |polls| {
                let found = drop_after(&ctx, polls, resolve(&ctx, "127.0.0.1:80")).await;
                let busy = resolve(&ctx, "localhost:80");
                drop(drop_after(&ctx, 1, busy).await);
                Ok(found.transpose()?.is_some())
            })
            .await?;
        }
        while resolve(&ctx, "localhost:80").await.is_err() {
            ctx.yield_now().await;
        }
        ctx.stop().await
    };
    let outcome = Node::builder().cores(1).run(look_up);
    outcome.expect("on a real node");
}
