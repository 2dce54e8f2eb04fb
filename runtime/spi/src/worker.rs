//! Which of the runtime's threads is running.
//!
//! The sidecar runs one single-threaded tokio runtime per core. A connection that lives on one of
//! them costs the others a cross-core wake-up per call, so components keep one per worker.

use std::cell::Cell;
use std::sync::OnceLock;

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// Marks the calling thread as worker `index`. The runtime calls it once per worker thread.
pub fn enter(index: usize) {
    CURRENT.set(index);
}

/// The worker that the calling thread belongs to; 0 on threads of the host program.
pub fn current() -> usize {
    CURRENT.get()
}

/// One lazily made value per worker.
#[derive(Debug)]
pub struct PerWorker<T> {
    slots: Box<[OnceLock<T>]>,
}

impl<T> PerWorker<T> {
    /// Room for `workers` values, at least one.
    pub fn new(workers: usize) -> Self {
        Self { slots: (0..workers.max(1)).map(|_| OnceLock::new()).collect() }
    }

    /// The value of the calling thread's worker, made by `make` the first time.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        // A foreign thread may carry an index of another runtime in this process.
        self.slots[current() % self.slots.len()].get_or_init(make)
    }

    /// The values made so far.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(OnceLock::get)
    }
}
