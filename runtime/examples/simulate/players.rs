//! What goes on on each node: players that send, ask, start and stop until the time of faults is over; and
//! then the node has to reach every other.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Polling, Poll};
use std::time::Duration;

use ringpost::net::UdpSocket;
use ringpost::sim::Cluster;
use ringpost::{
    Context, Error, Result, Route, Supervision, TCP, TcpListenerOptions, TcpTransport, route,
};
use ringpost_mailbox::sync::Mutex;

use crate::dice::Dice;
use crate::ledger::{Ledger, Parcel, Question, prefix};
use crate::workers::{Archive, Clerk, Echo, Fragile, Hop, Secret, Sink};

/// Who gets the letters about what a node does not deliver.
pub(crate) const ARCHIVE: &str = "archive";
/// Takes no message that it is sent.
pub(crate) const INBOX: &str = "inbox";

const SINKS: u64 = 3;
const FLAKY: u64 = 2;
/// How often a worker that is supervised is restarted.
const RESTARTS: u32 = 3;
/// How long what is asked after the heal may take, and how often it is asked again.
const PATIENCE: Duration = Duration::from_secs(5);
const TRIES: u32 = 30;

/// What a node needs to know.
#[derive(Clone)]
pub(crate) struct Game {
    pub(crate) node: u16,
    pub(crate) nodes: u16,
    pub(crate) seed: u64,
    pub(crate) players: u64,
    pub(crate) ledger: Ledger,
    pub(crate) cluster: Cluster,
}

/// A player of a game.
struct Player {
    game: Game,
    id: u64,
    sent: u64,
    dice: Dice,
}

pub(crate) fn listens_at(node: u16) -> String {
    format!("10.0.0.{node}:4000")
}

/// The main function of a node.
pub(crate) async fn node(ctx: Context, game: Game) -> Result<()> {
    let life = game.ledger.begin_life(game.node);
    let own = prefix(game.node);
    for number in 0..SINKS {
        let name = format!("{own}sink-{number}");
        let sink = game.sink(&name, Dice(game.seed ^ number), false);
        ctx.start_worker(name, sink).await?;
    }
    ctx.start_worker(format!("{own}echo"), Echo).await?;
    ctx.start_worker(format!("{own}hop"), Hop).await?;
    let clerk = Clerk {
        echo: format!("{own}echo"),
        dice: Dice(game.seed ^ life.rotate_left(20)),
    };
    ctx.start_worker(format!("{own}clerk"), clerk).await?;
    ctx.start_worker(format!("{own}secret"), Secret(game.ledger.clone()))
        .await?;
    ctx.start_worker(ARCHIVE, Archive).await?;
    let inbox = ctx.new_detached(INBOX).await?;
    ctx.spawn(async move {
        let _inbox = inbox;
        pending::<()>().await;
    });
    for core in 0..ctx.cores() {
        // It fails where the node ends.
        let _ = ctx.handle().run_on(core, part).await;
    }
    let tcp = TcpTransport::create(&ctx).await?;
    let exposed = |name| format!("{own}{name}");
    let options = TcpListenerOptions::new()
        .expose_prefix(exposed("sink"))
        .expose(exposed("echo"))
        .expose(exposed("clerk"))
        .expose(exposed("hop"));
    listen(&ctx, &tcp, &game, options).await;
    beacon(&ctx, &game);
    let mut ends = Vec::new();
    for number in 0..game.players {
        let id = (u64::from(game.node) << 48) | (life << 32) | number;
        let mut player = Player {
            game: game.clone(),
            id,
            sent: 0,
            dice: Dice(game.seed ^ id.rotate_left(7)),
        };
        let mut own = ctx.new_detached(format!("{own}player-{number}")).await?;
        let (tell, told) = futures_channel::oneshot::channel::<()>();
        ends.push(told);
        ctx.spawn(async move {
            player.play(&mut own).await;
            drop(tell);
        });
    }
    for end in ends {
        // It is dropped, which says that the player has come to its end.
        let _ = end.await;
    }
    game.reach_all(&ctx).await;
    game.ledger.settle(game.node);
    Ok(())
}

/// Sends last messages, to nobody, when it is dropped at the end of its node.
struct LastWords(Context);

impl Drop for LastWords {
    fn drop(&mut self) {
        for number in 0..4u64 {
            let _ = self.0.try_send_message(format!("nobody-{number}"), number);
        }
    }
}

/// Has last words said on this core.
async fn part(ctx: Context) {
    let Ok(own) = ctx.detached() else { return };
    let last = LastWords(own);
    ctx.spawn(async move {
        let _last = last;
        pending::<()>().await;
    });
}

/// Listens, as soon as the system lets it.
async fn listen(ctx: &Context, tcp: &TcpTransport, game: &Game, options: TcpListenerOptions) {
    for _ in 0..1000 {
        if tcp
            .listen(listens_at(game.node), options.clone())
            .await
            .is_ok()
        {
            return;
        }
        ctx.sleep(Duration::from_millis(10)).await;
    }
    game.ledger
        .complain(format!("node {} never gets to listen", game.node));
}

/// Takes datagrams, which are whole or not there.
fn beacon(ctx: &Context, game: &Game) {
    let address = format!("10.0.0.{}:5000", game.node).parse();
    let (Ok(address), Ok(own), ledger) = (address, ctx.detached(), game.ledger.clone()) else {
        return;
    };
    ctx.spawn(async move {
        let Ok(socket) = UdpSocket::bind(&own, address) else {
            return;
        };
        let mut bytes = [0; 64];
        while let Ok((count, from)) = socket.recv_from(&mut bytes).await {
            if bytes.get(..count) != Some(&[7; 32]) {
                ledger.complain(format!("a datagram of {count} bytes from {from}"));
            }
        }
    });
}

impl Game {
    fn sink(&self, name: &str, dice: Dice, is_flaky: bool) -> Sink {
        Sink {
            node: self.node,
            name: name.to_owned(),
            ledger: self.ledger.clone(),
            dice,
            is_flaky,
        }
    }

    /// The heal is over: every node answers, if not at once, then soon.
    async fn reach_all(&self, ctx: &Context) {
        for other in 1..=self.nodes {
            let to = way(self.node, other, "echo");
            let mut last = None;
            for _ in 0..TRIES {
                let asked = ctx
                    .request::<Question>(to.clone(), Question(7))
                    .within(PATIENCE);
                match asked.await {
                    Ok(Question(7)) => {
                        last = None;
                        break;
                    }
                    Ok(answer) => last = Some(Error::other(format!("the answer is {answer:?}"))),
                    Err(error) => last = Some(error),
                }
                ctx.sleep(Duration::from_millis(100)).await;
            }
            if let Some(error) = last {
                let own = self.node;
                let text = format!("node {own} cannot reach {other} after the heal: {error}");
                self.ledger.complain(text);
            }
        }
    }
}

/// The way to a worker of a node.
fn way(own: u16, node: u16, name: &str) -> Route {
    let name = format!("{}{name}", prefix(node));
    match own == node {
        true => Route::from(name),
        false => Route::new().append_t(TCP, listens_at(node)).append(name),
    }
}

impl Player {
    async fn play(&mut self, ctx: &mut Context) {
        for _ in 0..400 {
            if self.game.cluster.is_calm() {
                return;
            }
            self.step(ctx).await;
            let pause = match self.dice.roll(4) {
                0 => self.dice.roll(4000),
                _ => self.dice.roll(300),
            };
            ctx.sleep(Duration::from_micros(pause)).await;
        }
        while !self.game.cluster.is_calm() {
            ctx.sleep(Duration::from_millis(1)).await;
        }
    }

    fn parcel(&mut self, is_remote: bool) -> Parcel {
        self.sent += 1;
        Parcel {
            from: self.id,
            number: self.sent,
            is_remote,
        }
    }

    fn other(&mut self) -> u16 {
        // It is at most the number of nodes.
        1 + self.dice.roll(u64::from(self.game.nodes)) as u16
    }

    /// Failures are part of the game; what the ledger is told of is not.
    async fn step(&mut self, ctx: &mut Context) {
        let own = self.game.node;
        let sink = format!("sink-{}", self.dice.roll(SINKS));
        let wait = Duration::from_micros(50 + self.dice.roll(5_000));
        match self.dice.roll(29) {
            0..=4 => self.send_some(ctx, way(own, own, &sink)).await,
            5..=6 => {
                let parcel = self.parcel(false);
                if ctx.try_send_message(way(own, own, &sink), parcel).is_ok() {
                    self.game.ledger.accepted(own);
                }
            }
            7..=10 => {
                let to = way(own, self.other(), &sink);
                self.send_some(ctx, to).await;
            }
            11..=13 | 26 => {
                let whom = ["clerk", "echo", "echo"][self.dice.roll(3) as usize];
                let to = way(own, self.other(), whom);
                self.ask(ctx, to, wait).await;
            }
            14 => {
                let (hop, echo) = (
                    format!("{}hop", prefix(own)),
                    format!("{}echo", prefix(own)),
                );
                self.ask(ctx, route![hop, echo], wait).await;
            }
            15 => {
                let to = way(own, self.other(), "echo");
                let polls = self.dice.roll(4);
                cancelled(ctx.request::<Question>(to, Question(1)), polls).await;
            }
            16 => {
                let parcel = self.parcel(true);
                let to = way(own, self.other(), &sink);
                let polls = self.dice.roll(3);
                cancelled(ctx.send_message(to, parcel), polls).await;
            }
            17 => {
                let other = self.other();
                if other != own {
                    let secret = way(own, other, "secret");
                    drop(
                        ctx.request::<Question>(secret, Question(3))
                            .within(wait)
                            .await,
                    );
                }
            }
            18..=21 => self.disturb(ctx).await,
            22 => {
                let to = format!("10.0.0.{}:5000", self.other()).parse();
                let any = "10.0.0.99:0".parse();
                if let (Ok(to), Ok(any)) = (to, any)
                    && let Ok(socket) = UdpSocket::bind(ctx, any)
                {
                    drop(socket.send_to(&[7; 32], to).await);
                }
            }
            23 => self.send_together(ctx, way(own, own, &sink)).await,
            24 => {
                let parcel = self.parcel(true);
                let polls = self.dice.roll(4);
                cancelled(ctx.send_message(way(own, own, &sink), parcel), polls).await;
            }
            25 => self.write_to_fragile(ctx).await,
            _ => drop(ctx.receive_timeout::<Question>(wait).await),
        }
    }

    /// Several at one time: what waits for room keeps its order (G1). Each is polled before the next is begun, as a
    /// message that has to wait has its place from then on.
    async fn send_together(&mut self, ctx: &Context, to: Route) {
        let count = 2 + self.dice.roll(6);
        let parcels: Vec<Parcel> = (0..count).map(|_| self.parcel(false)).collect();
        let (ledger, own) = (&self.game.ledger, self.game.node);
        let mut waiting = Vec::new();
        for parcel in parcels {
            let mut send = Box::pin(ctx.send_message(to.clone(), parcel));
            match poll_fn(|polling| Poll::Ready(send.as_mut().poll(polling))).await {
                Poll::Ready(sent) => note(ledger, own, &sent),
                Poll::Pending => waiting.push(send),
            }
        }
        poll_fn(|polling| {
            waiting.retain_mut(|send| match send.as_mut().poll(polling) {
                Poll::Ready(sent) => {
                    note(ledger, own, &sent);
                    false
                }
                Poll::Pending => true,
            });
            match waiting.is_empty() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// A worker that fails is built anew, as often as its supervision says, and then no more.
    async fn write_to_fragile(&mut self, ctx: &Context) {
        let name = format!("{}fragile-{}", prefix(self.game.node), self.dice.roll(2));
        let builds = Arc::new(Mutex::new(0));
        let (ledger, of) = (self.game.ledger.clone(), name.clone());
        let build = move || {
            let mut builds = builds.lock();
            *builds += 1;
            if *builds > 1 + RESTARTS {
                ledger.complain(format!("{of} was built {builds} times"));
            }
            Fragile
        };
        let terms = Supervision::transient().intensity(RESTARTS, Duration::from_secs(1 << 20));
        drop(ctx.start_supervised(&*name, terms, build).await);
        for _ in 0..1 + self.dice.roll(4) {
            drop(ctx.try_send_message(&*name, self.dice.roll(3)));
        }
    }

    /// A few parcels, one behind the other.
    async fn send_some(&mut self, ctx: &Context, to: Route) {
        let is_remote = to.len() > 1;
        for _ in 0..1 + self.dice.roll(24) {
            let parcel = self.parcel(is_remote);
            let sent = ctx.send_message(to.clone(), parcel).await;
            if sent.is_ok() && !is_remote {
                self.game.ledger.accepted(self.game.node);
            }
        }
    }

    async fn ask(&mut self, ctx: &Context, to: Route, wait: Duration) {
        let question = Question(self.dice.roll(1 << 40));
        let asked = ctx.request::<Question>(to, question).within(wait).await;
        match asked {
            Ok(answer) if answer == question => self.game.ledger.answered(),
            Ok(answer) => {
                let text = format!("{question:?} was answered by {answer:?}");
                self.game.ledger.complain(text);
            }
            Err(_) => {}
        }
    }

    /// Starts, stops, and writes to workers that fail.
    async fn disturb(&mut self, ctx: &Context) {
        let own = self.game.node;
        let name = format!("{}flaky-{}", prefix(own), self.dice.roll(FLAKY));
        match self.dice.roll(6) {
            0..=1 => {
                let sink = self.game.sink(&name, self.dice.clone(), true);
                let core = self.dice.roll(ctx.cores() as u64) as usize;
                let started = match self.dice.roll(2) {
                    0 => ctx.start_worker(&*name, sink).await,
                    _ => ctx.start_worker_on(core, &*name, sink).await,
                };
                drop(started);
            }
            2 => drop(ctx.stop_worker(&*name).await),
            3 => drop(ctx.stop_worker_now(&*name).await),
            _ => self.send_some(ctx, Route::from(name)).await,
        }
    }
}

fn note(ledger: &Ledger, node: u16, sent: &Result<()>) {
    if sent.is_ok() {
        ledger.accepted(node);
    }
}

/// Polls a future a few times, then drops it.
async fn cancelled<F: Future>(future: F, polls: u64) {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |polling: &mut Polling<'_>| {
        if left == 0 || future.as_mut().poll(polling).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        polling.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
