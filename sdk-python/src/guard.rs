//! What every function passes that Python can call.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;

use crate::answer::panicked;
use crate::error::raise;

/// Runs the body of a function that Python called. A panic becomes the exception of a defect, which
/// programs can catch; PyO3's own is no `Exception`, so that it ends most of them.
pub fn guard<T>(py: Python<'_>, body: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    contained(py, || {
        #[cfg(feature = "shapes")]
        injection::strike();
        body()
    })
}

/// The same for what is run on the way to a body: reading its arguments.
pub fn contained<T>(py: Python<'_>, body: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(raise(py, &panicked(&*panic))))
}

/// Panics on demand, for the test that every function is guarded; in no wheel.
#[cfg(feature = "shapes")]
pub mod injection {
    use std::cell::Cell;

    use pyo3::prelude::*;

    thread_local! {
        static ON: Cell<bool> = const { Cell::new(false) };
    }

    /// From now on, whatever this thread calls panics, but for this function; or no longer.
    #[pyfunction]
    pub fn inject_panics(on: bool) {
        ON.set(on);
    }

    #[allow(clippy::panic, reason = "that is its purpose")]
    pub(super) fn strike() {
        if ON.get() {
            panic!("because the test asked for it");
        }
    }
}
