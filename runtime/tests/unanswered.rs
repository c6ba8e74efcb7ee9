//! Who asks is told when nobody will answer any more, and is not told so while somebody may (G3).

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Any, Context, Error, ErrorKind, Result, Route, Routed, Worker, route};

/// What a handler does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conduct {
    Ignores,
    LooksOnly,
    TakesOnly,
    FailsAtOnce,
    FailsWithTheRoute,
    FailsLater,
    Panics,
    PanicsWithTheRoute,
    ForwardsToNobody,
    ForwardsToIgnorer,
    DropsItLater,
    /// From here on there is an answer.
    AnswersAndFails,
    AnswersLater,
    AnswersNextTime,
}

use Conduct::{
    AnswersAndFails, AnswersLater, AnswersNextTime, DropsItLater, FailsAtOnce, FailsLater,
    FailsWithTheRoute, ForwardsToIgnorer, ForwardsToNobody, Ignores, LooksOnly, Panics,
    PanicsWithTheRoute, TakesOnly,
};

struct Server {
    conduct: Conduct,
    kept: Option<Route>,
}

const PAUSE: Duration = Duration::from_millis(1);

impl Worker for Server {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        if let Some(kept) = self.kept.take() {
            ctx.send_message(kept, 1u8).await?;
            return Err(Error::other("of no concern to who asked before"));
        }
        match self.conduct {
            Ignores => return Ok(()),
            LooksOnly => {
                let _ = format!("{msg:?} on its way {}", msg.onward_route());
            }
            TakesOnly => drop(msg.take()),
            FailsAtOnce => return Err(Error::other("fails")),
            FailsWithTheRoute => {
                let back = msg.reply();
                return Err(Error::other(format!("was to answer {back}")));
            }
            FailsLater => {
                let back = msg.reply();
                drop(msg);
                ctx.sleep(PAUSE).await;
                return Err(Error::other(format!("was to answer {back}")));
            }
            Panics => panic!("panics"),
            PanicsWithTheRoute => panic!("was to answer {}", msg.reply()),
            ForwardsToNobody | ForwardsToIgnorer => return ctx.forward(msg).await,
            DropsItLater => {
                let own = ctx.detached()?;
                ctx.spawn(async move {
                    own.sleep(PAUSE).await;
                    drop(msg);
                });
            }
            AnswersAndFails => {
                ctx.send_message(msg.reply(), 1u8).await?;
                return Err(Error::other("fails"));
            }
            AnswersLater => {
                let (own, back) = (ctx.detached()?, msg.reply());
                ctx.spawn(async move {
                    own.sleep(PAUSE).await;
                    own.send_message(back, 1u8).await.expect("somebody waits");
                });
            }
            AnswersNextTime => self.kept = Some(msg.reply()),
        }
        Ok(())
    }
}

/// Asks a server of this conduct on a core of two. What comes of it, and how long that took.
fn ask(conduct: Conduct, core: usize) -> (Result<u8>, Duration) {
    let report = Sim::new(7).cores(2).run(async move |ctx: Context| {
        let server = |conduct| Server {
            conduct,
            kept: None,
        };
        ctx.start_worker_on(core, "server", server(conduct)).await?;
        ctx.start_worker("ignorer", server(Ignores)).await?;
        let way = match conduct {
            ForwardsToNobody => route!["server", "nobody"],
            ForwardsToIgnorer => route!["server", "ignorer"],
            _ => route!["server"],
        };
        let own = ctx.detached()?;
        if conduct == AnswersNextTime {
            ctx.spawn(async move {
                own.sleep(PAUSE).await;
                own.send_message("server", 0u8).await.expect("it is there");
            });
        }
        let answer = ctx.request::<u8>(way, 9u64).await;
        ctx.stop().await?;
        Ok(answer)
    });
    (report.output.expect("the program ends"), report.elapsed)
}

/// G3 for whoever asks.
#[test]
fn who_asks_is_told_at_once_that_nobody_will_answer() {
    for conduct in [
        Ignores,
        LooksOnly,
        TakesOnly,
        FailsAtOnce,
        FailsWithTheRoute,
        FailsLater,
        Panics,
        PanicsWithTheRoute,
        ForwardsToNobody,
        ForwardsToIgnorer,
        DropsItLater,
    ] {
        for core in 0..2 {
            let (answer, elapsed) = ask(conduct, core);
            let error = answer.expect_err("there is no answer");
            let is_told = matches!(
                error.kind(),
                ErrorKind::Dropped { .. } | ErrorKind::NotFound { .. }
            );
            assert!(is_told, "{conduct:?}: {error}");
            assert!(elapsed < Duration::from_secs(5), "{conduct:?}: {elapsed:?}");
        }
    }
}

#[test]
fn an_answer_that_comes_late_or_before_a_failure_is_what_counts() {
    for conduct in [AnswersAndFails, AnswersLater, AnswersNextTime] {
        for core in 0..2 {
            let (answer, _) = ask(conduct, core);
            let answer = answer.unwrap_or_else(|error| panic!("{conduct:?}: {error}"));
            assert_eq!(answer, 1, "{conduct:?}");
        }
    }
}

#[test]
fn who_asks_is_told_when_the_handler_is_cut_short() {
    struct Slow;

    impl Worker for Slow {
        type Message = u64;
        type Context = Context;

        async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
            let back = msg.reply();
            ctx.sleep(Duration::from_secs(20)).await;
            ctx.send_message(back, 1u8).await
        }
    }

    let report = Sim::new(3).cores(2).run(async |ctx: Context| {
        ctx.start_worker("slow", Slow).await?;
        let own = ctx.detached()?;
        ctx.spawn(async move {
            own.sleep(PAUSE).await;
            own.stop_worker_now("slow").await.expect("it is there");
        });
        let answer = ctx.request::<u8>("slow", 9u64).await;
        ctx.stop().await?;
        Ok(answer.map_err(|error| error.kind().clone()))
    });
    let answer = report.output.expect("the program ends");
    assert!(
        matches!(answer, Err(ErrorKind::Dropped { .. })),
        "{answer:?}"
    );
    assert!(report.elapsed < Duration::from_secs(5));
}

/// Keeps the way back of what it passes on, takes the answer that comes by, and answers itself.
#[derive(Default)]
struct Gateway {
    back: Option<Route>,
}

impl Worker for Gateway {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        let Some(back) = self.back.take() else {
            self.back = Some(msg.return_route());
            return ctx.forward(msg).await;
        };
        drop(msg.take());
        ctx.sleep(PAUSE).await;
        ctx.send_message(back, 1u8).await
    }
}

/// Passes everything on, both ways.
struct Hop;

impl Worker for Hop {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.forward(msg).await
    }
}

/// An answer that goes by others is not overtaken by the news that there is none.
#[test]
fn an_answer_that_comes_by_other_workers_is_what_counts() {
    for seed in 0..40 {
        let report = Sim::new(seed).cores(2).run(async |ctx: Context| {
            ctx.start_worker("gateway", Gateway::default()).await?;
            ctx.start_worker("hop", Hop).await?;
            let server = Server {
                conduct: AnswersAndFails,
                kept: None,
            };
            ctx.start_worker("server", server).await?;
            assert_eq!(ctx.request::<u8>(route!["hop", "server"], 9u64).await?, 1);
            let way = route!["gateway", "server"];
            assert_eq!(ctx.request::<u8>(way, 9u64).await?, 1);
            ctx.stop().await
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

/// Takes a request while it starts, and fails then.
struct Unready;

impl Worker for Unready {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        let msg = ctx.receive::<u64>().await?;
        Err(Error::other(format!("was to answer {}", msg.reply())))
    }
}

#[test]
fn who_asks_is_told_when_the_start_fails() {
    let report = Sim::new(5).run(async |ctx: Context| {
        let own = ctx.detached()?;
        ctx.spawn(async move {
            assert!(own.start_worker("unready", Unready).await.is_err());
        });
        ctx.yield_now().await;
        let answer = ctx.request::<u8>("unready", 9u64).await;
        ctx.stop().await?;
        Ok(answer.map_err(|error| error.kind().clone()))
    });
    let answer = report.output.expect("the program ends");
    assert!(
        matches!(answer, Err(ErrorKind::Dropped { .. })),
        "{answer:?}"
    );
    assert!(report.elapsed < Duration::from_secs(5));
}
