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

/// The thread that finalises the interpreter, once it does.
static LEAVING: OnceLock<ThreadId> = OnceLock::new();
/// Threads that are between their decision to come back and having the lock.
static RETURNING: AtomicUsize = AtomicUsize::new(0);
/// How long the interpreter waits for those. They only need the lock, which it has let go of.
const PATIENCE: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// Called by `atexit`: from now on only the calling thread comes back.
#[pyfunction]
pub fn leaving(py: Python<'_>) {
    let _ = LEAVING.set(thread::current().id());
    py.detach(|| {
        for _ in 0..PATIENCE {
            if RETURNING.load(Ordering::SeqCst) == 0 {
                break;
            }
            thread::sleep(PAUSE);
        }
    });
}

/// Runs `work` without the interpreter's lock.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    let result = py.detach(|| {
        let result = work();
        RETURNING.fetch_add(1, Ordering::SeqCst);
        if LEAVING.get().is_some_and(|leaver| *leaver != thread::current().id()) {
            RETURNING.fetch_sub(1, Ordering::SeqCst);
            loop {
                thread::park();
            }
        }
        result
    });
    RETURNING.fetch_sub(1, Ordering::SeqCst);
    result
}

/// A mutex that a panic of another thread does not make useless.
pub fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
