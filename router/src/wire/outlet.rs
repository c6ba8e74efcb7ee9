//! What a connection is to take away, kept until it is written.

use core::fmt;
use std::collections::VecDeque;
use std::io::IoSlice;

use ringpost_mailbox::buf::{Buf, BufMut};

use super::encode::put_head;
use super::{Limits, WireError};
use crate::Address;

/// Frames are put together in blocks of this size.
const BLOCK_BYTES: usize = 16 * 1024;

/// A payload at least so long is written from where it lies.
const IN_PLACE_BYTES_MIN: usize = 4096;

/// The sending side of a connection: frames on their way into vectored writes.
///
/// ```
/// use std::io::{IoSlice, Write};
/// use ringpost_mailbox::buf::Buf;
/// use ringpost_router::route;
/// use ringpost_router::wire::{Limits, Outlet};
///
/// let mut outlet = Outlet::default();
/// outlet.open();
/// let payload = Buf::from(&b"\x02hi"[..]);
/// let (onward, back) = (route!["echoer"], route!["app"]);
/// outlet.push(&Limits::default(), onward.iter(), back.iter(), payload)?;
///
/// let mut socket = Vec::new();
/// let mut parts = [IoSlice::new(&[]); 8];
/// let count = outlet.parts(&mut parts);
/// let written = socket.write_vectored(&parts[..count])?;
/// outlet.advance(written);
/// assert!(outlet.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Outlet {
    parts: VecDeque<Part>,
    /// Bytes of the first part that are written already.
    written: usize,
    bytes: usize,
    /// Where each frame ends, counted in bytes from the connection's beginning.
    ends: VecDeque<u64>,
    put: u64,
    taken: u64,
    head: Vec<u8>,
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
    /// Begins the connection: the version of the protocol.
    pub fn open(&mut self) {
        self.put_text(&[super::VERSION]);
    }

    /// Adds a frame, with the addresses of its two routes. A long payload is written from where it lies.
    ///
    /// # Errors
    /// As [`Frame::encode_head`](super::Frame::encode_head); nothing is added then.
    pub fn push<'a>(
        &mut self,
        limits: &Limits,
        onward: impl ExactSizeIterator<Item = &'a Address>,
        return_route: impl ExactSizeIterator<Item = &'a Address>,
        payload: Buf,
    ) -> Result<(), WireError> {
        if payload.len() < IN_PLACE_BYTES_MIN {
            return self.push_copy(limits, onward, return_route, &payload);
        }
        self.put_head(limits, onward, return_route, payload.len())?;
        self.put = self.put.saturating_add(payload.len() as u64);
        self.bytes = self.bytes.saturating_add(payload.len());
        self.parts.push_back(Part::Payload(payload));
        self.ends.push_back(self.put);
        Ok(())
    }

    /// Adds a frame, copying its payload.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_copy<'a>(
        &mut self,
        limits: &Limits,
        onward: impl ExactSizeIterator<Item = &'a Address>,
        return_route: impl ExactSizeIterator<Item = &'a Address>,
        payload: &[u8],
    ) -> Result<(), WireError> {
        self.put_head(limits, onward, return_route, payload.len())?;
        self.put_text(payload);
        self.ends.push_back(self.put);
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
        self.ends.len()
    }

    /// Whether everything is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
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
        while self.ends.front().is_some_and(|end| *end <= self.taken) {
            self.ends.pop_front();
        }
        if self.bytes == 0 && self.ends.capacity() > 64 {
            // An idle connection is small.
            self.ends = VecDeque::new();
            self.parts = VecDeque::new();
            self.head = Vec::new();
        }
    }

    fn put_head<'a>(
        &mut self,
        limits: &Limits,
        onward: impl ExactSizeIterator<Item = &'a Address>,
        return_route: impl ExactSizeIterator<Item = &'a Address>,
        payload_bytes: usize,
    ) -> Result<(), WireError> {
        let mut head = core::mem::take(&mut self.head);
        head.clear();
        let behind = (payload_bytes, 0);
        let encoded = put_head(&mut head, limits, 3, onward, return_route, behind);
        if encoded.is_ok() {
            self.put_text(&head);
        }
        self.head = head;
        encoded
    }

    fn put_text(&mut self, bytes: &[u8]) {
        self.put = self.put.saturating_add(bytes.len() as u64);
        self.bytes = self.bytes.saturating_add(bytes.len());
        if let Some(Part::Text(text)) = self.parts.back_mut()
            && text.len().saturating_add(bytes.len()) <= text.capacity()
        {
            return text.extend_from_slice(bytes);
        }
        // The first block is small: most turns write little.
        let usual = match self.parts.is_empty() {
            true => 2048,
            false => BLOCK_BYTES,
        };
        let mut text = BufMut::with_capacity(bytes.len().max(usual));
        text.extend_from_slice(bytes);
        self.parts.push_back(Part::Text(text));
    }
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
    fn frames_arrive_however_the_writes_are_cut() {
        let limits = Limits::default();
        let lens = [0usize, 10, 5000, 100, 40_000, 3, 4096, 20_000];
        for piece in [1, 13, 4096, 1 << 20] {
            let mut outlet = Outlet::default();
            outlet.open();
            for (at, len) in lens.iter().enumerate() {
                let payload = Buf::from(vec![at as u8; *len]);
                outlet
                    .push(&limits, route!["to"].iter(), route!["from"].iter(), payload)
                    .unwrap();
            }
            assert_eq!(outlet.frames(), lens.len());
            let mut intake = Intake::new(limits);
            let mut received = Vec::new();
            while !outlet.is_empty() {
                let mut parts = [IoSlice::new(&[]); 3];
                let count = outlet.parts(&mut parts);
                let bytes: Vec<u8> = parts[..count].iter().flat_map(|p| p.to_vec()).collect();
                let mut bytes = &bytes[..piece.min(bytes.len())];
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
    fn a_frame_over_its_limit_adds_nothing() {
        let limits = Limits {
            frame_bytes_max: 100,
            ..Limits::default()
        };
        let mut outlet = Outlet::default();
        let payload = Buf::from(vec![0; 5000]);
        assert!(
            outlet
                .push(&limits, route!["to"].iter(), Route::new().iter(), payload)
                .is_err()
        );
        assert_eq!((outlet.bytes(), outlet.frames()), (0, 0));
    }
}
