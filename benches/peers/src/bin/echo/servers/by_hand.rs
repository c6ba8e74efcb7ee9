//! A loop over mio, as one writes it for this task alone.

use std::io::{self, ErrorKind, Read, Write};

use core_affinity::CoreId;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::frames::Inbox;
use crate::servers::{ANYWHERE, Server, Speaks, listening};

pub const SERVER: Server = Server {
    name: "mio, by hand",
    setup: "one loop; each readable socket is read and written until it would block",
    speaks: Speaks::Frames,
    serve,
};

const LISTENER: Token = Token(usize::MAX);

struct Echoed {
    stream: TcpStream,
    inbox: Inbox,
    /// How many bytes of the whole frames are written.
    written: usize,
}

fn serve(_cpu: CoreId) -> io::Result<()> {
    let mut listener = TcpListener::bind(ANYWHERE.parse().map_err(io::Error::other)?)?;
    listening(listener.local_addr()?)?;
    let mut poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut streams: Vec<Option<Echoed>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let both = Interest::READABLE | Interest::WRITABLE;
                    registry.register(&mut stream, Token(streams.len()), both)?;
                    streams.push(Some(Echoed {
                        stream,
                        inbox: Inbox::new(),
                        written: 0,
                    }));
                }
                continue;
            }
            let place = &mut streams[event.token().0];
            let is_open = place.as_mut().is_some_and(|echoed| match echoed.turn() {
                Ok(()) => true,
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            });
            if !is_open {
                *place = None;
            }
        }
    }
}

impl Echoed {
    /// Echoes until the socket has nothing to read or no room.
    fn turn(&mut self) -> io::Result<()> {
        loop {
            self.write_frames()?;
            let room = self.inbox.room();
            let wanted = room.len();
            let count = self.stream.read(room)?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.inbox.commit(count);
            if count < wanted {
                // There is no more, and the next edge will say when there is.
                return self.write_frames();
            }
        }
    }

    /// Writes the frames that are whole.
    fn write_frames(&mut self) -> io::Result<()> {
        let frames = self.inbox.frames().map_err(|_| ErrorKind::InvalidData)?;
        while self.written < frames.len() {
            self.written += self.stream.write(&frames[self.written..])?;
        }
        self.inbox.consume(self.written);
        self.written = 0;
        Ok(())
    }
}
