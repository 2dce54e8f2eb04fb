//! How often a call to a sidecar is repeated, and when: the only place where anything is.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pillion_proto::retry::{Failure, Retry};

use crate::time::Backoff;

const FIRST_WAIT: Duration = Duration::from_millis(25);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The budget is that of gRPC's retry throttling (gRFC A6): a failure costs a token, a success gives
/// a tenth of one back, and nothing is repeated while at most half are left. Counted in tenths.
const FULL: u32 = 100;
const FAILURE_COSTS: u32 = 10;
const SUCCESS_GIVES: u32 = 1;

#[derive(Debug)]
pub(crate) struct Policy {
    retries: u32,
    budget: AtomicU32,
}

impl Policy {
    pub(crate) const RETRIES: u32 = 3;

    pub(crate) fn new(retries: u32) -> Self {
        Self { retries, budget: AtomicU32::new(FULL) }
    }

    /// Takes the cost of a failure; says whether enough is left to repeat the call.
    fn charge(&self) -> bool {
        let charged = |budget: u32| Some(budget.saturating_sub(FAILURE_COSTS));
        let before = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged).unwrap_or_default();
        before.saturating_sub(FAILURE_COSTS) > FULL / 2
    }
}

impl Retry for Policy {
    fn wait(&self, failure: &Failure<'_>) -> Option<Duration> {
        let affordable = self.charge();
        if failure.attempts > self.retries || !affordable {
            return None;
        }
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        for _ in 1..failure.attempts {
            backoff.wait(None);
        }
        let wait = backoff.wait(failure.error.wait());
        tracing::debug!(operation = failure.info.operation, error = %failure.error, ?wait, "trying again");
        Some(wait)
    }

    fn succeeded(&self) {
        // A full budget, the usual case, is not written to: the line stays shared between threads.
        if self.budget.load(Ordering::Relaxed) < FULL {
            let credited = |budget: u32| Some((budget + SUCCESS_GIVES).min(FULL));
            let _ = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, credited);
        }
    }
}
