//! How much one call may ask for.

use std::time::Duration;

/// Limits of calls. The transports have limits of their own besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest key, in bytes. Default 1 KiB.
    pub key: usize,
    /// The most items of a batch or transaction. Default 1,000.
    pub batch: usize,
    /// How long a call may take whose caller set no deadline. Default 60 s. Streams have none.
    pub call: Duration,
    /// How long a component may take for one operation. Default 10 s.
    pub component: Duration,
    /// How long a call waits for a component that is connecting for the first time. Default 5 s.
    pub connecting: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key: 1024,
            batch: 1000,
            call: Duration::from_secs(60),
            component: Duration::from_secs(10),
            connecting: Duration::from_secs(5),
        }
    }
}
