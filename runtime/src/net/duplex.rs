//! Connections, whatever they run over.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll, ready};
use std::time::Duration;

use crate::context::Context;
use crate::context::sleep::Sleep;
use crate::core::Core;
use crate::core::io::Direction;
use crate::driver::net::{Endpoint, Forget, Loose, Stream};
use crate::net::deadline::Deadline;
use crate::net::source::Place;

/// How long to wait when a Unix socket has no room for one more that connects.
const PAUSE: Duration = Duration::from_millis(1);

/// A connection of one core: what [`TcpStream`](crate::net::TcpStream) and
/// [`UnixStream`](crate::net::UnixStream) are inside.
pub(crate) struct Duplex {
    pub(super) stream: Stream,
    pub(super) place: Place,
    reading: Deadline,
    writing: Deadline,
}

impl Duplex {
    pub(crate) async fn connect(ctx: &Context, to: &Endpoint) -> io::Result<Self> {
        let place = Place::new(&ctx.core, false);
        let stream = loop {
            match ctx.core.io.network.connect(to, place.key) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ctx.sleep(PAUSE).await,
                begun => break begun?,
            }
        };
        let stream = Self::new(stream, place);
        let check = || stream.stream.check_connected();
        poll_fn(|polling| stream.place.poll_try(Direction::Write, polling, check)).await?;
        Ok(stream)
    }

    pub(crate) async fn connect_within(
        ctx: &Context,
        to: &Endpoint,
        timeout: Duration,
    ) -> io::Result<Self> {
        let mut connecting = Box::pin(Self::connect(ctx, to));
        let mut sleep = Sleep::new(Rc::clone(&ctx.core), timeout);
        poll_fn(|polling| {
            if let Poll::Ready(result) = connecting.as_mut().poll(polling) {
                return Poll::Ready(result);
            }
            ready!(Pin::new(&mut sleep).poll(polling));
            Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{to} did not answer within {timeout:?}"),
            )))
        })
        .await
    }

    /// A stream that a core has accepted, this one or another.
    pub(crate) fn attach(core: &Rc<Core>, loose: Loose) -> io::Result<Self> {
        let mut stream = core.io.network.take(loose)?;
        let place = Place::new(core, true);
        core.io.network.adopt(&mut stream, place.key)?;
        Ok(Self::new(stream, place))
    }

    fn new(stream: Stream, place: Place) -> Self {
        Self {
            stream,
            place,
            reading: Deadline::default(),
            writing: Deadline::default(),
        }
    }

    /// The socket, for what is asked of it and does not wait.
    pub(crate) fn socket(&self) -> &Stream {
        &self.stream
    }

    pub(crate) fn core(&self) -> u16 {
        self.place.core.id
    }

    /// Whether there may be something to read, as far as is known.
    pub(crate) fn is_readable(&self) -> bool {
        self.place.core.io.is_readable(self.place.key)
    }

    /// Ready once the peer has ended its side, whether or not what came before was read.
    pub(crate) fn poll_read_closed(&self, polling: &Polling<'_>) -> Poll<()> {
        let Place { core, key } = &self.place;
        core.io.poll_read_closed(core, *key, polling)
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    pub(crate) fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.reading.set(timeout);
    }

    pub(crate) fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.writing.set(timeout);
    }

    /// Another read begins. One that was dropped may have left its timer behind.
    pub(crate) fn begin_read(&mut self) {
        self.reading.end();
    }

    /// As [`begin_read`](Self::begin_read), of a write.
    pub(crate) fn begin_write(&mut self) {
        self.writing.end();
    }

    pub(crate) fn poll_read_into(
        &mut self,
        polling: &mut Polling<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let wanted = buf.len();
        self.poll_move(Direction::Read, wanted, polling, |stream| stream.read(buf))
    }

    pub(crate) fn poll_read_parts(
        &mut self,
        polling: &mut Polling<'_>,
        parts: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = sum(parts.iter().map(|part| part.len()));
        let read = |stream: &mut Stream| stream.read_vectored(parts);
        self.poll_move(Direction::Read, wanted, polling, read)
    }

    pub(crate) fn poll_write_parts(
        &mut self,
        polling: &mut Polling<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [part] = parts {
            // The system has less to look at.
            return self.poll_write_from(polling, part);
        }
        let wanted = sum(parts.iter().map(|part| part.len()));
        let write = |stream: &mut Stream| stream.write_vectored(parts);
        self.poll_move(Direction::Write, wanted, polling, write)
    }

    pub(crate) fn poll_write_from(
        &mut self,
        polling: &mut Polling<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = |stream: &mut Stream| stream.write(buf);
        self.poll_move(Direction::Write, buf.len(), polling, write)
    }

    /// Moves some of `wanted` bytes, as soon as any can be moved.
    fn poll_move(
        &mut self,
        direction: Direction,
        wanted: usize,
        polling: &mut Polling<'_>,
        mut attempt: impl FnMut(&mut Stream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.stream;
        let result = self.place.poll_try(direction, polling, || attempt(stream));
        self.after(direction, result, wanted, polling)
    }

    /// What came of an attempt. While nothing has, the time of the operation runs.
    pub(super) fn after(
        &mut self,
        direction: Direction,
        result: Poll<io::Result<usize>>,
        wanted: usize,
        polling: &mut Polling<'_>,
    ) -> Poll<io::Result<usize>> {
        let deadline = match direction {
            Direction::Read => &mut self.reading,
            Direction::Write => &mut self.writing,
        };
        match result {
            Poll::Ready(result) => {
                deadline.end();
                if let Ok(moved) = result {
                    self.place.note_moved(direction, moved, wanted);
                }
                Poll::Ready(result)
            }
            Poll::Pending => deadline.poll(&self.place.core, polling).map(Err),
        }
    }
}

fn sum(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.fold(0, usize::saturating_add)
}

impl Drop for Duplex {
    fn drop(&mut self) {
        let network = &self.place.core.io.network;
        network.forget(Forget::Stream(&mut self.stream));
    }
}
