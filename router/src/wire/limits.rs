//! How much one frame may hold.

use super::{FRAME_BYTES_MIN, Field, WireError};
use crate::{Address, Route};

/// How much one frame may hold, whether it is written or read.
///
/// What goes over a limit is refused with [`WireError::TooLong`]; nothing is cut off.
///
/// ```
/// use ringpost_router::wire::Limits;
///
/// let small = Limits { frame_bytes_max: 64 * 1024, ..Limits::default() };
/// assert_eq!(Limits::default().frame_bytes_max, 16 * 1024 * 1024);
/// assert_eq!(small.hops_max, 64);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a frame's body, which are those behind its length: 16 MiB unless told otherwise, the
    /// most that peers of other makes accept.
    pub frame_bytes_max: u32,
    /// Addresses in each of the two routes: [`Route::HOPS_MAX`] unless told otherwise, and never more
    /// than that, whatever stands here.
    pub hops_max: usize,
    /// Bytes of an address's name: [`Address::WIRE_BYTES_MAX`] unless told otherwise, and never more
    /// than that, whatever stands here.
    pub address_bytes_max: usize,
    /// Bytes of the trace: 4 KiB unless told otherwise; a W3C trace context has about 100.
    pub trace_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 16 * 1024 * 1024,
            hops_max: Route::HOPS_MAX,
            address_bytes_max: Address::WIRE_BYTES_MAX,
            trace_bytes_max: 4096,
        }
    }
}

impl Limits {
    /// Checks the length of a body.
    pub(super) fn check_frame(&self, bytes: u64) -> Result<(), WireError> {
        if bytes < u64::from(FRAME_BYTES_MIN) {
            return Err(WireError::TooShort { bytes });
        }
        within(Field::Frame, bytes, u64::from(self.frame_bytes_max))
    }

    /// Checks the number of addresses in a route.
    pub(super) fn check_hops(&self, route: Field, hops: u64) -> Result<(), WireError> {
        within(route, hops, self.hops_max.min(Route::HOPS_MAX) as u64)
    }

    /// Checks the length of a name.
    pub(super) fn check_address(&self, address: Field, bytes: u64) -> Result<(), WireError> {
        let limit = self.address_bytes_max.min(Address::WIRE_BYTES_MAX);
        within(address, bytes, limit as u64)
    }

    /// Checks the length of a trace.
    pub(super) fn check_trace(&self, bytes: u64) -> Result<(), WireError> {
        within(Field::Trace, bytes, self.trace_bytes_max as u64)
    }
}

fn within(field: Field, found: u64, limit: u64) -> Result<(), WireError> {
    match found > limit {
        true => Err(WireError::TooLong {
            field,
            found,
            limit,
        }),
        false => Ok(()),
    }
}
