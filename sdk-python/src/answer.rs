//! Work for Python: a future of something that becomes a Python object once there is an interpreter.

use futures::future::BoxFuture;
use pillion::{Error, Result};
use pyo3::exceptions::{PyStopAsyncIteration, PyStopIteration};
use pyo3::prelude::*;

use crate::convert::ToPython;

/// What a call came to. Only a thread that Python called turns it into an object.
pub type Answer = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// A call that has not come to its answer.
pub type Work = BoxFuture<'static, Result<Answer>>;

/// An answer that is a message.
pub fn message<T: ToPython + Send + 'static>(message: T) -> Answer {
    Box::new(move |py| message.to_python(py))
}

/// The answer of what has none.
pub fn nothing() -> Answer {
    Box::new(|py| Ok(py.None()))
}

/// The answer of an iterator: its next message, or that there is none.
pub fn item(item: Option<Answer>, end: End) -> Answer {
    item.unwrap_or_else(|| {
        Box::new(move |_| match end {
            End::Sync => Err(PyStopIteration::new_err(())),
            End::Async => Err(PyStopAsyncIteration::new_err(())),
        })
    })
}

/// How the end of an iterator is said.
#[derive(Clone, Copy)]
pub enum End {
    Sync,
    Async,
}

/// The object or exception of what a call came to.
pub fn into_python(py: Python<'_>, result: Result<Answer>) -> PyResult<Py<PyAny>> {
    match result {
        Ok(answer) => answer(py),
        Err(error) => Err(crate::error::raise(py, &error)),
    }
}

/// The error of a call that panicked.
pub fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::new(pillion::Reason::Unspecified, format!("the call panicked: {}", text.unwrap_or("without a word")))
        .outcome_unknown()
}
