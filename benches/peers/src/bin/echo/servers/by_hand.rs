//! A loop over mio, as one writes it for this task alone.

use std::io::{self, ErrorKind, Read, Write};

use core_affinity::CoreId;
use mio::net::TcpStream;

use crate::frames::Inbox;
use crate::servers::mio_loop::{self, Turn};
use crate::servers::{Server, Speaks};

pub const SERVER: Server = Server {
    name: "mio, by hand",
    setup: "one loop; each readable socket is read and written until it would block",
    speaks: Speaks::Frames,
    serve: |_: CoreId| mio_loop::serve(Echoed::new),
};

struct Echoed {
    stream: TcpStream,
    inbox: Inbox,
    /// How many bytes of the whole frames are written.
    written: usize,
}

impl Echoed {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            inbox: Inbox::new(),
            written: 0,
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

impl Turn for Echoed {
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
}
