//! The counters of a core about its connections.

use ringpost_mailbox::sync::Counter;

use crate::transport::end::End;

/// The counters that one core keeps of its connections.
#[derive(Debug, Default)]
pub(crate) struct TransportTally {
    pub(super) opened: Counter,
    pub(super) closed: Counter,
    pub(super) faulted: Counter,
    pub(super) refused: Counter,
    pub(super) connects_failed: Counter,
    pub(super) frames_read: Counter,
    pub(super) frames_written: Counter,
    pub(super) bytes_read: Counter,
    pub(super) bytes_written: Counter,
    pub(super) datagrams_dropped: Counter,
}

/// The counters of one core about its connections to other nodes.
///
/// ```
/// # use ringpost::{Context, TcpTransport, TcpListenerOptions, TcpConnectionOptions};
/// # fn main() -> ringpost::Result<()> {
/// # ringpost::Node::builder().cores(1).run(async |ctx: Context| {
/// let tcp = TcpTransport::create(&ctx).await?;
/// let listener = tcp.listen("127.0.0.1:0", TcpListenerOptions::new()).await?;
/// tcp.connect(listener.address(), TcpConnectionOptions::new()).await?;
/// let opened = ctx.handle().stats().total(|core| core.transport.opened);
/// assert!(opened >= 1, "this end of it, and perhaps already the other");
/// # ctx.stop().await
/// # })
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportStats {
    /// Connections that came to stand, accepted or opened here.
    pub opened: u64,
    /// Of these, how many have ended, for whatever reason.
    pub closed: u64,
    /// Of these, how many were ended because the peer was over a limit, missed a deadline or spoke something
    /// else.
    pub faulted: u64,
    /// Connections that were not accepted: there were as many as are allowed.
    pub refused: u64,
    /// Attempts to connect that failed.
    pub connects_failed: u64,
    /// Frames read: messages, and what nodes tell each other.
    pub frames_read: u64,
    /// Frames written, to the last byte.
    pub frames_written: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Datagrams that were not taken: no messages, over a limit, seen before or too late, of peers over their number, or
    /// without room.
    pub datagrams_dropped: u64,
}

impl TransportTally {
    pub(crate) fn snapshot(&self) -> TransportStats {
        TransportStats {
            opened: self.opened.value(),
            closed: self.closed.value(),
            faulted: self.faulted.value(),
            refused: self.refused.value(),
            connects_failed: self.connects_failed.value(),
            frames_read: self.frames_read.value(),
            frames_written: self.frames_written.value(),
            bytes_read: self.bytes_read.value(),
            bytes_written: self.bytes_written.value(),
            datagrams_dropped: self.datagrams_dropped.value(),
        }
    }

    /// A connection that stood has ended.
    pub(super) fn note_end(&self, end: &End) {
        self.closed.add(1);
        if let End::Fault(_) = end {
            self.faulted.add(1);
        }
    }
}
