//! Reading into blocks of the core's pool.

use std::io;
use std::task::{Context as Polling, Poll};

use ringpost_mailbox::buf::BufMut;

use crate::core::io::Direction;
use crate::net::Duplex;

/// What is read at one time into an empty buffer.
const READ_BYTES: usize = 64 * 1024;

/// Room behind what a buffer holds that is worth a read.
const SPARE_BYTES_MIN: usize = 16 * 1024;

impl Duplex {
    /// As `read_buf` of the streams, for futures that poll.
    pub(crate) fn poll_read_buf(
        &mut self,
        polling: &mut Polling<'_>,
        buf: &mut BufMut,
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.stream;
        let mut wanted = 0;
        let result = self.place.poll_try(Direction::Read, polling, || {
            make_room(buf)?;
            let room = buf.spare();
            wanted = room.len();
            stream.read(room)
        });
        match result {
            Poll::Ready(Ok(count)) => buf.commit(count),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => rest(buf),
        }
        self.after(Direction::Read, result, wanted, polling)
    }
}

/// Sees to it that a read is worth its call.
fn make_room(buf: &mut BufMut) -> io::Result<()> {
    let held = buf.len();
    if held == 0 && buf.capacity() == READ_BYTES {
        return Ok(());
    }
    let spare = buf.capacity().saturating_sub(held);
    if held > 0 && spare >= SPARE_BYTES_MIN {
        return Ok(());
    }
    let moved = move_to(buf, READ_BYTES.max(held.saturating_mul(2)));
    moved.ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// Nothing is read for now: gives back room beyond what is held.
fn rest(buf: &mut BufMut) {
    let held = buf.len();
    if buf.capacity() > held.saturating_mul(2).saturating_add(256) {
        // Without memory for that it keeps what it has.
        let _ = move_to(buf, held);
    }
}

fn move_to(buf: &mut BufMut, capacity: usize) -> Option<()> {
    let mut moved = BufMut::try_with_capacity(capacity)?;
    moved.extend_from_slice(buf);
    *buf = moved;
    Some(())
}
