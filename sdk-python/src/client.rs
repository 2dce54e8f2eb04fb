//! Handles on runtimes, and how they are opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use pillion::{Apis, Cx, Error, Events, Pillion, Reason, Result};
use pyo3::prelude::*;

use crate::answer::{Answer, Work, message, nothing};
use crate::call::{Mode, Options};
use crate::cancel::until;
use crate::convert::{FromPython, In, ToPython};
use crate::guard::guard;
use crate::process::Generation;
use crate::stream::{Messages, answers, stream};
use crate::upload::{duplex, upload};

/// A handle, and the process it was opened in.
pub struct Handle {
    /// Always there, but while it is dropped.
    pillion: Option<Pillion>,
    closed: AtomicBool,
    generation: Generation,
    mode: Mode,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let Some(pillion) = self.pillion.take() else { return };
        match crate::process::runtime() {
            Ok(runtime) if self.generation.is_current() => {
                let _entered = runtime.enter();
                drop(pillion);
            }
            // What it refers to is the parent's.
            _ => std::mem::forget(pillion),
        }
    }
}

/// What makes calls: every generated class has one.
#[derive(Clone)]
pub struct Caller(Arc<Handle>);

impl Caller {
    pub fn mode(&self) -> Mode {
        self.0.mode
    }

    pub fn pillion(&self) -> Result<Pillion> {
        self.0.generation.check()?;
        self.0.pillion.clone().ok_or_else(|| Error::new(Reason::RuntimeClosed, "the handle was closed"))
    }

    /// Runs a call with one request and one answer.
    pub fn unary<T, F>(
        &self,
        py: Python<'_>,
        options: Options,
        call: impl FnOnce(&Apis, Cx) -> F + Send + 'static,
    ) -> PyResult<Py<PyAny>>
    where
        T: ToPython + Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (caller, cancel) = (self.clone(), options.cancel());
        let work: Work = Box::pin(async move {
            let pillion = caller.pillion()?;
            let cx = options.cx(&pillion, false);
            let answer = call(pillion.apis(), cx);
            Ok(message(answer.await?))
        });
        self.mode().run(py, until(cancel, work))
    }

    /// Opens a stream of answers.
    pub fn stream<T, F>(
        &self,
        py: Python<'_>,
        options: Options,
        call: impl FnOnce(&Apis, Cx) -> F + Send + 'static,
    ) -> PyResult<Py<PyAny>>
    where
        T: ToPython + Send + 'static,
        F: Future<Output = Result<Events<T>>> + Send + 'static,
    {
        let caller = self.clone();
        stream(
            py,
            self.mode(),
            Box::pin(async move {
                let (pillion, cancel) = (caller.pillion()?, options.cancel());
                let cx = Cx { cancel, ..options.cx(&pillion, true) };
                let answer = call(pillion.apis(), cx);
                Ok(answers(answer.await?))
            }),
        )
    }

    /// Begins a call of many requests and one answer.
    pub fn upload<Q, T, F>(
        &self,
        py: Python<'_>,
        options: Options,
        call: impl FnOnce(&Apis, Cx, Events<Q>) -> F + Send + 'static,
    ) -> PyResult<Py<PyAny>>
    where
        Q: FromPython + Send + 'static,
        T: ToPython + Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let caller = self.clone();
        upload(py, self.mode(), move |requests| {
            let one = async move {
                let (pillion, cancel) = (caller.pillion()?, options.cancel());
                let cx = Cx { cancel, ..options.cx(&pillion, true) };
                let answer = call(pillion.apis(), cx, requests);
                Ok::<Answer, Error>(message(answer.await?))
            };
            Box::pin(async move {
                let answer = one.await?;
                Ok(Events::new(futures::stream::iter([Ok(answer)])))
            }) as BoxFuture<'static, Result<Messages>>
        })
    }

    /// Begins a call of many requests and many answers.
    pub fn duplex<Q, T, F>(
        &self,
        py: Python<'_>,
        options: Options,
        call: impl FnOnce(&Apis, Cx, Events<Q>) -> F + Send + 'static,
    ) -> PyResult<Py<PyAny>>
    where
        Q: FromPython + Send + 'static,
        T: ToPython + Send + 'static,
        F: Future<Output = Result<Events<T>>> + Send + 'static,
    {
        let caller = self.clone();
        duplex(py, self.mode(), move |requests| {
            Box::pin(async move {
                let (pillion, cancel) = (caller.pillion()?, options.cancel());
                let cx = Cx { cancel, ..options.cx(&pillion, true) };
                let answer = call(pillion.apis(), cx, requests);
                Ok(answers(answer.await?))
            }) as BoxFuture<'static, Result<Messages>>
        })
    }
}

/// The API of a service that not every runtime has.
pub fn offered<T: ?Sized>(api: Option<&Arc<T>>, block: &str) -> Result<Arc<T>> {
    api.cloned().ok_or_else(|| {
        Error::new(Reason::RequestUnknownMethod, format!("this runtime does not have the API `{block}`"))
            .advice("open a runtime for tests in this process: `pillion.embedded(testing=True)`")
    })
}

#[pyclass(frozen, module = "pillion")]
pub struct Client(Caller);

impl Client {
    pub fn caller(&self) -> &Caller {
        &self.0
    }

    fn answer(pillion: Pillion, mode: Mode) -> Answer {
        let handle =
            Handle { pillion: Some(pillion), closed: AtomicBool::new(false), generation: Generation::current(), mode };
        Box::new(move |py| Ok(Py::new(py, Self(Caller(Arc::new(handle))))?.into_any()))
    }
}

#[pymethods]
impl Client {
    #[getter]
    fn apis(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        guard(py, || crate::r#gen::apis(py, &self.0))
    }

    fn wait_ready(&self, py: Python<'_>, timeout: In<pbjson_types::Duration>) -> PyResult<Py<PyAny>> {
        guard(py, || {
            let (caller, timeout) = (self.0.clone(), Duration::try_from(timeout.0).unwrap_or_default());
            let work = async move {
                caller.pillion()?.wait_ready(timeout).await?;
                Ok(nothing())
            };
            self.0.mode().run(py, Box::pin(work))
        })
    }

    fn close(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        guard(py, || {
            let caller = self.0.clone();
            let work = async move {
                // A handle of a parent process was never ours to close.
                caller.0.closed.store(true, Ordering::Release);
                if let Ok(pillion) = caller.pillion() {
                    pillion.close().await;
                }
                Ok(nothing())
            };
            self.0.mode().run(py, Box::pin(work))
        })
    }

    /// A handle on the same runtime whose calls are awaited, or block.
    fn twin(&self, py: Python<'_>, asynchronous: bool) -> PyResult<Py<PyAny>> {
        guard(py, || {
            let pillion = self.0.pillion().map_err(|error| crate::error::raise(py, &error))?;
            Self::answer(pillion, Mode::of(asynchronous))(py)
        })
    }

    #[getter]
    fn is_closed(&self, py: Python<'_>) -> PyResult<bool> {
        guard(py, || Ok(self.0.0.closed.load(Ordering::Acquire)))
    }
}

fn opening(
    py: Python<'_>,
    asynchronous: bool,
    level: u32,
    open: impl Future<Output = Result<Pillion>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    crate::convert::prepare(py)?;
    crate::error::prepare(py)?;
    crate::log::start(level);
    let mode = Mode::of(asynchronous);
    mode.run(py, Box::pin(async move { Ok(Client::answer(open.await?, mode)) }))
}

#[pyfunction]
pub fn open(py: Python<'_>, asynchronous: bool, level: u32) -> PyResult<Py<PyAny>> {
    guard(py, || opening(py, asynchronous, level, pillion::open()))
}

#[pyfunction]
#[pyo3(signature = (asynchronous, level, *, data_dir=None, config_file=None, app_id=None, testing=false))]
pub fn embedded(
    py: Python<'_>,
    asynchronous: bool,
    level: u32,
    data_dir: Option<std::path::PathBuf>,
    config_file: Option<std::path::PathBuf>,
    app_id: Option<String>,
    testing: bool,
) -> PyResult<Py<PyAny>> {
    guard(py, || {
        let mut embedded = pillion::embedded();
        if let Some(folder) = data_dir {
            embedded = embedded.data_dir(folder);
        }
        if let Some(file) = config_file {
            embedded = embedded.config_file(file);
        }
        if let Some(app_id) = app_id {
            embedded = embedded.app_id(app_id);
        }
        if testing {
            embedded = embedded.testing();
        }
        opening(py, asynchronous, level, embedded.into_future())
    })
}

#[pyfunction]
#[pyo3(signature = (asynchronous, level, url, *, connections=None, token=None, app_id=None, timeout=None, retries=None, max_message=None, keep_alive=None))]
#[allow(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub fn connect(
    py: Python<'_>,
    asynchronous: bool,
    level: u32,
    url: String,
    connections: Option<usize>,
    token: Option<String>,
    app_id: Option<String>,
    timeout: Option<In<pbjson_types::Duration>>,
    retries: Option<u32>,
    max_message: Option<usize>,
    keep_alive: Option<In<pbjson_types::Duration>>,
) -> PyResult<Py<PyAny>> {
    guard(py, || {
        let duration = |In(duration): In<pbjson_types::Duration>| Duration::try_from(duration).unwrap_or_default();
        let mut connect = pillion::connect(url);
        if let Some(connections) = connections {
            connect = connect.connections(connections);
        }
        if let Some(token) = token {
            connect = connect.token(token);
        }
        if let Some(app_id) = app_id {
            connect = connect.app_id(app_id);
        }
        if let Some(timeout) = timeout {
            connect = connect.timeout(duration(timeout));
        }
        if let Some(retries) = retries {
            connect = connect.retries(retries);
        }
        if let Some(bytes) = max_message {
            connect = connect.max_message(bytes);
        }
        if let Some(interval) = keep_alive {
            connect = connect.keep_alive(duration(interval));
        }
        opening(py, asynchronous, level, connect.into_future())
    })
}

/// The command `pillion`; its exit code.
#[pyfunction]
pub fn command(py: Python<'_>, arguments: Vec<std::ffi::OsString>) -> PyResult<u8> {
    guard(py, || Ok(py.detach(|| pillion_cli::status(arguments))))
}
