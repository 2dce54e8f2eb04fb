//! Errors as exceptions. The classes are generated, in Python: see `pillion/_errors.py`.

use pillion::proto::common::v1 as common;
use pillion::proto::error::{Category, Outcome};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{FromPython, ToPython};
use crate::once::{Once, intern};

/// The exception of an error.
pub fn raise(py: Python<'_>, error: &pillion::Error) -> PyErr {
    match common::Error::from(error).to_python(py) {
        Ok(exception) => PyErr::from_value(exception.into_bound(py)),
        Err(problem) => problem,
    }
}

fn classes(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static MODULE: Once = Once::new();
    MODULE.get_or(py, || py.import("pillion._errors").map(|module| module.into_any().unbind()))
}

/// Imports the classes, as `convert::prepare` does what it needs.
pub fn prepare(py: Python<'_>) -> PyResult<()> {
    classes(py).map(drop)
}

impl ToPython for common::Error {
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let details = PyDict::new(py);
        details.set_item(intern!(py, "reason"), &self.reason)?;
        details.set_item(intern!(py, "outcome"), self.outcome().short_name())?;
        details.set_item(intern!(py, "retryable"), self.retryable)?;
        details.set_item(intern!(py, "component"), &self.component)?;
        details.set_item(intern!(py, "metadata"), self.metadata.to_python(py)?)?;
        details.set_item(intern!(py, "retry_after"), self.retry_after.to_python(py)?)?;
        details.set_item(intern!(py, "advice"), &self.advice)?;
        let category = self.category().short_name();
        let class = classes(py)?.call_method1(intern!(py, "of"), (category,))?;
        Ok(class.call((&self.message,), Some(&details))?.unbind())
    }
}

impl FromPython for common::Error {
    fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = value.py();
        if !value.is_instance(&classes(py)?.getattr(intern!(py, "PillionError"))?)? {
            return Err(PyTypeError::new_err(format!("expected a PillionError, got {}", value.get_type().name()?)));
        }
        let text = |name| value.getattr(name)?.extract::<String>();
        let name = |prefix: &str, name: String| format!("{prefix}_{}", name.to_uppercase());
        let category = Category::from_str_name(&name("CATEGORY", text(intern!(py, "category"))?));
        let outcome = Outcome::from_str_name(&name("OUTCOME", text(intern!(py, "outcome"))?));
        Ok(Self {
            category: category.unwrap_or_default().into(),
            reason: text(intern!(py, "reason"))?,
            message: text(intern!(py, "message"))?,
            outcome: outcome.unwrap_or_default().into(),
            retryable: value.getattr(intern!(py, "retryable"))?.extract()?,
            component: text(intern!(py, "component"))?,
            metadata: FromPython::from_python(&value.getattr(intern!(py, "metadata"))?)?,
            retry_after: FromPython::from_python(&value.getattr(intern!(py, "retry_after"))?)?,
            advice: text(intern!(py, "advice"))?,
        })
    }
}
