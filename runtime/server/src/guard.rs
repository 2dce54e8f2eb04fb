//! A panic ends the request in which it happens, not the others of its connection.
//!
//! The APIs catch their own. This is for what stands before and beside them: doors, reflection,
//! the routes of the server itself.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pillion_proto::{Access, Error, Reason};

/// Does a piece of the work on a request.
///
/// # Errors
/// `runtime.panic`. The text of the panic may quote user data, so callers do not get it; the
/// process's panic hook has it.
pub(crate) fn guarded<T>(access: Access, work: impl FnOnce() -> T) -> Result<T, Error> {
    // Whatever it left half done belongs to the request, which is over.
    catch_unwind(AssertUnwindSafe(work)).map_err(|_panic| {
        let error = Error::new(Reason::RuntimePanic, "the request ended by a panic");
        if access == Access::Write { error.outcome_unknown() } else { error }
    })
}
