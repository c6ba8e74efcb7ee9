//! Making many connections at once.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::Connection;
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
    pub(super) address: SocketAddr,
    pub(super) name: &'a str,
    pub(super) timeout: Nanos,
    pub(super) clock: Clock,
}

impl Dial<'_> {
    /// Connects all sessions, and registers each connection with its place as its token.
    ///
    /// # Errors
    /// That of the first connection that cannot be made.
    pub(super) fn all(
        &self,
        sessions: Vec<Session>,
    ) -> Result<(Poll, Vec<Connection>), StartError> {
        let mut poll = Poll::new().map_err(StartError::Poll)?;
        let mut events = Events::with_capacity(ATTEMPTS_MAX);
        let count = sessions.len();
        let mut sessions = sessions.into_iter();
        let mut connections: Vec<Connection> = Vec::with_capacity(count);
        let mut made = vec![false; count];
        let mut waiting = 0;
        let mut deadline = self.deadline();
        while connections.len() < count || waiting > 0 {
            while waiting < ATTEMPTS_MAX {
                let Some(session) = sessions.next() else {
                    break;
                };
                let place = connections.len();
                let stream = self
                    .begin(&poll, place)
                    .map_err(|error| self.failed(error, place, count))?;
                connections.push(Connection::new(stream, session));
                waiting += 1;
            }
            self.poll(&mut poll, &mut events, deadline)?;
            for event in &events {
                let place = event.token().0;
                let (Some(connection), Some(made)) = (connections.get(place), made.get_mut(place))
                else {
                    continue;
                };
                let done = !*made
                    && is_connected(connection.stream())
                        .map_err(|error| self.failed(error, place, count))?;
                if done {
                    *made = true;
                    waiting -= 1;
                    deadline = self.deadline();
                }
            }
        }
        Ok((poll, connections))
    }

    fn deadline(&self) -> Nanos {
        self.clock.now().saturating_add(self.timeout)
    }

    fn begin(&self, poll: &Poll, place: usize) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry()
            .register(&mut stream, Token(place), interest)?;
        Ok(stream)
    }

    fn poll(
        &self,
        poll: &mut Poll,
        events: &mut Events,
        deadline: Nanos,
    ) -> Result<(), StartError> {
        let left = deadline.saturating_sub(self.clock.now());
        if left == 0 {
            return Err(StartError::Timeout {
                server: self.name.to_owned(),
                timeout: Duration::from_nanos(self.timeout),
            });
        }
        match poll.poll(events, Some(Duration::from_nanos(left))) {
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

    fn dial(address: SocketAddr) -> Dial<'static> {
        Dial {
            address,
            name: "the server",
            timeout: 20 * SECOND,
            clock: Clock::start(),
        }
    }

    #[test]
    fn more_connections_than_attempts_at_a_time_are_made() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (_poll, connections) = dial(address).all(sessions(100)).unwrap();
        assert_eq!(connections.len(), 100);
    }

    #[test]
    fn a_dead_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = dial(address).all(sessions(3)).unwrap_err();
        assert!(matches!(error, StartError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("nothing listens at the server"));
    }

    #[test]
    fn the_wait_ends_at_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dial = Dial {
            timeout: 0,
            ..dial(listener.local_addr().unwrap())
        };
        let error = dial.all(sessions(1)).unwrap_err();
        assert!(matches!(error, StartError::Timeout { .. }), "{error}");
    }
}
