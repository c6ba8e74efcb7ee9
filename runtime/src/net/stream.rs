//! Connections.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll, ready};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};

use crate::context::Context;
use crate::context::sleep::Sleep;
use crate::core::Core;
use crate::core::io::Direction;
use crate::driver::net::{Forget, Stream};
use crate::net::Keepalive;
use crate::net::deadline::Deadline;
use crate::net::source::Place;

/// A TCP connection of one core.
///
/// Reading and writing may go on at the same time. A write waits when the peer does not read and the
/// system's buffers are full; a read waits for bytes. Both may be given a time limit, which counts anew
/// for each operation. Dropping the stream closes the connection.
///
/// # Cancellation
/// A read or write that is dropped has moved nothing, but for [`read_exact`](Self::read_exact) and
/// [`write_all`](Self::write_all), which may have moved a part.
pub struct TcpStream {
    stream: Stream,
    place: Place,
    reading: Deadline,
    writing: Deadline,
}

impl TcpStream {
    /// Connects, on the core of `ctx`. Waits as long as the system does, which can be minutes.
    ///
    /// # Errors
    /// Of the system: refused, unreachable.
    pub async fn connect(ctx: &Context, address: SocketAddr) -> io::Result<Self> {
        let place = Place::new(&ctx.core, false);
        let stream = ctx.core.io.network.connect(address, place.key)?;
        let stream = Self::new(stream, place);
        let check = || stream.stream.check_connected();
        poll_fn(|polling| stream.place.poll_try(Direction::Write, polling, check)).await?;
        Ok(stream)
    }

    /// As [`connect`](Self::connect), for at most so long.
    ///
    /// # Errors
    /// Also [`TimedOut`](io::ErrorKind::TimedOut).
    pub async fn connect_within(
        ctx: &Context,
        address: SocketAddr,
        timeout: Duration,
    ) -> io::Result<Self> {
        let mut connecting = Box::pin(Self::connect(ctx, address));
        let mut sleep = Sleep::new(Rc::clone(&ctx.core), timeout);
        poll_fn(|polling| {
            if let Poll::Ready(result) = connecting.as_mut().poll(polling) {
                return Poll::Ready(result);
            }
            ready!(Pin::new(&mut sleep).poll(polling));
            Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{address} did not answer within {timeout:?}"),
            )))
        })
        .await
    }

    /// A stream that this core has accepted.
    pub(crate) fn adopt(core: &Rc<Core>, mut stream: Stream) -> io::Result<Self> {
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

    /// Reads what has come, once there is something. 0 is the end, or a `buf` without room.
    ///
    /// # Errors
    /// Of the system; [`TimedOut`](io::ErrorKind::TimedOut).
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|polling| self.poll_read_into(polling, buf)).await
    }

    /// Reads until `buf` is full.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the end comes first.
    pub async fn read_exact(&mut self, mut buf: &mut [u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read(buf).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => buf = buf.get_mut(count..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Writes what there is room for, once there is some.
    ///
    /// # Errors
    /// Of the system; [`TimedOut`](io::ErrorKind::TimedOut).
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        poll_fn(|polling| self.poll_write_from(polling, buf)).await
    }

    /// Writes the parts one after the other, in one system call, as far as there is room.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        poll_fn(|polling| self.poll_write_parts(polling, parts)).await
    }

    /// Writes all of `buf`.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write(buf).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => buf = buf.get(count..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Ends one direction or both. The peer reads what was written before, and then the end.
    ///
    /// # Errors
    /// Of the system.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// How long each read may wait; `None`, the default, is for ever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.reading.set(timeout);
    }

    /// How long each write may wait; `None`, the default, is for ever.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.writing.set(timeout);
    }

    /// Whether small writes leave at once and not when more has come or the peer has answered.
    ///
    /// # Errors
    /// Of the system.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.stream.set_nodelay(nodelay)
    }

    /// Has the system probe a silent peer, so that one that is gone is noticed.
    ///
    /// # Errors
    /// Of the system.
    pub fn set_keepalive(&self, keepalive: Option<Keepalive>) -> io::Result<()> {
        self.stream.set_keepalive(keepalive)
    }

    /// The address at this end.
    ///
    /// # Errors
    /// Of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// The address at the other end.
    ///
    /// # Errors
    /// Of the system.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    pub(crate) fn poll_read_into(
        &mut self,
        polling: &mut Polling<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.stream;
        let result = self
            .place
            .poll_try(Direction::Read, polling, || stream.read(buf));
        self.after_read(result, buf.len(), polling)
    }

    fn poll_read_parts(
        &mut self,
        polling: &mut Polling<'_>,
        parts: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.stream;
        let wanted = parts
            .iter()
            .fold(0usize, |sum, part| sum.saturating_add(part.len()));
        let attempt = || stream.read_vectored(parts);
        let result = self.place.poll_try(Direction::Read, polling, attempt);
        self.after_read(result, wanted, polling)
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
        let stream = &mut self.stream;
        let wanted = parts
            .iter()
            .fold(0usize, |sum, part| sum.saturating_add(part.len()));
        let attempt = || stream.write_vectored(parts);
        let result = self.place.poll_try(Direction::Write, polling, attempt);
        self.after_write(result, wanted, polling)
    }

    fn poll_write_from(
        &mut self,
        polling: &mut Polling<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.stream;
        let attempt = || stream.write(buf);
        let result = self.place.poll_try(Direction::Write, polling, attempt);
        self.after_write(result, buf.len(), polling)
    }

    fn after_read(
        &mut self,
        result: Poll<io::Result<usize>>,
        wanted: usize,
        polling: &mut Polling<'_>,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(result) => {
                self.reading.end();
                if let Ok(moved) = result {
                    self.place.note_moved(Direction::Read, moved, wanted);
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.reading.poll(&self.place.core, polling).map(Err),
        }
    }

    fn after_write(
        &mut self,
        result: Poll<io::Result<usize>>,
        wanted: usize,
        polling: &mut Polling<'_>,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(result) => {
                self.writing.end();
                if let Ok(moved) = result {
                    self.place.note_moved(Direction::Write, moved, wanted);
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.writing.poll(&self.place.core, polling).map(Err),
        }
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        polling: &mut Polling<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_read_into(polling, buf)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        polling: &mut Polling<'_>,
        parts: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_read_parts(polling, parts)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        polling: &mut Polling<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_from(polling, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        polling: &mut Polling<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_parts(polling, parts)
    }

    /// Nothing is kept back here, so there is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _polling: &mut Polling<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _polling: &mut Polling<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown(Shutdown::Write))
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        let network = &self.place.core.io.network;
        network.forget(Forget::Stream(&mut self.stream));
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .field("core", &self.place.core.id)
            .finish_non_exhaustive()
    }
}
