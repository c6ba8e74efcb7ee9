//! What a connection brings, kept until it is whole.

use core::fmt;
use core::ops::Range;

use ringpost_mailbox::buf::{Buf, BufMut};

use super::cbor::Reader;
use super::decoder::Next;
use super::frame::{Parts, range_of, route};
use super::{Decoder, Field, LENGTH_BYTES, Limits, WireError};
use crate::Route;

/// How much is read at one time. A block of that size is held only while there is something in it.
const READ_BYTES: usize = 64 * 1024;

/// Room that is worth a read.
const SPARE_BYTES_MIN: usize = 16 * 1024;

/// A payload that ends what has arrived is handed out with the block it lies in if it is at least so
/// long, and takes at least half of the block. Any other is copied into a block of its own size: it
/// costs less than counting who still has a part of the block, a short message that is kept does not
/// keep a long block, and the block that is read into next is one that is in the cache.
const OWN_BLOCK_BYTES_MIN: usize = 2048;

/// An encoded route that is longer is decoded anew for each message.
const KNOWN_BYTES_MAX: usize = 256;

/// A message as it came over a connection.
///
/// Most messages come by the same way as the one before, byte for byte; what follows from it has been
/// worked out then and need not be worked out again.
#[derive(Debug)]
pub struct Incoming {
    /// Whom the message still has to visit; `None` where those are the same as for the message before.
    pub onward: Option<Route>,
    /// Whom a reply to it visits; `None` where those are the same as for the message before.
    pub return_route: Option<Route>,
    /// The encoded message.
    pub payload: Buf,
}

/// Makes a buffer with room for so many bytes; `None` if there is no memory.
type Fresh = fn(usize) -> Option<BufMut>;

/// The receiving side of a connection: room to read into, and the messages that come of it.
///
/// Memory is taken for what has arrived and not for what is announced: a block for one read, and for a
/// longer frame twice as much as there is of it. An idle connection holds none once
/// [`rest`](Self::rest) was called. Where no more memory is to be had nothing of what has arrived is lost, and all goes on
/// when there is some: see [`try_room`](Self::try_room) and [`next`](Self::next).
///
/// ```
/// use ringpost_router::wire::{Frame, Intake, Limits};
/// use ringpost_router::route;
///
/// let limits = Limits::default();
/// let mut sent = vec![1];
/// Frame::new(route!["echoer"], route!["app"], b"\x02hi").encode(&limits, &mut sent)?;
///
/// let mut intake = Intake::new(limits);
/// let room = intake.room();
/// room[..sent.len()].copy_from_slice(&sent);
/// intake.commit(sent.len());
/// let message = intake.next()?.expect("a whole frame is there");
/// assert_eq!(message.onward, Some(route!["echoer"]));
/// assert_eq!(message.payload, b"\x02hi");
/// assert!(intake.next()?.is_none());
/// # Ok::<(), ringpost_router::wire::WireError>(())
/// ```
pub struct Intake {
    decoder: Decoder,
    buf: Option<BufMut>,
    /// Where in the buffer the next frame begins.
    at: usize,
    /// How long that frame is, as far as is known.
    needed: usize,
    onward: Known,
    return_route: Known,
    alike: Alike,
}

/// How the last frame began, up to its payload and with its length, if it ended with that. One that begins with the
/// same bytes has its payload at the same place, and need not be read.
#[derive(Default)]
struct Alike {
    /// Nothing, if the next frame is to be read.
    head: Vec<u8>,
    frame_bytes: usize,
}

impl Alike {
    /// Whether these bytes begin with a whole frame that is so.
    #[inline]
    fn is_front_of(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.frame_bytes && !self.head.is_empty() && bytes.starts_with(&self.head)
    }

    /// A frame was read: it begins here, and its payload there.
    fn note(&mut self, frame: &[u8], payload: &[u8]) {
        self.head.clear();
        self.frame_bytes = frame.len();
        let head = range_of(payload, frame)
            .filter(|range| range.end == frame.len() && range.start <= KNOWN_BYTES_MAX)
            .and_then(|range| frame.get(..range.start));
        self.head.extend_from_slice(head.unwrap_or_default());
    }
}

/// A route of the last frame, as it was encoded.
#[derive(Default)]
struct Known(Vec<u8>);

impl Known {
    /// Reads a route; `None` if it is this one. An encoded route says where it ends, so one that begins
    /// with all of these bytes is the same.
    #[inline]
    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        field: Field,
        limits: &Limits,
    ) -> Result<Option<Route>, WireError> {
        match !self.0.is_empty() && reader.takes_bytes(&self.0) {
            true => Ok(None),
            false => self.read_anew(reader, field, limits).map(Some),
        }
    }

    fn read_anew(
        &mut self,
        reader: &mut Reader<'_>,
        field: Field,
        limits: &Limits,
    ) -> Result<Route, WireError> {
        self.0.clear();
        let before = reader.rest();
        let route = route(reader, field, limits)?;
        let len = before.len().saturating_sub(reader.rest().len());
        if len <= KNOWN_BYTES_MAX {
            let bytes = before.get(..len).unwrap_or_default();
            self.0.extend_from_slice(bytes);
        }
        Ok(route)
    }
}

impl Intake {
    /// The side of a connection that has brought nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            decoder: Decoder::new(limits),
            buf: None,
            at: 0,
            needed: LENGTH_BYTES,
            onward: Known::default(),
            return_route: Known::default(),
            alike: Alike::default(),
        }
    }

    /// Whether the peer's version has been read.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.decoder.is_open()
    }

    /// How many bytes are held that are not a whole frame, or were not looked at yet.
    #[must_use]
    pub fn held(&self) -> usize {
        let len = self.buf.as_ref().map_or(0, |buf| buf.len());
        len.saturating_sub(self.at)
    }

    /// How much memory is held.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buf.as_ref().map_or(0, BufMut::capacity)
    }

    /// Where to read into; never empty. What was read is [committed](Self::commit). The process ends if there is no
    /// memory, as with a `Vec`.
    pub fn room(&mut self) -> &mut [u8] {
        self.make_room(|bytes| Some(BufMut::with_capacity(bytes)));
        self.spare().unwrap_or_default()
    }

    /// As [`room`](Self::room), where memory may be refused: `None` then, and what has arrived stays as it is.
    pub fn try_room(&mut self) -> Option<&mut [u8]> {
        match self.make_room(BufMut::try_with_capacity) {
            true => self.spare(),
            false => None,
        }
    }

    fn spare(&mut self) -> Option<&mut [u8]> {
        self.buf.as_mut().map(BufMut::spare)
    }

    /// Sees to it that there is room worth a read. False if there is no memory for it.
    fn make_room(&mut self, fresh: Fresh) -> bool {
        let held = self.held();
        if let Some(buf) = &mut self.buf
            && held == 0
            && buf.capacity() == READ_BYTES
        {
            buf.clear();
            self.at = 0;
            return true;
        }
        let suits = |buf| held > 0 && self.suits(buf);
        self.buf.as_ref().is_some_and(suits) || self.move_to_more(held, fresh)
    }

    /// Whether to go on reading into a buffer that holds something: the rest of the frame fits, or enough
    /// of it that the moves to larger buffers cost no more than the reads, however small these are. A long
    /// buffer is kept for a long frame only.
    fn suits(&self, buf: &BufMut) -> bool {
        let fits = self.at.saturating_add(self.needed) <= buf.capacity();
        let spare = buf.capacity().saturating_sub(buf.len());
        (fits && spare > 0 || spare >= SPARE_BYTES_MIN)
            && (buf.capacity() <= READ_BYTES || self.needed > READ_BYTES / 2)
    }

    /// The first `count` bytes of the [room](Self::room) were read.
    pub fn commit(&mut self, count: usize) {
        if let Some(buf) = &mut self.buf {
            let room = buf.spare().len();
            buf.commit(count.min(room));
        }
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    /// As [`Decoder::step`]; the connection is to be closed. [`WireError::NoMemory`] if there is none for the payload: then
    /// nothing has happened, and the message comes when it is asked for again and there is some.
    #[allow(clippy::should_implement_trait, reason = "it fails, and goes on later")]
    pub fn next(&mut self) -> Result<Option<Incoming>, WireError> {
        if let Some(payload) = self.next_alike() {
            return Ok(Some(Incoming {
                onward: None,
                return_route: None,
                payload,
            }));
        }
        let Some(buf) = &self.buf else {
            return Ok(None);
        };
        let bytes = buf.get(self.at..).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(None);
        }
        let version = usize::from(!self.decoder.is_open());
        let (routes, alike) = ((&mut self.onward, &mut self.return_route), &mut self.alike);
        match read(&mut self.decoder, routes, alike, bytes)? {
            Next::Frame { frame, .. } => {
                let bytes = frame.payload.len();
                let Some(payload) = self.take(frame.payload, frame.consumed) else {
                    return Err(self.read_again(version, bytes));
                };
                Ok(Some(Incoming {
                    onward: frame.onward,
                    return_route: frame.return_route,
                    payload,
                }))
            }
            Next::More { consumed, needed } => {
                self.at = self.at.saturating_add(consumed);
                self.needed = needed;
                Ok(None)
            }
        }
    }

    /// The payload of the next message, if that is whole and begins with the same bytes as the one before: its routes are
    /// the same, and nothing is read or moved for them. Any other is [`next`](Self::next).
    ///
    /// ```
    /// use ringpost_router::wire::{Frame, Intake, Limits};
    /// use ringpost_router::route;
    ///
    /// let limits = Limits::default();
    /// let mut sent = vec![1];
    /// for text in [b"\x02hi", b"\x02ho"] {
    ///     Frame::new(route!["echoer"], route!["app"], text).encode(&limits, &mut sent)?;
    /// }
    /// let mut intake = Intake::new(limits);
    /// intake.room()[..sent.len()].copy_from_slice(&sent);
    /// intake.commit(sent.len());
    /// assert!(intake.next_alike().is_none(), "there was none before");
    /// assert_eq!(intake.next()?.expect("it is whole").payload, b"\x02hi");
    /// assert_eq!(intake.next_alike().expect("it is alike"), b"\x02ho");
    /// # Ok::<(), ringpost_router::wire::WireError>(())
    /// ```
    #[inline]
    pub fn next_alike(&mut self) -> Option<Buf> {
        let bytes = self.buf.as_ref()?.get(self.at..)?;
        if !self.alike.is_front_of(bytes) {
            return None;
        }
        let (begin, end) = (self.alike.head.len(), self.alike.frame_bytes);
        self.take(begin..end, end)
    }

    /// Takes the payload that lies there behind what is done with, and so many bytes with it. `None`, and nothing is
    /// taken, if there is no memory for it.
    #[inline]
    fn take(&mut self, payload: Range<usize>, consumed: usize) -> Option<Buf> {
        let buf = self.buf.as_ref()?;
        let begin = self.at.saturating_add(payload.start);
        let range = begin..self.at.saturating_add(payload.end);
        let end = self.at.saturating_add(consumed);
        let is_last = end >= buf.len();
        let is_large =
            range.len() >= OWN_BLOCK_BYTES_MIN && range.len().saturating_mul(2) >= buf.capacity();
        if !is_last || !is_large {
            let payload = BufMut::try_copy(buf.get(range).unwrap_or_default())?;
            self.at = end;
            self.needed = LENGTH_BYTES;
            return Some(payload.freeze());
        }
        self.at = 0;
        self.needed = LENGTH_BYTES;
        Some(self.buf.take()?.freeze().slice(range))
    }

    /// The frame that was just read, behind the version or not, is to be read again: there was no memory for its payload.
    #[cold]
    fn read_again(&mut self, version: usize, bytes: usize) -> WireError {
        self.at = self.at.saturating_add(version);
        self.onward.0.clear();
        self.return_route.0.clear();
        self.alike.head.clear();
        let field = Field::Payload;
        WireError::NoMemory { field, bytes }
    }

    /// Nothing more comes for now: gives back memory beyond what is held.
    pub fn rest(&mut self) {
        let held = self.held();
        if held == 0 {
            self.buf = None;
            self.at = 0;
        } else if self.capacity() > held.saturating_mul(4).saturating_add(256) {
            self.move_to(held, BufMut::try_with_capacity);
        }
    }

    /// Moves what is held to a buffer with room for more of it. False if there is no memory.
    #[cold]
    fn move_to_more(&mut self, held: usize, fresh: Fresh) -> bool {
        let capacity = if self.needed <= READ_BYTES / 2 {
            READ_BYTES
        } else {
            let twice = held.saturating_mul(2).max(READ_BYTES);
            self.needed.min(twice).max(held.saturating_add(1))
        };
        self.move_to(capacity, fresh)
    }

    fn move_to(&mut self, capacity: usize, fresh: Fresh) -> bool {
        let Some(mut buf) = fresh(capacity) else {
            return false;
        };
        if let Some(old) = &self.buf {
            buf.extend_from_slice(old.get(self.at..).unwrap_or_default());
        }
        self.buf = Some(buf);
        self.at = 0;
        true
    }
}

/// A frame at the front of some bytes.
struct Found {
    onward: Option<Route>,
    return_route: Option<Route>,
    /// Where the payload lies.
    payload: Range<usize>,
    consumed: usize,
}

/// Reads the frame at the front, and notes how it began for the next one.
#[inline(never)]
fn read(
    decoder: &mut Decoder,
    (onward, return_route): (&mut Known, &mut Known),
    alike: &mut Alike,
    bytes: &[u8],
) -> Result<Next<Found>, WireError> {
    let limits = *decoder.limits();
    let before = usize::from(!decoder.is_open());
    let next = decoder.step_with(bytes, |body| {
        Parts::decode(body, &limits, |reader, field| match field {
            Field::OnwardRoute => onward.read(reader, field, &limits),
            _ => return_route.read(reader, field, &limits),
        })
    });
    let (frame, consumed) = match next {
        Ok(Next::Frame { frame, consumed }) => (frame, consumed),
        Ok(Next::More { consumed, needed }) => return Ok(Next::More { consumed, needed }),
        Err(error) => {
            // Nothing more is read, whatever it is like.
            alike.head.clear();
            return Err(error);
        }
    };
    alike.note(
        bytes.get(before..consumed).unwrap_or_default(),
        frame.payload,
    );
    let payload = range_of(frame.payload, bytes).unwrap_or_default();
    let frame = Found {
        onward: frame.onward,
        return_route: frame.return_route,
        payload,
        consumed,
    };
    Ok(Next::Frame { frame, consumed })
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake")
            .field("decoder", &self.decoder)
            .field("held", &self.held())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ringpost_mailbox::pool::{CLASSES, Pool, PoolLimits};

    use super::*;
    use crate::route;
    use crate::wire::Frame;

    fn stream(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut sent = vec![super::super::VERSION];
        for payload in payloads {
            let frame = Frame::new(route!["to", "a"], route!["from"], payload);
            frame.encode(&Limits::default(), &mut sent).unwrap();
        }
        sent
    }

    /// Feeds the bytes in pieces of at most `piece`, resting after each when told.
    fn receive(sent: &[u8], piece: usize, resting: bool) -> Vec<Vec<u8>> {
        let mut intake = Intake::new(Limits::default());
        let (mut rest, mut received) = (sent, Vec::new());
        while !rest.is_empty() {
            let room = intake.room();
            assert!(!room.is_empty());
            let count = piece.min(rest.len()).min(room.len());
            room[..count].copy_from_slice(&rest[..count]);
            intake.commit(count);
            rest = &rest[count..];
            while let Some(message) = intake.next().unwrap() {
                let is_first = received.is_empty();
                assert_eq!(message.onward, is_first.then(|| route!["to", "a"]));
                assert_eq!(message.return_route, is_first.then(|| route!["from"]));
                received.push(message.payload.to_vec());
            }
            if resting {
                intake.rest();
                assert!(intake.capacity() <= intake.held() * 4 + 512);
            }
            assert!(intake.capacity() <= 2 * 300_200);
        }
        assert_eq!(intake.held(), 0);
        received
    }

    #[test]
    fn the_same_messages_come_however_the_bytes_are_cut() {
        let lens = [0, 1, 64, 2047, 2048, 30_000, 70_000, 5, 300_000, 9];
        let payloads: Vec<Vec<u8>> = lens
            .iter()
            .map(|len| (0..*len).map(|at| (at % 251) as u8).collect())
            .collect();
        let sent = stream(&payloads);
        for piece in [1, 7, 1000, 65_536, usize::MAX] {
            for resting in [false, true] {
                assert_eq!(receive(&sent, piece, resting), payloads, "{piece}");
            }
        }
    }

    #[test]
    fn a_payload_does_not_keep_a_block_more_than_twice_as_long() {
        for len in [4096, 16 * 1024, 48 * 1024] {
            let mut intake = Intake::new(Limits::default());
            let sent = stream(&[vec![7; len]]);
            intake.room()[..sent.len()].copy_from_slice(&sent);
            intake.commit(sent.len());
            let message = intake.next().unwrap().unwrap();
            let mut block = message.payload.into_mut();
            block.clear();
            assert!(block.capacity() <= 2 * len, "{len}: {}", block.capacity());
        }
    }

    #[test]
    fn a_long_frame_that_comes_byte_by_byte_is_moved_a_few_times_and_not_for_each_byte() {
        let mut intake = Intake::new(Limits::default());
        let sent = stream(&[vec![7; 1 << 20]]);
        let (mut moves, mut place) = (0, core::ptr::null());
        for (count, byte) in sent.iter().enumerate() {
            assert!(intake.next().unwrap().is_none(), "{count}");
            let room = intake.room();
            moves += usize::from(room.as_ptr() != place);
            place = room.as_ptr().wrapping_add(1);
            room[0] = *byte;
            intake.commit(1);
        }
        assert_eq!(intake.next().unwrap().unwrap().payload.len(), 1 << 20);
        assert!(moves < 10, "{moves}");
    }

    /// Feeds the bytes to who gets memory every so many times that it asks, in pieces. What came, and how often it was
    /// refused.
    fn receive_refused(sent: &[u8], piece: usize, every: u32) -> (Vec<Vec<u8>>, u64) {
        let pool = Pool::new(
            0,
            PoolLimits {
                cached_max: [0; CLASSES],
            },
        );
        let asked = core::cell::Cell::new(0_u32);
        pool.ask_before_growth(move |_| {
            asked.set(asked.get() + 1);
            asked.get().is_multiple_of(every)
        });
        let _entered = pool.enter();
        let mut intake = Intake::new(Limits::default());
        let (mut rest, mut received) = (sent, Vec::new());
        let (mut onward, mut back) = (Route::new(), Route::new());
        loop {
            match intake.next() {
                Ok(Some(message)) => {
                    onward = message.onward.unwrap_or(onward);
                    back = message.return_route.unwrap_or(back);
                    assert_eq!((&onward, &back), (&route!["to", "a"], &route!["from"]));
                    received.push(message.payload.to_vec());
                }
                Ok(None) if rest.is_empty() => break,
                Ok(None) => {
                    let Some(room) = intake.try_room() else {
                        continue;
                    };
                    let count = piece.min(rest.len()).min(room.len());
                    room[..count].copy_from_slice(&rest[..count]);
                    intake.commit(count);
                    rest = &rest[count..];
                }
                Err(error) => assert!(matches!(error, WireError::NoMemory { .. }), "{error}"),
            }
            intake.rest();
        }
        (received, pool.stats().refused)
    }

    #[test]
    fn nothing_is_lost_where_memory_is_refused() {
        let lens = [0, 1, 64, 64, 64, 2048, 30_000, 70_000, 5, 5, 300_000, 9];
        let payloads: Vec<Vec<u8>> = lens
            .iter()
            .map(|len| (0..*len).map(|at| (at % 251) as u8).collect())
            .collect();
        let sent = stream(&payloads);
        for (piece, every) in [
            (1000, 2),
            (1000, 7),
            (65_536, 2),
            (65_536, 3),
            (usize::MAX, 2),
        ] {
            let (received, refused) = receive_refused(&sent, piece, every);
            assert!(received == payloads, "{piece} {every}");
            assert!(refused > 10, "{piece} {every}: {refused}");
        }
    }

    #[test]
    fn a_length_that_is_only_announced_takes_no_memory() {
        let mut intake = Intake::new(Limits::default());
        let sent = [1, 0, 0xff, 0xff, 0xff, 0x83];
        intake.room()[..6].copy_from_slice(&sent);
        intake.commit(6);
        assert!(intake.next().unwrap().is_none());
        intake.rest();
        assert!(intake.capacity() <= 512, "{}", intake.capacity());
        assert!(intake.room().len() <= READ_BYTES);
    }
}
