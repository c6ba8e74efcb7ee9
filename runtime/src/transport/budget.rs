//! What connections can take of memory, at the most, as a sum of pools.

use crate::budget::{Budget, BudgetPool};
use crate::transport::TcpLimits;
use crate::transport::covers::WORKERS_MAX;

/// A connection with its worker, its tasks and its tables, while nothing is under way.
const CONNECTION_BYTES: u64 = 8 * 1024;
/// What a read goes into, and a small write comes from.
const READ_BYTES: u64 = 64 * 1024;
/// A frame that grows, as it comes, is copied into a block of twice its length.
const GROWTH: u64 = 2;
/// A message that waits, with its routes, its place in a line and its waiter, besides its payload.
const WAITING_BYTES: u64 = 1024;
/// What is kept of a frame that is to be written, besides its bytes.
const QUEUED_BYTES: u64 = 128;
/// A worker whose answers are counted, and a watch.
const COVER_BYTES: u64 = 256;
const WATCH_BYTES: u64 = 512;
/// A payload that is written, or answers: its block is up to twice as long.
const BLOCK: u64 = 2;

impl TcpLimits {
    /// The most memory that so many connections with these limits take, all together, where the longest payload that workers
    /// here send has so many bytes. It is what they have beside the messages in the mailboxes of workers, which
    /// [`Limits::budget`](crate::Limits::budget) counts, and beside the system's own buffers; at a listener there are up to
    /// [`connections_max`](Self::connections_max) of them on each core.
    ///
    /// Nothing else bounds the sum: it is the number of connections times what each may take, and each pool is counted as full for
    /// all of them at one time. Who is to hold many connections of strangers within little memory gives them less: a
    /// shorter [`frame_bytes_max`](ringpost_router::wire::Limits::frame_bytes_max) before all.
    ///
    /// ```
    /// use ringpost::transport::TcpLimits;
    ///
    /// let mut limits = TcpLimits::default();
    /// limits.frame.frame_bytes_max = 4 << 10;
    /// limits.queued_bytes_max = 16 << 10;
    /// limits.queued_frames_max = 16;
    /// limits.waiting_bytes_max = 16 << 10;
    /// limits.unhandled_bytes_max = 64 << 10;
    /// limits.return_route_bytes_max = 64 << 10;
    /// limits.peer_credits = 16;
    /// limits.watches_max = 0;
    /// let budget = limits.budget(1_000, 1_024);
    /// println!("{budget}");
    /// assert!(budget.bytes() < 2 << 30);
    /// ```
    #[must_use]
    pub fn budget(&self, connections: u64, payload: u64) -> Budget {
        let frame = u64::from(self.frame.frame_bytes_max);
        let bytes = |limit: usize| limit as u64;
        let frames = bytes(self.queued_frames_max);
        let come = u64::from(self.peer_credits)
            .saturating_mul(2)
            .saturating_add(frames.max(bytes(self.waiting_frames_max)));
        let answers = frames.saturating_mul(4);
        let pool = |name, each: u64| BudgetPool {
            name,
            holders: connections,
            each,
        };
        let pools = vec![
            pool("connections", CONNECTION_BYTES),
            pool(
                "frames that are not whole",
                frame.saturating_mul(GROWTH).saturating_add(READ_BYTES),
            ),
            pool(
                "messages that are not handled, of 2 KiB and more",
                bytes(self.unhandled_bytes_max).saturating_add(frame),
            ),
            pool(
                "messages that wait for room",
                come.saturating_mul(WAITING_BYTES),
            ),
            pool(
                "payloads that wait for room",
                bytes(self.waiting_bytes_max).saturating_add(frame),
            ),
            pool(
                "frames to be written",
                bytes(self.queued_bytes_max)
                    .saturating_add(payload)
                    .saturating_mul(BLOCK)
                    .saturating_add(frames.saturating_mul(QUEUED_BYTES)),
            ),
            pool(
                "answers that wait for the peer",
                answers.saturating_mul(payload.saturating_mul(BLOCK).saturating_add(WAITING_BYTES)),
            ),
            pool(
                "return routes",
                bytes(self.return_route_bytes_max).saturating_mul(BLOCK),
            ),
            pool(
                "workers whose answers are counted",
                WORKERS_MAX as u64 * COVER_BYTES,
            ),
            pool(
                "watches",
                u64::from(self.watches_max).saturating_mul(3 * WATCH_BYTES),
            ),
        ];
        Budget { pools }
    }
}
