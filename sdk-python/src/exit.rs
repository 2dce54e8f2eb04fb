//! Coming back into the interpreter, and not coming back while it is finalised.
//!
//! A daemon thread that asks a finalising interpreter for its lock is ended in the middle of
//! whatever it does, which tears Rust frames apart and aborts the process. So once the interpreter
//! begins to leave, threads that return from waiting stay away for ever; the process ends with them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use pyo3::prelude::*;

use crate::guard::guard;

/// The thread that finalises the interpreter, once it does.
static LEAVING: OnceLock<ThreadId> = OnceLock::new();
/// Threads that came back, or are about to, and have not left our frames again.
static RETURNING: AtomicUsize = AtomicUsize::new(0);
/// How long the interpreter waits for those. They only need the lock, which it has let go of.
const PATIENCE: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// Called by `atexit`: from now on only the calling thread comes back.
#[pyfunction]
pub fn leaving(py: Python<'_>) -> PyResult<()> {
    guard(py, || {
        let _ = LEAVING.set(thread::current().id());
        py.detach(|| {
            for _ in 0..PATIENCE {
                if RETURNING.load(Ordering::SeqCst) == 0 {
                    break;
                }
                thread::sleep(PAUSE);
            }
        });
        Ok(())
    })
}

/// While there is one, the interpreter waits with leaving: this thread is about to have its lock, or runs Python
/// code below a frame of ours.
pub struct Present;

impl Present {
    /// Comes back; or, while the interpreter leaves, stays away for ever.
    fn new() -> Self {
        RETURNING.fetch_add(1, Ordering::SeqCst);
        if LEAVING.get().is_some_and(|leaver| *leaver != thread::current().id()) {
            RETURNING.fetch_sub(1, Ordering::SeqCst);
            loop {
                thread::park();
            }
        }
        Self
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        RETURNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs `work` without the interpreter's lock. Keep what comes beside the result until it is shown.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> (T, Present) {
    py.detach(|| {
        let result = work();
        (result, Present::new())
    })
}

/// A mutex that a panic of another thread does not make useless.
pub fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
