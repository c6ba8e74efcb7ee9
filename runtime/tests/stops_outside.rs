//! How a node's end looks from threads outside it (G9).

use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context as Polling, Poll, Wake, Waker};
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, ErrorKind, Limits, Node, NodeHandle, Result, Routed, Worker};

/// Takes a second for each message.
struct Slow;

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_secs(1)).await;
        Ok(())
    }
}

fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Polling::from_waker(Waker::noop()))
}

/// Everything that a handle can ask for is refused, and messages come back.
async fn refuses(handle: &NodeHandle) {
    let sent = [
        (1, handle.try_send_message("slow", 1u64)),
        (2, handle.send_message("slow", 2u64).await),
        (3, handle.request::<u64>("slow", 3u64).await.map(drop)),
    ];
    for (number, refused) in sent {
        let error = refused.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Stopping, "{number}");
        assert_eq!(error.into_message::<u64>().ok(), Some(number));
    }
    let ran = handle.run_on(0, async |_: Context| panic!("work was taken"));
    let asked: [Result<()>; 3] = [
        ran.await,
        handle.start_worker("new", || Slow).await,
        handle.stop_worker("slow").await,
    ];
    for refused in asked {
        assert_eq!(*refused.unwrap_err().kind(), ErrorKind::Stopping);
    }
}

/// G9: from the moment that a thread has asked for the stop, what it brings is refused.
#[test]
fn g9_a_thread_that_has_asked_for_the_stop_can_send_nothing_more() {
    for seed in 0..40 {
        let mut limits = Limits::default();
        limits.outside_credits = 2;
        limits.mailbox_credits = 1;
        let sim = Sim::new(seed)
            .cores(2)
            .limits(limits)
            .drain(Duration::from_secs(3600));
        let report = sim.run(async |ctx: Context| {
            ctx.start_worker("slow", Slow).await?;
            let handle = ctx.handle();
            // One in hand, one in the mailbox, two under way; the others wait for a permit.
            for number in 0..4u64 {
                handle.send_message("slow", number).await?;
            }
            let mut late = pin!(handle.send_message("slow", 10u64));
            assert!(poll_once(late.as_mut()).is_pending());
            let mut stop = pin!(handle.stop());
            assert!(poll_once(stop.as_mut()).is_pending());
            refuses(&handle).await;
            // Who had waited for a permit since before the stop gets none of its use.
            let error = late.await.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Stopping);
            assert_eq!(error.into_message::<u64>().ok(), Some(10));
            stop.await
        });
        report.output.unwrap();
        assert_eq!(report.stats.total(|core| core.panics), 0, "seed {seed}");
        let handled = report.stats.total(|core| core.handled);
        assert_eq!(handled + report.stats.undelivered_total(), 4, "seed {seed}");
    }
}

/// G9: with threads, where the cores are not asked first.
#[test]
fn g9_a_thread_that_has_stopped_the_node_can_send_nothing_more() {
    for _ in 0..50 {
        let node = Node::builder().cores(2).start().unwrap();
        let handle = node.handle();
        handle.start_worker_blocking("slow", || Slow).unwrap();
        let mut stop = pin!(handle.stop());
        // Whether it is done already is the cores' affair.
        let _ = poll_once(stop.as_mut());
        pollster::block_on(refuses(&handle));
        node.stop_now().unwrap();
        assert_eq!(node.handle().stats().undelivered_total(), 0);
    }
}

/// Wakes nobody, and panics when it is asked to.
struct Rude;

impl Wake for Rude {
    fn wake(self: Arc<Self>) {
        panic!("as planned");
    }
}

/// G9: who awaits the end of a node may panic when it is woken.
#[test]
fn g9_a_waker_that_panics_does_not_hold_the_end_up() {
    let node = Node::builder().cores(2).start().unwrap();
    let handle = node.handle();
    let holder = handle.run_on(1, async |ctx: Context| ctx.start_worker("slow", Slow).await);
    pollster::block_on(holder).unwrap().unwrap();
    handle.try_send_message("slow", 1u64).unwrap();
    let rude = Waker::from(Arc::new(Rude));
    let mut stop = pin!(handle.stop());
    let polled = stop.as_mut().poll(&mut Polling::from_waker(&rude));
    node.wait().unwrap();
    assert!(polled.is_ready() || poll_once(stop).is_ready());
}

/// Keeps a node's handle, and uses it when it is dropped.
struct Nosy(NodeHandle);

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Nosy {
    fn drop(&mut self) {
        let mut stop = pin!(self.0.stop_now());
        assert!(poll_once(stop.as_mut()).is_pending());
    }
}

/// G9: of those who await the end only the last waker is kept, none when they have gone, and no lock is
/// held while one is dropped.
#[test]
fn g9_who_awaits_the_stop_leaves_one_waker_there_and_takes_it_along() {
    let drain = Duration::from_secs(3600);
    let report = Sim::new(1).drain(drain).run(async |ctx: Context| {
        ctx.start_worker("slow", Slow).await?;
        ctx.send_message("slow", 1u64).await?;
        let handle = ctx.handle();
        let mut stop = Box::pin(handle.stop());
        let mut wakers: Vec<Weak<Nosy>> = Vec::new();
        for _ in 0..100 {
            let nosy = Arc::new(Nosy(handle.clone()));
            wakers.push(Arc::downgrade(&nosy));
            let polled = stop
                .as_mut()
                .poll(&mut Polling::from_waker(&Waker::from(nosy)));
            assert!(polled.is_pending());
        }
        let kept = |wakers: &[Weak<Nosy>]| {
            wakers
                .iter()
                .filter(|waker| waker.upgrade().is_some())
                .count()
        };
        assert_eq!(kept(&wakers), 1);
        drop(stop);
        assert_eq!(kept(&wakers), 0);
        ctx.stop().await
    });
    report.output.unwrap();
}
