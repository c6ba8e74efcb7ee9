//! What SIGINT and SIGTERM do while a node serves, while it stops, and afterwards. Each test has a process
//! of its own, since most of them end by a signal.
#![cfg(unix)]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use ringpost::{Context, Node, NodeBuilder, Result, Routed, Worker};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::raise;

/// Runs the rest of the test of this name in a process of its own, and says how that ended.
fn alone(name: &str, test: impl FnOnce()) -> Option<ExitStatus> {
    const ALONE: &str = "RINGPOST_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        test();
        return None;
    }
    let program = std::env::current_exe().unwrap();
    let child = Command::new(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .status();
    Some(child.unwrap())
}

fn ended_by(signal: i32, name: &str, test: impl FnOnce()) {
    if let Some(status) = alone(name, test) {
        assert_eq!(status.signal(), Some(signal), "{status}");
    }
}

fn two_cores() -> NodeBuilder {
    Node::builder().cores(2)
}

/// Has the node stopped by a signal that the process sends to itself.
async fn stopped_by(signal: i32, ctx: &mut Context) -> Result<()> {
    raise(signal).unwrap();
    let error = ctx.receive::<u64>().await.unwrap_err();
    assert!(ctx.handle().is_stopping(), "{error}");
    Ok(())
}

#[test]
fn a_signal_stops_a_node_that_serves() {
    let name = "a_signal_stops_a_node_that_serves";
    let status = alone(name, || {
        for signal in [SIGINT, SIGTERM, SIGINT] {
            let served = two_cores().serve(async move |mut ctx| stopped_by(signal, &mut ctx).await);
            assert!(served.is_ok(), "{served:?}");
        }
    });
    assert!(status.is_none_or(|status| status.success()), "{status:?}");
}

#[test]
fn a_signal_after_serve_has_returned_ends_the_process() {
    ended_by(
        SIGTERM,
        "a_signal_after_serve_has_returned_ends_the_process",
        || {
            two_cores()
                .serve(async |ctx: Context| ctx.stop().await)
                .unwrap();
            raise(SIGTERM).unwrap();
        },
    );
}

#[test]
fn a_signal_after_a_node_was_stopped_by_one_ends_the_process() {
    let name = "a_signal_after_a_node_was_stopped_by_one_ends_the_process";
    ended_by(SIGINT, name, || {
        two_cores()
            .serve(async |mut ctx: Context| stopped_by(SIGTERM, &mut ctx).await)
            .unwrap();
        raise(SIGINT).unwrap();
    });
}

/// Does not end.
struct Stuck;

impl Worker for Stuck {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        std::future::pending().await
    }
}

/// Serves a node that has an hour to stop, and needs it, and does this once it is busy.
fn serve_stuck(then: impl AsyncFnOnce(&Context) + Send + 'static) {
    let hour = Duration::from_secs(3600);
    let served = two_cores().drain(hour).serve(async move |ctx: Context| {
        ctx.start_worker("stuck", Stuck).await?;
        ctx.send_message("stuck", 1u64).await?;
        then(&ctx).await;
        std::future::pending().await
    });
    panic!("the stop did not take an hour: {served:?}");
}

#[test]
fn a_second_signal_ends_a_process_whose_node_takes_its_time() {
    let name = "a_second_signal_ends_a_process_whose_node_takes_its_time";
    ended_by(SIGINT, name, || {
        serve_stuck(async |ctx| {
            raise(SIGTERM).unwrap();
            while !ctx.handle().is_stopping() {
                ctx.yield_now().await;
            }
            raise(SIGINT).unwrap();
        });
    });
}

#[test]
fn a_signal_that_finds_the_node_stopping_ends_the_process() {
    let name = "a_signal_that_finds_the_node_stopping_ends_the_process";
    ended_by(SIGTERM, name, || {
        serve_stuck(async |ctx| {
            let handle = ctx.handle();
            ctx.spawn(async move {
                // Does not resolve: the process is ended.
                let _ = handle.stop().await;
            });
            while !ctx.handle().is_stopping() {
                ctx.yield_now().await;
            }
            raise(SIGTERM).unwrap();
        });
    });
}
