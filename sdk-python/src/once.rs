//! Python objects that are made once.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::PyString;

/// A place for an object that is made when it is first needed.
///
/// `PyOnceLock` of PyO3 lets go of the interpreter's lock while it makes sure to be the only one. A daemon thread that
/// does so while the interpreter is finalised never comes back, and takes the process with it. Here two
/// threads may make the object; the first one's stays.
pub struct Once(OnceLock<Py<PyAny>>);

impl Once {
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub fn get(&self) -> Option<&Py<PyAny>> {
        self.0.get()
    }

    pub fn set(&self, object: Py<PyAny>) {
        let _ = self.0.set(object);
    }

    /// The object, made by `make` if there is none.
    pub fn get_or<'a, 'py>(
        &'a self,
        py: Python<'py>,
        make: impl FnOnce() -> PyResult<Py<PyAny>>,
    ) -> PyResult<&'a Bound<'py, PyAny>> {
        if let Some(object) = self.0.get() {
            return Ok(object.bind(py));
        }
        let made = make()?;
        Ok(self.0.get_or_init(|| made).bind(py))
    }
}

/// A name that is made once, for the same reason in our own way.
pub struct Text(&'static str, OnceLock<Py<PyString>>);

impl Text {
    pub const fn new(text: &'static str) -> Self {
        Self(text, OnceLock::new())
    }

    pub fn get<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        self.1.get_or_init(|| PyString::intern(py, self.0).unbind()).bind(py)
    }
}

/// As `pyo3::intern!`.
macro_rules! intern {
    ($py:expr, $text:literal) => {{
        static TEXT: $crate::once::Text = $crate::once::Text::new($text);
        TEXT.get($py)
    }};
}
pub(crate) use intern;
