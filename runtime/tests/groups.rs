//! Workers that are started, restarted and ended together (G14, G9).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::{
    Backoff, Context, DeadLetter, EndReason, Ended, Error, ErrorKind, Group, Limits, NodeStats,
    Outcome, Reason, Result, Routed, Supervision, Worker,
};
use ringpost_mailbox::sync::Mutex;

fn assert_balanced(stats: &NodeStats) {
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    let ended = stats.total(|core| core.handled) + stats.undelivered_total();
    assert_eq!(sent, ended, "sent = handled + undelivered: {stats:#?}");
}

fn done<T>(report: Report<T>) -> T {
    assert_balanced(&report.stats);
    report.output.expect("the main function succeeds")
}

/// What the workers have done: `+a` has begun, `a7` has handled 7, `-a` has shut down, `!a` was dropped.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, deed: String) {
        self.0.lock().push(deed);
    }

    fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock()).join(" ")
    }
}

const PANIC: u64 = 100;
const STOP: u64 = 101;
const FAIL: u64 = 102;
/// Takes an hour.
const SLEEP: u64 = 103;
/// Has the next of this name fail when it is to begin, or take an hour for that.
const SPOIL: u64 = 104;
const DELAY: u64 = 105;

struct Member {
    name: &'static str,
    diary: Diary,
    spoilt: Arc<Mutex<u64>>,
}

impl Worker for Member {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(Duration::from_micros(20)).await;
        let spoilt = std::mem::take(&mut *self.spoilt.lock());
        match spoilt {
            SPOIL => return Err(Error::other("spoilt")),
            DELAY => ctx.sleep(Duration::from_secs(3600)).await,
            _ => {}
        }
        self.diary.note(format!("+{}", self.name));
        Ok(())
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match *msg {
            PANIC => panic!("asked to"),
            FAIL => return Err(Error::other("asked to")),
            STOP => ctx.stop_worker(ctx.address()).await?,
            SLEEP => ctx.sleep(Duration::from_secs(3600)).await,
            how @ (SPOIL | DELAY) => *self.spoilt.lock() = how,
            number => self.diary.note(format!("{}{number}", self.name)),
        }
        Ok(())
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(Duration::from_micros(20)).await;
        self.diary.note(format!("-{}", self.name));
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.diary.note(format!("!{}", self.name));
    }
}

/// Builds one of that name.
fn member(
    name: &'static str,
    diary: &Diary,
    spoilt: &Arc<Mutex<u64>>,
) -> impl Fn() -> Member + Clone + Send + Sync + 'static {
    let (diary, spoilt) = (diary.clone(), Arc::clone(spoilt));
    move || Member {
        name,
        diary: diary.clone(),
        spoilt: Arc::clone(&spoilt),
    }
}

/// Three workers of that kind of group.
fn three(group: Group, diary: &Diary, supervision: &Supervision) -> Group {
    ["a", "b", "c"].into_iter().fold(group, |group, name| {
        let build = member(name, diary, &Arc::default());
        group.worker(name, supervision.clone(), build)
    })
}

async fn settle(ctx: &Context) {
    ctx.sleep(Duration::from_millis(500)).await;
}

/// G14: who is restarted with whom, in which order; what waits at each of them stays, in order.
#[test]
fn g14_a_group_restarts_those_it_says_in_order() {
    type Kind = fn() -> Group;
    let kinds: [(Kind, &str, &str); 3] = [
        (Group::one_for_one, "!b +b", "a1 b1 c1 a2 b2 c2"),
        (
            Group::one_for_all,
            "!b -c !c -a !a +a +b +c",
            "a1 b1 c1 a2 b2 c2",
        ),
        (Group::rest_for_one, "!b -c !c +b +c", "a1 b1 c1 a2 b2 c2"),
    ];
    for (kind, restarted, handled) in kinds {
        for seed in 0..20 {
            let report = Sim::new(seed).cores(3).run(async move |ctx: Context| {
                let diary = Diary::default();
                let group = three(kind(), &diary, &Supervision::transient());
                ctx.start_group("group", group).await?;
                assert_eq!(diary.take(), "+a +b +c");
                for name in ["b", "a", "c"] {
                    ctx.watch(name).await?;
                }
                ctx.send_message("b", PANIC).await?;
                for number in 1..3u64 {
                    for name in ["a", "b", "c"] {
                        ctx.send_message(name, number).await?;
                    }
                }
                settle(&ctx).await;
                let deeds = diary.take();
                let (mut numbers, others): (Vec<&str>, Vec<&str>) = deeds
                    .split(' ')
                    .partition(|deed| deed.ends_with(['1', '2']));
                let mut others = others;
                // The two of them come down at the same time where they do not wait for each other.
                assert!(others.contains(&"!b"));
                others.sort_by_key(|deed| *deed != "!b");
                assert_eq!(others.join(" "), restarted, "seed {seed}");
                for name in ["a", "b", "c"] {
                    let own: Vec<_> = numbers.iter().filter(|it| it.starts_with(name)).collect();
                    let own_in_order = own.len() == 2 && own[0] < own[1];
                    assert!(own_in_order, "seed {seed}: {deeds}");
                }
                numbers.sort_by_key(|it| (it.as_bytes()[1], it.as_bytes()[0]));
                assert_eq!(numbers.join(" "), handled);
                ctx.stop().await
            });
            assert_eq!(report.stats.undelivered(Reason::InHand), 1);
            assert_eq!(report.stats.undelivered_total(), 1);
            done(report);
        }
    }
}

/// G14: one that waits for its turn when it is taken down comes back, and so the others and the group go on.
#[test]
fn g14_a_group_takes_down_who_waits_for_its_turn() {
    for seed in 0..20 {
        let mut limits = Limits::default();
        (limits.worker_burst, limits.turn_messages) = (2, 4);
        let sim = Sim::new(seed).cores(1 + seed as u16 % 3).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            let diary = Diary::default();
            let supervision = Supervision::transient();
            let group = three(Group::one_for_all(), &diary, &supervision);
            let group = group.intensity(100, Duration::from_secs(1));
            ctx.start_group("group", group).await?;
            for _ in 0..5 {
                for number in 0..40 {
                    ctx.send_message("a", 1u64).await?;
                    ctx.send_message("c", 1u64).await?;
                    let fails = number == 20;
                    ctx.send_message("b", if fails { PANIC } else { 1u64 })
                        .await?;
                }
            }
            // It waits longer before each restart.
            ctx.sleep(Duration::from_secs(60)).await;
            diary.take();
            for name in ["a", "b", "c"] {
                ctx.send_message(name, 2u64).await?;
            }
            settle(&ctx).await;
            let deeds = diary.take();
            assert_eq!(deeds.matches('2').count(), 3, "seed {seed}: {deeds}");
            ctx.stop().await
        });
        done(report);
    }
}

/// G9: a group ends its workers in reverse order, each with what waits at it; also when the node stops.
#[test]
fn g9_a_group_ends_in_the_reverse_order() {
    for seed in 0..20 {
        for ends_node in [false, true] {
            let diary = Diary::default();
            let seen = diary.clone();
            let report = Sim::new(seed).cores(3).run(async move |mut ctx: Context| {
                let group = three(Group::one_for_one(), &diary, &Supervision::transient());
                ctx.start_group("group", group).await?;
                for name in ["a", "b", "c"] {
                    for number in 1..3u64 {
                        ctx.send_message(name, number).await?;
                    }
                }
                // What is on its way to one that ends meanwhile would be reported.
                ctx.sleep(Duration::from_micros(1)).await;
                if !ends_node {
                    ctx.stop_worker("group").await?;
                    for name in ["a", "b", "c", "group"] {
                        ctx.watch(name).await?;
                        let reason = &ctx.receive::<Ended>().await?.reason;
                        assert_eq!(*reason, EndReason::NotFound, "{name}");
                    }
                }
                ctx.stop().await
            });
            let deeds = seen.take();
            let ends: Vec<_> = deeds.split(' ').filter(|it| it.starts_with('-')).collect();
            assert_eq!(ends, ["-c", "-b", "-a"], "seed {seed}: {deeds}");
            assert_eq!(report.stats.undelivered_total(), 0, "seed {seed}");
            done(report);
        }
    }
}

/// G9: who is in a hurry, or out of time, does not wait for the order.
#[test]
fn g9_a_group_that_does_not_end_is_cut_short() {
    for seed in 0..20 {
        for hurry in [false, true] {
            let sim = Sim::new(seed).cores(2).drain(Duration::from_millis(50));
            let report = sim.run(async move |ctx: Context| {
                let diary = Diary::default();
                let group = three(Group::one_for_all(), &diary, &Supervision::transient());
                ctx.start_group("group", group).await?;
                for name in ["a", "b", "c"] {
                    ctx.send_message(name, SLEEP).await?;
                    ctx.send_message(name, 1u64).await?;
                }
                settle(&ctx).await;
                match hurry {
                    true => ctx.stop_now().await,
                    false => ctx.stop().await,
                }
            });
            assert!(
                report.elapsed < Duration::from_secs(2),
                "{:?}",
                report.elapsed
            );
            assert_eq!(
                report.stats.undelivered(Reason::NodeStopped),
                3,
                "seed {seed}"
            );
            done(report);
        }
    }
}

/// What keeps a group from its end when that is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Obstacle {
    Handlers([bool; 3]),
    /// One that has failed takes an hour to come back.
    Comeback,
    /// One that takes an hour to begin, and the group with it.
    Start,
}

async fn bring_about(obstacle: Obstacle, diary: &Diary, ctx: &Context) -> Result<()> {
    let inner = three(Group::rest_for_one(), diary, &Supervision::transient());
    let late = Arc::new(Mutex::new(DELAY));
    let build = member("d", diary, &late);
    let group = Group::one_for_all().group("inner", inner);
    if obstacle == Obstacle::Start {
        let group = group.worker("d", Supervision::transient(), build);
        let starter = ctx.detached()?;
        ctx.spawn(async move {
            let started = starter.start_group("group", group).await;
            assert_eq!(*started.unwrap_err().kind(), ErrorKind::Stopping);
        });
    } else {
        ctx.start_group("group", group).await?;
    }
    settle(ctx).await;
    match obstacle {
        Obstacle::Handlers(busy) => {
            for (name, _) in ["a", "b", "c"].into_iter().zip(busy).filter(|it| it.1) {
                ctx.send_message(name, SLEEP).await?;
            }
        }
        Obstacle::Comeback => {
            ctx.send_message("b", DELAY).await?;
            ctx.send_message("b", PANIC).await?;
        }
        Obstacle::Start => {}
    }
    settle(ctx).await;
    Ok(())
}

/// G9: a group has ended when its workers have, and their addresses are free, also when it is out of time.
#[test]
fn g9_the_end_of_a_group_is_that_of_its_workers() {
    let busy = [
        [false, false, true],
        [true, false, false],
        [true, true, true],
    ];
    let others = [Obstacle::Comeback, Obstacle::Start];
    for obstacle in busy.map(Obstacle::Handlers).into_iter().chain(others) {
        for (seed, hurry) in (0..20).flat_map(|seed| [(seed, false), (seed, true)]) {
            let sim = Sim::new(seed).cores(1 + seed as u16 % 3);
            let report = sim.run(async move |ctx: Context| {
                let diary = Diary::default();
                bring_about(obstacle, &diary, &ctx).await?;
                diary.take();
                match hurry {
                    true => ctx.stop_worker_now("group").await?,
                    false => ctx.stop_worker("group").await?,
                }
                let deeds = diary.take();
                let what = format!("{obstacle:?}, hurry {hurry}, seed {seed}: {deeds}");
                if matches!(obstacle, Obstacle::Handlers(_)) {
                    assert_eq!(deeds.matches('!').count(), 3, "{what}");
                    assert!(!hurry || deeds == "-c !c -b !b -a !a", "{what}");
                }
                for name in ["d", "c", "b", "a", "inner", "group"] {
                    let again = member(name, &diary, &Arc::default());
                    let started = ctx.start_worker(name, again()).await;
                    assert!(started.is_ok(), "{name}: {started:?}, {what}");
                }
                settle(&ctx).await;
                assert!(!diary.take().contains('!'), "the new ones live, {what}");
                ctx.stop().await
            });
            assert!(report.elapsed < Duration::from_secs(10), "{obstacle:?}");
            let panics = report.stats.total(|core| core.panics);
            assert_eq!(panics, u64::from(obstacle == Obstacle::Comeback));
            done(report);
        }
    }
}

/// G14: what the workers of a group and its leader tell each other is nobody's message: not when it comes too late,
/// nor when what the leader does about it is cancelled.
#[test]
fn g14_what_a_leader_is_told_is_never_reported() {
    for seed in 0..20 {
        for how in 0..4 {
            let reported: Diary = Diary::default();
            let (by_hook, by_letter) = (reported.clone(), reported.clone());
            let sim = Sim::new(seed).cores(2).dead_letters("letters");
            let sim = sim.on_undelivered(move |it| by_hook.note(it.type_name.to_owned()));
            let report = sim.run(async move |ctx: Context| {
                let diary = Diary::default();
                ctx.start_worker("letters", Letters(by_letter)).await?;
                let wait = Backoff {
                    first: Duration::from_secs(3600),
                    most: Duration::from_secs(3600),
                };
                let inner = three(Group::one_for_one(), &diary, &Supervision::transient());
                let build = member("d", &diary, &Arc::default());
                let group = Group::one_for_all()
                    .group("inner", inner.backoff(wait))
                    .worker("d", Supervision::transient(), build);
                ctx.start_group("group", group).await?;
                for name in ["a", "b", "c"] {
                    ctx.send_message(name, PANIC).await?;
                }
                settle(&ctx).await;
                match how {
                    // The inner leader is taken down while it deals with the first of these.
                    0 => ctx.send_message("d", PANIC).await?,
                    1 => ctx.stop_worker_now("group").await?,
                    2 => ctx.stop_worker_now("inner").await?,
                    _ => return ctx.stop_now().await,
                }
                settle(&ctx).await;
                ctx.stop().await
            });
            let deeds = reported.take();
            let mut types: Vec<_> = deeds.split(' ').collect();
            types.retain(|name| *name != "u64");
            assert!(types.is_empty(), "how {how}, seed {seed}: {types:?}");
            let lost = report.stats.undelivered_total();
            assert_eq!(lost, if how == 0 { 4 } else { 3 }, "how {how}, seed {seed}");
            done(report);
        }
    }
}

struct Letters(Diary);

impl Worker for Letters {
    type Message = DeadLetter;
    type Context = Context;

    async fn handle_message(&mut self, _: &mut Context, msg: Routed<DeadLetter>) -> Result<()> {
        self.0.note(msg.undelivered.type_name.to_owned());
        Ok(())
    }
}

/// G14: a sibling whose handler is suspended is cancelled, and its message reported.
#[test]
fn g14_a_sibling_is_cancelled_and_its_message_reported() {
    for seed in 0..20 {
        let report = Sim::new(seed).cores(2).run(async move |ctx: Context| {
            let diary = Diary::default();
            let group = three(Group::one_for_all(), &diary, &Supervision::transient());
            ctx.start_group("group", group).await?;
            for (name, number) in [("a", SLEEP), ("a", 1), ("b", PANIC), ("a", 2)] {
                ctx.send_message(name, number).await?;
            }
            settle(&ctx).await;
            let deeds = diary.take();
            assert!(deeds.contains("a1 a2"), "seed {seed}: {deeds}");
            ctx.stop().await
        });
        assert_eq!(report.stats.undelivered(Reason::InHand), 2, "seed {seed}");
        assert_eq!(report.stats.undelivered_total(), 2, "seed {seed}");
        done(report);
    }
}

/// G14: a group that fails too often, or whose worker takes it along, ends with all of them.
#[test]
fn g14_a_group_that_fails_too_often_ends() {
    for seed in 0..20 {
        for (how, terms) in [
            (PANIC, Supervision::transient()),
            (FAIL, Supervision::transient().on_error(Outcome::Escalate)),
        ] {
            let report = Sim::new(seed).cores(2).run(async move |mut ctx: Context| {
                let diary = Diary::default();
                let group = three(Group::one_for_one(), &diary, &terms);
                ctx.start_group("group", group).await?;
                ctx.watch("group").await?;
                let times = if how == PANIC { 4 } else { 1 };
                for name in ["a", "b", "c", "a"].into_iter().take(times) {
                    ctx.send_message(name, how).await?;
                }
                let ended = ctx.receive::<Ended>().await?;
                assert!(
                    matches!(ended.reason, EndReason::Failed { .. }),
                    "{ended:?}"
                );
                for name in ["a", "b", "c"] {
                    let gone = ctx.request::<u64>(name, 1u64).await.unwrap_err();
                    assert!(matches!(gone.kind(), ErrorKind::NotFound { .. }), "{gone}");
                }
                assert!(!ctx.handle().is_stopping());
                let group = three(Group::one_for_one().escalate(), &diary, &terms);
                ctx.start_group("group", group.intensity(0, Duration::from_secs(1)))
                    .await?;
                ctx.send_message("a", how).await?;
                let error = ctx.receive::<Ended>().await.unwrap_err();
                assert_eq!(*error.kind(), ErrorKind::Stopping);
                Ok(())
            });
            done(report);
        }
    }
}

/// G14: a worker that cannot come back is one more failure of the group; one that has left is not missed.
#[test]
fn g14_a_group_goes_on_without_those_who_leave() {
    for seed in 0..20 {
        let report = Sim::new(seed).cores(2).run(async move |mut ctx: Context| {
            let diary = Diary::default();
            let group = three(Group::one_for_all(), &diary, &Supervision::transient());
            ctx.start_group("group", group).await?;
            ctx.watch("a").await?;
            ctx.send_message("a", STOP).await?;
            assert_eq!(ctx.receive::<Ended>().await?.reason, EndReason::Stopped);
            settle(&ctx).await;
            diary.take();
            ctx.send_message("c", SPOIL).await?;
            settle(&ctx).await;
            ctx.send_message("b", PANIC).await?;
            settle(&ctx).await;
            // The one that could not begin is shut down like any other.
            let deeds = diary.take();
            assert!(deeds.ends_with("+b +c"), "seed {seed}: {deeds}");
            assert_eq!(deeds.matches("+b").count(), 2, "seed {seed}: {deeds}");
            ctx.send_message("b", PANIC).await?;
            settle(&ctx).await;
            assert!(!ctx.handle().is_stopping());
            ctx.send_message("c", PANIC).await?;
            ctx.watch("group").await?;
            let ended = ctx.receive::<Ended>().await?;
            assert!(
                matches!(ended.reason, EndReason::Failed { .. }),
                "{ended:?}"
            );
            ctx.stop().await
        });
        done(report);
    }
}

/// G14: two that fail at the same time are restarted once; one that is stopped while it comes back is not waited for.
#[test]
fn g14_a_group_restarts_once_for_failures_at_the_same_time() {
    let report = Sim::new(1).run(async move |ctx: Context| {
        let diary = Diary::default();
        let group = three(Group::one_for_all(), &diary, &Supervision::transient());
        let group = group.intensity(1, Duration::from_secs(60));
        ctx.start_group("group", group).await?;
        diary.take();
        for name in ["a", "b", "c"] {
            ctx.send_message(name, PANIC).await?;
        }
        settle(&ctx).await;
        let deeds = diary.take();
        assert!(deeds.ends_with("+a +b +c"), "{deeds}");
        ctx.stop().await
    });
    assert_eq!(report.stats.total(|core| core.workers_restarted), 3);
    done(report);
    for seed in 0..20 {
        done(Sim::new(seed).cores(2).run(async move |ctx: Context| {
            let diary = Diary::default();
            let group = three(Group::one_for_one(), &diary, &Supervision::transient());
            ctx.start_group("group", group).await?;
            diary.take();
            ctx.send_message("b", DELAY).await?;
            ctx.send_message("b", PANIC).await?;
            settle(&ctx).await;
            ctx.stop_worker("b").await?;
            ctx.send_message("a", PANIC).await?;
            settle(&ctx).await;
            let deeds = diary.take();
            assert!(deeds.ends_with("!a +a"), "seed {seed}: {deeds}");
            ctx.stop().await
        }));
    }
}

/// G14: a group within a group is one of its workers.
#[test]
fn g14_a_group_that_fails_is_restarted_by_the_group_it_belongs_to() {
    for seed in 0..20 {
        let report = Sim::new(seed).cores(3).run(async move |mut ctx: Context| {
            let diary = Diary::default();
            let inner = three(Group::one_for_one(), &diary, &Supervision::transient());
            let inner = inner.intensity(1, Duration::from_secs(60));
            let outer = Group::one_for_all().group("inner", inner);
            ctx.start_group("outer", outer).await?;
            ctx.watch("inner").await?;
            ctx.watch("outer").await?;
            diary.take();
            for _ in 0..2 {
                ctx.send_message("b", PANIC).await?;
                settle(&ctx).await;
            }
            let deeds = diary.take();
            assert_eq!(deeds, "!b +b !b -c !c -a !a +a +b +c", "seed {seed}");
            let ended = ctx.receive_timeout::<Ended>(Duration::ZERO).await;
            assert!(ended.is_err(), "a restart is no end");
            // Three restarts of the inner group are too many for the outer one.
            for _ in 0..8 {
                let _ = ctx.send_message("b", PANIC).await;
                ctx.sleep(Duration::from_millis(200)).await;
            }
            for _ in 0..2 {
                ctx.receive::<Ended>().await?;
            }
            let deeds = diary.take();
            assert!(deeds.ends_with("-a !a"), "seed {seed}: {deeds}");
            ctx.stop().await
        });
        done(report);
    }
}

/// G14: a group of which one cannot start does not start, and leaves nothing behind.
#[test]
fn g14_a_group_starts_whole_or_not_at_all() {
    for seed in 0..20 {
        let report = Sim::new(seed).cores(2).run(async move |ctx: Context| {
            let diary = Diary::default();
            let group = || three(Group::one_for_one(), &diary, &Supervision::transient());
            let taken = ctx.new_detached("c").await?;
            let error = ctx.start_group("group", group()).await.unwrap_err();
            let taken_too = matches!(error.kind(), ErrorKind::AlreadyExists { .. });
            assert!(taken_too, "{error}");
            assert_eq!(diary.take(), "+a +b -b !b -a !a", "seed {seed}");
            drop(taken);
            settle(&ctx).await;
            ctx.start_group("group", group()).await?;
            ctx.stop().await
        });
        done(report);
    }
}
