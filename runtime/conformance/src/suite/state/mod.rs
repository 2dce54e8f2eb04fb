//! What a state store must do.

mod batch;
mod cancel;
mod concurrency;
mod condition;
mod expiry;
mod fault;
mod honesty;
mod idempotency;
mod lifecycle;
mod limit;
mod scan;
mod single;
mod transaction;
mod watch;

use super::Suite;

/// All state suites.
pub const SUITES: &[Suite] = &[
    Suite { name: "single", cases: single::CASES },
    Suite { name: "condition", cases: condition::CASES },
    Suite { name: "batch", cases: batch::CASES },
    Suite { name: "transaction", cases: transaction::CASES },
    Suite { name: "expiry", cases: expiry::CASES },
    Suite { name: "scan", cases: scan::CASES },
    Suite { name: "watch", cases: watch::CASES },
    Suite { name: "concurrency", cases: concurrency::CASES },
    Suite { name: "cancel", cases: cancel::CASES },
    Suite { name: "idempotency", cases: idempotency::CASES },
    Suite { name: "limit", cases: limit::CASES },
    Suite { name: "honesty", cases: honesty::CASES },
    Suite { name: "lifecycle", cases: lifecycle::CASES },
    Suite { name: "fault", cases: fault::CASES },
];
