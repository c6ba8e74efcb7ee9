//! How the network of a simulation behaves when nothing is wrong with it.

use std::time::Duration;

/// The network between the nodes of a simulation, and within them.
///
/// ```
/// use ringpost::sim::Network;
/// use std::time::Duration;
/// let far = Network::new().latency(Duration::from_millis(20), Duration::from_millis(30)).bandwidth(1_000_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub(crate) latency_nanos: (u64, u64),
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) buffer: usize,
}

impl Network {
    /// A network without latency and of any bandwidth, whose connections hold 64 KiB each way. What is written
    /// leaves in pieces of any size.
    #[must_use]
    pub fn new() -> Self {
        Self {
            latency_nanos: (0, 0),
            bytes_per_second: None,
            buffer: 64 * 1024,
        }
    }

    /// How long what is sent takes to arrive, at least and at most. What one end of a connection has sent
    /// stays in order.
    #[must_use]
    pub fn latency(mut self, least: Duration, most: Duration) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4);
        self.latency_nanos = (nanos(least), nanos(most.max(least)));
        self
    }

    /// How many bytes each direction of a connection moves in a second.
    #[must_use]
    pub fn bandwidth(mut self, bytes_per_second: u64) -> Self {
        self.bytes_per_second = Some(bytes_per_second.max(1));
        self
    }

    /// How many bytes each direction of a connection holds; whoever writes more waits.
    #[must_use]
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes.max(1);
        self
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}
