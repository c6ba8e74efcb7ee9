//! How workers start, end, receive and forward, on the deterministic driver.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Any, Context, Error, ErrorKind, Message, Reason, Result, Routed, Worker, route};
use ringpost_mailbox::sync::Mutex;

type Log = Arc<Mutex<Vec<String>>>;

/// Runs `main` on 1 to 4 cores with several seeds.
fn on_any_cores<F>(main: F)
where
    F: AsyncFnOnce(Context) -> Result<()> + Clone + Send + 'static,
{
    for seed in 0..12u16 {
        let report = Sim::new(u64::from(seed))
            .cores(1 + seed % 4)
            .run(main.clone());
        if let Err(error) = report.output {
            panic!("seed {seed}: {error}");
        }
    }
}

/// Writes down the calls it gets.
#[derive(Clone)]
struct Diary {
    log: Log,
    fail_initialize: bool,
    pause: Duration,
}

impl Diary {
    fn new(log: &Log) -> Self {
        Self {
            log: Arc::clone(log),
            fail_initialize: false,
            pause: Duration::ZERO,
        }
    }

    fn note(&self, entry: impl Into<String>) {
        self.log.lock().push(entry.into());
    }
}

impl Worker for Diary {
    type Message = String;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(self.pause).await;
        self.note("initialize");
        if self.fail_initialize {
            Err(Error::other("not today"))
        } else {
            Ok(())
        }
    }

    async fn shutdown(&mut self, _ctx: &mut Context) -> Result<()> {
        self.note("shutdown");
        Ok(())
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        ctx.sleep(self.pause).await;
        self.note(msg.as_str());
        match msg.as_str() {
            "fail" => Err(Error::other("asked to fail")),
            "stop yourself" => ctx.stop_worker(ctx.address()).await,
            "stop the node" => ctx.stop().await,
            _ => Ok(()),
        }
    }
}

/// Replies with what it got.
struct Echo;

impl Worker for Echo {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// Forwards without looking.
struct Hop;

impl Worker for Hop {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.forward(msg).await
    }
}

#[test]
fn start_resolves_after_initialize() {
    on_any_cores(async |ctx: Context| {
        let log = Log::default();
        let diary = Diary {
            pause: Duration::from_millis(5),
            ..Diary::new(&log)
        };
        ctx.start_worker("diary", diary).await?;
        assert_eq!(*log.lock(), ["initialize"]);
        ctx.stop().await
    });
}

#[test]
fn messages_sent_during_initialize_wait_for_it() {
    on_any_cores(async |ctx: Context| {
        let log = Log::default();
        let diary = Diary {
            pause: Duration::from_millis(5),
            ..Diary::new(&log)
        };
        let sender = ctx.detached()?;
        ctx.spawn(async move {
            sender.sleep(Duration::from_millis(1)).await;
            sender
                .send_message("diary", "early".to_string())
                .await
                .unwrap();
        });
        ctx.start_worker("diary", diary).await?;
        ctx.stop_worker("diary").await?;
        assert_eq!(*log.lock(), ["initialize", "early", "shutdown"]);
        ctx.stop().await
    });
}

#[test]
fn a_failed_initialize_frees_the_address() {
    on_any_cores(async |ctx: Context| {
        let log = Log::default();
        let failing = Diary {
            fail_initialize: true,
            ..Diary::new(&log)
        };
        let error = ctx.start_worker("diary", failing).await.unwrap_err();
        assert_eq!(error.to_string(), "not today");
        assert_eq!(*log.lock(), ["initialize", "shutdown"]);
        ctx.start_worker("diary", Diary::new(&log)).await?;
        ctx.stop().await
    });
}

#[test]
fn a_taken_address_is_refused_and_nothing_changes() {
    on_any_cores(async |ctx: Context| {
        ctx.start_worker("echo", Echo).await?;
        let log = Log::default();
        let error = ctx
            .start_worker("echo", Diary::new(&log))
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::AlreadyExists { .. }),
            "{error}"
        );
        let reply: String = ctx.request("echo", "still here".to_string()).await?;
        assert_eq!(reply, "still here");
        assert!(log.lock().is_empty());
        ctx.stop().await
    });
}

#[test]
fn bad_addresses_are_refused_with_the_reason() {
    on_any_cores(async |ctx: Context| {
        for name in ["", "~mine", "1#127.0.0.1:4000"] {
            let error = ctx.start_worker(name, Echo).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::InvalidAddress { .. }),
                "{name}: {error}"
            );
        }
        let error = ctx
            .send_message(ringpost::Route::new(), 1u64)
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::EmptyRoute);
        let error = ctx
            .send_message("1#127.0.0.1:4000", 1u64)
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::NoTransport { .. }),
            "{error}"
        );
        ctx.stop().await
    });
}

#[test]
fn stop_then_start_always_works() {
    on_any_cores(async |ctx: Context| {
        for round in 0..50 {
            ctx.start_worker("echo", Echo).await?;
            let reply: String = ctx.request("echo", format!("round {round}")).await?;
            assert_eq!(reply, format!("round {round}"));
            ctx.stop_worker("echo").await?;
        }
        let error = ctx.stop_worker("echo").await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::NotFound { .. }),
            "{error}"
        );
        ctx.stop().await
    });
}

#[test]
fn a_worker_started_again_gets_what_is_sent_to_it() {
    on_any_cores(async |ctx: Context| {
        for name in ["one", "two", "three", "four"] {
            for _ in 0..20 {
                let log = Log::default();
                ctx.start_worker(name, Diary::new(&log)).await?;
                ctx.send_message(name, "entry".to_string()).await?;
                ctx.stop_worker(name).await?;
                assert_eq!(*log.lock(), ["initialize", "entry", "shutdown"]);
            }
        }
        assert_eq!(ctx.handle().stats().undelivered_total(), 0);
        ctx.stop().await
    });
}

#[test]
fn stopping_drains_and_stopping_now_does_not() {
    on_any_cores(async |ctx: Context| {
        for (now, expected) in [(false, 6), (true, 2)] {
            let log = Log::default();
            let diary = Diary {
                pause: Duration::from_millis(10),
                ..Diary::new(&log)
            };
            ctx.start_worker("diary", diary).await?;
            for number in 0..4 {
                ctx.send_message("diary", number.to_string()).await?;
            }
            ctx.sleep(Duration::from_millis(5)).await;
            if now {
                ctx.stop_worker_now("diary").await?;
            } else {
                ctx.stop_worker("diary").await?;
            }
            assert_eq!(log.lock().len(), expected, "{:?}", log.lock());
            assert_eq!(log.lock().last().unwrap(), "shutdown");
        }
        ctx.stop().await
    });
}

#[test]
fn an_error_is_reported_and_the_worker_goes_on() {
    on_any_cores(async |ctx: Context| {
        let log = Log::default();
        ctx.start_worker("diary", Diary::new(&log)).await?;
        for word in ["fail", "go on"] {
            ctx.send_message("diary", word.to_string()).await?;
        }
        ctx.stop_worker("diary").await?;
        assert_eq!(*log.lock(), ["initialize", "fail", "go on", "shutdown"]);
        assert_eq!(ctx.handle().stats().total(|core| core.handler_errors), 1);
        ctx.stop().await
    });
}

#[test]
fn a_worker_may_stop_itself_and_the_node() {
    on_any_cores(async |mut ctx: Context| {
        let log = Log::default();
        ctx.start_worker("diary", Diary::new(&log)).await?;
        ctx.send_message("diary", "stop yourself".to_string())
            .await?;
        ctx.sleep(Duration::from_millis(1)).await;
        assert_eq!(*log.lock(), ["initialize", "stop yourself", "shutdown"]);
        ctx.start_worker("diary", Diary::new(&log)).await?;
        ctx.send_message("diary", "stop the node".to_string())
            .await?;
        let error = ctx.receive::<u64>().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Stopping);
        Ok(())
    });
}

#[test]
fn a_wrong_type_is_reported_with_both_names() {
    on_any_cores(async |ctx: Context| {
        ctx.start_worker("echo", Echo).await?;
        let error = ctx.request::<String>("echo", 7u64).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("String") && text.contains("u64"), "{text}");
        assert_eq!(ctx.handle().stats().undelivered(Reason::WrongType), 1);
        let reply: String = ctx.request("echo", "undisturbed".to_string()).await?;
        assert_eq!(reply, "undisturbed");
        ctx.stop().await
    });
}

#[test]
fn requests_end_in_a_reply_an_error_or_their_deadline() {
    on_any_cores(async |ctx: Context| {
        let log = Log::default();
        ctx.start_worker("slow", Slow).await?;
        let request = ctx.request::<u64>("slow", 7u64);
        let error = request.within(Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error}");
        ctx.start_worker("silent", Diary::new(&log)).await?;
        let request = ctx.request::<String>("silent", "hello".to_string());
        let error = request.await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Dropped { .. }), "{error}");
        let error = ctx
            .request::<String>("nobody", "hello".to_string())
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::NotFound { .. }),
            "{error}"
        );
        ctx.stop().await
    });
}

/// Replies when it is too late.
struct Slow;

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_millis(50)).await;
        ctx.send_message(msg.reply(), *msg).await
    }
}

#[test]
fn a_late_reply_is_counted_and_disturbs_nobody() {
    on_any_cores(async |mut ctx: Context| {
        ctx.start_worker("slow", Slow).await?;
        let early = ctx
            .request::<u64>("slow", 1u64)
            .within(Duration::from_millis(10))
            .await;
        assert!(early.is_err());
        let second: u64 = ctx.request("slow", 2u64).await?;
        assert_eq!(second, 2);
        assert_eq!(ctx.handle().stats().undelivered(Reason::LateReply), 1);
        let nothing = ctx
            .receive_timeout::<u64>(Duration::from_millis(1))
            .await
            .unwrap_err();
        assert!(
            matches!(nothing.kind(), ErrorKind::Timeout { .. }),
            "{nothing}"
        );
        ctx.stop().await
    });
}

#[test]
fn receive_leaves_other_types_queued() {
    on_any_cores(async |mut ctx: Context| {
        let me = ctx.address();
        ctx.send_message(&me, 1u64).await?;
        ctx.send_message(&me, "word".to_string()).await?;
        ctx.send_message(&me, 2u64).await?;
        assert_eq!(*ctx.receive::<String>().await?, "word");
        let second = ctx.receive_match::<u64, _>(|number| *number == 2).await?;
        assert_eq!(*second, 2);
        ctx.put_back(second);
        assert_eq!(*ctx.receive::<u64>().await?, 2);
        assert_eq!(*ctx.receive::<u64>().await?, 1);
        ctx.stop().await
    });
}

/// Receives inside its handler, and puts what it does not want back.
struct Picky {
    log: Log,
}

impl Worker for Picky {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        self.log.lock().push(format!("handled {msg}"));
        if msg.as_str() == "begin" {
            let number = ctx.receive::<u64>().await?;
            self.log.lock().push(format!("received {number}"));
            let other = ctx.receive::<String>().await?;
            self.log.lock().push(format!("put back {other}"));
            ctx.put_back(other);
        }
        Ok(())
    }
}

#[test]
fn a_worker_can_receive_inside_its_handler() {
    on_any_cores(async |ctx: Context| {
        let log = Log::default();
        ctx.start_worker(
            "picky",
            Picky {
                log: Arc::clone(&log),
            },
        )
        .await?;
        ctx.send_message("picky", "begin".to_string()).await?;
        ctx.send_message("picky", "other".to_string()).await?;
        ctx.send_message("picky", 7u64).await?;
        ctx.stop_worker("picky").await?;
        let expected = [
            "handled begin",
            "received 7",
            "put back other",
            "handled other",
        ];
        assert_eq!(*log.lock(), expected);
        ctx.stop().await
    });
}

#[test]
fn a_message_retraces_its_hops() {
    on_any_cores(async |mut ctx: Context| {
        for name in ["h1", "h2", "h3"] {
            ctx.start_worker(name, Hop).await?;
        }
        ctx.start_worker("echo", Echo).await?;
        ctx.send_message(route!["h1", "h2", "h3", "echo"], "hello".to_string())
            .await?;
        let reply = ctx.receive::<String>().await?;
        assert_eq!(*reply, "hello");
        assert_eq!(
            reply.return_route().to_string(),
            "0#h1 => 0#h2 => 0#h3 => 0#echo"
        );
        assert_eq!(reply.sender().to_string(), "0#echo");
        let asked: String = ctx
            .request(route!["h3", "h1", "echo"], "again".to_string())
            .await?;
        assert_eq!(asked, "again");
        let lost = ctx.request::<String>(route!["h1", "nobody"], "gone".to_string());
        let error = lost.within(Duration::from_secs(1)).await.unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::NotFound { .. } | ErrorKind::Timeout { .. }
            ),
            "{error}"
        );
        ctx.stop().await
    });
}

#[test]
fn detached_contexts_have_mailboxes_of_their_own() {
    on_any_cores(async |ctx: Context| {
        ctx.start_worker("echo", Echo).await?;
        let mut side = ctx.new_detached("side").await?;
        side.send_message("echo", "to the side".to_string()).await?;
        assert_eq!(*side.receive::<String>().await?, "to the side");
        ctx.send_message("side", 1u64).await?;
        assert_eq!(*side.receive::<u64>().await?, 1);
        let taken = ctx.new_detached("side").await;
        assert!(taken.is_err(), "the name is taken");
        drop(side);
        ctx.sleep(Duration::from_millis(1)).await;
        let again = ctx.new_detached("side").await?;
        drop(again);
        ctx.stop().await
    });
}

/// Says on which core it runs.
struct Where;

impl Worker for Where {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<()>) -> Result<()> {
        ctx.send_message(msg.reply(), ctx.core() as u64).await
    }
}

#[test]
fn workers_live_where_they_are_placed() {
    on_any_cores(async |ctx: Context| {
        ctx.start_worker("by-hash", Where).await?;
        let home = ctx.home("by-hash") as u64;
        assert_eq!(ctx.request::<u64>("by-hash", ()).await?, home);
        for core in 0..ctx.cores() {
            ctx.start_worker_on(core, "placed", Where).await?;
            assert_eq!(ctx.request::<u64>("placed", ()).await?, core as u64);
            ctx.stop_worker("placed").await?;
        }
        ctx.start_replicated("everywhere", || Where).await?;
        let handle = ctx.handle();
        for core in 0..ctx.cores() {
            let answer = handle.run_on(core, async |ctx: Context| {
                ctx.request::<u64>("everywhere", ()).await
            });
            assert_eq!(answer.await??, core as u64);
        }
        ctx.stop_worker("everywhere").await?;
        let gone = ctx.request::<u64>("everywhere", ()).await.unwrap_err();
        assert!(matches!(gone.kind(), ErrorKind::NotFound { .. }), "{gone}");
        let error = ctx.start_worker_on(99, "nowhere", Where).await.unwrap_err();
        let cores = ctx.cores();
        assert_eq!(*error.kind(), ErrorKind::NoSuchCore { core: 99, cores });
        let text = format!(
            "there is no core 99: the node has {cores}, numbered from 0; ask for one below {cores}"
        );
        assert_eq!(error.to_string(), text);
        let nowhere = handle.run_on(cores, async |_: Context| ());
        let kind = ErrorKind::NoSuchCore { core: cores, cores };
        assert_eq!(*nowhere.await.unwrap_err().kind(), kind);
        ctx.stop().await
    });
}

#[test]
fn time_is_virtual_and_exact_enough() {
    on_any_cores(async |ctx: Context| {
        let waits = [1u64, 5, 20, 1_000, 60_000, 3_600_000];
        for wait in waits {
            ctx.sleep(Duration::from_millis(wait)).await;
        }
        ctx.stop().await
    });
}

/// Sends back what it gets.
struct Mirror<M>(std::marker::PhantomData<fn() -> M>);

impl<M: Message> Worker for Mirror<M> {
    type Message = M;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<M>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// A payload of no whole number of words.
#[derive(Debug, Clone, PartialEq)]
struct Odd([u8; 21]);

ringpost::local_message!(Odd);

async fn comes_back<M: Message + Clone + PartialEq>(ctx: &mut Context, message: M) -> Result<()> {
    let name = std::any::type_name::<M>();
    let mirror = Mirror::<M>(std::marker::PhantomData);
    ctx.start_worker(name, mirror).await?;
    ctx.send_message(name, message.clone()).await?;
    assert!(
        *ctx.receive::<M>().await? == message,
        "{name}, as a message"
    );
    let answer: M = ctx.request(name, message.clone()).await?;
    assert!(answer == message, "{name}, as an answer");
    Ok(())
}

#[test]
fn payloads_that_are_no_whole_words_come_as_they_were_sent() {
    on_any_cores(async |mut ctx: Context| {
        comes_back(&mut ctx, true).await?;
        comes_back(&mut ctx, 0x81u8).await?;
        comes_back(&mut ctx, 0x8123u16).await?;
        comes_back(&mut ctx, 0x8123_4567u32).await?;
        comes_back(&mut ctx, Odd(std::array::from_fn(|at| at as u8 + 1))).await?;
        ctx.stop().await
    });
}
