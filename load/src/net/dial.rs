//! Making many connections at once.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use ringpost_mailbox::sync::atomic::{AtomicBool, Ordering};

use super::{Connection, TICK};
use crate::clock::{Clock, Nanos};
use crate::error::StartError;
use crate::session::Session;

/// So many connections are made at a time, so as not to overrun the queue of a listener.
const ATTEMPTS_MAX: usize = 64;

/// The system's error numbers for too many open files, in the process and in the system.
const FILES_MAX_CODES: [i32; 2] = [24, 23];

/// Where to connect to.
#[derive(Debug)]
pub(super) struct Dial<'a> {
    pub(super) addresses: &'a [SocketAddr],
    pub(super) name: &'a str,
    pub(super) timeout: Nanos,
    pub(super) clock: Clock,
    /// Set when nothing needs to be connected any more.
    pub(super) ends: &'a AtomicBool,
}

impl Dial<'_> {
    /// Connects all sessions, and registers each connection with its place as its token. Where nobody answers at an address
    /// of the server's, its next one is tried.
    ///
    /// # Errors
    /// At the last address, that of the first connection that cannot be made.
    pub(super) fn all(
        &self,
        sessions: Vec<Session>,
    ) -> Result<(Poll, Vec<Connection>), StartError> {
        let mut addresses = self.addresses.iter().peekable();
        while let Some(address) = addresses.next() {
            match self.streams(*address, sessions.len()) {
                Err(
                    StartError::Refused { .. }
                    | StartError::Timeout { .. }
                    | StartError::Connect { .. },
                ) if addresses.peek().is_some() => {}
                Err(error) => return Err(error),
                Ok((poll, streams)) => {
                    let pairs = streams.into_iter().zip(sessions);
                    let connections =
                        pairs.map(|(stream, session)| Connection::new(stream, session));
                    return Ok((poll, connections.collect()));
                }
            }
        }
        let source = io::Error::other("the server has no address");
        Err(self.failed(source, 0, sessions.len()))
    }

    /// Makes so many connections to one address.
    fn streams(
        &self,
        address: SocketAddr,
        count: usize,
    ) -> Result<(Poll, Vec<TcpStream>), StartError> {
        let mut poll = Poll::new().map_err(StartError::Poll)?;
        let mut events = Events::with_capacity(ATTEMPTS_MAX);
        let mut streams: Vec<TcpStream> = Vec::with_capacity(count);
        let mut made = vec![false; count];
        let mut waiting = 0;
        let mut deadline = self.deadline();
        while streams.len() < count || waiting > 0 {
            while waiting < ATTEMPTS_MAX && streams.len() < count {
                let place = streams.len();
                let stream = begin(address, &poll, place)
                    .map_err(|error| self.failed(error, place, count))?;
                streams.push(stream);
                waiting += 1;
            }
            self.poll(&mut poll, &mut events, deadline)?;
            for event in &events {
                let place = event.token().0;
                let (Some(stream), Some(made)) = (streams.get(place), made.get_mut(place)) else {
                    continue;
                };
                let done = !*made
                    && is_connected(stream).map_err(|error| self.failed(error, place, count))?;
                if done {
                    *made = true;
                    waiting -= 1;
                    deadline = self.deadline();
                }
            }
        }
        Ok((poll, streams))
    }

    fn deadline(&self) -> Nanos {
        self.clock.now().saturating_add(self.timeout)
    }

    fn poll(
        &self,
        poll: &mut Poll,
        events: &mut Events,
        deadline: Nanos,
    ) -> Result<(), StartError> {
        // Relaxed: the flag stands for itself.
        if self.ends.load(Ordering::Relaxed) {
            return Err(StartError::Ended);
        }
        let left = deadline.saturating_sub(self.clock.now());
        if left == 0 {
            return Err(StartError::Timeout {
                server: self.name.to_owned(),
                timeout: Duration::from_nanos(self.timeout),
            });
        }
        match poll.poll(events, Some(Duration::from_nanos(left).min(TICK))) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(StartError::Poll(error)),
            _ => Ok(()),
        }
    }

    /// The error of the connection at this place of a thread's.
    fn failed(&self, source: io::Error, place: usize, connections: usize) -> StartError {
        let server = self.name.to_owned();
        let is_full = source
            .raw_os_error()
            .is_some_and(|code| cfg!(unix) && FILES_MAX_CODES.contains(&code));
        match source.kind() {
            _ if is_full => StartError::FilesMax { connections: place },
            ErrorKind::ConnectionRefused if place == 0 => StartError::Refused { server },
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => StartError::RefusedLater {
                server,
                number: place + 1,
                connections,
                source,
            },
            ErrorKind::TimedOut => StartError::Timeout {
                server,
                timeout: Duration::from_nanos(self.timeout),
            },
            _ => StartError::Connect { server, source },
        }
    }
}

fn begin(address: SocketAddr, poll: &Poll, place: usize) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(&mut stream, Token(place), interest)?;
    Ok(stream)
}

/// Whether a connection under way has been made.
fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => stream.set_nodelay(true).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::clock::SECOND;
    use crate::protocol::{Protocol, Raw};
    use crate::schedule::Schedule;
    use crate::stamp::Stamper;

    fn sessions(count: u64) -> Vec<Session> {
        let session = |number| {
            let stamper = Stamper::new(1, number, 64);
            let protocol = Protocol::Raw(Raw::new(64));
            Session::new(protocol, stamper, 1, Schedule::closed(0, None))
        };
        (0..count).map(session).collect()
    }

    static GOES_ON: AtomicBool = AtomicBool::new(false);

    fn dial(addresses: &[SocketAddr]) -> Dial<'_> {
        Dial {
            addresses,
            ends: &GOES_ON,
            name: "the server",
            timeout: 20 * SECOND,
            clock: Clock::start(),
        }
    }

    #[test]
    fn more_connections_than_attempts_at_a_time_are_made() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (_poll, connections) = dial(&[address]).all(sessions(100)).unwrap();
        assert_eq!(connections.len(), 100);
    }

    #[test]
    fn all_addresses_of_a_server_are_tried() {
        let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (dead, live) = (bind(), bind());
        let addresses = [dead.local_addr().unwrap(), live.local_addr().unwrap()];
        drop(dead);
        let (_poll, connections) = dial(&addresses).all(sessions(3)).unwrap();
        assert!(
            connections
                .iter()
                .all(|connection| connection.stream_peer() == addresses[1])
        );
    }

    #[test]
    fn a_wish_to_end_is_heeded_while_connecting() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [listener.local_addr().unwrap()];
        let dial = Dial {
            ends: &AtomicBool::new(true),
            ..dial(&addresses)
        };
        let error = dial.all(sessions(1)).unwrap_err();
        assert!(matches!(error, StartError::Ended), "{error}");
    }

    #[test]
    fn a_dead_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = dial(&[address]).all(sessions(3)).unwrap_err();
        assert!(matches!(error, StartError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("nothing listens at the server"));
    }

    #[test]
    fn the_wait_ends_at_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [listener.local_addr().unwrap()];
        let dial = Dial {
            timeout: 0,
            ..dial(&addresses)
        };
        let error = dial.all(sessions(1)).unwrap_err();
        assert!(matches!(error, StartError::Timeout { .. }), "{error}");
    }
}
