//! One connection: a session and its socket.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use ringpost_router::wire::WireError;

use crate::clock::Clock;
use crate::recorder::Recorder;
use crate::session::Session;

/// Reads that one connection may make before the others get their turn.
const READS_MAX: usize = 16;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    session: Session,
    /// The beginning of a reply whose end has not arrived.
    rest: Vec<u8>,
    state: State,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// All is sent and answered.
    Done,
    /// It ended before that.
    Broken,
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the server closed the connection")]
    Closed,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}; does the server speak what the target names? A plain echo is raw://")]
    Wire(#[from] WireError),
}

/// Whether there may be more to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    None,
    Maybe,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, session: Session) -> Self {
        Self {
            stream,
            session,
            rest: Vec::new(),
            state: State::Open,
        }
    }

    #[cfg(test)]
    pub(super) fn stream_peer(&self) -> std::net::SocketAddr {
        self.stream.peer_addr().expect("it is connected")
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn set_state(&mut self, state: State) {
        self.state = state;
    }

    /// Reads what has arrived, up to a limit.
    #[inline]
    pub(super) fn read(
        &mut self,
        clock: Clock,
        buffer: &mut [u8],
        recorder: &mut Recorder,
    ) -> Result<Unread, Failure> {
        for _ in 0..READS_MAX {
            let kept = self.rest.len();
            // The buffer has room for the longest frame and more.
            let (front, space) = buffer.split_at_mut(kept);
            front.copy_from_slice(&self.rest);
            let room = space.len();
            let read = match self.stream.read(space) {
                Ok(0) => return Err(Failure::Closed),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Unread::None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let arrived = buffer.get(..kept + read).unwrap_or_default();
            let consumed = self.session.receive(clock.now(), arrived, recorder)?;
            self.rest.clear();
            self.rest
                .extend_from_slice(arrived.get(consumed..).unwrap_or_default());
            // Where less was read than there was room for, nothing is left to read. Windows tells of new
            // bytes only after a read that would have had to wait.
            if read < room && cfg!(unix) {
                return Ok(Unread::None);
            }
        }
        Ok(Unread::Maybe)
    }

    /// Sends the messages that are due, as far as the window and the socket take them.
    #[inline]
    pub(super) fn write(&mut self, clock: Clock) -> Result<(), Failure> {
        let now = clock.now();
        loop {
            self.session.fill(now);
            let pending = self.session.pending();
            if pending.is_empty() {
                return Ok(());
            }
            match self.stream.write(pending) {
                Ok(0) => return Err(Failure::Closed),
                Ok(written) => self.session.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
