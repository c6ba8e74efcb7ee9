//! Messages that follow each other to another core on the short way, and what ends it.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{CodecError, Context, ErrorKind, Limits, Message, Result, Route, Routed, Worker};
use ringpost_mailbox::cell::MessageCell;
use ringpost_mailbox::sync::{Arc, Mutex, thread_local};
use ringpost_router::Body;

/// Says on which core it runs.
struct Where;

impl Worker for Where {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<()>) -> Result<()> {
        ctx.send_message(msg.reply(), ctx.core() as u64).await
    }
}

/// A name that lives on another core than the caller.
fn name_elsewhere(ctx: &Context) -> String {
    let mut names = (0u32..).map(|number| format!("name-{number}"));
    names
        .find(|name| ctx.home(name.as_str()) != ctx.core())
        .unwrap_or_default()
}

async fn cores_of_three(ctx: &mut Context, name: &str) -> Result<Vec<u64>> {
    for _ in 0..3 {
        ctx.send_message(name, ()).await?;
    }
    let mut cores = Vec::new();
    for _ in 0..3 {
        cores.push(ctx.receive::<u64>().await?.take());
    }
    Ok(cores)
}

/// What was found by a name is looked up again when somebody who would be preferred has come to this core.
#[test]
fn a_stream_to_a_name_ends_when_an_instance_comes_to_its_own_core() {
    for seed in 0..12 {
        let report = Sim::new(seed).cores(2).run(async |mut ctx: Context| {
            let name = name_elsewhere(&ctx);
            let (here, there) = (ctx.core() as u64, 1 - ctx.core() as u64);
            ctx.start_worker(name.as_str(), Where).await?;
            assert_eq!(cores_of_three(&mut ctx, &name).await?, [there; 3]);
            // There, so that nothing but the instance comes to this core, and nothing goes from it.
            let name_there = name.clone();
            let handle = ctx.handle();
            let replaced = handle.run_on(there as usize, async move |ctx: Context| {
                ctx.stop_worker(name_there.as_str()).await?;
                ctx.start_replicated(name_there, || Where).await
            });
            replaced.await??;
            assert_eq!(cores_of_three(&mut ctx, &name).await?, [here; 3]);
            ctx.stop().await
        });
        report.output.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// G4: what a stream was lent and has not used is there for others.
#[test]
fn g4_a_stream_that_is_cut_short_gives_its_credits_back() {
    let mut limits = Limits::default();
    limits.link_credits = 12;
    let sim = Sim::new(5).cores(2).limits(limits);
    let report = sim.run(async |mut ctx: Context| {
        // The tag keeps both on one core.
        let mut tags = (0u32..).map(|tag| format!("{{{tag}}}-"));
        let tag = tags.find(|tag| ctx.home(format!("{tag}a")) != ctx.core());
        let names = ["a", "b"].map(|name| tag.clone().unwrap_or_default() + name);
        for name in &names {
            ctx.start_worker(name.as_str(), Where).await?;
        }
        for name in names.iter().cycle().take(20) {
            cores_of_three(&mut ctx, name).await?;
        }
        // All is paid before a sleep.
        ctx.sleep(Duration::from_millis(1)).await;
        for name in &names {
            for number in 0..12 {
                let sent = ctx.try_send_message(name.as_str(), ());
                sent.unwrap_or_else(|error| panic!("message {number} of a window: {error}"));
            }
            let over = ctx.try_send_message(name.as_str(), ()).unwrap_err();
            assert!(matches!(over.kind(), ErrorKind::Full { .. }), "{over}");
        }
        ctx.stop().await
    });
    report.output.unwrap_or_else(|error| panic!("{error}"));
}

/// Takes all there is.
struct Sink;

impl Worker for Sink {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<()>) -> Result<()> {
        Ok(())
    }
}

/// Sends bursts of many lengths, now to one worker and now to another.
struct Alternating(u64);

impl Worker for Alternating {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for burst in self.0..self.0 + *msg {
            for name in ["sink-0", "sink-1"] {
                for _ in 0..=(burst * 37) % 83 {
                    ctx.send_message(name, ()).await?;
                }
            }
        }
        Ok(())
    }
}

/// G4: who has waited is lent credits for more than a batch; what is left of them when the stream ends is there for others.
#[test]
fn g4_what_a_stream_has_kept_for_later_batches_goes_back() {
    for seed in 0..12 {
        let mut limits = Limits::default();
        limits.link_credits = [96, 160, 512][seed as usize % 3];
        limits.flush_slots = 1 + seed as u32 % 5;
        let sim = Sim::new(seed).cores(2).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            for number in 0..2 {
                ctx.start_worker_on(0, format!("sink-{number}"), Sink)
                    .await?;
            }
            for number in 0..8 {
                let name = format!("alternating-{number}");
                ctx.start_worker_on(1, name.as_str(), Alternating(number))
                    .await?;
                ctx.send_message(name, 60u64).await?;
            }
            // All is handled and paid before a sleep.
            ctx.sleep(Duration::from_millis(50)).await;
            let window = async move |ctx: Context| {
                let sends = (0..limits.link_credits).map(|_| ctx.try_send_message("sink-0", ()));
                sends.take_while(Result::is_ok).count()
            };
            let window = ctx.handle().run_on(1, window).await?;
            ctx.stop().await?;
            Ok(window)
        });
        assert_eq!(report.stats.total(|core| core.panics), 0, "seed {seed}");
        let window = report.output.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(window, limits.link_credits as usize, "seed {seed}");
    }
}

/// Sends a number on, one less.
struct Player(String);

impl Worker for Player {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match msg.checked_sub(1) {
            Some(left) => ctx.send_message(self.0.as_str(), left).await,
            None => Ok(()),
        }
    }
}

/// G4: where two cores take turns, what the next answer needs is lent before there is one. If somebody else sends first, it is there
/// for him.
#[test]
fn g4_a_credit_that_is_lent_to_the_next_answer_is_there_for_others() {
    for seed in 0..12 {
        let mut limits = Limits::default();
        limits.link_credits = 12;
        let sim = Sim::new(seed).cores(2).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            let names = [0, 1].map(|core| {
                let mut names = (0..).map(|number| format!("player-{number}"));
                names
                    .find(|name| ctx.home(name.as_str()) == core)
                    .unwrap_or_default()
            });
            for (name, other) in names.iter().zip(names.iter().rev()) {
                ctx.start_worker(name.as_str(), Player(other.clone()))
                    .await?;
            }
            ctx.send_message(names[0].as_str(), 50 + seed % 2).await?;
            // All is paid before a sleep.
            ctx.sleep(Duration::from_millis(20)).await;
            let mut windows = Vec::new();
            for (core, name) in names.into_iter().rev().enumerate() {
                let window = async move |ctx: Context| {
                    let sends = (0..99).map(|_| ctx.try_send_message(name.as_str(), 0u64));
                    sends.take_while(Result::is_ok).count()
                };
                windows.push(ctx.handle().run_on(core, window).await?);
            }
            ctx.stop().await?;
            Ok(windows)
        });
        let windows = report.output.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(windows, [12, 12], "seed {seed}");
    }
}

/// Takes numbers in the order in which each sender counts, and tells the sum.
struct InOrder {
    next: Vec<u64>,
    left: u64,
}

impl Worker for InOrder {
    type Message = (u64, u64);
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<(u64, u64)>) -> Result<()> {
        let (sender, number) = *msg;
        let next = &mut self.next[sender as usize];
        assert_eq!(number, *next, "the order of sender {sender}");
        *next += 1;
        self.left -= 1;
        if self.left == 0 {
            ctx.send_message("app", self.next.iter().sum::<u64>())
                .await?;
        }
        Ok(())
    }
}

/// Sends bursts of different lengths to two receivers in turn; each other sender waits only where it is refused.
struct Bursts(u64);

impl Bursts {
    async fn send(&self, ctx: &Context, to: &str, number: u64) -> Result<()> {
        let message = (self.0, number);
        if self.0 % 2 == 1 {
            match ctx.try_send_message(to, message) {
                Ok(()) => return Ok(()),
                Err(error) if matches!(error.kind(), ErrorKind::Full { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        ctx.send_message(to, message).await
    }
}

impl Worker for Bursts {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let (mut sent, mut burst) = ([0; 2], 0);
        while sent != [*msg; 2] {
            burst += 1;
            for (to, sent) in sent.iter_mut().enumerate() {
                for _ in 0..(1 + burst % 7).min(*msg - *sent) {
                    self.send(ctx, &format!("in-order-{to}"), *sent).await?;
                    *sent += 1;
                }
            }
        }
        Ok(())
    }
}

const SENDERS: u64 = 9;
const EACH: u64 = 500;

/// G1, G4: whatever a stream was lent is used or given back, and what it sent is counted.
#[test]
fn g1_streams_of_all_lengths_keep_their_order_and_lose_no_credit() {
    for seed in 0..40 {
        let mut limits = Limits::default();
        // Of 200 those who wait get 12 at a time.
        limits.link_credits = [1, 3, 12, 40, 200][seed as usize % 5];
        limits.ring_slots = 8 << (seed % 3 + seed % 2);
        limits.flush_slots = 1 + seed as u32 % 16;
        let sim = Sim::new(seed).cores(3).limits(limits);
        let report = sim.run(async |mut ctx: Context| {
            for to in 0..2 {
                let next = vec![0; SENDERS as usize];
                let left = SENDERS * EACH;
                ctx.start_worker(format!("in-order-{to}"), InOrder { next, left })
                    .await?;
            }
            for sender in 0..SENDERS {
                ctx.start_worker(format!("bursts-{sender}"), Bursts(sender))
                    .await?;
                ctx.send_message(format!("bursts-{sender}"), EACH).await?;
            }
            for _ in 0..2 {
                assert_eq!(*ctx.receive::<u64>().await?, SENDERS * EACH);
            }
            ctx.stop().await
        });
        report.output.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.stats.undelivered_total(), 0);
        let cores = &report.stats.cores;
        for (from, core) in cores.iter().enumerate() {
            for (to, pair) in core.pairs.iter().enumerate() {
                let received = cores[to].pairs[from].received;
                assert_eq!(pair.sent, received, "seed {seed}: from {from} to {to}");
            }
            let sent: u64 = core.pairs.iter().map(|pair| pair.sent).sum();
            assert_eq!(core.sent_remote, sent, "seed {seed}");
        }
    }
}

thread_local! {
    /// Sends a word aside when a number is about to travel.
    static ASIDE: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// A number that says something else on its way out, as one may that is logged there.
#[derive(Clone, Copy)]
struct Talkative(u64);

impl Message for Talkative {
    fn encode(&self, _out: &mut Vec<u8>) -> std::result::Result<(), CodecError> {
        Err(CodecError::not_encodable("Talkative"))
    }

    fn decode(_bytes: &[u8]) -> std::result::Result<Self, CodecError> {
        Err(CodecError::not_encodable("Talkative"))
    }

    fn into_body(self) -> Body {
        ASIDE.with_borrow(|aside| {
            let said = aside.as_ref().filter(|_| self.0.is_multiple_of(3));
            let said = said.map(|aside| aside.try_send_message("listener", Aside(self.0)));
            assert!(said.is_none_or(|said| said.is_ok()), "there is room");
        });
        MessageCell::new(self)
    }
}

/// What it says.
struct Aside(u64);

ringpost::local_message!(Aside);

/// Notes all that it is sent; first it tells somebody, by his name if he has one, how many there are to be.
struct Notes<M> {
    asks: Option<&'static str>,
    notes: Arc<Mutex<Vec<u64>>>,
    number: fn(&M) -> u64,
}

const SAID: u64 = 300;

impl<M: Message> Worker for Notes<M> {
    type Message = M;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        match self.asks {
            Some(asked) => ctx.send_message(asked, SAID).await,
            None => Ok(()),
        }
    }

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<M>) -> Result<()> {
        self.notes.lock().push((self.number)(&msg));
        Ok(())
    }
}

/// Sends so many numbers to the place of who wants them.
struct Speaker;

impl Worker for Speaker {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let route = msg.return_route();
        ASIDE.set(Some(ctx.detached()?));
        for number in 0..*msg {
            ctx.send_message(&route, Talkative(number)).await?;
        }
        drop(ASIDE.take());
        Ok(())
    }
}

/// G1: what ends a stream while its next message is made, ends it for that one.
#[test]
fn g1_a_message_that_sends_another_as_it_is_made_follows_that() {
    for seed in 0..12 {
        let notes = [(); 2].map(|()| Arc::default());
        let [said, heard] = notes.clone();
        let report = Sim::new(seed).cores(2).run(async move |ctx: Context| {
            ctx.start_worker_on(0, "speaker", Speaker).await?;
            let listener = Notes {
                asks: None,
                notes: heard,
                number: |aside: &Aside| aside.0,
            };
            ctx.start_worker_on(1, "listener", listener).await?;
            let receiver = Notes {
                asks: Some("speaker"),
                notes: said,
                number: |said: &Talkative| said.0,
            };
            ctx.start_worker_on(1, "receiver", receiver).await?;
            ctx.sleep(Duration::from_millis(50)).await;
            ctx.stop().await
        });
        report.output.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.stats.total(|core| core.panics), 0, "seed {seed}");
        let [said, heard] = notes.map(|notes| notes.lock().clone());
        assert!(said.into_iter().eq(0..SAID), "seed {seed}");
        assert!(heard.into_iter().eq((0..SAID).step_by(3)), "seed {seed}");
    }
}

/// A message of any size that says for whom it is.
trait For: Message {
    fn place(number: u64) -> Self;
    fn number(&self) -> u64;
}

impl For for u64 {
    fn place(number: u64) -> Self {
        number
    }

    fn number(&self) -> u64 {
        *self
    }
}

/// One that is handed on as it travels.
impl For for [u64; 3] {
    fn place(number: u64) -> Self {
        [number; 3]
    }

    fn number(&self) -> u64 {
        self[2]
    }
}

/// Tells all speakers where it is, and counts what each sends it.
struct Place<M> {
    number: u64,
    heard: Arc<Mutex<[u64; 2]>>,
    of: PhantomData<fn(M)>,
}

const SPEAKERS: [&str; 2] = ["speaker-0", "speaker-1"];

impl<M: For> Worker for Place<M> {
    type Message = M;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        for speaker in SPEAKERS {
            ctx.send_message(speaker, ()).await?;
        }
        Ok(())
    }

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<M>) -> Result<()> {
        assert_eq!(msg.number(), self.number, "it is for another place");
        let sender = msg.sender();
        let speaker = SPEAKERS
            .iter()
            .position(|name| sender.as_str() == Some(*name));
        self.heard.lock()[speaker.expect("a speaker")] += 1;
        Ok(())
    }
}

/// How somebody speaks to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    ToPlace,
    ByName,
    /// Waits only where it is refused.
    Trying,
}

/// Sends to both places in turn, some messages to each; last to the one to which it did first.
struct InTurn<M> {
    places: Vec<Route>,
    how: How,
    of: PhantomData<fn(M)>,
}

const TURNS: u64 = 20;

impl<M: For> Worker for InTurn<M> {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<()>) -> Result<()> {
        self.places.push(match self.how {
            How::ByName => msg.sender().into(),
            _ => msg.return_route(),
        });
        if self.places.len() < 2 {
            return Ok(());
        }
        for turn in 0..TURNS {
            for number in [turn % 2, 1 - turn % 2] {
                let route = &self.places[number as usize];
                for _ in 0..=(turn * 7) % 31 {
                    let is_sent = self.how == How::Trying
                        && ctx.try_send_message(route, M::place(number)).is_ok();
                    if !is_sent {
                        ctx.send_message(route, M::place(number)).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Two speakers and two places on cores of their own: what either place has heard of each speaker.
fn heard_of<M: For>(seed: u64, how: How) -> [[u64; 2]; 2] {
    let heard: [Arc<Mutex<[u64; 2]>>; 2] = [(); 2].map(|()| Arc::default());
    let places = heard.clone();
    let mut limits = Limits::default();
    limits.flush_slots = [32, 5, 1][seed as usize % 3];
    let sim = Sim::new(seed).cores(2).limits(limits);
    let report = sim.run(async move |ctx: Context| {
        for speaker in SPEAKERS {
            let (places, of) = (Vec::new(), PhantomData);
            ctx.start_worker_on(0, speaker, InTurn::<M> { places, how, of })
                .await?;
        }
        // By name they are asked where that is at home.
        let names = (0u32..).map(|number| format!("place-{number}"));
        let names = names.filter(|name| ctx.home(name.as_str()) == 1);
        for ((number, heard), name) in (0u64..).zip(places).zip(names) {
            let of = PhantomData;
            ctx.start_worker(name, Place::<M> { number, heard, of })
                .await?;
        }
        ctx.sleep(Duration::from_millis(50)).await;
        ctx.stop().await
    });
    report.output.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.stats.total(|core| core.panics), 0, "seed {seed}");
    heard.map(|heard| *heard.lock())
}

/// G1: a message follows those of its sender to its receiver alone, whoever else sends there, or is sent to; and at the end of each batch
/// it is looked whether one may.
#[test]
fn g1_a_stream_is_one_senders_to_one_place() {
    let each = (0..TURNS).map(|turn| 1 + (turn * 7) % 31).sum();
    for seed in 0..12 {
        for how in [How::ToPlace, How::ByName, How::Trying] {
            for heard in [heard_of::<u64>, heard_of::<[u64; 3]>] {
                assert_eq!(heard(seed, how), [[each; 2]; 2], "seed {seed}, {how:?}");
            }
        }
    }
}

/// Sends to a sink by its name, and notes how many messages at the most had not left.
struct Pent(String, Arc<Mutex<u64>>);

impl Worker for Pent {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let left = |ctx: &Context| ctx.handle().stats().total(|core| core.sent_remote);
        let before = left(ctx);
        for sent in 1..=*msg {
            ctx.send_message(self.0.as_str(), ()).await?;
            let pent = sent - (left(ctx) - before);
            let mut most = self.1.lock();
            *most = pent.max(*most);
        }
        Ok(())
    }
}

/// What fills a batch leaves with its last message, and not with the next.
#[test]
fn a_batch_of_a_stream_leaves_when_it_is_full() {
    for seed in 0..12 {
        let mut limits = Limits::default();
        limits.flush_slots = 8;
        let most = Arc::default();
        let seen = Arc::clone(&most);
        let sim = Sim::new(seed).cores(2).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            let mut names = (0u32..).map(|number| format!("sink-{number}"));
            let name = names.find(|name| ctx.home(name.as_str()) == 1);
            let name = name.unwrap_or_default();
            ctx.start_worker(name.as_str(), Sink).await?;
            ctx.start_worker_on(0, "pent", Pent(name, most)).await?;
            ctx.send_message("pent", 100u64).await?;
            ctx.sleep(Duration::from_millis(50)).await;
            ctx.stop().await
        });
        report.output.unwrap_or_else(|error| panic!("{error}"));
        assert!((2..8).contains(&*seen.lock()), "seed {seed}: {seen:?}");
    }
}
