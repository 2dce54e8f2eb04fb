//! Calls whose requests are a stream.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use pillion::{Error, Events, Reason, Result};
use pyo3::PyClass;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::answer::{Answer, End, Work, nothing};
use crate::call::Mode;
use crate::convert::FromPython;
use crate::exit::lock;
use crate::guard::guard;
use crate::stream::{Messages, Receiver, closed, next};

/// Messages that were sent and that the call has not taken yet; whoever sends more waits.
const QUEUE: usize = 16;

/// The sending side, whatever its messages are.
pub trait Sender: Send + Sync {
    /// The work of sending a message; its error if it is none of this call.
    fn send(&self, message: &Bound<'_, PyAny>) -> PyResult<Work>;
    /// The work of ending the sending side with an error.
    fn abort(&self) -> Work;
    /// Ends the sending side well.
    fn finish(&self);
}

struct Channel<T>(Mutex<Option<mpsc::Sender<Result<T>>>>);

impl<T: Send + 'static> Channel<T> {
    fn push(&self, message: Result<T>) -> Work {
        let sender = lock(&self.0).clone();
        Box::pin(async move {
            let Some(sender) = sender else {
                return Err(Error::new(Reason::RequestInvalid, "nothing can be sent any more: the upload was ended"));
            };
            // A call that ended takes no more; its answer says how it ended.
            let _ = sender.send(message).await;
            Ok(nothing())
        })
    }
}

impl<T: FromPython + Send + 'static> Sender for Channel<T> {
    fn send(&self, message: &Bound<'_, PyAny>) -> PyResult<Work> {
        Ok(self.push(Ok(T::from_python(message)?)))
    }

    fn abort(&self) -> Work {
        let work = self.push(Err(Error::new(Reason::RequestCancelled, "the upload was aborted by its sender")));
        lock(&self.0).take();
        work
    }

    fn finish(&self) {
        lock(&self.0).take();
    }
}

/// Both sides of a call.
struct Exchange {
    sender: Box<dyn Sender>,
    receiver: Arc<Receiver>,
}

impl Exchange {
    fn close(&self) {
        self.receiver.close();
        self.sender.finish();
    }
}

/// Begins a call of which `call` takes the requests. It runs on our threads from now on, since it may
/// answer only after something was sent.
fn begin<T: FromPython + Send + 'static>(
    py: Python<'_>,
    call: impl FnOnce(Events<T>) -> BoxFuture<'static, Result<Messages>>,
) -> PyResult<Exchange> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let requests = futures::stream::unfold(receiver, |mut receiver: mpsc::Receiver<Result<T>>| async {
        Some((receiver.recv().await?, receiver))
    });
    let runtime = crate::process::runtime().map_err(|error| crate::error::raise(py, &error))?;
    let call = AbortOnDropHandle::new(runtime.spawn(call(Events::new(requests))));
    let opening = Box::pin(async move {
        call.await.unwrap_or_else(|lost| Err(Error::new(Reason::Unspecified, "the call was lost").source(lost)))
    });
    Ok(Exchange { sender: Box::new(Channel(Mutex::new(Some(sender)))), receiver: Receiver::new(opening) })
}

/// An upload: many requests, one answer.
pub fn upload<T: FromPython + Send + 'static>(
    py: Python<'_>,
    mode: Mode,
    call: impl FnOnce(Events<T>) -> BoxFuture<'static, Result<Messages>>,
) -> PyResult<Py<PyAny>> {
    let exchange = begin(py, call)?;
    Ok(match mode {
        Mode::Blocking => Py::new(py, Upload(exchange))?.into_any(),
        Mode::Async => Py::new(py, AsyncUpload(exchange))?.into_any(),
    })
}

/// A conversation: many requests, many answers.
pub fn duplex<T: FromPython + Send + 'static>(
    py: Python<'_>,
    mode: Mode,
    call: impl FnOnce(Events<T>) -> BoxFuture<'static, Result<Messages>>,
) -> PyResult<Py<PyAny>> {
    let exchange = begin(py, call)?;
    Ok(match mode {
        Mode::Blocking => Py::new(py, Duplex(exchange))?.into_any(),
        Mode::Async => Py::new(py, AsyncDuplex(exchange))?.into_any(),
    })
}

/// The work of ending an upload; its answer is the call's.
fn answer(exchange: &Exchange) -> Work {
    exchange.sender.finish();
    let receiver = exchange.receiver.clone();
    Box::pin(async move {
        let answer: Option<Answer> = receiver.next().await?;
        answer.ok_or_else(|| Error::new(Reason::RequestInvalid, "the upload was ended before, and its answer taken"))
    })
}

/// The classes differ only in how they wait, and in what comes back.
macro_rules! exchange {
    ($class:ident, $mode:expr, $module:literal, { $($own:tt)* }) => {
        #[pyclass(frozen, generic, module = $module)]
        pub struct $class(Exchange);

        #[pymethods]
        impl $class {
            fn send(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                guard(py, || $mode.run(py, self.0.sender.send(message)?))
            }

            fn abort(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
                guard(py, || $mode.run(py, self.0.sender.abort()))
            }

            fn close(&self, py: Python<'_>) -> PyResult<()> {
                guard(py, || {
                    self.0.close();
                    Ok(())
                })
            }

            $($own)*
        }
    };
}

exchange!(Upload, Mode::Blocking, "pillion", {
    fn finish(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        guard(py, || Mode::Blocking.run(py, answer(&self.0)))
    }

    fn __enter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        guard(this.py(), || Ok(this.clone()))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(_exception.py())
    }
});

exchange!(AsyncUpload, Mode::Async, "pillion.aio", {
    fn finish(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        guard(py, || Mode::Async.run(py, answer(&self.0)))
    }

    fn __aenter__(this: Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        guard(this.py(), || entered(&this))
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        guard(py, || {
            self.0.close();
            Mode::Async.run(py, closed())
        })
    }
});

exchange!(Duplex, Mode::Blocking, "pillion", {
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        guard(py, || {
            self.0.sender.finish();
            Ok(())
        })
    }

    fn __iter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        guard(this.py(), || Ok(this.clone()))
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        guard(py, || Mode::Blocking.run(py, next(&self.0.receiver, End::Sync)))
    }

    fn __enter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        guard(this.py(), || Ok(this.clone()))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(_exception.py())
    }
});

exchange!(AsyncDuplex, Mode::Async, "pillion.aio", {
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        guard(py, || {
            self.0.sender.finish();
            Ok(())
        })
    }

    fn __aiter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        guard(this.py(), || Ok(this.clone()))
    }

    fn __anext__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        guard(py, || Mode::Async.run(py, next(&self.0.receiver, End::Async)))
    }

    fn __aenter__(this: Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        guard(this.py(), || entered(&this))
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        guard(py, || {
            self.0.close();
            Mode::Async.run(py, closed())
        })
    }
});

/// What `async with` begins with: the object itself, without waiting.
fn entered<T: PyClass>(this: &Bound<'_, T>) -> PyResult<Py<PyAny>> {
    let object = this.clone().unbind();
    Mode::Async
        .run(this.py(), Box::pin(async move { Ok(Box::new(move |_: Python<'_>| Ok(object.into_any())) as Answer) }))
}
