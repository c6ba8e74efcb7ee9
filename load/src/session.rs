//! One connection without its socket: what is to be written, and what arrived bytes mean. The time is handed in, so
//! that tests can run it against any clock.

use ringpost_router::wire::WireError;

use crate::clock::Nanos;
use crate::ledger::{Counts, Ledger};
use crate::protocol::{Found, Protocol};
use crate::recorder::Recorder;
use crate::schedule::Schedule;
use crate::stamp::{Corrupt, Stamper};

/// No more is prepared for writing while so many bytes wait.
const PENDING_BYTES_MAX: usize = 256 * 1024;

/// One connection without its socket.
#[derive(Debug)]
pub(crate) struct Session {
    protocol: Protocol,
    stamper: Stamper,
    ledger: Ledger,
    schedule: Schedule,
    pending: Vec<u8>,
    /// How many of the pending bytes are written.
    written: usize,
}

impl Session {
    pub(crate) fn new(
        protocol: Protocol,
        stamper: Stamper,
        window: usize,
        schedule: Schedule,
    ) -> Self {
        let mut pending = Vec::new();
        protocol.open(&mut pending);
        Self {
            protocol,
            stamper,
            ledger: Ledger::new(window),
            schedule,
            pending,
            written: 0,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.ledger.counts()
    }

    /// Sets when messages leave, before the first one has left.
    pub(crate) fn set_schedule(&mut self, schedule: Schedule) {
        self.schedule = schedule;
    }

    /// Whether nothing will be sent any more and all replies are in.
    pub(crate) fn is_done(&self, now: Nanos) -> bool {
        self.ledger.in_flight() == 0 && self.schedule.is_over(now)
    }

    /// Prepares the messages that are due, as far as the window allows; to be written are then the
    /// [pending](Self::pending) bytes.
    ///
    /// In a closed loop a message should leave when a reply has made room for it, which is now. In an open
    /// loop it should leave at its time in the schedule, however late it is.
    #[inline]
    pub(crate) fn fill(&mut self, now: Nanos) {
        while self.ledger.has_room() && self.pending.len() < PENDING_BYTES_MAX {
            let Some(intended) = self.schedule.due(now) else {
                return;
            };
            self.schedule.take();
            let number = self.ledger.send(intended);
            self.protocol
                .write(&self.stamper, number, &mut self.pending);
        }
    }

    /// The bytes to be written.
    pub(crate) fn pending(&self) -> &[u8] {
        self.pending.get(self.written..).unwrap_or_default()
    }

    /// So many of the pending bytes are written.
    #[inline]
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= self.pending.len() {
            self.pending.clear();
            self.written = 0;
        } else if self.written >= PENDING_BYTES_MAX {
            self.pending.drain(..self.written);
            self.written = 0;
        }
    }

    /// Reads the replies in bytes that arrived by `now`, and says how many bytes are done with; the rest
    /// is to be shown again with what arrives behind it.
    ///
    /// # Errors
    /// Bytes of another protocol. Nothing can be read behind them.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        now: Nanos,
        bytes: &[u8],
        recorder: &mut Recorder,
    ) -> Result<usize, WireError> {
        let mut rest = bytes;
        loop {
            let consumed = match self.protocol.read(rest)? {
                Found::Reply { text, consumed } => {
                    match self.stamper.read(text) {
                        Ok(number) => {
                            if let Some(intended) = self.ledger.answer(number) {
                                recorder.answer(intended, now);
                            }
                        }
                        Err(Corrupt::Filler { number }) => self.ledger.corrupt(Some(number)),
                        Err(Corrupt::Stamp) => self.ledger.corrupt(None),
                    }
                    consumed
                }
                Found::Other { consumed } => consumed,
                Found::Part { consumed } => {
                    rest = rest.get(consumed..).unwrap_or_default();
                    return Ok(bytes.len() - rest.len());
                }
            };
            rest = rest.get(consumed..).unwrap_or_default();
        }
    }

    /// Gives up, at `now`, messages that should have left before `time`.
    pub(crate) fn give_up_before(&mut self, time: Nanos, now: Nanos, recorder: &mut Recorder) {
        give_up_before(time, now, &mut self.ledger, &self.schedule, recorder);
    }

    /// Gives up everything at the end, and says how many messages were due by `until` and never left.
    pub(crate) fn end(&mut self, until: Nanos, now: Nanos, recorder: &mut Recorder) -> u64 {
        end(until, now, &mut self.ledger, &self.schedule, recorder)
    }

    /// How many bytes one message takes on the connection.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.protocol.frame_bytes()
    }
}

/// Gives up, at `now`, messages that should have left before `time`.
///
/// In an open loop they count in the latencies: those who would have sent them are waiting.
fn give_up_before(
    time: Nanos,
    now: Nanos,
    ledger: &mut Ledger,
    schedule: &Schedule,
    recorder: &mut Recorder,
) {
    ledger.give_up_before(time, |intended| {
        if schedule.is_open() {
            recorder.give_up(intended, now, 1);
        }
    });
}

/// Gives up everything at the end, and says how many messages were due by `until` and never left.
pub(crate) fn end(
    until: Nanos,
    now: Nanos,
    ledger: &mut Ledger,
    schedule: &Schedule,
    recorder: &mut Recorder,
) -> u64 {
    give_up_before(Nanos::MAX, now, ledger, schedule, recorder);
    for (intended, many) in schedule.backlog(until) {
        recorder.give_up(intended, now, many);
    }
    schedule.overdue(until)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use super::*;
    use crate::clock::SECOND;
    use crate::protocol::Raw;

    const MICRO: Nanos = 1_000;
    const MILLI: Nanos = 1_000_000;
    const SIZE: usize = 32;

    fn session(window: usize, schedule: Schedule) -> Session {
        let stamper = Stamper::new(7, 3, SIZE);
        Session::new(Protocol::Raw(Raw::new(SIZE)), stamper, window, schedule)
    }

    fn recorder() -> Recorder {
        Recorder::new(0..Nanos::MAX, Arc::default())
    }

    /// Takes what a session wants to write.
    fn written(session: &mut Session) -> Vec<u8> {
        let bytes = session.pending().to_vec();
        session.advance(bytes.len());
        bytes
    }

    /// A service that takes 10 µs to reply, but stands still between two points in time.
    struct Stalling {
        stall: std::ops::Range<Nanos>,
        replies: VecDeque<(Nanos, Vec<u8>)>,
    }

    impl Stalling {
        fn take(&mut self, now: Nanos, bytes: &[u8]) {
            let reply = now + 10 * MICRO;
            let at = if self.stall.contains(&reply) {
                self.stall.end
            } else {
                reply
            };
            self.replies.push_back((at, bytes.to_vec()));
        }

        fn due(&mut self, now: Nanos) -> Option<Vec<u8>> {
            let (at, _) = self.replies.front()?;
            (*at <= now).then(|| self.replies.pop_front().expect("it is there").1)
        }
    }

    /// Runs a session for a second against a service that stands still for 100 ms in the middle.
    fn stalled_run(schedule: Schedule) -> (Counts, Recorder) {
        let mut session = session(1, schedule);
        let mut service = Stalling {
            stall: 500 * MILLI..600 * MILLI,
            replies: VecDeque::new(),
        };
        let mut recorder = recorder();
        let mut now = 0;
        while !session.is_done(now) {
            session.fill(now);
            let bytes = written(&mut session);
            if !bytes.is_empty() {
                service.take(now, &bytes);
            }
            while let Some(bytes) = service.due(now) {
                let consumed = session.receive(now, &bytes, &mut recorder).unwrap();
                assert_eq!(consumed, bytes.len());
            }
            now += MICRO;
        }
        (session.counts(), recorder)
    }

    #[test]
    fn an_open_loop_does_not_omit_what_waited_for_a_stall() {
        // A thousand messages a second, one in flight: the 100 of the stall wait for it, and count.
        let schedule = Schedule::open(0, 1000.0, 0, 1).until(SECOND, SECOND, None);
        let (counts, recorder) = stalled_run(schedule);
        assert_eq!((counts.sent, counts.answered, counts.lost), (1000, 1000, 0));
        let latencies = recorder.into_latencies();
        let slow = latencies.count_between(MILLI, 2 * SECOND);
        assert!((95..=105).contains(&slow), "{slow} were slow");
        // The delays of those 100 fall evenly from 100 ms to none.
        let p95 = latencies.value_at_quantile(0.95);
        assert!((45 * MILLI..55 * MILLI).contains(&p95), "p95 is {p95} ns");
        assert_eq!(latencies.value_at_quantile(0.5) / MICRO, 10);
    }

    #[test]
    fn an_open_loop_does_not_omit_what_never_left() {
        // A message a microsecond and one in flight at a time, ten microseconds each: nine tenths never leave.
        let stop = 10 * MILLI;
        let schedule = Schedule::open(0, 1e6, 0, 1).until(stop, stop, None);
        let mut session = session(1, schedule);
        let mut recorder = Recorder::new(0..stop, Arc::default());
        for now in (0..stop).step_by(10 * MICRO as usize) {
            session.fill(now);
            let bytes = written(&mut session);
            let reply = now + 10 * MICRO;
            session.receive(reply, &bytes, &mut recorder).unwrap();
        }
        assert_eq!(session.end(stop, stop, &mut recorder), 9000);
        assert_eq!(
            (session.counts().answered, recorder.unanswered()),
            (1000, 9000)
        );
        let latencies = recorder.into_latencies();
        assert_eq!(latencies.len(), 10_000);
        // The waiting ones are the last nine milliseconds' worth, and all but the youngest of them waited long.
        let median = latencies.value_at_quantile(0.5);
        assert!((4 * MILLI..6 * MILLI).contains(&median), "{median}");
    }

    #[test]
    fn an_open_loop_does_not_omit_what_was_given_up() {
        let schedule = Schedule::open(0, 1e6, 0, 1).until(MILLI, MILLI, None);
        let mut session = session(8, schedule);
        let mut recorder = recorder();
        session.fill(5 * MICRO);
        session.give_up_before(3 * MICRO, 100 * MICRO, &mut recorder);
        assert_eq!((session.counts().lost, recorder.unanswered()), (3, 3));
        assert_eq!(session.end(5 * MICRO, 200 * MICRO, &mut recorder), 0);
        let latencies = recorder.into_latencies();
        assert_eq!((latencies.len(), latencies.count_at(98 * MICRO)), (6, 1));
    }

    #[test]
    fn a_closed_loop_sees_a_stall_once() {
        let (counts, recorder) = stalled_run(Schedule::closed(SECOND, None));
        assert_eq!(counts.sent, counts.answered);
        let latencies = recorder.into_latencies();
        assert_eq!(latencies.count_between(MILLI, 2 * SECOND), 1);
        assert!(latencies.max() >= 99 * MILLI);
    }

    /// The records that a session sends, with what a faulty service makes of them.
    fn faulty(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Counts {
        let mut session = session(8, Schedule::closed(Nanos::MAX, Some(8)));
        session.fill(1);
        let bytes = written(&mut session);
        let mut records: Vec<Vec<u8>> = bytes.chunks(SIZE).map(<[u8]>::to_vec).collect();
        assert_eq!(records.len(), 8);
        change(&mut records);
        let mut recorder = recorder();
        let bytes = records.concat();
        let consumed = session.receive(2, &bytes, &mut recorder).unwrap();
        assert_eq!(consumed, bytes.len());
        session.give_up_before(Nanos::MAX, 3, &mut recorder);
        assert!(session.is_done(3));
        assert_eq!(recorder.answered(), session.counts().answered);
        session.counts()
    }

    #[test]
    fn a_service_without_faults_is_found_to_have_none() {
        let counts = faulty(|_| {});
        let clean = Counts {
            sent: 8,
            answered: 8,
            ..Counts::default()
        };
        assert_eq!(counts, clean);
    }

    #[test]
    fn lost_messages_are_counted() {
        let counts = faulty(|records| {
            records.remove(7);
            records.remove(3);
        });
        assert_eq!((counts.lost, counts.answered), (2, 6));
        assert_eq!((counts.reordered, counts.corrupt), (0, 0));
    }

    #[test]
    fn duplicated_messages_are_counted() {
        let counts = faulty(|records| records.insert(4, records[2].clone()));
        assert_eq!((counts.duplicated, counts.answered), (1, 8));
        assert_eq!((counts.reordered, counts.lost), (0, 0));
    }

    #[test]
    fn reordered_messages_are_counted() {
        let counts = faulty(|records| records.swap(1, 2));
        assert_eq!((counts.reordered, counts.answered), (1, 8));
    }

    #[test]
    fn corrupt_messages_are_counted_and_not_lost_too() {
        let counts = faulty(|records| {
            records[2][20] ^= 1;
            records[5][3] ^= 1;
        });
        assert_eq!((counts.corrupt, counts.answered), (2, 6));
        assert_eq!(counts.lost, 0);
    }

    #[test]
    fn replies_may_arrive_in_pieces() {
        let mut session = session(4, Schedule::closed(Nanos::MAX, Some(4)));
        session.fill(1);
        let sent = written(&mut session);
        let mut recorder = recorder();
        let mut arrived = Vec::new();
        for piece in sent.chunks(5) {
            arrived.extend_from_slice(piece);
            let consumed = session.receive(9, &arrived, &mut recorder).unwrap();
            arrived.drain(..consumed);
        }
        assert_eq!((session.counts().answered, arrived.len()), (4, 0));
        assert_eq!(recorder.into_latencies().max(), 8);
    }

    #[test]
    fn no_more_is_prepared_than_can_be_held() {
        let schedule = Schedule::closed(Nanos::MAX, None);
        let mut session = session(1_000_000, schedule);
        session.fill(0);
        let held = session.pending().len();
        assert!((PENDING_BYTES_MAX..PENDING_BYTES_MAX + SIZE).contains(&held));
        session.advance(100);
        session.fill(0);
        assert_eq!(session.pending().len(), held - 100);
        session.advance(held - 100);
        session.fill(0);
        assert_eq!(session.pending().len(), held);
    }
}
