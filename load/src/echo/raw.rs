//! A service that sends back the bytes it gets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread::JoinHandle;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use ringpost_mailbox::sync::{Arc, Mutex};

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
const BUFFER_BYTES: usize = 256 * 1024;

/// A service on a thread of its own; dropping it ends it.
#[derive(Debug)]
pub(crate) struct RawEcho {
    address: SocketAddr,
    waker: Arc<Waker>,
    failure: Failure,
    thread: Option<JoinHandle<()>>,
}

/// Why no more connections are taken, when that is so.
type Failure = Arc<Mutex<Option<String>>>;

impl RawEcho {
    /// Listens at this address; port 0 takes a free one.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn start(address: SocketAddr) -> io::Result<Self> {
        let mut listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let failure = Failure::default();
        let echo = Echo {
            poll,
            failure: Arc::clone(&failure),
            listener,
            streams: Vec::new(),
            free: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
        };
        let thread = std::thread::Builder::new()
            .name("load-echo".into())
            .spawn(move || echo.run())?;
        Ok(Self {
            address,
            waker,
            failure,
            thread: Some(thread),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }
}

impl Drop for RawEcho {
    fn drop(&mut self) {
        let woken = self.waker.wake();
        if let (Ok(()), Some(thread)) = (woken, self.thread.take()) {
            // A panic there has nothing left to harm.
            let _ = thread.join();
        }
    }
}

struct Echo {
    poll: Poll,
    failure: Failure,
    listener: TcpListener,
    /// By token.
    streams: Vec<Option<Echoed>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

struct Echoed {
    stream: TcpStream,
    /// What was read and could not be written yet. While there is any, nothing is read.
    unwritten: Vec<u8>,
}

impl Echo {
    fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return,
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKER => return,
                    LISTENER => self.accept(),
                    Token(at) => self.serve(at),
                }
            }
        }
    }

    fn accept(&mut self) {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return,
                    // Whoever has gone again before they were accepted is no loss.
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => continue,
                    _ => {
                        *self.failure.lock() = Some(error.to_string());
                        return;
                    }
                },
            };
            let at = self.free.pop().unwrap_or_else(|| {
                self.streams.push(None);
                self.streams.len() - 1
            });
            let mut echoed = Echoed {
                stream,
                unwritten: Vec::new(),
            };
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registry = self.poll.registry();
            let registered = registry.register(&mut echoed.stream, Token(at), interest);
            if registered
                .and_then(|()| echoed.stream.set_nodelay(true))
                .is_ok()
            {
                self.streams[at] = Some(echoed);
                self.serve(at);
            } else {
                self.free.push(at);
            }
        }
    }

    fn serve(&mut self, at: usize) {
        let Some(echoed) = self.streams.get_mut(at).and_then(Option::as_mut) else {
            return;
        };
        match echoed.turn(&mut self.buffer) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                self.streams[at] = None;
                self.free.push(at);
            }
            _ => {}
        }
    }
}

impl Echoed {
    /// Echoes until the socket has no more to read or takes no more.
    fn turn(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            while !self.unwritten.is_empty() {
                let written = self.stream.write(&self.unwritten)?;
                self.unwritten.drain(..written);
            }
            let read = self.stream.read(buffer)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let bytes = &buffer[..read];
            let written = match self.stream.write(bytes) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            self.unwritten.extend_from_slice(&bytes[written..]);
            if self.unwritten.is_empty() && read < buffer.len() && cfg!(unix) {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn bytes_come_back_also_when_they_are_more_than_sockets_hold() {
        let echo = RawEcho::start(([127, 0, 0, 1], 0).into()).unwrap();
        let stream = TcpStream::connect(echo.address()).unwrap();
        let sent: Vec<u8> = (0..8_000_000_u32).map(|at| (at % 251) as u8).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| (&stream).write_all(&sent).unwrap());
            let mut received = vec![0; sent.len()];
            (&stream).read_exact(&mut received).unwrap();
            assert!(received == sent);
        });
    }

    #[test]
    fn a_taken_port_is_an_error() {
        let echo = RawEcho::start(([127, 0, 0, 1], 0).into()).unwrap();
        let error = RawEcho::start(echo.address()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }
}
