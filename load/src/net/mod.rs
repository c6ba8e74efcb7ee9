//! Load over TCP: threads with event loops of their own, the connections spread over them.

mod connection;
mod dial;
mod event_loop;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use ringpost_mailbox::sync::atomic::{AtomicBool, Ordering};

use crate::clock::Clock;
use crate::error::StartError;
use crate::outcome::{Outcome, Watch};
use crate::protocol::{Framed, Protocol, Raw, Routed};
use crate::recorder::Live;
use crate::schedule::Schedule;
use crate::session::Session;
use crate::settings::{Settings, Timeline};
use crate::stamp::Stamper;
use crate::target::Target;

use connection::Connection;
use dial::Dial;
use event_loop::EventLoop;

/// How often somebody looks at a run that goes on.
const TICK: Duration = Duration::from_millis(100);

/// What the threads of a run share.
#[derive(Debug)]
struct Shared<'a> {
    settings: &'a Settings,
    clock: Clock,
    server: Server,
    live: Vec<Arc<Live>>,
    /// Set when the run is to end early.
    ends: AtomicBool,
}

/// Where connections go.
#[derive(Debug)]
struct Server {
    name: String,
    /// To be tried in turn.
    addresses: Vec<SocketAddr>,
}

/// Puts a server under load and says what came of it.
///
/// # Errors
/// When not all connections could be made; nothing is measured then.
pub(crate) fn measure(
    target: &Target,
    settings: &Settings,
    clock: Clock,
    watch: &mut dyn Watch,
) -> Result<Outcome, StartError> {
    let name = target.server().unwrap_or_default().to_owned();
    let asked = name.clone();
    let Some(addresses) = unless_ended(move || resolve(&asked), watch)? else {
        return Ok(Outcome::interrupted(clock.now()));
    };
    let addresses = addresses?;
    let shared = Shared {
        settings,
        clock,
        server: Server { name, addresses },
        live: (0..settings.threads).map(|_| Arc::default()).collect(),
        ends: AtomicBool::new(false),
    };
    let run = clock.now() ^ u64::from(std::process::id()).rotate_right(20);
    let jobs = (0..settings.threads).map(|thread| sessions(target, settings, thread, run));
    let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
    std::thread::scope(|scope| {
        let (ready, readies) = channel();
        let (running, ended) = channel();
        let mut threads = Vec::new();
        for (number, sessions) in jobs.into_iter().enumerate() {
            let (go, begin) = channel();
            let part = Part {
                shared: &shared,
                number,
                ready: ready.clone(),
                begin,
                running: running.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("load-{number}"));
            let thread = thread.spawn_scoped(scope, move || part.work(sessions));
            threads.push((thread.map_err(StartError::Thread)?, go));
        }
        drop((ready, running));
        conduct(&shared, threads, &readies, &ended, watch)
    })
}

type Running<'scope> = (ScopedJoinHandle<'scope, Option<Outcome>>, Sender<Timeline>);

/// Waits until all threads are connected, or the user wants to end. `false` in that case.
fn connect(
    threads: usize,
    readies: &Receiver<Result<(), StartError>>,
    watch: &mut dyn Watch,
) -> Result<bool, StartError> {
    let mut waits_for = threads;
    while waits_for > 0 {
        if watch.wants_end() {
            return Ok(false);
        }
        match readies.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => continue,
            // A thread that says nothing has panicked, which joining it finds out.
            Err(RecvTimeoutError::Disconnected) => break,
            Ok(result) => result?,
        }
        waits_for -= 1;
    }
    Ok(true)
}

/// Waits until all threads are connected, lets them begin together, and watches until they are done.
fn conduct(
    shared: &Shared<'_>,
    threads: Vec<Running<'_>>,
    readies: &Receiver<Result<(), StartError>>,
    ended: &Receiver<Infallible>,
    watch: &mut dyn Watch,
) -> Result<Outcome, StartError> {
    let connected = connect(threads.len(), readies, watch);
    if !matches!(connected, Ok(true)) {
        // The others need not connect any more. Relaxed: the flag stands for itself.
        shared.ends.store(true, Ordering::Relaxed);
        let outcome = Outcome::interrupted(shared.clock.now());
        return connected.map(|_| outcome);
    }
    let timeline = shared.settings.timeline(shared.clock.now());
    for (_, go) in &threads {
        // It fails if the thread has panicked.
        let _ = go.send(timeline);
    }
    while matches!(ended.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
        let live = shared.live.iter().map(|live| live.answered.value());
        if !watch.look(&timeline, shared.clock.now(), live.sum()) {
            // Relaxed: the flag stands for itself.
            shared.ends.store(true, Ordering::Relaxed);
        }
    }
    let mut outcome = Outcome::new(timeline.measure);
    for (thread, _) in threads {
        match thread.join() {
            Ok(part) => part.into_iter().for_each(|part| outcome.add(part)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    Ok(outcome)
}

/// What one thread has to do with the others.
struct Part<'a> {
    shared: &'a Shared<'a>,
    number: usize,
    /// Told once whether all connections are made.
    ready: Sender<Result<(), StartError>>,
    /// Says when to begin, or hangs up if another thread has failed.
    begin: Receiver<Timeline>,
    /// Hung up at the end.
    running: Sender<Infallible>,
}

impl Part<'_> {
    /// Connects, waits for the others, and runs an event loop.
    fn work(self, sessions: Vec<Session>) -> Option<Outcome> {
        let Self {
            shared,
            number,
            ready,
            begin,
            running,
        } = self;
        let dial = Dial {
            addresses: &shared.server.addresses,
            name: &shared.server.name,
            timeout: shared.settings.connect_timeout,
            clock: shared.clock,
            ends: &shared.ends,
        };
        let (poll, connections) = match dial.all(sessions) {
            Ok(dialed) => dialed,
            Err(error) => {
                // Nobody listens any more if another thread has failed before.
                let _ = ready.send(Err(error));
                return None;
            }
        };
        let _ = ready.send(Ok(()));
        drop(ready);
        let timeline = begin.recv().ok()?;
        let live = Arc::clone(shared.live.get(number)?);
        let outcome = EventLoop::new(shared, poll, connections, number, timeline, live).run();
        drop(running);
        Some(outcome)
    }
}

/// The connections of one thread, not yet connected.
fn sessions(
    target: &Target,
    settings: &Settings,
    thread: usize,
    run: u64,
) -> Result<Vec<Session>, StartError> {
    let session = |connection: usize| {
        let protocol = match target {
            Target::Tcp { route, .. } => {
                Protocol::Routed(Box::new(Routed::new(route, settings.size)?))
            }
            Target::Framed { .. } => Protocol::Framed(Framed::new(settings.size)),
            Target::Raw { .. } | Target::Local => Protocol::Raw(Raw::new(settings.size)),
        };
        let stamper = Stamper::new(run, connection as u64, settings.size);
        // Replaced when the beginning is known.
        let schedule = Schedule::closed(0, None);
        Ok(Session::new(protocol, stamper, settings.window, schedule))
    };
    settings.connections_of(thread).map(session).collect()
}

/// What comes of work that the system may keep for long and that nothing cuts short; `None` if the user wants to end before. The
/// thread that does it then ends with the process.
fn unless_ended<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    watch: &mut dyn Watch,
) -> Result<Option<T>, StartError> {
    let (tell, told) = channel();
    // Nobody listens any more if the user has ended the run.
    let work = move || drop(tell.send(work()));
    let thread = std::thread::Builder::new().name("load-resolve".into());
    thread.spawn(work).map_err(StartError::Thread)?;
    loop {
        match told.recv_timeout(TICK) {
            Ok(done) => return Ok(Some(done)),
            Err(RecvTimeoutError::Timeout) if !watch.wants_end() => {}
            Err(_) => return Ok(None),
        }
    }
}

fn resolve(server: &str) -> Result<Vec<SocketAddr>, StartError> {
    let unknown = |source: io::Error| StartError::Resolve {
        server: server.to_owned(),
        source,
    };
    let addresses: Vec<SocketAddr> = server.to_socket_addrs().map_err(unknown)?.collect();
    match addresses.is_empty() {
        true => Err(unknown(io::Error::other("the name has no address"))),
        false => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Nanos;

    /// Somebody who does not want to wait.
    struct Impatient;

    impl Watch for Impatient {
        fn wants_end(&mut self) -> bool {
            true
        }

        fn look(&mut self, _: &Timeline, _: Nanos, _: u64) -> bool {
            false
        }
    }

    #[test]
    fn the_user_may_end_a_run_that_has_not_begun() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Raw {
            server: listener.local_addr().unwrap().to_string(),
        };
        let outcome = measure(&target, &Settings::small(), Clock::start(), &mut Impatient);
        let outcome = outcome.unwrap();
        assert!(outcome.interrupted);
        assert_eq!((outcome.counts.sent, outcome.broken), (0, 0));
    }

    #[test]
    fn what_the_system_does_not_end_does_not_keep_the_user() {
        let (keep, kept) = channel::<()>();
        let begun = unless_ended(move || kept.recv(), &mut Impatient);
        assert!(begun.unwrap().is_none(), "it is under way for ever");
        drop(keep);
    }
}
