//! Errors on their way to JavaScript, which makes its classes of them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pillion::proto::common::v1 as common;
use pillion::{Error, Reason};

/// The error in proto3 JSON: a form that grows with the contract.
fn json(error: &Error) -> String {
    let message = common::Error::from(error);
    // It has no number that JSON lacks, so this cannot fail; if it did, the code would still arrive.
    serde_json::to_string(&message).unwrap_or_else(|_| format!(r#"{{"reason":{:?}}}"#, error.reason()))
}

/// The exception for an error: `lib/error.js` reads the JSON in its message.
pub fn exception(error: &Error) -> napi::Error {
    napi::Error::from_reason(json(error))
}

/// Runs what JavaScript called. A panic costs this call, not the process.
pub fn guarded<T>(body: impl FnOnce() -> napi::Result<T>) -> napi::Result<T> {
    let run = || {
        #[cfg(feature = "shapes")]
        crate::panic::panic_if_told();
        body()
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result,
        Err(panic) => Err(exception(&panicked(&*panic))),
    }
}

/// The error of a call that panicked.
pub fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(Reason::RuntimePanic, format!("the native half of the package panicked: {text}")).outcome_unknown()
}
