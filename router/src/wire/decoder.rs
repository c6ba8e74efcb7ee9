//! One direction of a connection, read piece by piece.

use super::{Frame, LENGTH_BYTES, Limits, VERSION, WireError};

/// Reads what a connection brings, in pieces of any size.
///
/// The decoder keeps no bytes, only what it knows of the connection: the caller shows it all that has
/// arrived and is not consumed, and drops from the front what a [`Step`] says is consumed. So the payload
/// of a frame is a slice of the caller's buffer, and an idle connection needs no buffer.
///
/// ```
/// use ringpost_mailbox::buf::BufMut;
/// use ringpost_router::wire::{Decoder, Limits, Step};
///
/// // A version, and a message to `a` with the payload `hi`.
/// let sent = [1, 0, 0, 0, 10, 0x83, 0x81, 0x82, 0x00, 0x41, b'a', 0x80, 0x42, b'h', b'i'];
///
/// let mut decoder = Decoder::new(Limits::default());
/// let mut arrived = BufMut::with_capacity(64);
/// let mut payloads = Vec::new();
/// for piece in sent.chunks(4) {
///     arrived.extend_from_slice(piece);
///     let mut at = 0;
///     loop {
///         match decoder.step(&arrived[at..])? {
///             Step::Frame { frame, consumed } => {
///                 payloads.push(frame.payload.to_vec());
///                 at += consumed;
///             }
///             Step::More { consumed, .. } => {
///                 at += consumed;
///                 break;
///             }
///         }
///     }
///     arrived = BufMut::from(&arrived[at..]);
/// }
/// assert_eq!(payloads, [b"hi"]);
/// # Ok::<(), ringpost_router::wire::WireError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    is_open: bool,
    failed: Option<WireError>,
}

/// What a [`Decoder`] found at the front of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A frame.
    Frame {
        /// The message in it.
        frame: Frame<'a>,
        /// How many bytes are done with: those of the frame, and the version if that stood before it. At
        /// least one.
        consumed: usize,
    },
    /// No whole frame yet.
    More {
        /// How many bytes are done with: one for the version, otherwise none.
        consumed: usize,
        /// How many bytes there must be, counted behind those consumed, before another look is of use. More
        /// than there are, and never more than the limit of a frame and its length.
        ///
        /// That number is the peer's word. Make room as bytes arrive, not all at once, where peers are
        /// many or unknown.
        needed: usize,
    },
}

impl Decoder {
    /// A decoder for a connection that has brought nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            is_open: false,
            failed: None,
        }
    }

    /// Whether the peer's version has been read, and is the one that is spoken here.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Looks at the bytes that have arrived and are not consumed. Costs no more than the first frame
    /// among them, and nothing but a look at its length while that frame is not complete.
    ///
    /// # Errors
    ///
    /// [`WireError`] if the peer's version is another, or a frame is malformed or over the limits. A
    /// length over the limit is refused as soon as its four bytes are there. The decoder is then done: it
    /// repeats the error, whatever it is shown.
    pub fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<Step<'a>, WireError> {
        let limits = self.limits;
        self.step_with(bytes, |body| Frame::decode(body, &limits))
            .map(|next| match next {
                Next::Frame { frame, consumed } => Step::Frame { frame, consumed },
                Next::More { consumed, needed } => Step::More { consumed, needed },
            })
    }

    /// As [`step`](Self::step), with another way to decode the body of a frame.
    #[inline]
    pub(super) fn step_with<'a, F>(
        &mut self,
        bytes: &'a [u8],
        decode: impl FnOnce(&'a [u8]) -> Result<F, WireError>,
    ) -> Result<Next<F>, WireError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let next = self.look(bytes, decode);
        self.failed = next.as_ref().err().copied();
        next
    }

    #[inline]
    fn look<'a, F>(
        &mut self,
        bytes: &'a [u8],
        decode: impl FnOnce(&'a [u8]) -> Result<F, WireError>,
    ) -> Result<Next<F>, WireError> {
        let behind = match (self.is_open, bytes) {
            (true, all) => all,
            (false, []) => {
                return Ok(Next::More {
                    consumed: 0,
                    needed: 1,
                });
            }
            (false, [VERSION, behind @ ..]) => behind,
            (false, [found, ..]) => return Err(WireError::Version { found: *found }),
        };
        self.is_open = true;
        let before = bytes.len().saturating_sub(behind.len());
        let more = |needed| {
            Ok(Next::More {
                consumed: before,
                needed,
            })
        };

        let Some((length, behind)) = behind.split_first_chunk::<LENGTH_BYTES>() else {
            return more(LENGTH_BYTES);
        };
        let length = u32::from_be_bytes(*length);
        self.limits.check_frame(u64::from(length))?;
        let length = length as usize;
        let Some(body) = behind.get(..length) else {
            return more(length.saturating_add(LENGTH_BYTES));
        };
        Ok(Next::Frame {
            frame: decode(body)?,
            consumed: before.saturating_add(LENGTH_BYTES).saturating_add(length),
        })
    }
}

/// A [`Step`] whose frame is of any kind.
pub(super) enum Next<F> {
    Frame { frame: F, consumed: usize },
    More { consumed: usize, needed: usize },
}
