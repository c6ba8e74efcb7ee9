//! A worker that sends, and a worker that echoes.

use ringpost::{Address, Context, ErrorKind, Result, Route, Routed, Worker, local_message};
use ringpost_mailbox::sync::Arc;
use ringpost_mailbox::sync::atomic::Ordering;

use super::Shared;
use crate::clock::Nanos;
use crate::ledger::Ledger;
use crate::outcome::Outcome;
use crate::recorder::Recorder;
use crate::schedule::Schedule;
use crate::session;
use crate::settings::Timeline;
use crate::stamp::{Corrupt, Stamper};

/// What a pair of workers sends each other. Its bytes are moved, not copied.
pub(super) enum Letter {
    /// Sending begins.
    Begin(Box<Timeline>),
    /// Look whether something is due.
    Tick,
    /// A message, and its reply.
    Text(Vec<u8>),
}

/// What a sender has measured.
pub(super) struct Part(pub(super) Outcome);

local_message!(Letter, Part);

/// Sends each letter back.
pub(super) struct Echo;

impl Worker for Echo {
    type Message = Letter;
    type Context = Context;

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Letter>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// Sends to an echo, and measures.
pub(super) struct PairOf {
    shared: Arc<Shared>,
    number: usize,
    /// The name of the echo, and from its first reply on the way that the reply came.
    echo: Route,
    is_known: bool,
    driver: Address,
    stamper: Stamper,
    ledger: Ledger,
    schedule: Schedule,
    recorder: Option<Recorder>,
    timeline: Timeline,
    /// Whether a tick to itself is under way. There is never more than one.
    is_ticking: bool,
    failure: Option<String>,
}

impl PairOf {
    pub(super) fn new(
        shared: Arc<Shared>,
        run: u64,
        number: usize,
        echo: Address,
        driver: Address,
    ) -> Self {
        let settings = &shared.settings;
        let stamper = Stamper::new(run, number as u64, settings.size);
        let ledger = Ledger::new(settings.window);
        let timeline = settings.timeline(0);
        Self {
            number,
            echo: echo.into(),
            is_known: false,
            driver,
            stamper,
            ledger,
            schedule: Schedule::closed(0, None),
            recorder: None,
            timeline,
            is_ticking: false,
            failure: None,
            shared,
        }
    }

    fn begin(&mut self, timeline: Timeline) {
        self.timeline = timeline;
        self.schedule = self.shared.settings.schedule(&timeline, self.number);
        let live = Arc::clone(&self.shared.live);
        self.recorder = Some(Recorder::new(timeline.measured(), live));
    }

    #[inline]
    fn receive(&mut self, text: &[u8], now: Nanos) {
        let intended = match self.stamper.read(text) {
            Ok(number) => self.ledger.answer(number),
            Err(Corrupt::Filler { number }) => {
                self.ledger.corrupt(Some(number));
                None
            }
            Err(Corrupt::Stamp) => {
                self.ledger.corrupt(None);
                None
            }
        };
        if let (Some(intended), Some(recorder)) = (intended, &mut self.recorder) {
            recorder.answer(intended, now);
        }
    }

    /// Sends what is due, as far as the window and the room at the echo go.
    ///
    /// Never waits for room: a sender that waits for its echo while that one waits for the sender would wait for ever.
    #[inline]
    fn send_due(&mut self, ctx: &Context, now: Nanos, mut spare: Vec<u8>) {
        while self.ledger.has_room() {
            let Some(intended) = self.schedule.due(now) else {
                return;
            };
            let mut text = std::mem::take(&mut spare);
            text.clear();
            self.stamper.write(self.ledger.next(), &mut text);
            match ctx.try_send_message(&self.echo, Letter::Text(text)) {
                Ok(()) => {
                    self.schedule.take();
                    self.ledger.send(intended);
                }
                Err(error) if matches!(error.kind(), ErrorKind::Full { .. }) => return,
                Err(error) => {
                    self.failure = Some(error.to_string());
                    return;
                }
            }
        }
    }

    /// Whether there is nothing more to wait for.
    fn is_over(&self, now: Nanos) -> bool {
        let is_done = self.ledger.in_flight() == 0 && self.schedule.is_over(now);
        // Relaxed: the flag stands for itself.
        is_done || self.failure.is_some() || self.shared.ends.load(Ordering::Relaxed)
    }

    /// Whether to look again without a reply: for what is due later, and where there was no room and no reply will
    /// come.
    fn looks_again(&self) -> bool {
        let is_open = self.shared.settings.rate.is_some();
        !self.is_ticking && (is_open || self.ledger.in_flight() == 0)
    }

    fn sum_up(&mut self, mut recorder: Recorder, now: Nanos) -> Outcome {
        let mut outcome = Outcome::new(self.timeline.measure);
        let until = now.min(self.timeline.stop);
        outcome.unsent = session::end(until, now, &mut self.ledger, &self.schedule, &mut recorder);
        outcome.counts = self.ledger.counts();
        outcome.end = match self.shared.settings.messages {
            Some(_) => recorder.last().max(self.timeline.measure),
            None => until,
        };
        if let Some(reason) = self.failure.take() {
            outcome.note_break(now, reason);
        }
        outcome.record(recorder);
        outcome
    }
}

impl Worker for PairOf {
    type Message = Letter;
    type Context = Context;

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Letter>) -> Result<()> {
        let now = self.shared.clock.now();
        if let (Letter::Text(_), false) = (&*msg, self.is_known) {
            self.echo = msg.reply();
            self.is_known = true;
        }
        let mut spare = Vec::new();
        match msg.take() {
            Letter::Begin(timeline) => self.begin(*timeline),
            Letter::Tick => self.is_ticking = false,
            Letter::Text(text) => {
                self.receive(&text, now);
                spare = text;
            }
        }
        if self.recorder.is_none() {
            // It has reported already.
            return Ok(());
        }
        self.send_due(ctx, now, spare);
        if self.is_over(now) {
            if let Some(recorder) = self.recorder.take() {
                let part = Part(self.sum_up(recorder, now));
                return ctx.send_message(&self.driver, part).await;
            }
        } else if self.looks_again() {
            // Where there is no room, replies wait that will bring it here too.
            let sent = ctx.try_send_message(ctx.address(), Letter::Tick);
            self.is_ticking = sent.is_ok();
        }
        Ok(())
    }
}
