//! Messages as datagrams: one each, which arrives whole, twice, late, or not at all.
//!
//! ```text
//! datagram := mark session number body
//!             mark      3 bytes, "rp" and the version 1
//!             session   8 bytes, big-endian, drawn by the sender for each peer that it begins to send to
//!             number    8 bytes, big-endian, of the datagram in its session, from 1
//!             body      that of a frame, without the length: the datagram ends with it
//! ```
//!
//! This is a format of our own. Nodes of the Ockam model cut messages into chunks, numbered by 16 bits that begin
//! anywhere, by which nobody can tell a datagram that comes twice from one of a peer that was started again.
//! Here [`Recent`] can: at most once means at most once.

use super::{Limits, WireError};

/// What each datagram begins with.
const MARK: [u8; 3] = *b"rp\x01";

/// How many bytes stand before the body.
pub const DATAGRAM_HEAD_BYTES: usize = 19;

/// How many numbers back of the highest one that came a datagram may be late.
const WINDOW: u64 = 128;

/// A datagram, read in place.
///
/// ```
/// use ringpost_router::wire::{Datagram, Frame, Limits};
///
/// let body = [0x83, 0x80, 0x80, 0x41, 7];
/// let mut bytes = Datagram::head(40, 2).to_vec();
/// bytes.extend_from_slice(&body);
/// let datagram = Datagram::decode(&bytes, &Limits::default())?;
/// assert_eq!((datagram.session, datagram.number), (40, 2));
/// assert_eq!(Frame::decode(datagram.body, &Limits::default())?.payload, [7]);
/// # Ok::<(), ringpost_router::wire::WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// Since when its sender knows this peer, as a number that it drew.
    pub session: u64,
    /// Which of the session it is.
    pub number: u64,
    /// The body of its frame, for [`Frame::decode`](super::Frame::decode).
    pub body: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads what stands before the body.
    ///
    /// # Errors
    ///
    /// [`WireError::Mark`] if these bytes do not begin as datagrams do; [`WireError::TooShort`] and
    /// [`WireError::TooLong`] for the body.
    pub fn decode(bytes: &'a [u8], limits: &Limits) -> Result<Self, WireError> {
        let rest = bytes.strip_prefix(&MARK).ok_or(WireError::Mark)?;
        let (session, rest) = rest.split_first_chunk().ok_or(WireError::Mark)?;
        let (number, body) = rest.split_first_chunk().ok_or(WireError::Mark)?;
        limits.check_frame(body.len() as u64)?;
        Ok(Self {
            session: u64::from_be_bytes(*session),
            number: u64::from_be_bytes(*number),
            body,
        })
    }

    /// What stands before the body.
    #[must_use]
    pub fn head(session: u64, number: u64) -> [u8; DATAGRAM_HEAD_BYTES] {
        let mut head = [0; DATAGRAM_HEAD_BYTES];
        let written = MARK
            .into_iter()
            .chain(session.to_be_bytes())
            .chain(number.to_be_bytes());
        for (place, byte) in head.iter_mut().zip(written) {
            *place = byte;
        }
        head
    }
}

/// Which datagrams came from a peer lately, so that none is taken twice.
///
/// It knows two sessions of the peer, as those of a peer that was started again overlap for a while; a third one
/// takes the place of that which was silent for longer. What is older than the last 128 of its session is refused,
/// as nobody can say any more whether it came.
///
/// ```
/// use ringpost_router::wire::Recent;
///
/// let mut recent = Recent::default();
/// assert!(recent.take(40, 1) && recent.take(40, 3) && recent.take(40, 2));
/// assert!(!recent.take(40, 3), "it came before");
/// assert!(recent.take(41, 3), "the peer was started again");
/// assert!(!recent.take(40, 1) && !recent.take(41, 3));
/// ```
#[derive(Debug, Default)]
pub struct Recent {
    now: Option<Session>,
    before: Option<Session>,
}

/// What came of one session.
#[derive(Debug, Clone, Copy)]
struct Session {
    id: u64,
    highest: u64,
    /// Bit `n` says that the one `n` below the highest came.
    came: u128,
}

impl Recent {
    /// Notes that a datagram came. Whether it is the first time.
    pub fn take(&mut self, session: u64, number: u64) -> bool {
        let is_it = |known: &Option<Session>| known.is_some_and(|known| known.id == session);
        if !is_it(&self.now) {
            core::mem::swap(&mut self.now, &mut self.before);
        }
        match &mut self.now {
            Some(known) if known.id == session => known.take(number),
            now => {
                *now = Some(Session {
                    id: session,
                    highest: number,
                    came: 1,
                });
                true
            }
        }
    }
}

impl Session {
    fn take(&mut self, number: u64) -> bool {
        if let Some(ahead) = number.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
            self.came = self.came.checked_shl(shift).unwrap_or_default() | 1;
            self.highest = number;
            return true;
        }
        let behind = self.highest.saturating_sub(number);
        if behind >= WINDOW {
            return false;
        }
        let bit = u32::try_from(behind)
            .ok()
            .and_then(|behind| 1u128.checked_shl(behind))
            .unwrap_or_default();
        let is_new = self.came & bit == 0;
        self.came |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::wire::Field;

    #[test]
    fn nothing_is_taken_twice_and_nothing_new_within_the_window_is_refused() {
        let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = |below: u64| {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (chance >> 33) % below
        };
        for _ in 0..20 {
            let mut recent = Recent::default();
            let mut came = BTreeSet::new();
            let mut highest = 0;
            for _ in 0..5000 {
                let number = (highest + draw(4)).saturating_sub(draw(200)) + 1;
                let is_new = recent.take(7, number);
                let is_old = highest >= WINDOW + number;
                assert_eq!(is_new, !is_old && came.insert(number), "{number} {highest}");
                highest = highest.max(number);
            }
        }
    }

    #[test]
    fn a_leap_forgets_what_was_before_it() {
        let mut recent = Recent::default();
        assert!(recent.take(7, 1) && recent.take(7, u64::MAX));
        assert!(!recent.take(7, 1) && !recent.take(7, u64::MAX - 200));
        assert!(recent.take(7, u64::MAX - 127));
        assert!(!recent.take(7, u64::MAX - 127) && !recent.take(7, u64::MAX));
    }

    #[test]
    fn a_third_session_takes_the_place_of_the_silent_one() {
        let mut recent = Recent::default();
        assert!(recent.take(1, 5) && recent.take(2, 5) && recent.take(1, 6));
        assert!(recent.take(3, 5));
        assert!(!recent.take(1, 6) && !recent.take(3, 5));
        assert!(recent.take(2, 5), "it was forgotten");
    }

    #[test]
    fn what_is_no_datagram_is_named() {
        let limits = Limits {
            frame_bytes_max: 10,
            ..Limits::default()
        };
        let with = |body: &[u8]| [&Datagram::head(1, 2), body].concat();
        let whole = with(&[0; 4]);
        for len in 0..DATAGRAM_HEAD_BYTES {
            assert_eq!(
                Datagram::decode(&whole[..len], &limits),
                Err(WireError::Mark)
            );
        }
        let bytes = 3;
        let short = WireError::TooShort { bytes };
        assert_eq!(Datagram::decode(&with(&[0; 3]), &limits), Err(short));
        let long = WireError::TooLong {
            field: Field::Frame,
            found: 11,
            limit: 10,
        };
        assert_eq!(Datagram::decode(&with(&[0; 11]), &limits), Err(long));
        assert!(Datagram::decode(&whole, &limits).is_ok());
    }
}
