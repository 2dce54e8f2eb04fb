//! What generated classes are made of.

use std::collections::HashMap;
use std::hash::Hash;

use pyo3::PyClass;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::{PyDict, PyTuple};

use crate::convert::ToPython;
use crate::once::Once;

/// A message that never changes, and the Python objects of those of its `N` fields that were asked for.
pub struct Frozen<M, const N: usize> {
    pub message: M,
    shown: [Once; N],
}

impl<M, const N: usize> From<M> for Frozen<M, N> {
    fn from(message: M) -> Self {
        Self { message, shown: [const { Once::new() }; N] }
    }
}

impl<M: PartialEq, const N: usize> PartialEq for Frozen<M, N> {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

impl<M, const N: usize> Frozen<M, N> {
    /// The field at this place: the same object every time.
    pub fn show(
        &self,
        py: Python<'_>,
        place: usize,
        field: impl FnOnce(&M) -> PyResult<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let Some(shown) = self.shown.get(place) else { return field(&self.message) };
        Ok(shown.get_or(py, || field(&self.message))?.clone().unbind())
    }
}

/// An enum of Python. Values that it does not know are kept: its class makes members of them.
pub struct Enumeration {
    module: &'static str,
    name: &'static str,
    class: Once,
}

impl Enumeration {
    pub const fn new(module: &'static str, name: &'static str) -> Self {
        Self { module, name, class: Once::new() }
    }

    pub fn one(&self, py: Python<'_>, value: i32) -> PyResult<Py<PyAny>> {
        let class = self.class.get_or(py, || py.import(self.module)?.getattr(self.name).map(Bound::unbind))?;
        class.call1((value,)).map(Bound::unbind)
    }

    #[cfg_attr(not(feature = "shapes"), allow(dead_code, reason = "only the test service has such a field yet"))]
    pub fn optional(&self, py: Python<'_>, value: Option<i32>) -> PyResult<Py<PyAny>> {
        value.map_or_else(|| Ok(py.None()), |value| self.one(py, value))
    }

    #[cfg_attr(not(feature = "shapes"), allow(dead_code, reason = "only the test service has such a field yet"))]
    pub fn many(&self, py: Python<'_>, values: &[i32]) -> PyResult<Py<PyAny>> {
        let members = values.iter().map(|value| self.one(py, *value)).collect::<PyResult<Vec<_>>>()?;
        Ok(PyTuple::new(py, members)?.into_any().unbind())
    }

    #[allow(dead_code, reason = "no message has such a map yet")]
    pub fn map<K: ToPython + Eq + Hash>(&self, py: Python<'_>, values: &HashMap<K, i32>) -> PyResult<Py<PyAny>> {
        let dict = PyDict::new(py);
        for (key, value) in values {
            dict.set_item(key.to_python(py)?, self.one(py, *value)?)?;
        }
        Ok(dict.into_any().unbind())
    }
}

/// `Name(field=…, …)`, as in Python's own classes of that kind.
pub fn repr(py: Python<'_>, name: &str, fields: &[(&str, PyResult<Py<PyAny>>)]) -> PyResult<String> {
    let mut text = format!("{name}(");
    for (at, (field, value)) in fields.iter().enumerate() {
        let value = value.as_ref().map_err(|error| error.clone_ref(py))?.bind(py).repr()?;
        let comma = if at == 0 { "" } else { ", " };
        text.push_str(&format!("{comma}{field}={}", value.to_str()?));
    }
    text.push(')');
    Ok(text)
}

/// Defines the class of one variant of a tagged union.
macro_rules! variant {
    ($class:ident, $name:literal, $module:literal, $owner:literal, $doc:literal) => {
        #[doc = $doc]
        #[pyclass(frozen, name = $name, module = $module)]
        pub struct $class {
            value: Py<PyAny>,
        }

        #[pymethods]
        impl $class {
            #[classattr]
            fn __match_args__() -> (&'static str,) {
                ("value",)
            }

            #[new]
            #[pyo3(signature = (value))]
            fn new(py: Python<'_>, value: Py<PyAny>) -> PyResult<Self> {
                guard(py, || Ok(Self { value }))
            }

            /// What it holds.
            #[getter]
            fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
                guard(py, || Ok(self.value.clone_ref(py)))
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                guard(py, || Ok(format!(concat!($owner, ".", $name, "({})"), self.value.bind(py).repr()?.to_str()?)))
            }

            fn __richcmp__(
                &self,
                py: Python<'_>,
                other: &Bound<'_, PyAny>,
                op: pyo3::pyclass::CompareOp,
            ) -> PyResult<Py<PyAny>> {
                guard(py, || {
                    let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
                    $crate::message::equality(py, self.value.bind(py).eq(other.get().value.bind(py))?, op)
                })
            }

            fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
                guard(py, || self.value.bind(py).hash())
            }
        }
    };
}
pub(crate) use variant;

/// Compares two messages.
pub fn compare<T: PyClass<Frozen = True> + Sync + PartialEq>(
    this: &T,
    other: &Bound<'_, PyAny>,
    op: pyo3::pyclass::CompareOp,
) -> PyResult<Py<PyAny>> {
    let Ok(found) = other.cast::<T>() else { return Ok(other.py().NotImplemented()) };
    equality(other.py(), this == found.get(), op)
}

/// The answer to `==` and `!=`; nothing of ours has an order.
pub fn equality(py: Python<'_>, same: bool, op: pyo3::pyclass::CompareOp) -> PyResult<Py<PyAny>> {
    use pyo3::pyclass::CompareOp;
    match op {
        CompareOp::Eq => same.to_python(py),
        CompareOp::Ne => (!same).to_python(py),
        CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => Ok(py.NotImplemented()),
    }
}
