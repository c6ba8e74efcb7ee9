//! What cannot be done is refused, and the message comes back.

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Any, Context, ErrorKind, Limits, Result, Routed, TcpTransport, Worker, route};
use ringpost_mailbox::sync::atomic::{AtomicU32, Ordering::Relaxed};
use ringpost_mailbox::sync::{Arc, Mutex};

/// Takes a message and never ends with it.
struct Stuck;

impl Worker for Stuck {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<String>) -> Result<()> {
        std::future::pending().await
    }
}

#[test]
fn a_request_that_still_waits_for_room_at_its_deadline_gives_its_message_back() {
    let mut limits = Limits::default();
    limits.mailbox_credits = 1;
    limits.link_credits = 1;
    for cores in [1, 2] {
        let report = Sim::new(3)
            .cores(cores)
            .limits(limits)
            .run(async |ctx: Context| {
                ctx.start_worker("stuck", Stuck).await?;
                // One is in the handler's hands, one in the mailbox: there is no room for a third.
                ctx.send_message("stuck", "first".to_owned()).await?;
                ctx.sleep(Duration::from_millis(1)).await;
                ctx.send_message("stuck", "second".to_owned()).await?;
                let request = ctx.request::<String>("stuck", "third".to_owned());
                let error = request.within(Duration::from_millis(5)).await.unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error}");
                let message = error.into_message::<String>().ok();
                assert_eq!(message.as_deref(), Some("third"));
                ctx.stop_now().await
            });
        report.output.unwrap();
    }
}

/// Calls its node from within, and passes on what came of it.
struct Blocking;

impl Worker for Blocking {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        let handle = ctx.handle();
        let reply = msg.reply();
        let sent = handle
            .send_message_blocking("stuck", msg.take())
            .unwrap_err();
        let asked = handle.request_blocking::<u8>("stuck", 7u8).unwrap_err();
        let started = handle.start_worker_blocking("other", || Stuck).unwrap_err();
        for error in [&sent, &asked, &started] {
            let is_refused = matches!(error.kind(), ErrorKind::WouldBlockCore { .. });
            assert!(is_refused, "{error}");
        }
        assert_eq!(asked.into_message::<u8>().ok(), Some(7));
        let message = sent.into_message::<String>().ok().unwrap_or_default();
        ctx.send_message(reply, message).await
    }
}

#[test]
fn a_blocking_call_on_a_core_of_the_same_node_is_refused() {
    let report = Sim::new(3).cores(2).run(async |ctx: Context| {
        ctx.start_worker("blocking", Blocking).await?;
        let reply: String = ctx.request("blocking", "back".to_owned()).await?;
        assert_eq!(reply, "back");
        ctx.stop().await
    });
    report.output.unwrap();
}

/// A message whose destructor panics.
struct Bomb;

ringpost::local_message!(Bomb);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the destructor of a message");
    }
}

/// Sends a message to nobody and returns the error, which holds it.
struct Bomber;

impl Worker for Bomber {
    type Message = u8;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u8>) -> Result<()> {
        if *msg == 0 {
            return ctx.send_message("nobody", Bomb).await;
        }
        ctx.send_message(msg.reply(), *msg).await
    }
}

#[test]
fn a_message_in_an_error_may_panic_when_it_is_dropped() {
    let report = Sim::new(3).run(async |ctx: Context| {
        ctx.start_worker("bomber", Bomber).await?;
        ctx.send_message("bomber", 0u8).await?;
        let alive: u8 = ctx.request("bomber", 7u8).await?;
        assert_eq!(alive, 7);
        ctx.stop().await
    });
    report.output.unwrap();
}

/// Passes messages on, and counts them.
struct Hop(Arc<AtomicU32>);

impl Worker for Hop {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        self.0.fetch_add(1, Relaxed);
        ctx.forward(msg).await
    }
}

#[test]
fn g3_who_passed_on_what_nobody_takes_gets_no_message_for_it() {
    for (cores, has_transport) in [(1, false), (2, false), (1, true)] {
        let (passed, reported) = (Arc::new(AtomicU32::new(0)), Arc::<Mutex<Vec<_>>>::default());
        let (hop, hook) = (Hop(Arc::clone(&passed)), Arc::clone(&reported));
        let report = Sim::new(5)
            .cores(cores)
            .on_undelivered(move |undelivered| hook.lock().push(undelivered.type_name))
            .run(async move |ctx: Context| {
                if has_transport {
                    TcpTransport::create(&ctx).await?;
                }
                ctx.start_worker("hop", hop).await?;
                ctx.start_worker("stuck", Stuck).await?;
                let handle = ctx.handle().clone();
                handle.send_message(route!["hop", "stuck"], 7u8).await?;
                ctx.sleep(Duration::from_millis(5)).await;
                ctx.stop().await
            });
        report.output.unwrap();
        assert_eq!(
            (passed.load(Relaxed), reported.lock().as_slice()),
            (1, &["u8"][..])
        );
    }
}
