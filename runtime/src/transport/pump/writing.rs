//! Writing what is queued.

use std::io::{self, IoSlice};
use std::task::{Context as Polling, Poll};

use ringpost_router::wire::Outlet;

use super::Pump;
use crate::context::Context;
use crate::driver::rare::Rare;
use crate::net::Duplex;
use crate::transport::end::End;

/// Parts of one vectored write.
const PARTS: usize = 64;

impl Pump<'_> {
    pub(super) fn write(&mut self, polling: &mut Polling<'_>) -> Result<(), End> {
        let connection = &self.connection;
        if std::mem::take(&mut self.is_written) {
            self.last_write = self.ctx.core.now.get();
        }
        while !connection.outlet.borrow().is_empty() {
            let mut outlet = connection.outlet.borrow_mut();
            let written = match outlet.only_part() {
                Some(part) => self.stream.poll_write_from(polling, part),
                None => write_parts(self.ctx, &mut self.stream, &outlet, polling),
            };
            match written {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) => {
                    let (frames, messages) = (outlet.frames(), outlet.messages());
                    outlet.advance(count);
                    let frames = frames.saturating_sub(outlet.frames());
                    let messages = messages.saturating_sub(outlet.messages());
                    connection.allowance.borrow_mut().note_written(messages);
                    let tally = &self.ctx.core.tally().transport;
                    tally.frames_written.add(frames as u64);
                    tally.bytes_written.add(count as u64);
                    if let Some(ended) = &mut self.ended {
                        ended.last_owed = self.ctx.core.now.get();
                    }
                }
                Poll::Ready(Err(error)) => return Err(error.into()),
            }
            self.last_write = self.ctx.core.now.get();
        }
        self.is_written = connection.outlet.borrow().is_empty();
        if connection.has_room() || self.is_written {
            connection.wake_waiting();
        }
        Ok(())
    }
}

/// Writes from several places at once.
#[inline(never)]
fn write_parts(
    ctx: &Context,
    stream: &mut Duplex,
    outlet: &Outlet,
    polling: &mut Polling<'_>,
) -> Poll<io::Result<usize>> {
    let mut parts = [IoSlice::new(&[]); PARTS];
    let mut count = outlet.parts(&mut parts);
    if ctx.core.rare.takes(Rare::OnePart) {
        count = count.min(1);
    }
    let parts = parts.get(..count).unwrap_or_default();
    stream.poll_write_parts(polling, parts)
}
