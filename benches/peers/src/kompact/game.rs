//! Ping-pong of two components, each with a thread of its own where there are two cores.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ::kompact::prelude::*;
use ringpost_benches::Measured;

use super::Place;
use crate::peer::PAUSE;

/// How a game is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    AsItComes,
    /// Everybody sends themselves messages all the time, so that their threads do not sleep.
    Awake,
    /// Everybody sleeps before each hit.
    Asleep,
}

#[derive(Debug)]
enum Game {
    /// To the one who opens the game.
    Serve(ActorRefStrong<Game>),
    /// What is hit to and fro; with the time of the hit where that is measured.
    Ball(Option<Instant>),
    /// To oneself.
    StayAwake,
}

#[derive(ComponentDefinition)]
struct Player {
    ctx: ComponentContext<Self>,
    other: Option<ActorRefStrong<Game>>,
    serves: bool,
    style: Style,
    left: u64,
    took: Duration,
    report: mpsc::Sender<Duration>,
}

ignore_lifecycle!(Player);

impl Player {
    fn hit(&mut self) {
        let Some(other) = self.other.clone() else {
            return;
        };
        if self.style == Style::Asleep {
            // By the library's timer half as much was measured: its thread keeps awake a core that is to sleep.
            thread::sleep(PAUSE);
            other.tell(Game::Ball(Some(Instant::now())));
        } else {
            other.tell(Game::Ball(None));
        }
    }
}

impl Actor for Player {
    type Message = Game;

    fn receive_local(&mut self, game: Game) -> HandlerResult {
        match game {
            Game::Serve(other) => {
                self.other = Some(other);
                self.hit();
            }
            Game::Ball(sent) => {
                self.left -= 1;
                self.took += sent.map_or(Duration::ZERO, |sent| sent.elapsed());
                if self.left > 0 || !self.serves {
                    self.hit();
                }
                if self.left == 0 {
                    self.report.send(self.took).expect("the driver waits");
                }
            }
            Game::StayAwake if self.left > 0 => self.ctx.actor_ref().tell(Game::StayAwake),
            Game::StayAwake => {}
        }
        Handled::OK
    }
}

/// Each player gets the ball `n` times. Where everybody sleeps, only the time of the ball in the air counts.
pub fn play(place: &Place<'_>, n: u64, style: Style) -> Measured {
    let (report, reported) = mpsc::channel();
    let player = |other: Option<ActorRefStrong<Game>>| Player {
        ctx: ComponentContext::uninitialised(),
        serves: other.is_none(),
        other,
        style,
        left: n,
        took: Duration::ZERO,
        report: report.clone(),
    };
    let pinger = place.partner(0, player(None));
    let ponger = place.partner(1, player(Some(pinger.clone())));
    if style == Style::Awake {
        pinger.tell(Game::StayAwake);
        ponger.tell(Game::StayAwake);
    }
    let start = Instant::now();
    pinger.tell(Game::Serve(ponger));
    let flown = (0..2).map(|_| reported.recv().expect("the players report"));
    let flown: Duration = flown.sum();
    let took = match style {
        Style::Asleep => flown,
        Style::AsItComes | Style::Awake => start.elapsed(),
    };
    Measured::new(took, n)
}
