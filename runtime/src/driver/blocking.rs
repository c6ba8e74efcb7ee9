//! Threads for calls that block.
//!
//! They are started when there is something to do, so many at the most, and end when there has been nothing for
//! a while. A thread inherits the CPUs of the one that starts it, and a core's thread is pinned; so all are
//! started by the node's helper thread ([`helper`](super::helper)), which is not.

use std::collections::VecDeque;
use std::time::Duration;

use ringpost_mailbox::semaphore::Semaphore;
use ringpost_mailbox::sync::{Condvar, Mutex};

use crate::limits::Limits;
use crate::task::panics::{drop_guarded, guarded};

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

/// A call, which notes its result itself. What it leaves behind, or holds if it is not made, is the user's, and may
/// panic when it is dropped.
pub(crate) type Call = Box<dyn FnOnce() + Send>;

/// The calls of a node that block, and the threads for them.
pub(crate) struct Blocking {
    state: Mutex<State>,
    /// Something was put in the queue, or the pool was closed.
    news: Condvar,
    /// A thread is wanted, or the pool was closed.
    wanted: Condvar,
    threads_max: usize,
    /// Places for calls that have not begun.
    pub(crate) places: Semaphore,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Call>,
    threads: usize,
    idle: usize,
    /// Threads that are to be started.
    wanted: usize,
    how: How,
    /// Cores that have not ended.
    cores: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum How {
    /// Where they are made: for a simulation, which has one thread.
    #[default]
    AtOnce,
    /// By threads.
    Threads,
    /// Not any more.
    Closed,
}

/// What the helper is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Start a thread.
    Start,
    /// Nothing, until the time is over.
    Nothing,
    /// End.
    End,
}

impl Blocking {
    pub(crate) fn new(limits: &Limits, cores: usize) -> Self {
        Self {
            state: Mutex::new(State {
                cores,
                ..State::default()
            }),
            news: Condvar::new(),
            wanted: Condvar::new(),
            threads_max: limits.blocking_threads as usize,
            places: Semaphore::new(limits.blocking_queue),
        }
    }

    /// From now on there is a helper that starts threads.
    pub(crate) fn use_threads(&self) {
        self.state.lock().how = How::Threads;
    }

    /// Has a call made. It is dropped if the node has ended.
    pub(crate) fn make(&self, call: Call) {
        let mut state = self.state.lock();
        match state.how {
            How::Closed => {
                drop(state);
                drop_guarded(call);
            }
            How::AtOnce => {
                drop(state);
                carry_out(call);
            }
            How::Threads => {
                state.queue.push_back(call);
                if !self.want_thread(&mut state) {
                    self.news.notify_one();
                }
            }
        }
    }

    /// Has a thread started, if there are more calls than threads without one, and there may be more threads.
    fn want_thread(&self, state: &mut State) -> bool {
        let is_wanted = state.queue.len() > state.idle && state.threads < self.threads_max;
        if is_wanted {
            state.threads += 1;
            state.wanted += 1;
            self.wanted.notify_one();
        }
        is_wanted
    }

    /// The life of a thread: makes calls, until there are none for long.
    pub(crate) fn run(&self) {
        // Before the lock, which is let go of first.
        let _leaving = Leaving(self);
        let mut state = self.state.lock();
        loop {
            if let Some(call) = state.queue.pop_front() {
                drop(state);
                carry_out(call);
                state = self.state.lock();
                continue;
            }
            if state.how == How::Closed {
                break;
            }
            state.idle += 1;
            let over = self.news.wait_for(&mut state, IDLE).timed_out();
            state.idle -= 1;
            if over && state.queue.is_empty() {
                break;
            }
        }
    }

    /// The system has no thread for what was wanted. If there is none at all, nobody will make the calls that wait.
    pub(crate) fn has_no_thread(&self) {
        let mut state = self.state.lock();
        state.threads -= 1;
        let lost = match state.threads {
            0 => std::mem::take(&mut state.queue),
            _ => VecDeque::new(),
        };
        drop(state);
        lost.into_iter().for_each(drop_guarded);
    }

    /// What the helper is to do next; it waits for at most so long.
    pub(crate) fn next_order(&self, wait: Duration) -> Order {
        let mut state = self.state.lock();
        if state.wanted == 0 && state.how != How::Closed {
            self.wanted.wait_for(&mut state, wait);
        }
        if state.how == How::Closed {
            return Order::End;
        }
        if state.wanted > 0 {
            state.wanted -= 1;
            return Order::Start;
        }
        Order::Nothing
    }

    /// A core has ended. With the last of them, so does this.
    pub(crate) fn core_is_over(&self) {
        let mut state = self.state.lock();
        state.cores = state.cores.saturating_sub(1);
        if state.cores > 0 {
            return;
        }
        state.how = How::Closed;
        let lost = std::mem::take(&mut state.queue);
        drop(state);
        self.news.notify_all();
        self.wanted.notify_all();
        lost.into_iter().for_each(drop_guarded);
    }
}

/// Makes a call. Its result is dropped here if nobody waits for it any more.
fn carry_out(call: Call) {
    guarded("what a blocking call left behind panicked", None, call);
}

/// A thread ends, in whatever way, and does not count any more. What came since it last looked, while it did,
/// waits for no other.
struct Leaving<'a>(&'a Blocking);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.threads -= 1;
        self.0.want_thread(&mut state);
    }
}
