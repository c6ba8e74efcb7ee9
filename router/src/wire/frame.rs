//! A message as it stands in a frame, read in place.

use core::fmt;
use core::ops::Range;

use super::cbor::{Fault, Reader};
use super::{Field, Limits, WireError};
use crate::{Address, Hop, Route, TransportType};

/// A message as it stands in a frame; the payload and the trace stay where they are.
///
/// Made by [`new`](Self::new) to be [encoded](Self::encode), or by [`decode`](Self::decode) and by
/// [`Decoder`](super::Decoder).
///
/// ```
/// use ringpost_router::route;
/// use ringpost_router::wire::{Frame, Limits};
///
/// let limits = Limits::default();
/// let mut bytes = Vec::new();
/// Frame::new(route!["echoer"], route!["app"], b"\x02hi").encode(&limits, &mut bytes)?;
///
/// let (length, body) = bytes.split_at(4);
/// assert_eq!(length, [0, 0, 0, 22]);
/// let frame = Frame::decode(body, &limits)?;
/// assert_eq!(frame.onward, route!["echoer"]);
/// assert_eq!(frame.return_route, route!["app"]);
/// assert_eq!(frame.payload, b"\x02hi");
/// assert_eq!(frame.trace, None);
/// # Ok::<(), ringpost_router::wire::WireError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// Whom the message still has to visit. Hints are not sent, and what was received has none.
    pub onward: Route,
    /// Whom a reply to it visits.
    pub return_route: Route,
    /// The encoded message.
    pub payload: &'a [u8],
    /// What tracing sends along. Peers of other makes send a JSON object with a W3C `traceparent`, or an
    /// empty one.
    pub trace: Option<&'a str>,
}

impl<'a> Frame<'a> {
    /// A message without a trace.
    #[inline]
    #[must_use]
    pub fn new(onward: Route, return_route: Route, payload: &'a [u8]) -> Self {
        Self {
            onward,
            return_route,
            payload,
            trace: None,
        }
    }

    /// The same message with a trace.
    #[must_use]
    pub fn with_trace(self, trace: &'a str) -> Self {
        Self {
            trace: Some(trace),
            ..self
        }
    }

    /// Reads the body of a frame, which is what stands behind its length. What follows the last item
    /// that is known is not looked at.
    ///
    /// # Errors
    ///
    /// [`WireError`] if the bytes are no message, or one over the limits. All but
    /// [`Version`](WireError::Version) can come.
    pub fn decode(body: &'a [u8], limits: &Limits) -> Result<Self, WireError> {
        let read = |reader: &mut Reader<'a>, field| route(reader, field, limits);
        let parts = Parts::decode(body, limits, read)?;
        Ok(Self {
            onward: parts.onward,
            return_route: parts.return_route,
            payload: parts.payload,
            trace: parts.trace,
        })
    }

    /// Whether this is a sign of life and no message: it goes nowhere. Drop it.
    ///
    /// ```
    /// use ringpost_router::wire::{Frame, Limits};
    ///
    /// let frame = Frame::decode(&[0x83, 0x80, 0x80, 0x40], &Limits::default())?;
    /// assert!(frame.is_heartbeat());
    /// # Ok::<(), ringpost_router::wire::WireError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn is_heartbeat(&self) -> bool {
        self.onward.is_empty()
    }

    /// Where the payload lies in `bytes`, if it lies there: the range to slice a buffer by that is to be
    /// kept, so that the payload is not copied.
    ///
    /// ```
    /// use ringpost_mailbox::buf::Buf;
    /// use ringpost_router::wire::{Frame, Limits};
    ///
    /// let body = Buf::from(&[0x83, 0x81, 0x82, 0x00, 0x41, b'a', 0x80, 0x42, b'h', b'i'][..]);
    /// let range = Frame::decode(&body, &Limits::default())?.payload_range(&body);
    /// let payload: Buf = body.slice(range.expect("the frame was decoded from here"));
    /// assert_eq!(payload, b"hi");
    /// # Ok::<(), ringpost_router::wire::WireError>(())
    /// ```
    #[must_use]
    pub fn payload_range(&self, bytes: &[u8]) -> Option<Range<usize>> {
        range_of(self.payload, bytes)
    }
}

/// Where `part` lies in `bytes`, if it lies there.
#[inline]
pub(super) fn range_of(part: &[u8], bytes: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= bytes.len()).then_some(start..end)
}

/// The parts of a frame, with its routes read as `R`.
pub(super) struct Parts<'a, R> {
    pub(super) onward: R,
    pub(super) return_route: R,
    pub(super) payload: &'a [u8],
    pub(super) trace: Option<&'a str>,
}

impl<'a, R> Parts<'a, R> {
    #[inline]
    pub(super) fn decode(
        body: &'a [u8],
        limits: &Limits,
        mut route: impl FnMut(&mut Reader<'a>, Field) -> Result<R, WireError>,
    ) -> Result<Self, WireError> {
        limits.check_frame(body.len() as u64)?;
        let mut reader = Reader::new(body);
        let items = reader.array().map_err(|fault| fault.of(Field::Frame))?;
        if items.is_some_and(|items| items < 3) {
            let found = body.first().copied().unwrap_or_default();
            return Err(Fault::Kind(found).of(Field::Frame));
        }
        let onward = route(&mut reader, Field::OnwardRoute)?;
        let return_route = route(&mut reader, Field::ReturnRoute)?;
        let payload = reader.bytes().and_then(|len| reader.take(len));
        let payload = payload.map_err(|fault| fault.of(Field::Payload))?;
        let trace = match items {
            Some(3) => None,
            Some(_) => trace(&mut reader, limits)?,
            None if reader.takes_break() => None,
            None => trace(&mut reader, limits)?,
        };
        Ok(Self {
            onward,
            return_route,
            payload,
            trace,
        })
    }
}

impl fmt::Debug for Frame<'_> {
    /// Prints the length of the payload in the place of its bytes, which may be many and nobody else's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("onward", &self.onward)
            .field("return_route", &self.return_route)
            .field("payload_bytes", &self.payload.len())
            .field("trace", &self.trace)
            .finish()
    }
}

/// Reads a route; one of no or one address takes no memory from the heap, unless its name is long.
#[inline]
pub(super) fn route(
    reader: &mut Reader<'_>,
    field: Field,
    limits: &Limits,
) -> Result<Route, WireError> {
    let hops = reader.array().map_err(|fault| fault.of(field))?;
    match hops {
        Some(0) => Ok(Route::new()),
        Some(1) if limits.hops_max > 0 => address(reader, field.address(), limits).map(Route::from),
        _ => longer(reader, hops, field, limits),
    }
}

/// Reads a route of this many addresses, or one that a break ends.
#[cold]
fn longer(
    reader: &mut Reader<'_>,
    announced: Option<u64>,
    field: Field,
    limits: &Limits,
) -> Result<Route, WireError> {
    limits.check_hops(field, announced.unwrap_or_default())?;
    let mut hops = Vec::new();
    loop {
        let read = hops.len() as u64;
        let is_end = match announced {
            Some(announced) => read == announced,
            None => reader.takes_break(),
        };
        if is_end {
            return Ok(Route::from_hops(hops));
        }
        limits.check_hops(field, read.saturating_add(1))?;
        hops.push(Hop::new(address(reader, field.address(), limits)?));
    }
}

#[inline]
fn address(reader: &mut Reader<'_>, field: Field, limits: &Limits) -> Result<Address, WireError> {
    let parts = reader.array().map_err(|fault| fault.of(field))?;
    if parts.is_some_and(|parts| parts != 2) {
        return Err(WireError::Parts { field });
    }
    let transport = reader.byte().map_err(|fault| fault.of(field))?;
    let len = reader.bytes().map_err(|fault| fault.of(field))?;
    limits.check_address(field, len)?;
    let name = reader.take(len).map_err(|fault| fault.of(field))?;
    if parts.is_none() && !reader.takes_break() {
        return Err(WireError::Parts { field });
    }
    Ok(Address::new(TransportType(transport), name))
}

fn trace<'a>(reader: &mut Reader<'a>, limits: &Limits) -> Result<Option<&'a str>, WireError> {
    let field = Field::Trace;
    if reader.takes_null() {
        return Ok(None);
    }
    let len = reader.text().map_err(|fault| fault.of(field))?;
    limits.check_trace(len)?;
    let text = reader.take(len).map_err(|fault| fault.of(field))?;
    match core::str::from_utf8(text) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(WireError::Utf8 { field }),
    }
}
