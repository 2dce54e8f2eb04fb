//! What a state store must do.

mod batch;
mod condition;
mod expiry;
mod single;
mod transaction;

use super::Suite;

/// All state suites.
pub const SUITES: &[Suite] = &[
    Suite { name: "single", cases: single::CASES },
    Suite { name: "condition", cases: condition::CASES },
    Suite { name: "batch", cases: batch::CASES },
    Suite { name: "transaction", cases: transaction::CASES },
    Suite { name: "expiry", cases: expiry::CASES },
];
