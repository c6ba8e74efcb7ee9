//! Streams that were accepted and that no core has yet.
//!
//! What goes from core to core has to be able to go from thread to thread, and a stream of a simulation is not, as
//! it knows its network. So the network keeps it, and a token goes instead; a stream whose token was dropped
//! is closed.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Weak};

use super::dial::SimListener;
use super::pipe::SimStream;
use super::{Inner, SimPort};
use crate::driver::net::Endpoint;

/// Stands for a stream that the network keeps.
pub(crate) struct SimLoose {
    number: u64,
    /// While this lives the stream does.
    _held: Arc<()>,
}

/// A stream that waits for its core.
pub(super) struct Kept {
    number: u64,
    held: Weak<()>,
    host: u16,
    at: usize,
    id: u64,
    local: Endpoint,
    peer: Endpoint,
}

impl SimListener {
    /// Accepts a connection for whatever core.
    pub(crate) fn accept(&mut self) -> io::Result<(SimLoose, Endpoint)> {
        let (at, id, peer) = self.accept_pipe()?;
        let held = Arc::new(());
        let inner = &mut *self.net.0.borrow_mut();
        inner.kept_before += 1;
        let number = inner.kept_before;
        inner.kept.push(Kept {
            number,
            held: Arc::downgrade(&held),
            host: self.host,
            at,
            id,
            local: self.address.clone(),
            peer: peer.clone(),
        });
        let loose = SimLoose {
            number,
            _held: held,
        };
        Ok((loose, peer))
    }
}

impl SimPort {
    /// The stream that the token stands for.
    pub(crate) fn take(&self, loose: &SimLoose) -> io::Result<SimStream> {
        let mut inner = self.net.0.borrow_mut();
        let mut kept = inner.kept.iter();
        let place = kept.position(|one| one.number == loose.number);
        let place = place.ok_or(ErrorKind::NotFound)?;
        let Kept {
            host,
            at,
            id,
            local,
            peer,
            ..
        } = inner.kept.remove(place);
        Ok(SimStream {
            net: self.net.clone(),
            at,
            id,
            side: 1,
            host,
            local,
            peer,
        })
    }
}

impl Inner {
    /// Closes the streams whose tokens are gone.
    pub(super) fn close_dropped(&mut self) {
        if self.kept.is_empty() {
            return;
        }
        let is_dropped = |one: &mut Kept| one.held.strong_count() == 0;
        let dropped: Vec<Kept> = self.kept.extract_if(.., is_dropped).collect();
        for one in dropped {
            self.close_descriptor(one.host);
            if self.pipe(one.at, one.id).is_some() {
                self.close(one.at, 1);
            }
        }
    }
}
