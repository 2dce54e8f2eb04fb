//! How much one call may ask for.

use std::time::Duration;

/// Limits of calls. The transports have limits of their own besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest key, in bytes. Default 1 KiB.
    pub key: usize,
    /// The most items of a batch or transaction. Default 1,000.
    pub batch: usize,
    /// The largest answer to a read, in bytes. Default 16 MiB.
    pub answer: usize,
    /// The largest message that callers may send, in bytes, and so about the largest value in a
    /// store. It decides how many entries a store is asked for at once. Default 4 MiB.
    pub message: usize,
    /// How long a call may take whose caller set no deadline. Default 60 s. Streams have none.
    pub call: Duration,
    /// How long a component may take for one operation. Default 10 s.
    pub component: Duration,
    /// How long a call waits for a component that is connecting for the first time. Default 5 s.
    pub connecting: Duration,
}

/// What a store may have to hold at once for one read, in bytes: its answer comes before its size is
/// known.
const AT_ONCE: usize = 64 << 20;

impl Limits {
    /// How many entries a store is asked for at once.
    pub(crate) fn slice(&self) -> usize {
        (AT_ONCE / self.message.max(1)).max(1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key: 1024,
            batch: 1000,
            answer: 16 << 20,
            message: 4 << 20,
            call: Duration::from_secs(60),
            component: Duration::from_secs(10),
            connecting: Duration::from_secs(5),
        }
    }
}
