//! The kinds of fields, from Python and to Python.

use std::collections::HashMap;
use std::hash::Hash;

use bytes::Bytes;
use pillion::proto::{Duration, Timestamp};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyByteArray, PyBytes, PyDateTime, PyDelta, PyDeltaAccess, PyDict, PyFloat, PyInt, PyMapping, PyString, PyTuple,
    PyTzInfo,
};

use crate::guard::contained;
use crate::once::{Once, intern};

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_MICRO: i32 = 1_000;

/// What a parameter can be made from.
pub trait FromPython: Sized {
    fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self>;
}

/// What a field or answer can be shown as.
pub trait ToPython {
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

/// A parameter of a function.
#[derive(Default)]
pub struct In<T>(pub T);

impl<T: FromPython> FromPyObject<'_, '_> for In<T> {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        contained(value.py(), || T::from_python(&value).map(Self))
    }
}

macro_rules! plain {
    ($($kind:ty),*) => {$(
        impl FromPython for $kind {
            fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {
                value.extract()
            }
        }

        impl ToPython for $kind {
            fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
                Ok(self.into_pyobject(py)?.to_owned().into_any().unbind())
            }
        }
    )*};
}
plain!(bool, i32, i64, u32, u64, f32, f64);

impl FromPython for String {
    fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        value.extract()
    }
}

impl ToPython for String {
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(PyString::new(py, self).into_any().unbind())
    }
}

impl FromPython for Bytes {
    fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(Self::copy_from_slice(bytes.as_bytes()));
        }
        if let Ok(bytes) = value.cast::<PyByteArray>() {
            return Ok(bytes.to_vec().into());
        }
        // `bytes(5)` and `bytes([1, 2])` are bytes too, but not what anybody means here.
        if value.is_instance_of::<PyString>() || value.is_instance_of::<PyInt>() || value.try_iter().is_err() {
            return Err(wanted(value, "bytes or another bytes-like object"));
        }
        let view = value.py().import("builtins")?.getattr(intern!(value.py(), "memoryview"))?.call1((value,));
        let view = view.map_err(|_| wanted(value, "bytes or another bytes-like object"))?;
        let bytes = view.call_method0(intern!(value.py(), "tobytes"))?;
        Ok(Self::copy_from_slice(bytes.cast::<PyBytes>()?.as_bytes()))
    }
}

impl ToPython for Bytes {
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(PyBytes::new(py, self).into_any().unbind())
    }
}

impl FromPython for Duration {
    fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(delta) = value.cast::<PyDelta>() {
            return Ok(of_delta(delta));
        }
        if value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>() {
            let seconds: f64 = value.extract()?;
            if !seconds.is_finite() {
                return Err(PyValueError::new_err("a duration has to be a finite number of seconds"));
            }
            // Rounded as a timedelta is: to microseconds.
            let whole = seconds.trunc();
            let micros = ((seconds - whole) * 1e6).round();
            #[allow(clippy::cast_possible_truncation, reason = "it saturates, and the runtime refuses that")]
            return Ok(normal(whole as i64, micros as i64));
        }
        Err(wanted(value, "a timedelta or a number of seconds"))
    }
}

/// A message counts days and seconds down from zero, a timedelta only days.
fn of_delta(delta: &Bound<'_, PyDelta>) -> Duration {
    let seconds = i64::from(delta.get_days()) * SECONDS_PER_DAY + i64::from(delta.get_seconds());
    normal(seconds, i64::from(delta.get_microseconds()))
}

fn normal(seconds: i64, micros: i64) -> Duration {
    let total = i128::from(seconds) * 1_000_000 + i128::from(micros);
    let clamp = |value: i128| i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX });
    let nanos = i32::try_from(total % 1_000_000).unwrap_or_default() * NANOS_PER_MICRO;
    Duration { seconds: clamp(total / 1_000_000), nanos }
}

impl ToPython for Duration {
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(delta(py, self.seconds, self.nanos)?.into_any().unbind())
    }
}

/// Below microseconds a timedelta has nothing.
fn delta(py: Python<'_>, seconds: i64, nanos: i32) -> PyResult<Bound<'_, PyDelta>> {
    let (days, rest) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
    let days = i32::try_from(days).map_err(|_| PyValueError::new_err("the time is too far away for a timedelta"))?;
    let rest = i32::try_from(rest)?;
    PyDelta::new(py, days, rest, nanos / NANOS_PER_MICRO, true)
}

/// The beginning of 1970 in UTC.
fn epoch(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static EPOCH: Once = Once::new();
    EPOCH.get_or(py, || {
        let utc = PyTzInfo::utc(py)?.to_owned();
        PyDateTime::new(py, 1970, 1, 1, 0, 0, 0, 0, Some(&utc)).map(|epoch| epoch.into_any().unbind())
    })
}

impl FromPython for Timestamp {
    fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let time = value.cast::<PyDateTime>().map_err(|_| wanted(value, "a datetime with a time zone"))?;
        if time.call_method0(intern!(value.py(), "utcoffset"))?.is_none() {
            return Err(PyValueError::new_err(
                "a datetime without a time zone is no moment; give it one: `.replace(tzinfo=timezone.utc)`",
            ));
        }
        let since = time.sub(epoch(value.py())?)?;
        let Duration { seconds, nanos } = of_delta(since.cast()?);
        // Before 1970 too, a timestamp counts nanoseconds upwards.
        let borrow = nanos < 0;
        Ok(Self { seconds: seconds - i64::from(borrow), nanos: if borrow { nanos + 1_000_000_000 } else { nanos } })
    }
}

impl ToPython for Timestamp {
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(epoch(py)?.add(delta(py, self.seconds, self.nanos)?)?.unbind())
    }
}

impl<T: FromPython> FromPython for Option<T> {
    fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if value.is_none() { Ok(None) } else { T::from_python(value).map(Some) }
    }
}

impl<T: ToPython> ToPython for Option<T> {
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.as_ref().map_or_else(|| Ok(py.None()), |value| value.to_python(py))
    }
}

impl<T: FromPython> FromPython for Vec<T> {
    fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        // Text is a sequence of texts, which is never what was meant.
        if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
            return Err(wanted(value, "a sequence"));
        }
        value.try_iter()?.map(|item| T::from_python(&item?)).collect()
    }
}

impl<T: ToPython> ToPython for Vec<T> {
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let items = self.iter().map(|item| item.to_python(py)).collect::<PyResult<Vec<_>>>()?;
        Ok(PyTuple::new(py, items)?.into_any().unbind())
    }
}

impl<K: FromPython + Eq + Hash, V: FromPython> FromPython for HashMap<K, V> {
    fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mapping = value.cast::<PyMapping>().map_err(|_| wanted(value, "a mapping"))?;
        let read =
            |item: Bound<'_, PyAny>| Ok((K::from_python(&item.get_item(0)?)?, V::from_python(&item.get_item(1)?)?));
        mapping.items()?.iter().map(read).collect()
    }
}

impl<K: ToPython, V: ToPython> ToPython for HashMap<K, V> {
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let dict = PyDict::new(py);
        for (key, value) in self {
            dict.set_item(key.to_python(py)?, value.to_python(py)?)?;
        }
        Ok(dict.into_any().unbind())
    }
}

/// Imports what conversions need. Later it would be imported below a frame of ours, perhaps by a daemon thread
/// while the interpreter is finalised, which such a thread does not survive.
pub fn prepare(py: Python<'_>) -> PyResult<()> {
    epoch(py)?;
    delta(py, 0, 0)?;
    // Whether text is a mapping is asked for what asking imports.
    let _ = PyString::new(py, "").cast::<PyMapping>();
    Ok(())
}

/// The error of an argument that is not what it should be.
pub fn wanted(value: &Bound<'_, PyAny>, what: &str) -> PyErr {
    let found = value.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    PyTypeError::new_err(format!("expected {what}, got {found}"))
}

impl<T: FromPython> FromPython for Box<T> {
    fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        T::from_python(value).map(Self::new)
    }
}

impl<T: ToPython> ToPython for Box<T> {
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        T::to_python(self, py)
    }
}
