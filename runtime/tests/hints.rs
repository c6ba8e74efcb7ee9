//! Routes that carry what another node, or nobody, has seen.

use ringpost::sim::Sim;
use ringpost::{Context, ErrorKind, Reason, Result, Route, Routed, Worker};
use ringpost_router::{Handle, HandleKind, Hint, Hop, NodeCore};

/// Replies with its number.
struct Numbered(u64);

impl Worker for Numbered {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), self.0).await
    }
}

const WORKERS: u64 = 8;

fn name(number: u64) -> String {
    format!("numbered-{number}")
}

/// The routes of messages from such workers of a node with so many cores, which has ended.
fn routes_of_another_node(cores: u16) -> Vec<Route> {
    let report = Sim::new(3).cores(cores).run(async |mut ctx: Context| {
        let mut routes = Vec::new();
        for number in 0..WORKERS {
            ctx.start_worker(name(number), Numbered(number)).await?;
            ctx.send_message(name(number), 0u64).await?;
            routes.push(ctx.receive::<u64>().await?.return_route());
        }
        Ok(routes)
    });
    report.output.unwrap()
}

#[test]
fn what_another_node_has_seen_is_not_believed() {
    for (theirs, ours) in [(8, 1), (8, 2), (8, 8), (2, 8)] {
        let routes = routes_of_another_node(theirs);
        assert!(routes.iter().all(|route| !route.hops().any(Hop::is_unseen)));
        let report = Sim::new(5).cores(ours).run(async move |mut ctx: Context| {
            for number in (0..WORKERS).rev() {
                ctx.start_worker(name(number), Numbered(number)).await?;
            }
            let handle = ctx.handle();
            for (number, route) in (0..).zip(&routes) {
                ctx.send_message(route, 0u64).await?;
                assert_eq!(*ctx.receive::<u64>().await?, number);
                ctx.try_send_message(route, 0u64)?;
                assert_eq!(*ctx.receive::<u64>().await?, number);
                assert_eq!(ctx.request::<u64>(route, 0u64).await?, number);
                assert_eq!(handle.request::<u64>(route, 0u64).await?, number);
                ctx.stop_worker(name(number)).await?;
                let error = ctx.request::<u64>(route, 0u64).await.unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::NotFound { .. }));
            }
            Ok(())
        });
        report.output.unwrap();
    }
}

/// A route with the hint of a core that this node does not have.
fn beyond(ctx: &Context, seen: &Route, kind: HandleKind) -> Route {
    let hint = seen.first().and_then(Hop::hint).unwrap();
    let none = Hint {
        core: NodeCore::new(hint.core.node(), ctx.cores() as u16),
        kind,
        handle: Handle {
            index: 1,
            generation: 1,
        },
    };
    Route::from(Hop::with_hint(name(1).into(), none))
}

#[test]
fn a_place_on_a_core_that_does_not_exist_leads_nowhere() {
    let report = Sim::new(5).cores(2).run(async |mut ctx: Context| {
        ctx.start_worker(name(1), Numbered(1)).await?;
        ctx.send_message(name(1), 0u64).await?;
        let seen = ctx.receive::<u64>().await?.return_route();
        let nowhere = beyond(&ctx, &seen, HandleKind::Worker);
        for _ in 0..2 {
            let error = ctx.send_message(&nowhere, 7u64).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::NotFound { .. }));
            assert_eq!(error.into_message::<u64>().unwrap(), 7);
        }
        assert!(ctx.try_send_message(&nowhere, 7u64).is_err());
        assert!(ctx.request::<u64>(&nowhere, 7u64).await.is_err());
        let handle = ctx.handle();
        assert!(handle.request::<u64>(&nowhere, 7u64).await.is_err());
        handle.send_message(&nowhere, 7u64).await?;
        // A reply is reported like any for which nobody waits.
        let nobody = beyond(&ctx, &seen, HandleKind::Reply);
        ctx.send_message(&nobody, 7u64).await?;
        handle.send_message(&nobody, 7u64).await
    });
    report.output.unwrap();
    let stats = report.stats;
    assert_eq!(stats.undelivered(Reason::NotFound), 1);
    assert_eq!(stats.undelivered(Reason::LateReply), 2);
}
