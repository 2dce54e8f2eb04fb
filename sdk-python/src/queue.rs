//! Where finished calls wait for their event loop: one queue per loop, and one wake-up for all that
//! finished since the last one.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use pyo3::prelude::*;

use crate::bell::{self, Socket};
use crate::exit::lock;
use crate::guard::guard;
use crate::once::intern;

/// How many are woken before the loop has its turn, so that a burst of answers does not keep it from
/// everything else.
const BATCH: usize = 128;

/// Who waits for a call.
pub enum Waiter {
    /// A future of asyncio, or of a loop like it.
    Future(Py<PyAny>),
    /// A function that wakes the task.
    Callback(Py<PyAny>),
}

/// The side of our threads.
pub struct Wakes {
    waiting: Mutex<VecDeque<Waiter>>,
    /// Whether the loop was told since it last came by.
    told: AtomicBool,
    bell: Socket,
}

impl Wakes {
    /// Leaves a waiter here and rings, unless somebody has rung already.
    pub fn push(&self, waiter: Waiter) {
        lock(&self.waiting).push_back(waiter);
        self.ring();
    }

    fn ring(&self) {
        if !self.told.swap(true, Ordering::AcqRel) {
            // A loop that was closed reads nothing, and its waiters need nothing.
            let _ = (&self.bell).write(&[1]);
        }
    }
}

/// The side of the event loop: watch `fileno()`, and call `drain()` when it can be read.
#[pyclass(frozen, module = "pillion")]
pub struct Queue {
    wakes: Arc<Wakes>,
    ear: Socket,
}

impl Queue {
    pub fn wakes(&self) -> Arc<Wakes> {
        self.wakes.clone()
    }

    fn wake(&self, py: Python<'_>) -> PyResult<()> {
        let _ = (&self.ear).read(&mut [0; 16]);
        // Before the queue is emptied: what comes now rings again.
        self.wakes.told.store(false, Ordering::Release);
        let batch: Vec<_> = {
            let mut waiting = lock(&self.wakes.waiting);
            let count = waiting.len().min(BATCH);
            let batch = waiting.drain(..count).collect();
            if !waiting.is_empty() {
                self.wakes.ring();
            }
            batch
        };
        for waiter in batch {
            match waiter {
                Waiter::Future(future) => {
                    let future = future.bind(py);
                    // Cancelled meanwhile, with its task.
                    if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
                        future.call_method1(intern!(py, "set_result"), (py.None(),))?;
                    }
                }
                Waiter::Callback(wake) => {
                    wake.call0(py)?;
                }
            }
        }
        Ok(())
    }
}

#[pymethods]
impl Queue {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        guard(py, || {
            let (bell, ear) = bell::pair()?;
            let wakes = Wakes { waiting: Mutex::default(), told: AtomicBool::new(false), bell };
            Ok(Self { wakes: Arc::new(wakes), ear })
        })
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<i64> {
        guard(py, || Ok(bell::number(&self.ear)))
    }

    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        guard(py, || {
            self.wake(py)?;
            crate::log::flush(py);
            Ok(())
        })
    }
}
