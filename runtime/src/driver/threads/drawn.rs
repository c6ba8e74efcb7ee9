//! Stands in for the kernel and the clock where shuttle draws which thread goes on.
//!
//! A core without a deadline sleeps until it is rung, so that a lost wake is a deadlock, which the checker
//! reports. One with a deadline lets others have a turn, and then its time is over: how long they take is the
//! draw's choice. There are no sockets, and nobody spins.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::{Poll, Registry};
use ringpost_mailbox::sync::thread::yield_now;
use ringpost_mailbox::sync::{Condvar, Counter, Mutex};

use super::SLEEP_MAX;
use crate::core::Core;
use crate::node::shared::Bell;
use crate::time::Time;

/// Nanoseconds that pass with each look at the clock.
const LOOK: u64 = 1000;

/// A clock that goes on when it is looked at, and when a sleep is over. No step of a thread, so a draw that
/// is repeated finds the same times.
#[derive(Debug, Clone)]
pub(super) struct Clock(Arc<Counter>);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Arc::default())
    }

    pub(super) fn now(&self) -> Time {
        self.0.add(LOOK);
        Time::ZERO.saturating_add(Duration::from_nanos(self.0.value()))
    }

    fn pass(&self, time: Duration) {
        self.0.add(u64::try_from(time.as_nanos()).unwrap_or(LOOK));
    }
}

/// Whether the bell was rung since it was last heard.
#[derive(Debug, Default)]
struct Rung {
    is_rung: Mutex<bool>,
    news: Condvar,
}

struct DrawnBell(Arc<Rung>);

impl Bell for DrawnBell {
    fn ring(&self) {
        *self.0.is_rung.lock() = true;
        self.0.news.notify_one();
    }
}

/// What a core asks instead of the kernel.
pub(super) struct Kernel {
    /// Where nothing is registered.
    pub(super) registry: Registry,
    pub(super) poll: SocketPoll,
}

/// Where a core sleeps.
pub(super) struct SocketPoll {
    rung: Arc<Rung>,
    clock: Clock,
}

impl SocketPoll {
    pub(super) fn look(&mut self, core: &Core) -> bool {
        assert!(!core.io.has_sources(), "there are no sockets here");
        false
    }

    pub(super) fn wait(&mut self, _: &Core, wait: Duration) {
        if wait < SLEEP_MAX {
            yield_now();
            self.clock.pass(wait);
            *self.rung.is_rung.lock() = false;
            return;
        }
        let mut is_rung = self.rung.is_rung.lock();
        while !std::mem::take(&mut *is_rung) {
            self.rung.news.wait(&mut is_rung);
        }
    }
}

pub(super) fn bell_and_kernel(clock: &Clock) -> io::Result<(Box<dyn Bell>, Kernel)> {
    let rung = Arc::<Rung>::default();
    let kernel = Kernel {
        registry: Poll::new()?.registry().try_clone()?,
        poll: SocketPoll {
            rung: Arc::clone(&rung),
            clock: clock.clone(),
        },
    };
    Ok((Box::new(DrawnBell(rung)), kernel))
}

pub(super) fn calibrate(_: &dyn Bell, _: &mut Kernel) -> Duration {
    Duration::ZERO
}
