//! Peers that send, end their side, and read on.

use std::net::Shutdown;
use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::{Report, Sim};
use ringpost::transport::TcpLimits;
use ringpost::{
    Any, Context, ErrorKind, Limits, Node, Result, Route, Routed, TcpListenerOptions, TcpTransport,
    Worker, route,
};
use ringpost_router::wire::VERSION;

use crate::common::{SERVER, append, greeting};
use crate::hostile::Ends;

const SECOND: Duration = Duration::from_secs(1);

/// Takes a while for each message, and sends so many back.
struct Slow {
    each: Duration,
    answers: usize,
}

impl Worker for Slow {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        ctx.sleep(self.each).await;
        for _ in 0..self.answers {
            ctx.send_message(msg.return_route(), msg.clone()).await?;
        }
        Ok(())
    }
}

/// Sends each message on, and each answer back.
struct Passes;

impl Worker for Passes {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.forward(msg).await
    }
}

/// What a peer of another make says: messages along this route.
fn messages(onward: &Route, back: &Route, count: usize) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for _ in 0..count {
        append(onward.clone(), back.clone(), b"\x02hi", &mut bytes);
    }
    bytes
}

/// Sends, ends its side, and reads to the end. How many answers came.
async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize> {
    stream.write_all(bytes).await?;
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(3600)));
    let (mut piece, mut replied) = (vec![0; 4096], Vec::new());
    loop {
        // An end that comes in a hurry is an error.
        match stream.read(&mut piece).await.unwrap_or(0) {
            0 => break,
            count => replied.extend_from_slice(&piece[..count]),
        }
    }
    let parts = replied.windows(3);
    Ok(parts.filter(|part| part == b"\x02hi").count())
}

/// Asks the worker again and again. Two who do see to it that it never has nothing to do.
async fn keep_busy(others: Context) {
    let ask = || others.request::<String>("slow", "x".to_owned());
    while ask().without_deadline().await.is_ok() {}
}

/// What a peer does, and how the server's worker `slow` is.
#[derive(Clone)]
struct Case {
    bytes: Vec<u8>,
    reads: bool,
    each: Duration,
    answers: usize,
    limits: TcpLimits,
    /// Whether the workers are on other cores than the homes of their names.
    is_away: bool,
    /// Whether the worker has messages of others all the time.
    is_busy: bool,
}

impl Case {
    fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            reads: true,
            each: SECOND,
            answers: 1,
            limits: TcpLimits::default(),
            is_away: false,
            is_busy: false,
        }
    }

    async fn serve(self, ctx: Context) -> Result<()> {
        let Self { each, answers, .. } = self;
        let place = |name| (ctx.home(name) + usize::from(self.is_away)) % ctx.cores();
        let slow = Slow { each, answers };
        ctx.start_worker_on(place("slow"), "slow", slow).await?;
        ctx.start_worker_on(place("passes"), "passes", Passes)
            .await?;
        if self.is_busy {
            for _ in 0..2 {
                ctx.spawn(keep_busy(ctx.detached()?));
            }
        }
        let options = TcpListenerOptions::new().expose("slow").expose("passes");
        let tcp = TcpTransport::create(&ctx).await?;
        tcp.listen(SERVER, options.limits(self.limits)).await?;
        Ok(())
    }

    /// How many answers came.
    async fn play(self, ctx: Context) -> Result<usize> {
        let mut stream = TcpStream::connect(&ctx, SERVER.parse()?).await;
        while stream.is_err() {
            ctx.sleep(Duration::from_millis(1)).await;
            stream = TcpStream::connect(&ctx, SERVER.parse()?).await;
        }
        let mut stream = stream?;
        if self.reads {
            return exchange(&mut stream, &self.bytes).await;
        }
        stream.write_all(&self.bytes).await?;
        stream.shutdown(Shutdown::Write)?;
        ctx.sleep(2 * self.limits.stall).await;
        Ok(0)
    }

    fn run(&self, seed: u64, cores: u16) -> Report<usize> {
        let (server, peer) = (self.clone(), self.clone());
        let sim = Sim::new(seed).cores(cores);
        sim.beside(async |ctx| server.serve(ctx).await)
            .run(async |ctx: Context| peer.play(ctx).await)
    }

    /// Expects so many answers, and the end within so many seconds, on any number of cores.
    fn expect(&self, answers: usize, seconds: std::ops::Range<u64>) {
        for (seed, cores) in [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3)] {
            let report = self.run(seed, cores);
            let found = report.output.expect("the peer is served");
            let elapsed = report.elapsed;
            assert_eq!(found, answers, "seed {seed}: after {elapsed:?}");
            let within = elapsed.as_secs();
            assert!(seconds.contains(&within), "seed {seed}: {elapsed:?}");
            let server = &report.neighbours[0].1;
            assert_eq!(server.total(|core| core.transport.faulted), 0);
            assert_eq!(server.total(|core| core.transport.closed), 1);
        }
    }
}

fn slow() -> Route {
    route!["slow"]
}

fn me() -> Route {
    route!["me"]
}

#[test]
fn g3_who_ends_its_side_gets_the_answers_that_are_not_made_yet() {
    // It ends with the last answer.
    Case::new(messages(&slow(), &me(), 8)).expect(8, 8..9);
    let mut fast = Case::new(messages(&slow(), &me(), 1000));
    fast.each = Duration::ZERO;
    fast.expect(1000, 0..1);
}

#[test]
fn g3_who_ends_its_side_gets_all_of_several_answers() {
    let mut case = Case::new(messages(&slow(), &me(), 8));
    case.answers = 5;
    case.expect(40, 8..9);
    // They may still be on their way to the core of the connection when all is handled.
    for answers in [1, 7, 60, 200] {
        (case.each, case.answers) = (Duration::ZERO, answers);
        case.expect(8 * answers, 0..2);
    }
}

#[test]
fn g3_who_ends_its_side_gets_answers_to_what_was_passed_on() {
    let onward = route!["passes", "slow"];
    Case::new(messages(&onward, &me(), 4)).expect(4, 4..5);
}

#[test]
fn g3_who_ends_its_side_gets_answers_of_workers_away_from_home() {
    // Longer than is waited for answers that may never come.
    let mut case = Case::new(messages(&slow(), &me(), 3));
    (case.each, case.is_away) = (8 * SECOND, true);
    case.expect(3, 24..25);
    (case.each, case.answers) = (Duration::ZERO, 60);
    case.expect(180, 0..2);
}

#[test]
fn g3_who_ends_its_side_waits_for_what_was_there_before() {
    // Of a worker that never has nothing to do: what waits there then, and one that is in hand.
    let mut case = Case::new(messages(&slow(), &me(), 3));
    (case.each, case.is_busy) = (SECOND, true);
    case.limits.half_closed = Duration::ZERO;
    for is_away in [false, true] {
        case.is_away = is_away;
        case.expect(3, 3..12);
    }
}

#[test]
fn what_needs_no_answer_keeps_no_connection() {
    let mut case = Case::new(messages(&slow(), &Route::new(), 4));
    (case.each, case.answers) = (Duration::ZERO, 0);
    case.expect(0, 0..1);
}

#[test]
fn answers_that_do_not_come_are_waited_for_as_long_as_the_limits_say() {
    let mut case = Case::new(messages(&slow(), &me(), 4));
    (case.each, case.answers) = (Duration::ZERO, 0);
    case.expect(0, 5..6);
    case.limits.half_closed = Duration::from_secs(20);
    case.expect(0, 20..21);
    case.limits.half_closed = Duration::ZERO;
    // It is looked at once a second.
    case.expect(0, 0..2);
    // What is being handled is waited for all the same.
    (case.each, case.answers) = (3 * SECOND, 1);
    case.expect(4, 12..13);
}

#[test]
fn g10_a_peer_that_ended_its_side_is_gone_by_its_deadline() {
    // The handler takes an hour.
    let mut case = Case::new(messages(&slow(), &me(), 2));
    case.each = Duration::from_secs(3600);
    case.limits.stall = Duration::from_secs(20);
    let report = case.run(1, 1);
    assert_eq!(report.output.expect("it is served"), 0);
    let elapsed = report.elapsed.as_secs();
    assert!((20..22).contains(&elapsed), "{elapsed} s, with the stop");
    // The peer takes nothing.
    let mut case = Case::new(messages(&slow(), &me(), 100));
    (case.each, case.answers, case.reads) = (Duration::ZERO, 10_000, false);
    case.limits.stall = Duration::from_secs(20);
    let report = case.run(1, 1);
    report.output.expect("it has waited");
    let server = &report.neighbours[0].1;
    assert_eq!(server.total(|core| core.transport.closed), 1);
}

/// What it had sent before finds no room, whether all of that was read or not.
#[test]
fn g10_what_finds_no_room_of_a_peer_that_ended_its_side_is_given_up() {
    let room = Limits::default().mailbox_credits as usize;
    for more in [30, TcpLimits::default().waiting_frames_max + 100] {
        let mut case = Case::new(messages(&slow(), &me(), room + more));
        case.each = Duration::from_secs(3600);
        case.limits.stall = Duration::from_secs(20);
        let ends = Ends::default();
        let run = || case.run(1, 1);
        let report = tracing::subscriber::with_default(ends.clone(), run);
        assert_eq!(report.output.expect("it is served"), 0);
        let elapsed = report.elapsed.as_secs();
        assert!((20..22).contains(&elapsed), "{more}: {elapsed} s");
        let reason = "what it sent before found no room within 20s (stall)";
        let ends = ends.take();
        assert!(ends.iter().any(|end| end.contains(reason)), "{ends:?}");
    }
}

#[test]
fn a_node_that_is_gone_is_not_waited_for() {
    let mut bytes = greeting(0);
    bytes.extend_from_slice(&messages(&slow(), &me(), 4)[1..]);
    for (seed, cores) in [(1, 1), (2, 3)] {
        let mut case = Case::new(bytes.clone());
        (case.each, case.answers) = (Duration::ZERO, 0);
        let report = case.run(seed, cores);
        assert_eq!(report.output.expect("it is served"), 0);
        assert!(report.elapsed < SECOND, "{:?}", report.elapsed);
    }
}

#[test]
fn whoever_ends_its_side_of_a_real_socket_gets_its_answers() {
    let body = async |ctx: Context| {
        let (each, answers) = (Duration::from_millis(1), 2);
        ctx.start_worker("slow", Slow { each, answers }).await?;
        let tcp = TcpTransport::create(&ctx).await?;
        let options = TcpListenerOptions::new().expose("slow");
        let listener = tcp.listen("127.0.0.1:0", options).await?;
        let mut stream = TcpStream::connect(&ctx, listener.socket_address()).await?;
        let answers = exchange(&mut stream, &messages(&slow(), &me(), 50)).await?;
        assert_eq!(answers, 100);
        ctx.stop().await
    };
    let node = Node::builder().cores(2).pin(false);
    node.run(body).expect("all are answered");
}

/// Asks back whoever sends it something, and says in its log how that ended.
struct AsksBack;

impl Worker for AsksBack {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        let asked = ctx.request::<String>(msg.return_route(), "who is there?".to_owned());
        let error = asked.without_deadline().await.expect_err("nobody answers");
        let is_told = matches!(error.kind(), ErrorKind::Disconnected { .. });
        assert!(is_told, "{error}");
        ctx.send_message(msg.reply(), msg.clone()).await
    }
}

#[test]
fn who_asks_a_peer_that_ended_its_side_is_told_at_once() {
    let serve = async |ctx: Context| {
        ctx.start_worker("asks back", AsksBack).await?;
        let options = TcpListenerOptions::new().expose("asks back");
        let tcp = TcpTransport::create(&ctx).await?;
        tcp.listen(SERVER, options).await?;
        Ok(())
    };
    let report = Sim::new(1).beside(serve).run(async |ctx: Context| {
        ctx.sleep(Duration::from_millis(10)).await;
        let case = Case::new(messages(&route!["asks back"], &me(), 1));
        case.play(ctx).await
    });
    assert_eq!(report.output.expect("it is served"), 1);
    assert!(report.elapsed < SECOND, "{:?}", report.elapsed);
}

/// Takes what comes to this context, each after a while, and answers at once.
async fn take_slowly(mut inbox: Context) -> Result<()> {
    loop {
        inbox.sleep(8 * SECOND).await;
        let msg = inbox.receive::<String>().await?;
        inbox.send_message(msg.return_route(), msg.clone()).await?;
    }
}

#[test]
fn g3_who_ends_its_side_gets_answers_of_contexts() {
    // Longer than is waited for answers that may never come.
    for (seed, cores) in [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3)] {
        let serve = async |ctx: Context| {
            let inbox = ctx.new_detached("inbox").await?;
            ctx.spawn(async move { drop(take_slowly(inbox).await) });
            let options = TcpListenerOptions::new().expose("inbox");
            let tcp = TcpTransport::create(&ctx).await?;
            tcp.listen(SERVER, options).await?;
            Ok(())
        };
        let sim = Sim::new(seed).node("server", cores).main("server", serve);
        let report = sim.run(async |ctx: Context| {
            let case = Case::new(messages(&route!["inbox"], &me(), 3));
            case.play(ctx).await
        });
        assert_eq!(report.output.expect("it is served"), 3, "seed {seed}");
        let elapsed = report.elapsed.as_secs();
        assert!((23..26).contains(&elapsed), "seed {seed}: {elapsed} s");
    }
}
