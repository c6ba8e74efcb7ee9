//! Memory that a connection was refused.
//!
//! What was read and finds no memory stays where it is, and nothing more is read: the peer's own sends stop then, by its
//! window. Nobody says when there is memory again, so that is tried after a while; and a connection that gets none for long
//! gives back what it holds.

use std::rc::Rc;
use std::task::Context as Polling;
use std::time::Duration;

use crate::core::Core;
use crate::time::Time;
use crate::transport::timer::Timer;

/// When memory is asked for again.
const AGAIN: Duration = Duration::from_millis(10);

/// The memory that is lacking, if any is.
#[derive(Default)]
pub(super) struct Shortage {
    lack: Option<Lack>,
    timer: Timer,
}

struct Lack {
    /// Since when nothing moves.
    since: Time,
    /// How many bytes were held and not dealt with.
    held: usize,
    /// When it is asked for again; `None` as long as that is tried.
    again: Option<Time>,
}

impl Shortage {
    /// Memory was refused, while so many bytes are held: the task is woken when it may be asked for again. Others that are
    /// held than last time mean that there was some in between.
    #[cold]
    pub(super) fn note(&mut self, core: &Rc<Core>, held: usize, polling: &mut Polling<'_>) {
        let now = core.now.get();
        let before = self.lack.as_ref().filter(|lack| lack.held == held);
        let mut lack = Lack {
            since: before.map_or(now, |lack| lack.since),
            held,
            again: Some(now.saturating_add(AGAIN)),
        };
        lack.is_due(&mut self.timer, core, polling);
        self.lack = Some(lack);
    }

    /// Whether memory may be asked for now; else the task is woken when it may.
    #[inline]
    pub(super) fn may_ask(&mut self, core: &Rc<Core>, polling: &mut Polling<'_>) -> bool {
        match &mut self.lack {
            None => true,
            Some(lack) => lack.is_due(&mut self.timer, core, polling),
        }
    }

    /// There was memory.
    #[inline]
    pub(super) fn ends(&mut self) {
        self.lack = None;
    }

    /// Since when memory is lacking, if it is.
    pub(super) fn since(&self) -> Option<Time> {
        self.lack.as_ref().map(|lack| lack.since)
    }
}

impl Lack {
    fn is_due(&mut self, timer: &mut Timer, core: &Rc<Core>, polling: &mut Polling<'_>) -> bool {
        let Some(again) = self.again else { return true };
        while core.now.get() < again {
            if timer.poll(core, again, polling).is_pending() {
                return false;
            }
        }
        self.again = None;
        true
    }
}
