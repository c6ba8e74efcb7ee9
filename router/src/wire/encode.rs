//! Writing frames.

use super::cbor::{head_bytes, put_array, put_byte, put_bytes, put_text};
use super::{Field, Frame, Limits, WireError};
use crate::Address;

impl Frame<'_> {
    /// Appends the whole frame, length included. Copies the payload; to send it from where it lies, write
    /// the [head](Self::encode_head), the payload and the [tail](Self::encode_tail) one after the other.
    ///
    /// # Errors
    ///
    /// As [`encode_head`](Self::encode_head).
    pub fn encode(&self, limits: &Limits, out: &mut Vec<u8>) -> Result<(), WireError> {
        self.encode_head(limits, out)?;
        out.extend_from_slice(self.payload);
        self.encode_tail(out);
        Ok(())
    }

    /// Appends what stands before the payload: the length, the routes and the payload's length.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLong`] if a route, a name, the trace or the whole frame is over its limit; `out` is
    /// then as it was.
    ///
    /// ```
    /// use std::io::{IoSlice, Write};
    ///
    /// use ringpost_router::route;
    /// use ringpost_router::wire::{Frame, Limits};
    ///
    /// let payload = b"\x0cHello Ockam!";
    /// let frame = Frame::new(route!["echoer"], route!["app"], payload).with_trace("{}");
    /// let mut around = Vec::new();
    /// frame.encode_head(&Limits::default(), &mut around)?;
    /// let head_bytes = around.len();
    /// frame.encode_tail(&mut around);
    ///
    /// let (head, tail) = around.split_at(head_bytes);
    /// let mut socket = Vec::new();
    /// socket.write_vectored(&[head, payload, tail].map(IoSlice::new))?;
    /// assert_eq!(socket.len(), 4 + 35);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encode_head(&self, limits: &Limits, out: &mut Vec<u8>) -> Result<(), WireError> {
        let start = out.len();
        let result = self.try_encode_head(limits, out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Appends what stands behind the payload: the trace, or nothing.
    pub fn encode_tail(&self, out: &mut Vec<u8>) {
        if let Some(trace) = self.trace {
            put_text(out, trace.len() as u64);
            out.extend_from_slice(trace.as_bytes());
        }
    }

    fn try_encode_head(&self, limits: &Limits, out: &mut Vec<u8>) -> Result<(), WireError> {
        let tail_bytes = self.tail_bytes(limits)?;
        let items = if self.trace.is_some() { 4 } else { 3 };
        let (onward, back) = (self.onward.iter(), self.return_route.iter());
        let mut routes = Vec::new();
        put_routes(&mut routes, limits, items, onward, back)?;
        put_head(out, limits, &routes, self.payload.len(), tail_bytes)
    }

    fn tail_bytes(&self, limits: &Limits) -> Result<u64, WireError> {
        let Some(trace) = self.trace else {
            return Ok(0);
        };
        let len = trace.len() as u64;
        limits.check_trace(len)?;
        Ok(head_bytes(len).saturating_add(len))
    }
}

/// Appends the beginning of an array of so many items, and the routes, which are its first.
pub(super) fn put_routes<'a>(
    out: &mut Vec<u8>,
    limits: &Limits,
    items: u64,
    onward: impl ExactSizeIterator<Item = &'a Address>,
    back: impl ExactSizeIterator<Item = &'a Address>,
) -> Result<(), WireError> {
    put_array(out, items);
    put_route(out, onward, Field::OnwardRoute, limits)?;
    put_route(out, back, Field::ReturnRoute, limits)
}

/// Appends what stands before a payload of so many bytes that has so many behind it: the length of the
/// frame, the encoded routes and the length of the payload.
#[inline]
pub(super) fn put_head(
    out: &mut Vec<u8>,
    limits: &Limits,
    routes: &[u8],
    payload_bytes: usize,
    tail_bytes: u64,
) -> Result<(), WireError> {
    let payload_bytes = payload_bytes as u64;
    let bytes = (routes.len() as u64)
        .saturating_add(head_bytes(payload_bytes))
        .saturating_add(payload_bytes)
        .saturating_add(tail_bytes);
    limits.check_frame(bytes)?;
    // The limit is a number of 32 bits, so nothing is cut off.
    out.extend_from_slice(&(bytes as u32).to_be_bytes());
    out.extend_from_slice(routes);
    put_bytes(out, payload_bytes);
    Ok(())
}

fn put_route<'a>(
    out: &mut Vec<u8>,
    route: impl ExactSizeIterator<Item = &'a Address>,
    field: Field,
    limits: &Limits,
) -> Result<(), WireError> {
    let hops = route.len() as u64;
    limits.check_hops(field, hops)?;
    put_array(out, hops);
    for address in route {
        let name = address.as_bytes();
        limits.check_address(field.address(), name.len() as u64)?;
        put_array(out, 2);
        put_byte(out, address.transport().0);
        put_bytes(out, name.len() as u64);
        out.extend_from_slice(name);
    }
    Ok(())
}
