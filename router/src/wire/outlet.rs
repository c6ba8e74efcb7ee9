//! What a connection is to take away, kept until it is written.

use core::fmt;
use std::collections::VecDeque;
use std::io::IoSlice;

use ringpost_mailbox::buf::{Buf, BufMut};

use super::encode::{put_head, put_routes};
use super::{LENGTH_BYTES, Limits, WireError};
use crate::Address;

/// Frames are put together in blocks of this size.
const BLOCK_BYTES: usize = 16 * 1024;

/// A payload at least so long is written from where it lies.
const IN_PLACE_BYTES_MIN: usize = 4096;

/// What stands before such a payload has a block of this size: the next frame's is not beside it.
const HEAD_BYTES: usize = 256;

/// The sending side of a connection: frames on their way into vectored writes.
///
/// ```
/// use std::io::{IoSlice, Write};
/// use ringpost_mailbox::buf::Buf;
/// use ringpost_router::route;
/// use ringpost_router::wire::{Limits, Outlet};
///
/// let mut outlet = Outlet::new(Limits::default());
/// outlet.open();
/// let payload = Buf::from(&b"\x02hi"[..]);
/// let (onward, back) = (route!["echoer"], route!["app"]);
/// outlet.push(onward.iter(), back.iter(), payload)?;
///
/// let mut socket = Vec::new();
/// let mut parts = [IoSlice::new(&[]); 8];
/// let count = outlet.parts(&mut parts);
/// let written = socket.write_vectored(&parts[..count])?;
/// outlet.advance(written);
/// assert!(outlet.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Outlet {
    limits: Limits,
    parts: VecDeque<Part>,
    /// Bytes of the first part that are written already.
    written: usize,
    bytes: usize,
    runs: VecDeque<Run>,
    frames: usize,
    messages: usize,
    put: u64,
    taken: u64,
    known: Known,
}

/// Frames behind each other that are equally long and not written.
struct Run {
    /// Where the last one ends, counted in bytes from the connection's beginning.
    end: u64,
    /// How long each is.
    frame_bytes: u64,
    frames: usize,
    /// Whether they go to somebody.
    are_messages: bool,
}

impl Run {
    /// Whether such a frame behind this run, which ends there, is one more of it.
    #[inline]
    fn goes_on(&self, end: u64, frame_bytes: u64, is_message: bool) -> bool {
        self.frame_bytes == frame_bytes
            && self.are_messages == is_message
            && self.end.saturating_add(frame_bytes) == end
    }

    /// How many frames of it are not written, or not all of which is, when so many bytes are.
    fn left(&self, written: u64) -> usize {
        let bytes = self.end.saturating_sub(written);
        let left = bytes.div_ceil(self.frame_bytes.max(1));
        usize::try_from(left).map_or(self.frames, |left| left.min(self.frames))
    }

    /// Where the first one ends.
    fn first_end(&self) -> u64 {
        let behind = (self.frames as u64).saturating_sub(1);
        self.end
            .saturating_sub(behind.saturating_mul(self.frame_bytes))
    }
}

/// The routes of the last frame, and how it began: the next begins alike, as a rule.
#[derive(Default)]
struct Known {
    onward: Vec<Address>,
    return_route: Vec<Address>,
    /// The encoded routes; nothing, if they are not known.
    routes: Vec<u8>,
    /// All that stands before a payload of so many bytes; nothing, if that is not known.
    head: Vec<u8>,
    payload_bytes: usize,
}

impl Known {
    /// Makes sure that this is how the next frame begins, and encodes it if it is not.
    #[inline]
    fn set<'a>(
        &mut self,
        limits: &Limits,
        onward: impl ExactSizeIterator<Item = &'a Address> + Clone,
        return_route: impl ExactSizeIterator<Item = &'a Address> + Clone,
        payload_bytes: usize,
    ) -> Result<(), WireError> {
        let is_same = !self.routes.is_empty()
            && onward.clone().eq(&self.onward)
            && return_route.clone().eq(&self.return_route);
        if is_same && self.payload_bytes == payload_bytes && !self.head.is_empty() {
            return Ok(());
        }
        self.head.clear();
        if !is_same {
            self.set_routes(limits, onward, return_route)?;
        }
        self.payload_bytes = payload_bytes;
        put_head(&mut self.head, limits, &self.routes, payload_bytes, 0)
    }

    fn set_routes<'a>(
        &mut self,
        limits: &Limits,
        onward: impl ExactSizeIterator<Item = &'a Address> + Clone,
        return_route: impl ExactSizeIterator<Item = &'a Address> + Clone,
    ) -> Result<(), WireError> {
        self.routes.clear();
        let encoded = put_routes(
            &mut self.routes,
            limits,
            3,
            onward.clone(),
            return_route.clone(),
        );
        if let Err(error) = encoded {
            self.routes.clear();
            return Err(error);
        }
        self.onward.clear();
        self.onward.extend(onward.cloned());
        self.return_route.clear();
        self.return_route.extend(return_route.cloned());
        Ok(())
    }
}

enum Part {
    /// Frames, or what stands before a payload.
    Text(BufMut),
    /// A payload where it lies.
    Payload(Buf),
}

impl Part {
    fn bytes(&self) -> &[u8] {
        match self {
            Part::Text(text) => text,
            Part::Payload(payload) => payload,
        }
    }
}

impl Outlet {
    /// A connection that has nothing to take away.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            parts: VecDeque::new(),
            written: 0,
            bytes: 0,
            runs: VecDeque::new(),
            frames: 0,
            messages: 0,
            put: 0,
            taken: 0,
            known: Known::default(),
        }
    }

    /// Begins the connection: the version of the protocol.
    pub fn open(&mut self) {
        let version = [super::VERSION];
        self.count(version.len());
        put_text(&mut self.parts, &version, Some(&[]));
    }

    /// Adds a frame, with the addresses of its two routes. A long payload is written from where it lies.
    ///
    /// # Errors
    /// As [`Frame::encode_head`](super::Frame::encode_head); nothing is added then.
    pub fn push<'a>(
        &mut self,
        onward: impl ExactSizeIterator<Item = &'a Address> + Clone,
        return_route: impl ExactSizeIterator<Item = &'a Address> + Clone,
        payload: Buf,
    ) -> Result<(), WireError> {
        if payload.len() < IN_PLACE_BYTES_MIN {
            return self.push_copy(onward, return_route, &payload);
        }
        let is_message = onward.len() > 0;
        let len = payload.len();
        self.known.set(&self.limits, onward, return_route, len)?;
        self.put_known(None);
        self.count(len);
        self.parts.push_back(Part::Payload(payload));
        self.note_frame(len, is_message);
        Ok(())
    }

    /// Adds a frame with the routes of the last one, copying its payload, if that is as long as the last one's. Whether it
    /// was added.
    #[inline]
    pub fn push_alike(&mut self, payload: &[u8]) -> bool {
        let is_alike = payload.len() == self.known.payload_bytes
            && !self.known.head.is_empty()
            && payload.len() < IN_PLACE_BYTES_MIN;
        if is_alike {
            self.put_known(Some(payload));
            self.note_frame(payload.len(), !self.known.onward.is_empty());
        }
        is_alike
    }

    /// Adds a frame, copying its payload.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_copy<'a>(
        &mut self,
        onward: impl ExactSizeIterator<Item = &'a Address> + Clone,
        return_route: impl ExactSizeIterator<Item = &'a Address> + Clone,
        payload: &[u8],
    ) -> Result<(), WireError> {
        let is_message = onward.len() > 0;
        let len = payload.len();
        self.known.set(&self.limits, onward, return_route, len)?;
        self.put_known(Some(payload));
        self.note_frame(len, is_message);
        Ok(())
    }

    /// Bytes that are not written.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Frames that are not written, or not all of which is.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// How many of the [frames](Self::frames) are messages: they have an onward route.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// Whether everything is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// What is to be written, if it lies in one piece.
    ///
    /// ```
    /// use ringpost_router::route;
    /// use ringpost_router::wire::{Limits, Outlet};
    ///
    /// let mut outlet = Outlet::new(Limits::default());
    /// assert_eq!(outlet.only_part(), None);
    /// let (onward, back) = (route!["echoer"], route!["app"]);
    /// outlet.push_copy(onward.iter(), back.iter(), b"one")?;
    /// outlet.push_copy(onward.iter(), back.iter(), b"two")?;
    /// assert_eq!(outlet.only_part().map(<[u8]>::len), Some(outlet.bytes()));
    /// # Ok::<(), ringpost_router::wire::WireError>(())
    /// ```
    #[must_use]
    pub fn only_part(&self) -> Option<&[u8]> {
        match self.parts.len() {
            1 => self.parts.front()?.bytes().get(self.written..),
            _ => None,
        }
    }

    /// Lists what is to be written next. Returns how many parts.
    pub fn parts<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0usize;
        let mut skipped = self.written;
        for (place, part) in into.iter_mut().zip(&self.parts) {
            let skip = core::mem::take(&mut skipped);
            *place = IoSlice::new(part.bytes().get(skip..).unwrap_or_default());
            count = count.saturating_add(1);
        }
        count
    }

    /// So many bytes were written.
    pub fn advance(&mut self, count: usize) {
        let count = count.min(self.bytes);
        self.bytes = self.bytes.saturating_sub(count);
        self.taken = self.taken.saturating_add(count as u64);
        self.written = self.written.saturating_add(count);
        while let Some(first) = self.parts.front() {
            let Some(rest) = self.written.checked_sub(first.bytes().len()) else {
                break;
            };
            self.written = rest;
            self.parts.pop_front();
        }
        while let Some(run) = self.runs.front_mut() {
            let left = run.left(self.taken);
            let done = run.frames.saturating_sub(left);
            self.frames = self.frames.saturating_sub(done);
            if run.are_messages {
                self.messages = self.messages.saturating_sub(done);
            }
            run.frames = left;
            if left > 0 {
                break;
            }
            self.runs.pop_front();
        }
        if self.bytes == 0 && self.runs.capacity() > 64 {
            // An idle connection is small.
            self.runs = VecDeque::new();
            self.parts = VecDeque::new();
            self.known = Known::default();
        }
    }

    /// Appends the body of the next frame, for transports that keep frames apart. Returns by how many bytes to
    /// [advance](Self::advance) when it has been sent; 0 if there is none.
    ///
    /// ```
    /// use ringpost_router::route;
    /// use ringpost_router::wire::{Frame, Limits, Outlet};
    ///
    /// let mut outlet = Outlet::new(Limits::default());
    /// let (onward, back) = (route!["echoer"], route!["app"]);
    /// outlet.push_copy(onward.iter(), back.iter(), b"one")?;
    /// outlet.push_copy(onward.iter(), back.iter(), b"two")?;
    /// let mut body = Vec::new();
    /// let whole = outlet.copy_frame(&mut body);
    /// assert_eq!(Frame::decode(&body, &Limits::default())?.payload, b"one");
    /// assert_eq!(outlet.frames(), 2);
    /// outlet.advance(whole);
    /// assert_eq!(outlet.frames(), 1);
    /// # Ok::<(), ringpost_router::wire::WireError>(())
    /// ```
    pub fn copy_frame(&self, into: &mut Vec<u8>) -> usize {
        let Some(run) = self.runs.front() else {
            return 0;
        };
        let whole = run.first_end().saturating_sub(self.taken);
        let whole = usize::try_from(whole).unwrap_or(usize::MAX);
        let (mut skipped, mut wanted) = (self.written.saturating_add(LENGTH_BYTES), whole);
        wanted = wanted.saturating_sub(LENGTH_BYTES);
        for part in &self.parts {
            let bytes = part.bytes();
            let rest = bytes.get(skipped..).unwrap_or_default();
            skipped = skipped.saturating_sub(bytes.len());
            let some = rest.get(..wanted).unwrap_or(rest);
            into.extend_from_slice(some);
            wanted = wanted.saturating_sub(some.len());
            if wanted == 0 {
                break;
            }
        }
        whole
    }

    /// A frame was put: what is known to stand before a payload of so many bytes, and that.
    #[inline]
    fn note_frame(&mut self, payload_bytes: usize, is_message: bool) {
        self.frames = self.frames.saturating_add(1);
        self.messages = self.messages.saturating_add(usize::from(is_message));
        let frame_bytes = self.known.head.len().saturating_add(payload_bytes) as u64;
        match self.runs.back_mut() {
            Some(run) if run.goes_on(self.put, frame_bytes, is_message) => {
                run.end = self.put;
                run.frames = run.frames.saturating_add(1);
            }
            _ => self.runs.push_back(Run {
                end: self.put,
                frame_bytes,
                frames: 1,
                are_messages: is_message,
            }),
        }
    }

    /// Appends what is known to stand before this payload, and the payload, unless that becomes a part of its own.
    #[inline]
    fn put_known(&mut self, payload: Option<&[u8]>) {
        let rest = payload.map_or(0, <[u8]>::len);
        self.count(self.known.head.len().saturating_add(rest));
        put_text(&mut self.parts, &self.known.head, payload);
    }

    /// So many bytes more are to be written.
    #[inline]
    fn count(&mut self, bytes: usize) {
        self.put = self.put.saturating_add(bytes as u64);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Appends the pieces, in one block; the second is left out before a payload that becomes a part of its own.
#[inline]
fn put_text(parts: &mut VecDeque<Part>, one: &[u8], two: Option<&[u8]>) {
    let rest = two.unwrap_or_default();
    let bytes = one.len().saturating_add(rest.len());
    if let Some(Part::Text(text)) = parts.back_mut()
        && text.len().saturating_add(bytes) <= text.capacity()
    {
        text.extend_from_slice(one);
        return text.extend_from_slice(rest);
    }
    put_block(parts, bytes, one, two);
}

#[inline(never)]
fn put_block(parts: &mut VecDeque<Part>, bytes: usize, one: &[u8], two: Option<&[u8]>) {
    let usual = match two {
        None => HEAD_BYTES,
        // The first block is small: most turns write little.
        Some(_) if parts.is_empty() => 2048,
        Some(_) => BLOCK_BYTES,
    };
    let mut text = BufMut::with_capacity(bytes.max(usual));
    text.extend_from_slice(one);
    text.extend_from_slice(two.unwrap_or_default());
    parts.push_back(Part::Text(text));
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet")
            .field("bytes", &self.bytes)
            .field("frames", &self.frames())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Intake;
    use crate::{Route, route};

    #[test]
    fn frames_are_taken_one_by_one_wherever_their_payloads_lie() {
        let limits = Limits::default();
        let mut outlet = Outlet::new(limits);
        let lens = [
            0usize, 10, 10, 10, 5000, 5000, 100, 40_000, 3, 3, 4096, 20_000, 15_990, 16_400,
        ];
        for (at, len) in lens.iter().enumerate() {
            let payload = Buf::from(&vec![at as u8; *len][..]);
            let (onward, back) = (route!["echoer"], route!["app"]);
            outlet
                .push(onward.iter(), back.iter(), payload)
                .expect("it is put");
        }
        for (at, len) in lens.iter().enumerate() {
            assert_eq!(outlet.messages(), lens.len() - at);
            let mut body = Vec::new();
            let whole = outlet.copy_frame(&mut body);
            outlet.advance(whole);
            let frame = crate::wire::Frame::decode(&body, &limits).expect("a frame");
            assert_eq!(frame.payload, vec![at as u8; *len]);
        }
        assert!(outlet.is_empty() && outlet.copy_frame(&mut Vec::new()) == 0);
    }

    #[test]
    fn frames_arrive_however_the_writes_are_cut() {
        let limits = Limits::default();
        let lens = [
            0usize, 10, 10, 10, 5000, 5000, 100, 40_000, 3, 3, 4096, 20_000,
        ];
        for piece in [1, 13, 4096, 1 << 20] {
            let mut outlet = Outlet::new(limits);
            outlet.open();
            for (at, len) in lens.iter().enumerate() {
                let payload = Buf::from(vec![at as u8; *len]);
                outlet
                    .push(route!["to"].iter(), route!["from"].iter(), payload)
                    .unwrap();
            }
            assert_eq!(outlet.frames(), lens.len());
            let mut intake = Intake::new(limits);
            let mut received = Vec::new();
            while !outlet.is_empty() {
                let mut parts = [IoSlice::new(&[]); 3];
                let count = outlet.parts(&mut parts);
                let bytes = parts[..count].iter().flat_map(|part| part.iter().copied());
                let bytes: Vec<u8> = bytes.take(piece).collect();
                let mut bytes = &bytes[..];
                let written = bytes.len();
                while !bytes.is_empty() {
                    let room = intake.room();
                    let count = room.len().min(bytes.len());
                    room[..count].copy_from_slice(&bytes[..count]);
                    intake.commit(count);
                    bytes = &bytes[count..];
                    while let Some(message) = intake.next().unwrap() {
                        received.push(message.payload.to_vec());
                    }
                }
                outlet.advance(written);
                assert_eq!(outlet.frames() + received.len(), lens.len());
            }
            let expected: Vec<Vec<u8>> = (0..).zip(lens).map(|(at, len)| vec![at; len]).collect();
            assert_eq!(received, expected);
        }
    }

    #[test]
    fn routes_arrive_whatever_those_before_were() {
        let mut outlet = Outlet::new(Limits::default());
        outlet.open();
        let ways = [route!["a"], route!["a", "b"], route!["b"], Route::new()];
        let mut sent = Vec::new();
        for (onward, back) in (0..64).map(|at| (&ways[at % 4], &ways[at / 4 % 3])) {
            for _ in 0..2 {
                outlet
                    .push_copy(onward.iter(), back.iter(), b"payload")
                    .unwrap();
                sent.push((onward.clone(), back.clone()));
            }
        }
        let mut parts = [IoSlice::new(&[]); 8];
        let count = outlet.parts(&mut parts);
        let bytes: Vec<u8> = parts[..count].iter().flat_map(|p| p.to_vec()).collect();
        let mut intake = Intake::new(Limits::default());
        intake.room()[..bytes.len()].copy_from_slice(&bytes);
        intake.commit(bytes.len());
        let (mut onward, mut back) = (Route::new(), Route::new());
        let mut received = Vec::new();
        while let Some(message) = intake.next().unwrap() {
            onward = message.onward.unwrap_or(onward);
            back = message.return_route.unwrap_or(back);
            received.push((onward.clone(), back.clone()));
        }
        assert_eq!(received, sent);
    }

    #[test]
    fn what_stands_before_a_long_payload_takes_little_room() {
        let mut outlet = Outlet::new(Limits::default());
        for _ in 0..3 {
            let payload = Buf::from(vec![0; IN_PLACE_BYTES_MIN]);
            outlet
                .push(route!["to"].iter(), Route::new().iter(), payload)
                .unwrap();
        }
        let room = |part: &Part| match part {
            Part::Text(text) => text.capacity(),
            Part::Payload(_) => 0,
        };
        assert_eq!(outlet.parts.len(), 6);
        assert_eq!(outlet.parts.iter().map(room).sum::<usize>(), 3 * HEAD_BYTES);
    }

    #[test]
    fn a_frame_over_its_limit_adds_nothing() {
        let limits = Limits {
            frame_bytes_max: 100,
            ..Limits::default()
        };
        let mut outlet = Outlet::new(limits);
        let payload = Buf::from(vec![0; 5000]);
        assert!(
            outlet
                .push(route!["to"].iter(), Route::new().iter(), payload)
                .is_err()
        );
        assert_eq!((outlet.bytes(), outlet.frames()), (0, 0));
        let long = Route::from_hops((0..65).map(|_| crate::Hop::new("x")));
        for _ in 0..2 {
            let pushed = outlet.push_copy(long.iter(), [].iter(), b"");
            assert!(pushed.is_err(), "also when it is tried again");
        }
        assert_eq!((outlet.bytes(), outlet.frames()), (0, 0));
    }
}
