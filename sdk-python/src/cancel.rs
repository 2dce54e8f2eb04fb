//! Cancelling calls from another thread or task.

use pillion::{Error, Reason};
use pyo3::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::answer::Work;
use crate::guard::guard;

#[pyclass(frozen, module = "pillion")]
#[derive(Default)]
pub struct CancelToken(CancellationToken);

#[pymethods]
impl CancelToken {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        guard(py, || Ok(Self::default()))
    }

    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        guard(py, || {
            self.0.cancel();
            Ok(())
        })
    }

    #[getter]
    fn cancelled(&self, py: Python<'_>) -> PyResult<bool> {
        guard(py, || Ok(self.0.is_cancelled()))
    }
}

impl CancelToken {
    pub fn token(&self) -> CancellationToken {
        self.0.clone()
    }
}

/// The same work, dropped when `token` is cancelled.
pub fn until(token: Option<CancellationToken>, work: Work) -> Work {
    let Some(token) = token else { return work };
    Box::pin(async move {
        token.run_until_cancelled(work).await.unwrap_or_else(|| {
            Err(Error::new(Reason::RequestCancelled, "the call was cancelled by its token").outcome_unknown())
        })
    })
}
