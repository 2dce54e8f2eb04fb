//! Real time: to measure it is what this crate is for.

use std::time::Instant;

/// The present moment.
#[allow(clippy::disallowed_methods)]
pub fn now() -> Instant {
    Instant::now()
}
