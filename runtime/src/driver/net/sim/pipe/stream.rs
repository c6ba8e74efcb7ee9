//! One end of a stream, as its owner has it: what its calls do, and what befalls them.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;

use super::{Dialing, Freight};
use crate::core::io::Readiness;
use crate::driver::net::Endpoint;
use crate::driver::net::sim::{ENDED, Inner, READABLE, SimNet, SimPort, WRITABLE};
use crate::driver::sim::{Fault, SystemCall};

/// One end of a stream, as its owner has it.
pub(crate) struct SimStream {
    pub(in crate::driver::net::sim) net: SimNet,
    pub(in crate::driver::net::sim) at: usize,
    pub(in crate::driver::net::sim) id: u64,
    pub(in crate::driver::net::sim) side: usize,
    pub(in crate::driver::net::sim) host: u16,
    pub(in crate::driver::net::sim) local: Endpoint,
    pub(in crate::driver::net::sim) peer: Endpoint,
}

impl SimStream {
    pub(crate) fn adopt(&mut self, port: &SimPort, key: usize) -> io::Result<()> {
        let mut inner = self.net.0.borrow_mut();
        inner.fate.attempt(SystemCall::Register)?;
        let own = self.side;
        let Some(pipe) = inner.pipe(self.at, self.id) else {
            return Ok(());
        };
        let side = &mut pipe.sides[own];
        side.place = Some((port.core, key));
        let (place, has_ended) = (side.place, side.ended);
        if has_ended {
            // That was said when there was nobody here to hear it.
            inner.tell(place, ENDED);
        }
        Ok(())
    }

    pub(crate) fn check_connected(&self) -> io::Result<()> {
        let inner = &mut *self.net.0.borrow_mut();
        self.befallen(inner, SystemCall::Connected, WRITABLE)?;
        let Some(pipe) = inner.pipe(self.at, self.id) else {
            return Err(ErrorKind::ConnectionReset.into());
        };
        match pipe.dialing {
            Dialing::Refused => Err(ErrorKind::ConnectionRefused.into()),
            _ if pipe.sides[self.side].failed => Err(ErrorKind::ConnectionReset.into()),
            Dialing::Stands => Ok(()),
            Dialing::Waiting => Err(ErrorKind::WouldBlock.into()),
        }
    }

    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let inner = &mut *self.net.0.borrow_mut();
        let one_byte = self.befallen(inner, SystemCall::Read, READABLE)?;
        let Some(pipe) = inner.pipe(self.at, self.id) else {
            return Err(ErrorKind::NotConnected.into());
        };
        let own = &mut pipe.sides[self.side];
        if own.failed {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let place = own.place;
        let most = own.arrived.len().min(into.len());
        if most == 0 {
            return match own.ended || into.is_empty() {
                true => Ok(0),
                false => Err(ErrorKind::WouldBlock.into()),
            };
        }
        if let Some(error) = inner.whim() {
            inner.tell(place, READABLE);
            return Err(error);
        }
        // A kernel hands out all that there is, and a write that arrives meanwhile is a read of its own; so what
        // is read is short only where the faults say so.
        let count = match most > 1 && inner.fate.strikes(Fault::ShortRead) {
            _ if one_byte => 1,
            true => inner.few(most, Fault::ShortRead),
            false => most,
        };
        let pipe = &mut inner.pipes[self.at];
        let own = &mut pipe.sides[self.side];
        take(&mut own.arrived, &mut into[..count]);
        // A short read looks like the last one; the rest is news.
        let rest = !own.arrived.is_empty();
        let writer = std::mem::take(&mut own.stopped_writer);
        let other = pipe.sides[1 - self.side].place;
        if rest {
            inner.tell(place, READABLE);
        }
        if writer {
            inner.tell(other, WRITABLE);
        }
        Ok(count)
    }

    pub(crate) fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let inner = &mut *self.net.0.borrow_mut();
        let one_byte = self.befallen(inner, SystemCall::Write, WRITABLE)?;
        let there = 1 - self.side;
        // Where things take time, it takes some until a writer hears that nobody reads any more.
        let is_near = inner.fabric.settings().latency_nanos == (0, 0);
        let Some(pipe) = inner.pipe(self.at, self.id) else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let own = &pipe.sides[self.side];
        if own.failed {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let place = own.place;
        let side = &mut pipe.sides[there];
        if side.closing || side.deaf || side.gone && is_near {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let room = pipe.buffer.saturating_sub(side.arrived.len() + side.flying);
        let whole: usize = parts.iter().map(|part| part.len()).sum();
        if room == 0 && whole > 0 {
            side.stopped_writer = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        if whole == 0 {
            return Ok(0);
        }
        if let Some(error) = inner.whim() {
            inner.tell(place, WRITABLE);
            return Err(error);
        }
        let most = whole.min(room);
        let count = match most > 1 && inner.fate.strikes(Fault::ShortWrite) {
            _ if one_byte => 1,
            true => inner.few(most, Fault::ShortWrite),
            false => inner.draw(most),
        };
        let mut bytes = Vec::with_capacity(count);
        for part in parts {
            let some = part.len().min(count - bytes.len());
            bytes.extend_from_slice(&part[..some]);
        }
        if count == room {
            inner.pipes[self.at].sides[there].stopped_writer = true;
        } else if count < whole {
            // A short write looks like one that found no more room.
            inner.tell(place, WRITABLE);
        }
        inner.send(self.at, there, Freight::Bytes(bytes));
        inner.mishap(self.at, there);
        Ok(count)
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let inner = &mut *self.net.0.borrow_mut();
        inner.fate.attempt(SystemCall::Shutdown)?;
        let Some(pipe) = inner.pipe(self.at, self.id) else {
            return Ok(());
        };
        if how != Shutdown::Write {
            let own = &mut pipe.sides[self.side];
            (own.ended, own.deaf) = (true, true);
        }
        if how != Shutdown::Read && !std::mem::replace(&mut pipe.sides[1 - self.side].closing, true)
        {
            inner.send(self.at, 1 - self.side, Freight::End);
        }
        Ok(())
    }

    /// An option is set, none of which means anything here.
    pub(crate) fn set_option(&self) -> io::Result<()> {
        self.net.0.borrow().fate.attempt(SystemCall::SetOption)
    }

    /// What befalls a call that was planned to fail: an error, after which the socket is ready again, or that it moves
    /// one byte.
    fn befallen(&self, inner: &mut Inner, call: SystemCall, news: Readiness) -> io::Result<bool> {
        let Some(fault) = inner.fate.call(call) else {
            return Ok(false);
        };
        let Some(error) = fault.error() else {
            return Ok(true);
        };
        let pipe = inner.pipe(self.at, self.id);
        let place = pipe.and_then(|pipe| pipe.sides[self.side].place);
        inner.tell(place, news);
        Err(error)
    }

    pub(crate) fn local(&self) -> Endpoint {
        self.local.clone()
    }

    pub(crate) fn peer(&self) -> Endpoint {
        self.peer.clone()
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let inner = &mut *self.net.0.borrow_mut();
        inner.close_descriptor(self.host);
        if inner.pipe(self.at, self.id).is_some() {
            inner.close(self.at, self.side);
        }
    }
}

impl Inner {
    /// What a call may say although it could do what it was asked.
    fn whim(&mut self) -> Option<io::Error> {
        if self.fate.strikes(Fault::NotYet) {
            return Some(ErrorKind::WouldBlock.into());
        }
        let interrupted = self.fate.strikes(Fault::Interrupt);
        interrupted.then(|| ErrorKind::Interrupted.into())
    }

    /// How many of so many bytes a call moves that is short by a fault.
    fn few(&self, most: usize, fault: Fault) -> usize {
        1 + self.fate.roll(fault, |dice| dice.place(most.min(16)))
    }

    /// What may befall a connection over which something was just sent to this side.
    fn mishap(&mut self, at: usize, to: usize) {
        if self.fate.strikes(Fault::Reset) {
            self.reset(at);
        } else if self.fate.strikes(Fault::Blackhole) {
            self.pipes[at].hole = true;
        } else if self.fate.strikes(Fault::HalfClose)
            && !std::mem::replace(&mut self.pipes[at].sides[to].closing, true)
        {
            self.send(at, to, Freight::End);
        }
    }
}

/// Moves as many bytes as there is room for.
fn take(from: &mut VecDeque<u8>, mut into: &mut [u8]) {
    let count = into.len();
    let (front, back) = from.as_slices();
    for part in [front, back] {
        let some = part.len().min(into.len());
        let (here, rest) = into.split_at_mut(some);
        here.copy_from_slice(&part[..some]);
        into = rest;
    }
    from.drain(..count);
}
