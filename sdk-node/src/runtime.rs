//! The threads that calls run on.

use std::future::Future;
use std::ops::Deref;
use std::sync::OnceLock;

use napi::{Error, Result};
use tokio::runtime::{Builder, Handle, Runtime};

/// Calls wait for sockets and disks; they compute little.
const MOST_THREADS: usize = 2;

/// One for the process, whatever number of workers and handles: it begins with the first handle and
/// ends with the process. Nothing is joined at the end, since nothing that runs then is anybody's.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The runtime, which is started by the first who asks.
pub fn handle() -> Result<&'static Handle> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle());
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let started = Builder::new_multi_thread().worker_threads(threads).thread_name("pillion").enable_all().build();
    let started =
        started.map_err(|error| Error::from_reason(format!("the threads of Pillion cannot start: {error}")))?;
    // Two workers may come here at once: one of the runtimes is then dropped, unused.
    Ok(RUNTIME.get_or_init(|| started).handle())
}

/// Runs `task` in the background, where there is a runtime.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    if let Some(runtime) = RUNTIME.get() {
        runtime.spawn(task);
    }
}

/// A value that is dropped in the runtime, not on the thread of JavaScript: closing what stands behind a
/// handle may take its time, and may need the runtime.
pub struct Background<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Background<T> {
    /// Holds `value`.
    pub fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T: Send + 'static> Deref for Background<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().unwrap_or_else(|| unreachable!("only `drop` takes it"))
    }
}

impl<T: Send + 'static> Drop for Background<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        spawn(async move { drop(value) });
    }
}
