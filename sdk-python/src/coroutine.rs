//! A call as a Python coroutine.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use futures::FutureExt;
use pillion::{Error, Reason, Result};
use pyo3::exceptions::{PyRuntimeError, PyRuntimeWarning, PyStopIteration};
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::answer::{Answer, Work, into_python, panicked};
use crate::call::poll;
use crate::exit::{detached, lock};
use crate::guard::guard;
use crate::once::{Once, intern};
use crate::process::{Generation, runtime};
use crate::queue::{Queue, Waiter};

/// After so many calls in a row that needed no waiting, one lets the event loop have its turn, so
/// that a coroutine that makes nothing but such calls does not starve the others.
const TURN: u32 = 64;
static IN_A_ROW: AtomicU32 = AtomicU32::new(0);

/// A call that has to be awaited.
///
/// It begins when it is first awaited. What asyncio, trio or another loop sends to it is what they
/// send to any coroutine; cancelling drops the call where it runs.
#[pyclass(frozen, module = "pillion")]
pub struct Coroutine(Mutex<State>);

enum State {
    New(Work),
    /// Done, but the loop has its turn first.
    Turn(Result<Answer>, Option<Py<PyAny>>),
    Waiting(Waiting),
    /// Somebody is in one of the other states right now, or it has ended.
    Ended,
}

struct Waiting {
    slot: Arc<Slot>,
    task: AbortHandle,
    /// Of loops other than asyncio's: the awaitable that ends when the slot is filled.
    inner: Option<Py<PyAny>>,
    generation: Generation,
}

/// Where the result waits for Python.
#[derive(Default)]
struct Slot {
    result: Mutex<Option<Result<Answer>>>,
    /// The call was given up: nobody is to be woken.
    abandoned: AtomicBool,
}

/// An awaitable, and the function that ends it.
type Inner = Option<(Py<PyAny>, Py<PyAny>)>;

impl Drop for Waiting {
    fn drop(&mut self) {
        self.slot.abandoned.store(true, Ordering::Release);
        // After a fork its thread exists in the other process only.
        if self.generation.is_current() {
            self.task.abort();
        }
    }
}

impl Drop for Coroutine {
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if matches!(state, State::New(_)) {
            // It is Python that drops it, so the interpreter is there, unless it is about to be gone.
            Python::try_attach(forgotten);
        }
    }
}

/// Warns, as Python does of its own coroutines.
fn forgotten(py: Python<'_>) {
    let raised = PyErr::take(py);
    let text = c"a call of `pillion.aio` was never awaited";
    if let Err(error) = PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), text, 1) {
        error.write_unraisable(py, None);
    }
    if let Some(raised) = raised {
        raised.restore(py);
    }
}

impl Coroutine {
    pub fn new(work: Work) -> Self {
        Self(Mutex::new(State::New(work)))
    }

    /// Goes on; `sent` is what the loop has to say, which is for its own awaitables.
    fn advance(&self, sent: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = sent.py();
        let state = std::mem::replace(&mut *lock(&self.0), State::Ended);
        match state {
            State::New(work) => self.begin(sent, work),
            State::Turn(result, None) => done(py, result),
            State::Turn(result, Some(inner)) => match step(inner.bind(py), sent)? {
                Some(yielded) => {
                    *lock(&self.0) = State::Turn(result, Some(inner));
                    Ok(yielded)
                }
                None => done(py, result),
            },
            State::Waiting(waiting) => self.wait(sent, waiting),
            State::Ended => Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine")),
        }
    }

    fn begin(&self, sent: &Bound<'_, PyAny>, mut work: Work) -> PyResult<Py<PyAny>> {
        let py = sent.py();
        let (polled, _present) = detached(py, || (poll(&mut work), work));
        match polled {
            (Poll::Ready(result), _) => {
                if IN_A_ROW.fetch_add(1, Ordering::Relaxed) + 1 < TURN {
                    return done(py, result);
                }
                IN_A_ROW.store(0, Ordering::Relaxed);
                let inner: Option<Py<PyAny>> = bridge(py)?.call_method0(intern!(py, "turn"))?.extract()?;
                *lock(&self.0) = State::Turn(result, inner);
                // asyncio takes a bare yield for "go on in the next round".
                if matches!(&*lock(&self.0), State::Turn(_, None)) { Ok(py.None()) } else { self.advance(sent) }
            }
            (Poll::Pending, work) => {
                IN_A_ROW.store(0, Ordering::Relaxed);
                self.park(sent, work)
            }
        }
    }

    /// Leaves the work to our threads and has the loop wait for it.
    fn park(&self, sent: &Bound<'_, PyAny>, work: Work) -> PyResult<Py<PyAny>> {
        let py = sent.py();
        let slot = Arc::new(Slot::default());
        let wait = bridge(py)?.call_method0(intern!(py, "wait"))?;
        let (queue, future, inner): (Bound<'_, Queue>, Option<Py<PyAny>>, Inner) = wait.extract()?;
        let (waiter, inner) = match (&future, inner) {
            (Some(future), _) => (Waiter::Future(future.clone_ref(py)), None),
            (None, Some((inner, wake))) => (Waiter::Callback(wake), Some(inner)),
            (None, None) => return Err(PyRuntimeError::new_err("there is no event loop to wait in")),
        };
        let wakes = queue.get().wakes();
        let filled = slot.clone();
        let task = runtime().map_err(|error| crate::error::raise(py, &error))?.spawn(async move {
            let result = AssertUnwindSafe(work).catch_unwind().await;
            let result = result.unwrap_or_else(|panic| Err(panicked(&*panic)));
            *lock(&filled.result) = Some(result);
            if !filled.abandoned.load(Ordering::Acquire) {
                wakes.push(waiter);
            }
        });
        let waiting = Waiting { slot, task: task.abort_handle(), inner, generation: Generation::current() };
        if waiting.inner.is_some() {
            return self.wait(sent, waiting);
        }
        *lock(&self.0) = State::Waiting(waiting);
        let future = future.ok_or_else(|| PyRuntimeError::new_err("there is no event loop to wait in"))?;
        // What tells asyncio's tasks that they are to wait for the future that was yielded.
        future.bind(py).setattr(intern!(py, "_asyncio_future_blocking"), true)?;
        Ok(future)
    }

    fn wait(&self, sent: &Bound<'_, PyAny>, waiting: Waiting) -> PyResult<Py<PyAny>> {
        let py = sent.py();
        if let Some(inner) = &waiting.inner
            && let Some(yielded) = step(inner.bind(py), sent)?
        {
            *lock(&self.0) = State::Waiting(waiting);
            return Ok(yielded);
        }
        let result = lock(&waiting.slot.result).take();
        done(
            py,
            result.unwrap_or_else(|| Err(Error::new(Reason::RequestCancelled, "the wait for this call was ended"))),
        )
    }
}

/// Moves an inner awaitable on; `None` when it has ended.
fn step(inner: &Bound<'_, PyAny>, sent: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    let py = inner.py();
    match inner.call_method1(intern!(py, "send"), (sent,)) {
        Ok(yielded) => Ok(Some(yielded.unbind())),
        Err(error) if error.is_instance_of::<PyStopIteration>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

fn done(py: Python<'_>, result: Result<Answer>) -> PyResult<Py<PyAny>> {
    Err(PyStopIteration::new_err((into_python(py, result)?,)))
}

/// What knows the event loops.
fn bridge(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static BRIDGE: Once = Once::new();
    BRIDGE.get_or(py, || py.import("pillion._loop").map(|module| module.into_any().unbind()))
}

impl Coroutine {
    /// Ends it with what the loop raises in it.
    fn interrupt(&self, raised: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = raised.py();
        let state = std::mem::replace(&mut *lock(&self.0), State::Ended);
        if let State::Waiting(waiting) = state
            && let Some(inner) = &waiting.inner
        {
            // Of trio's traps each has its own way to end.
            let yielded = inner.bind(py).call_method1(intern!(py, "throw"), (raised,))?.unbind();
            *lock(&self.0) = State::Waiting(waiting);
            return Ok(yielded);
        }
        Err(PyErr::from_value(raised))
    }
}

#[pymethods]
impl Coroutine {
    fn __await__(this: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        guard(this.py(), || Ok(this.clone()))
    }

    fn __iter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        guard(this.py(), || Ok(this.clone()))
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        guard(py, || self.advance(py.None().bind(py)))
    }

    fn send(&self, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        guard(value.py(), || self.advance(value))
    }

    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let _ = traceback;
        guard(kind.py(), || self.interrupt(value.unwrap_or(kind).clone()))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        guard(py, || {
            let state = std::mem::replace(&mut *lock(&self.0), State::Ended);
            drop(state);
            Ok(())
        })
    }
}
