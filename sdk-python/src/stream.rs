//! Streams of answers as iterators.

use std::sync::Arc;

use futures::future::BoxFuture;
use pillion::{Events, Result};
use pyo3::PyClass;
use pyo3::prelude::*;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, End, Work, item, message, nothing};
use crate::call::Mode;
use crate::convert::ToPython;
use crate::guard::guard;
use crate::process::Generation;

/// The messages of a stream, ready to be shown.
pub type Messages = Events<Answer>;

/// The same stream, each message as an answer.
pub fn answers<T: ToPython + Send + 'static>(events: Events<T>) -> Messages {
    events.try_map(|event| Ok(message(event)))
}

/// A stream in all its states, and the way to end it.
pub struct Receiver {
    state: Mutex<State>,
    closed: CancellationToken,
    generation: Generation,
}

enum State {
    /// To be opened by the first that wants something of it.
    Opening(BoxFuture<'static, Result<Messages>>),
    Open(Messages),
    Ended,
}

impl Receiver {
    pub fn new(opening: BoxFuture<'static, Result<Messages>>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::Opening(opening)),
            closed: CancellationToken::new(),
            generation: Generation::current(),
        })
    }

    /// Opens it, if nobody has. An error ends it.
    pub async fn open(&self) -> Result<()> {
        self.generation.check()?;
        let opened = self.closed.run_until_cancelled(async { self.state.lock().await.open().await }).await;
        opened.unwrap_or(Ok(()))
    }

    /// The next message; `None` at the end and after `close`. A call that is given up loses nothing.
    pub async fn next(&self) -> Result<Option<Answer>> {
        self.generation.check()?;
        let next = async {
            let mut state = self.state.lock().await;
            state.open().await?;
            let State::Open(messages) = &mut *state else { return Ok(None) };
            let next = messages.next().await;
            if !matches!(next, Ok(Some(_))) {
                *state = State::Ended;
            }
            next
        };
        let next = self.closed.run_until_cancelled(next).await;
        if next.is_none() {
            // Whoever was waiting inside is gone, so the lock is free.
            *self.state.lock().await = State::Ended;
        }
        next.unwrap_or(Ok(None))
    }

    /// Ends the call. Whoever waits for a message is told that there is none.
    pub fn close(&self) {
        self.closed.cancel();
        if let (true, Ok(mut state), Ok(runtime)) =
            (self.generation.is_current(), self.state.try_lock(), crate::process::runtime())
        {
            let _entered = runtime.enter();
            *state = State::Ended;
        }
    }
}

impl State {
    async fn open(&mut self) -> Result<()> {
        if let Self::Opening(opening) = self {
            match opening.await {
                Ok(messages) => *self = Self::Open(messages),
                Err(error) => {
                    *self = Self::Ended;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.close();
        if !self.generation.is_current() {
            // It belongs to threads of another process.
            std::mem::forget(std::mem::replace(self.state.get_mut(), State::Ended));
        }
    }
}

/// The work of fetching the next message.
pub fn next(receiver: &Arc<Receiver>, end: End) -> Work {
    let receiver = receiver.clone();
    Box::pin(async move { Ok(item(receiver.next().await?, end)) })
}

/// The work of opening; its answer is the object itself.
pub fn opened<T: PyClass>(this: &Bound<'_, T>, receiver: &Arc<Receiver>) -> Work {
    let (receiver, this) = (receiver.clone(), this.clone().unbind());
    Box::pin(async move {
        receiver.open().await?;
        Ok(Box::new(move |_: Python<'_>| Ok(this.into_any())) as Answer)
    })
}

/// Work that is done: of methods that are awaited though they never wait.
pub fn closed() -> Work {
    Box::pin(async { Ok(nothing()) })
}

#[pyclass(frozen, generic, module = "pillion")]
pub struct Stream(Arc<Receiver>);

#[pymethods]
impl Stream {
    fn __iter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        guard(this.py(), || Ok(this.clone()))
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        guard(py, || Mode::Blocking.run(py, next(&self.0, End::Sync)))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        guard(py, || {
            self.0.close();
            Ok(())
        })
    }

    fn __enter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        guard(this.py(), || Ok(this.clone()))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<()> {
        self.close(_exception.py())
    }
}

#[pyclass(frozen, generic, module = "pillion.aio")]
pub struct AsyncStream(Arc<Receiver>);

#[pymethods]
impl AsyncStream {
    fn __await__(this: Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        guard(this.py(), || Mode::Async.run(this.py(), opened(&this, &this.get().0)))
    }

    fn __aiter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        guard(this.py(), || Ok(this.clone()))
    }

    fn __anext__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        guard(py, || Mode::Async.run(py, next(&self.0, End::Async)))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        guard(py, || {
            self.0.close();
            Ok(())
        })
    }

    fn __aenter__(this: Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        guard(this.py(), || Mode::Async.run(this.py(), opened(&this, &this.get().0)))
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<Py<PyAny>> {
        guard(py, || {
            self.0.close();
            Mode::Async.run(py, closed())
        })
    }
}

/// A stream for this mode. Blocking, it is open when this returns.
pub fn stream(py: Python<'_>, mode: Mode, opening: BoxFuture<'static, Result<Messages>>) -> PyResult<Py<PyAny>> {
    let receiver = Receiver::new(opening);
    match mode {
        Mode::Blocking => {
            let stream = Bound::new(py, Stream(receiver))?;
            let work = opened(&stream, &stream.get().0);
            mode.run(py, work)
        }
        Mode::Async => Ok(Py::new(py, AsyncStream(receiver))?.into_any()),
    }
}
