//! The loop over mio's poll of the servers that are written by hand.

use std::io::{self, ErrorKind};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::servers::{ANYWHERE, listening};

const LISTENER: Token = Token(usize::MAX);

/// A connection of such a server.
pub trait Turn {
    /// Does what can be done for now.
    ///
    /// # Errors
    /// `WouldBlock` if the socket has nothing to read or no room; any other ends the connection.
    fn turn(&mut self) -> io::Result<()>;
}

/// Accepts connections and gives each its turns, for ever.
pub fn serve<T: Turn>(begin: impl Fn(TcpStream) -> T) -> io::Result<()> {
    let mut listener = TcpListener::bind(ANYWHERE.parse().map_err(io::Error::other)?)?;
    listening(listener.local_addr()?)?;
    let mut poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut streams: Vec<Option<T>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let both = Interest::READABLE | Interest::WRITABLE;
                    registry.register(&mut stream, Token(streams.len()), both)?;
                    streams.push(Some(begin(stream)));
                }
                continue;
            }
            let place = &mut streams[event.token().0];
            let is_open = place.as_mut().is_some_and(|stream| match stream.turn() {
                Ok(()) => true,
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            });
            if !is_open {
                *place = None;
            }
        }
    }
}
