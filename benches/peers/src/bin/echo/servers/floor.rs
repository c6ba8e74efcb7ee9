//! What the system allows: a loop over its poll that reads and writes, and does nothing in between that can be left out.

use std::io::{self, ErrorKind, Read, Write};

use core_affinity::CoreId;
use mio::net::TcpStream;
use ringpost_router::wire::{Decoder, Frame, LENGTH_BYTES, Limits, Step, VERSION};

use crate::servers::mio_loop::{self, Turn};
use crate::servers::{Server, Speaks};

pub const FRAMED: Server = Server {
    name: "floor: bytes",
    setup: "a loop that sends back what it reads, and looks for no frames; what no server of frames can pass",
    speaks: Speaks::Frames,
    serve: |_: CoreId| mio_loop::serve(|stream| Echoed::new(stream, Answers::Same)),
};

pub const ROUTED: Server = Server {
    name: "floor: routed",
    setup: "the same loop; it decodes the first message of a connection, and answers those that begin like it with their \
            payload behind a head that it has kept; no worker, and no other message",
    speaks: Speaks::Routes,
    serve: |_: CoreId| {
        mio_loop::serve(|stream| Echoed::new(stream, Answers::Routed(Box::default())))
    },
};

const BUFFER_BYTES: usize = 256 << 10;

/// What is sent back.
enum Answers {
    Same,
    Routed(Box<Known>),
}

/// How the messages of a connection begin, and the answers to them.
#[derive(Default)]
struct Known {
    head: Vec<u8>,
    payload_bytes: usize,
    answer: Vec<u8>,
}

struct Echoed {
    stream: TcpStream,
    answers: Answers,
    read: Vec<u8>,
    /// How many bytes were read that are not answered.
    held: usize,
    /// What is to be written, and how much of it is.
    out: Vec<u8>,
    written: usize,
}

impl Echoed {
    fn new(stream: TcpStream, answers: Answers) -> Self {
        Self {
            stream,
            answers,
            read: vec![0; BUFFER_BYTES],
            held: 0,
            out: Vec::new(),
            written: 0,
        }
    }

    fn answer(&mut self) -> io::Result<()> {
        let bytes = &self.read[..self.held];
        let done = match &mut self.answers {
            Answers::Same => {
                self.out.extend_from_slice(bytes);
                bytes.len()
            }
            Answers::Routed(known) => known.answer(bytes, &mut self.out)?,
        };
        self.read.copy_within(done..self.held, 0);
        self.held -= done;
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            self.written += self.stream.write(&self.out[self.written..])?;
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }
}

impl Turn for Echoed {
    /// Echoes until the socket has nothing to read or no room.
    fn turn(&mut self) -> io::Result<()> {
        loop {
            self.write()?;
            let room = &mut self.read[self.held..];
            let wanted = room.len();
            let count = self.stream.read(room)?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.held += count;
            self.answer()?;
            if count < wanted {
                return self.write();
            }
        }
    }
}

impl Known {
    /// Puts the answers to the whole messages among these bytes, and says how many bytes those take.
    fn answer(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let mut done = 0;
        if self.head.is_empty() {
            done = self.learn(bytes, out)?;
        }
        let whole = self.head.len() + self.payload_bytes;
        while !self.head.is_empty()
            && let Some(frame) = bytes[done..].get(..whole)
        {
            let (head, payload) = frame.split_at(self.head.len());
            if head != self.head {
                return Err(ErrorKind::InvalidData.into());
            }
            out.extend_from_slice(&self.answer);
            out.extend_from_slice(payload);
            done += whole;
        }
        Ok(done)
    }

    /// Reads the first message, which is answered with all others. Returns how many bytes stand before it.
    fn learn(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let limits = Limits::default();
        let step = Decoder::new(limits).step(bytes).map_err(io::Error::other)?;
        let Step::Frame { frame, .. } = step else {
            return Ok(0);
        };
        let before = 1;
        let start = frame
            .payload_range(bytes)
            .ok_or(ErrorKind::InvalidData)?
            .start;
        debug_assert!(
            start > before + LENGTH_BYTES,
            "a version and a length stand before it"
        );
        self.head = bytes[before..start].to_vec();
        self.payload_bytes = frame.payload.len();
        Frame::new(frame.return_route, frame.onward, frame.payload)
            .encode_head(&limits, &mut self.answer)
            .map_err(io::Error::other)?;
        out.push(VERSION);
        Ok(before)
    }
}

#[cfg(test)]
mod tests {
    use ringpost_router::route;

    use super::*;

    #[test]
    fn messages_come_back_along_their_return_routes() {
        let limits = Limits::default();
        let mut sent = vec![VERSION];
        let mut wanted = vec![VERSION];
        for payload in [b"one", b"two"] {
            let (there, back) = (route!["echoer"], route!["client"]);
            let message = Frame::new(there.clone(), back.clone(), payload);
            message.encode(&limits, &mut sent).unwrap();
            let answer = Frame::new(back, there, payload);
            answer.encode(&limits, &mut wanted).unwrap();
        }
        let (mut known, mut out, mut done) = (Known::default(), Vec::new(), 0);
        for end in [3, sent.len() - 1, sent.len()] {
            done += known.answer(&sent[done..end], &mut out).unwrap();
        }
        assert_eq!((done, out), (sent.len(), wanted));
    }
}
