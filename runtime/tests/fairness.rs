//! A worker that feeds itself without end does not starve the others of its core (G7).
//!
//! Virtual time stands still while a core handles messages, so what somebody waits is told by how many messages of
//! others are handled meanwhile.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::{Context, Limits, Node, Result, Route, Routed, Worker};
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

/// How many messages the greedy worker has handled.
type Count = Arc<AtomicU64>;

fn done<T>(report: Report<T>) -> T {
    let sent = report
        .stats
        .total(|core| core.sent_local + core.sent_remote);
    let ended = report.stats.total(|core| core.handled) + report.stats.undelivered_total();
    assert_eq!(sent, ended, "sent = handled + undelivered");
    report.output.expect("the main function succeeds")
}

/// Sends itself another message for each that it handles, as long as it may: its mailbox stays as full as it was.
struct Greedy {
    handled: Count,
    /// Messages that are still to come back.
    left: u64,
    last: u64,
    manner: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Plain,
    /// Its handler suspends now and then.
    Suspends,
    /// It sends itself an urgent message now and then, and asks `prompt` over it.
    Urges,
}

const URGENT: u64 = u64::MAX;

impl Greedy {
    fn new(handled: &Count, left: u64) -> Self {
        let handled = Arc::clone(handled);
        Self {
            handled,
            left,
            last: 0,
            manner: Manner::Plain,
        }
    }
}

impl Worker for Greedy {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg == URGENT {
            return ctx.request("prompt", 0u64).urgent().await;
        }
        assert!(*msg > self.last, "{} after {}", *msg, self.last);
        self.last = *msg;
        self.handled.fetch_add(1, Ordering::Relaxed);
        match self.manner {
            Manner::Suspends if msg.is_multiple_of(100) => ctx.yield_now().await,
            Manner::Urges if msg.is_multiple_of(200) => {
                ctx.try_send_urgent(ctx.address(), URGENT)?;
            }
            _ => {}
        }
        if self.left > 0 {
            self.left -= 1;
            let next = *msg + u64::from(Limits::default().mailbox_credits);
            ctx.try_send_message(ctx.address(), next)?;
        }
        Ok(())
    }
}

/// How many messages each of the greedy workers has handled.
type Counts = Vec<Count>;

/// Notes how many each of the greedy workers had handled when a message came.
struct Modest {
    greedy: Counts,
    seen: Arc<Mutex<Vec<Vec<u64>>>>,
}

impl Worker for Modest {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        self.seen.lock().push(of_each(&self.greedy));
        Ok(())
    }
}

fn of_each(counts: &[Count]) -> Vec<u64> {
    let counts = counts.iter();
    counts.map(|it| it.load(Ordering::Relaxed)).collect()
}

/// The most that any of them has handled between two moments.
fn most_between(before: &[u64], after: &[u64]) -> u64 {
    let each = before
        .iter()
        .zip(after)
        .map(|(before, after)| after - before);
    each.max().unwrap_or(0)
}

fn name_of(number: usize) -> String {
    format!("{{of one core}}greedy-{number}")
}

/// Fills the mailboxes of so many greedy workers, such that their messages alternate in the queue of their core.
fn fill(ctx: &Context, workers: usize) -> Result<()> {
    (1..=u64::from(Limits::default().mailbox_credits)).try_for_each(|message| {
        (0..workers).try_for_each(|it| ctx.try_send_message(name_of(it).as_str(), message))
    })
}

/// The most of one worker that a message of another may have to wait for.
fn two_bursts() -> u64 {
    2 * u64::from(Limits::default().worker_burst)
}

/// Takes messages and does nothing.
struct Quiet;

impl Worker for Quiet {
    type Message = u64;
    type Context = Context;
}

/// Answers at once.
struct Prompt;

impl Worker for Prompt {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), ()).await
    }
}

/// G7: who comes after full mailboxes that never get empty waits for two bursts of each, also where others have to be
/// waited for as well.
#[test]
fn g7_a_greedy_worker_delays_others_by_two_bursts_at_most() {
    let cases = [
        (1, 1, Manner::Plain),
        (2, 1, Manner::Suspends),
        (3, 2, Manner::Urges),
        (4, 7, Manner::Plain),
        (5, 7, Manner::Suspends),
    ];
    for (seed, workers, manner) in cases {
        for others in [0, 500] {
            let report = Sim::new(seed).run(async move |ctx: Context| {
                let (mut handled, seen) = (Counts::new(), Arc::default());
                for number in 0..workers {
                    let count = Count::default();
                    let greedy = Greedy {
                        manner,
                        ..Greedy::new(&count, 100_000)
                    };
                    ctx.start_worker(name_of(number), greedy).await?;
                    handled.push(count);
                }
                let modest = Modest {
                    greedy: handled.clone(),
                    seen: Arc::clone(&seen),
                };
                ctx.start_worker("modest", modest).await?;
                ctx.start_worker("prompt", Prompt).await?;
                for other in 0..others {
                    ctx.start_worker(format!("quiet-{other}"), Quiet).await?;
                }
                fill(&ctx, workers)?;
                // Who has filled them in one go would wait for all of that.
                ctx.yield_now().await;
                let mut delays = Vec::new();
                for number in 0..20u64 {
                    for other in 0..others {
                        ctx.send_message(format!("quiet-{other}"), number).await?;
                    }
                    let before = of_each(&handled);
                    ctx.send_message("modest", number).await?;
                    while seen.lock().is_empty() {
                        ctx.yield_now().await;
                    }
                    delays.extend(seen.lock().drain(..).map(|at| most_between(&before, &at)));
                }
                let is_greedy = |count: &u64| (1..100_000).contains(count);
                assert!(of_each(&handled).iter().all(is_greedy), "greedy to the end");
                let most = two_bursts();
                assert!(
                    delays.iter().all(|delay| *delay <= most),
                    "seed {seed}, {others} others: {delays:?}"
                );
                ctx.stop().await
            });
            done(report);
        }
    }
}

/// G7: a spawned future that yields has its next turn, however many messages there are.
#[test]
fn g7_messages_do_not_starve_futures() {
    let limits = Limits::default();
    let report = Sim::new(1).run(async move |ctx: Context| {
        let handled = Count::default();
        ctx.start_worker(name_of(0), Greedy::new(&handled, 100_000))
            .await?;
        fill(&ctx, 1)?;
        let polled = Count::default();
        let (of_others, own) = (Arc::clone(&polled), ctx.detached()?);
        ctx.spawn(async move {
            loop {
                of_others.fetch_add(1, Ordering::Relaxed);
                own.yield_now().await;
            }
        });
        // It yields until the next turn.
        let most = 2 * u64::from(limits.turn_messages);
        let mut before = handled.load(Ordering::Relaxed);
        for _ in 0..100 {
            ctx.yield_now().await;
            let now = handled.load(Ordering::Relaxed);
            assert!(
                now - before <= most,
                "{} messages between two polls",
                now - before
            );
            before = now;
        }
        assert!(
            polled.load(Ordering::Relaxed) >= 50,
            "the other future waits"
        );
        assert!(
            handled.load(Ordering::Relaxed) < 100_000,
            "it was greedy to the end"
        );
        ctx.stop().await
    });
    done(report);
}

/// G7: a timer that is due is fired in the next turn that has room for it, however many messages there are.
#[test]
fn g7_messages_do_not_starve_timers() {
    let mut limits = Limits::default();
    limits.timers_burst = 1;
    let report = Sim::new(1).limits(limits).run(async move |ctx: Context| {
        let handled = Count::default();
        ctx.start_worker(name_of(0), Greedy::new(&handled, 100_000))
            .await?;
        // All of them are due at the same time, and the first of them brings the messages.
        let fired: Arc<Mutex<Vec<u64>>> = Arc::default();
        let wait = Duration::from_millis(1);
        for _ in 0..6 {
            let (handled, fired) = (Arc::clone(&handled), Arc::clone(&fired));
            let own = ctx.detached()?;
            ctx.spawn(async move {
                own.sleep(wait).await;
                if fired.lock().is_empty() {
                    fill(&own, 1).expect("there is room for them");
                }
                fired.lock().push(handled.load(Ordering::Relaxed));
            });
        }
        ctx.sleep(2 * wait).await;
        let fired = std::mem::take(&mut *fired.lock());
        assert_eq!(fired.len(), 6);
        assert!(fired[5] > 0, "there were messages between: {fired:?}");
        let most = 2 * u64::from(limits.turn_messages);
        let is_near = |pair: &[u64]| pair[1] - pair[0] <= most;
        assert!(fired.windows(2).all(is_near), "{fired:?}");
        ctx.stop().await
    });
    done(report);
}

/// G7: a core that its own workers keep busy takes what comes from others each turn, and handles it.
#[test]
fn g7_remote_senders_have_their_share_of_a_busy_core() {
    const WORKERS: usize = 3;
    const MESSAGES: u64 = 2_000;
    let limits = Limits::default();
    let report = Sim::new(1).cores(2).run(async move |ctx: Context| {
        let node = ctx.handle();
        let seen = Arc::default();
        let handled: Counts = (0..WORKERS).map(|_| Count::default()).collect();
        let modest = Modest {
            greedy: handled.clone(),
            seen: Arc::clone(&seen),
        };
        let counts = handled.clone();
        let busy = async move |ctx: Context| {
            for (number, count) in counts.iter().enumerate() {
                let greedy = Greedy::new(count, 200_000);
                ctx.start_worker_on(1, name_of(number), greedy).await?;
            }
            ctx.start_worker_on(1, "modest", modest).await?;
            fill(&ctx, WORKERS)
        };
        node.run_on(1, busy).await??;
        for number in 0..MESSAGES {
            ctx.send_message("modest", number).await?;
        }
        while seen.lock().len() < MESSAGES as usize {
            ctx.yield_now().await;
        }
        let seen = std::mem::take(&mut *seen.lock());
        let gaps = seen.windows(2).map(|pair| most_between(&pair[0], &pair[1]));
        let longest = gaps.max().unwrap_or(0);
        // Others are looked at once a turn, in which each worker may be in the middle of its burst.
        let most = two_bursts() + u64::from(limits.turn_messages);
        assert!(
            longest <= most,
            "{longest} of one of its own between two from outside"
        );
        let total = most_between(&seen[0], &seen[MESSAGES as usize - 1]);
        assert!(
            total <= 2 * MESSAGES,
            "{total} of one of its own while {MESSAGES} from outside were handled"
        );
        let is_greedy = |count: &u64| (1..200_000).contains(count);
        assert!(of_each(&handled).iter().all(is_greedy), "greedy to the end");
        ctx.stop().await
    });
    done(report);
}

/// Notes whose message was handled.
struct Noting {
    number: usize,
    noted: Arc<Mutex<Vec<usize>>>,
}

impl Worker for Noting {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        self.noted.lock().push(self.number);
        Ok(())
    }
}

/// Stands for a moment at which messages were sent.
const SENT: usize = usize::MAX;

/// When so much has been noted, a message is sent to each of these at once.
type Sends = (usize, Vec<usize>);

/// Returns whose messages were handled by so many workers, one after the other, and between them when some were sent.
fn handled_of(workers: usize, sends: &[Sends]) -> Vec<usize> {
    let sends = sends.to_vec();
    let report = Sim::new(1).run(async move |ctx: Context| {
        let noted: Arc<Mutex<Vec<usize>>> = Arc::default();
        for number in 0..workers {
            let noted = Arc::clone(&noted);
            ctx.start_worker(name_of(number), Noting { number, noted })
                .await?;
        }
        let has = async |count| {
            while noted.lock().len() < count {
                ctx.yield_now().await;
            }
        };
        let mut all = 0;
        for (after, receivers) in sends {
            has(after).await;
            noted.lock().push(SENT);
            let mut receivers = receivers.iter();
            all += 1 + receivers.len();
            receivers.try_for_each(|it| ctx.try_send_message(name_of(*it), 0u64))?;
        }
        has(all).await;
        ctx.stop().await?;
        let noted = std::mem::take(&mut *noted.lock());
        Ok(noted)
    });
    done(report)
}

/// So many messages to these workers, which alternate after so many.
fn alternating(messages: usize, run: usize, workers: usize) -> Vec<usize> {
    (0..messages).map(|it| it / run % workers).collect()
}

/// The most messages of one of so many workers before that of the one behind them, since messages were last sent to it.
fn waited_for(workers: usize, handled: &[usize]) -> u64 {
    let first = handled.iter().position(|it| *it == workers);
    let until = &handled[..first.expect("it was handled")];
    let since = until.iter().rposition(|it| *it == SENT);
    let between = &until[since.expect("it was sent")..];
    let of = |worker| between.iter().filter(|it| **it == worker).count() as u64;
    (0..workers).map(of).max().unwrap_or(0)
}

/// G7: where nobody was sent more than the others, however much that is, all is handled in the order in which it came;
/// also where one of them was sent nothing before.
#[test]
fn g7_where_all_were_sent_as_much_messages_are_handled_as_they_came() {
    for run in [1, 16] {
        let (early, late) = (alternating(6_000, run, 6), alternating(7_000, run, 7));
        let handled = handled_of(7, &[(0, early.clone()), (6_001, late.clone())]);
        let handled: Vec<_> = handled.into_iter().filter(|it| *it != SENT).collect();
        assert!(handled[..6_000] == early, "runs of {run}");
        assert!(handled[6_000..] == late, "runs of {run}, and one is new");
    }
}

/// G7: who was sent more than a burst, but after others that were sent more, waits for two bursts of each of them.
#[test]
fn g7_who_was_sent_much_after_others_waits_for_two_bursts_of_each() {
    let receivers = [alternating(2_000, 1, 2), vec![2; 200]].concat();
    let waited = waited_for(2, &handled_of(3, &[(0, receivers)]));
    assert!(waited <= two_bursts(), "for {waited}");
}

/// G7: who is sent something while others work off as much, each as much as the others, waits for two bursts of each.
#[test]
fn g7_who_comes_late_waits_for_two_bursts_of_each_of_the_others() {
    for after in (1..1_500).step_by(100) {
        let sends = [(0, alternating(2_000, 1, 2)), (after, vec![2])];
        let waited = waited_for(2, &handled_of(3, &sends));
        assert!(waited <= two_bursts(), "for {waited} after {after}");
    }
}

/// Sends so many messages to each of its receivers, one after the other, in one handler.
struct Sender {
    to: Vec<Route>,
    each: u64,
    sent: Count,
}

impl Worker for Sender {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        for _ in 0..self.each {
            for route in &self.to {
                let number = self.sent.load(Ordering::Relaxed) + 1;
                ctx.send_message(route, number).await?;
                self.sent.store(number, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// G7: who sends to workers of many other cores, which have room for much more, leaves those of its own their turns.
#[test]
fn g7_a_worker_that_sends_to_many_cores_leaves_others_their_turns() {
    const CORES: usize = 8;
    for seed in 0..20 {
        let report = Sim::new(seed)
            .cores(CORES as u16)
            .run(async move |ctx: Context| {
                let each = u64::from(Limits::default().link_credits / 2);
                let (sent, handled) = (Count::default(), Count::default());
                let home = |core: usize, name: &str| {
                    let mut names = (0..).map(|tag| format!("{{{tag}}}{name}"));
                    names
                        .find(|name| ctx.home(name.as_str()) == core)
                        .expect("a name")
                };
                let mut to = Vec::new();
                for core in 1..CORES {
                    let name = home(core, "receiver");
                    ctx.start_worker(name.clone(), Greedy::new(&handled, 0))
                        .await?;
                    to.push(Route::from(name));
                }
                let here = ctx.home(ctx.address());
                let (sender, modest) = (home(here, "sender"), home(here, "modest"));
                let seen = Arc::<Mutex<Vec<Vec<u64>>>>::default();
                let greedy = vec![Arc::clone(&sent)];
                let its = Arc::clone(&seen);
                ctx.start_worker(modest.clone(), Modest { greedy, seen: its })
                    .await?;
                let worker = Sender {
                    to,
                    each,
                    sent: Arc::clone(&sent),
                };
                ctx.start_worker(sender.clone(), worker).await?;
                ctx.send_message(sender, 0u64).await?;
                ctx.send_message(modest, 0u64).await?;
                ctx.sleep(Duration::from_millis(1)).await;
                let seen = seen.lock()[0][0];
                let limits = Limits::default();
                // What it has published, and a batch for each core that it has not.
                let most = limits.worker_burst + limits.flush_slots * CORES as u32;
                let most = u64::from(most);
                assert!(
                    (1..=most).contains(&seen),
                    "seed {seed}: {seen} before the next"
                );
                assert_eq!(sent.load(Ordering::Relaxed), each * (CORES as u64 - 1));
                ctx.stop().await
            });
        done(report);
    }
}

/// G7: what each handler sends is its own: none waits for what the ones before it in the same turn have sent.
#[test]
fn g7_who_sends_little_to_other_cores_waits_for_nobody() {
    const MESSAGES: u64 = 16;
    for seed in 0..20 {
        let report = Sim::new(seed).cores(3).run(async move |ctx: Context| {
            let handled = Count::default();
            let here = ctx.home(ctx.address());
            let mut to = Vec::new();
            for core in (0..3).filter(|core| *core != here) {
                let name = format!("receiver-{core}");
                ctx.start_worker_on(core, name.as_str(), Greedy::new(&handled, 0))
                    .await?;
                to.push(Route::from(name));
            }
            let (each, sent) = (20, Count::default());
            let counted = Arc::clone(&sent);
            let sender = Sender {
                to,
                each,
                sent: counted,
            };
            ctx.start_worker_on(here, "sender", sender).await?;
            for _ in 0..MESSAGES {
                ctx.send_message("sender", 0u64).await?;
            }
            ctx.sleep(Duration::from_millis(1)).await;
            assert_eq!(sent.load(Ordering::Relaxed), 2 * each * MESSAGES);
            ctx.stop().await
        });
        // A start or a stop may have waited.
        let blocked = report.stats.total(|core| core.senders_blocked);
        assert!(blocked < MESSAGES / 4, "seed {seed}: {blocked}");
        done(report);
    }
}

/// Notes whose number came.
struct Listing(Arc<Mutex<Vec<u64>>>);

impl Worker for Listing {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0.lock().push(*msg);
        Ok(())
    }
}

/// Sends its number to the worker `listing`, as often as it is told to.
struct Numbered(u64);

impl Worker for Numbered {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let listing = Route::from("listing");
        for _ in 0..*msg {
            ctx.send_message(&listing, self.0).await?;
        }
        Ok(())
    }
}

/// G7: who waits for room of a worker on another core, with others who send on and on, waits for shares of theirs.
#[test]
fn g7_who_waits_for_a_worker_of_another_core_waits_for_shares_of_the_others() {
    // All of their shares are more than there are credits, so there is always somebody who waits.
    const SENDERS: u64 = 24;
    const EACH: u64 = 3_000;
    for seed in 0..10 {
        let report = Sim::new(seed).cores(2).run(async move |ctx: Context| {
            let listed = Arc::default();
            let listing = Listing(Arc::clone(&listed));
            ctx.start_worker_on(0, "listing", listing).await?;
            for number in 0..SENDERS {
                let name = format!("sender-{number}");
                ctx.start_worker_on(1, name, Numbered(number)).await?;
            }
            for number in 0..SENDERS {
                ctx.send_message(format!("sender-{number}"), EACH).await?;
            }
            while listed.lock().len() < (SENDERS * EACH) as usize {
                ctx.yield_now().await;
            }
            ctx.stop().await?;
            let listed = std::mem::take(&mut *listed.lock());
            Ok(listed)
        });
        let listed = done(report);
        // From where all wait for credits, and for nothing else any more, until somebody is done.
        let last = |number| listed.iter().rposition(|it| *it == number);
        let done = (0..SENDERS).filter_map(last).min().expect("all came");
        let listed = &listed[listed.len() / 8..done];
        assert!(listed.len() > 5_000, "they sent at the same time");
        let mut since = [[0u64; SENDERS as usize]; SENDERS as usize];
        for number in listed {
            for counts in &mut since {
                counts[*number as usize] += 1;
            }
            since[*number as usize] = [0; SENDERS as usize];
            let most = since.iter().flatten().max();
            // Four shares. While the ring is full each gets room for one, and when it no longer is, who was first comes again.
            let shares = u64::from(Limits::default().link_credits / 4);
            assert!(
                most.is_some_and(|most| *most <= shares),
                "seed {seed}: {since:?}"
            );
        }
    }
}

/// Hands on whatever comes; the first of the two notes how many came at most in one turn of its core, and ends it all.
struct Ball {
    to: &'static str,
    first: bool,
    turn: u64,
    came: u64,
    most: u64,
    left: u64,
}

impl Ball {
    fn note(&mut self, ctx: &Context) {
        let turn = ctx.handle().stats().cores[ctx.core()].turns;
        let came = if turn == self.turn { self.came } else { 0 };
        (self.turn, self.came) = (turn, came + 1);
        self.most = self.most.max(self.came);
        self.left -= 1;
    }
}

impl Worker for Ball {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if self.first && self.left > 0 {
            self.note(ctx);
            if self.left == 0 {
                ctx.send_message("app", self.most).await?;
            }
        }
        ctx.send_message(self.to, *msg).await
    }
}

/// G7: what a core that listens handles between two turns counts as of the first, so that timers have their look as soon.
#[test]
fn g7_what_is_handled_between_turns_is_no_more_than_a_turn_may() {
    for balls in [7u64, 8, 16] {
        let mut limits = Limits::default();
        (limits.turn_messages, limits.worker_burst) = (8, 8);
        let node = Node::builder().cores(2).pin(false).limits(limits);
        let told = Count::default();
        let most = Arc::clone(&told);
        let played = node.run(async move |mut ctx: Context| {
            for (core, name, to) in [(0, "one", "other"), (1, "other", "one")] {
                let ball = Ball {
                    to,
                    first: core == 0,
                    turn: 0,
                    came: 0,
                    most: 0,
                    left: 20_000,
                };
                ctx.start_worker_on(core, name, ball).await?;
            }
            for ball in 0..balls {
                ctx.send_message("one", ball).await?;
            }
            told.store(ctx.receive::<u64>().await?.take(), Ordering::Relaxed);
            ctx.stop().await
        });
        played.unwrap_or_else(|error| panic!("{error}"));
        let most = most.load(Ordering::Relaxed);
        assert!(
            most < 16,
            "{most} of {balls}, but a slice is all there may be more"
        );
    }
}
