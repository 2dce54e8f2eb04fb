//! Running calls: blocking for `pillion`, as a coroutine for `pillion.aio`.

use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::FutureExt;
use pillion::proto::TraceContext;
use pillion::{Cx, Error, Pillion, Reason, Result};
use pyo3::prelude::*;
use pyo3::types::PyBool;
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, Work, into_python, panicked};
use crate::cancel::CancelToken;
use crate::convert::In;
use crate::coroutine::Coroutine;
use crate::error::raise;
use crate::exit::detached;
use crate::once::{Once, Text, intern};
use crate::process::runtime;

/// How long a blocking call waits before it looks whether Ctrl-C was pressed.
const SLICE: Duration = Duration::from_millis(100);

/// How results reach Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The calling thread waits.
    Blocking,
    /// The caller gets a coroutine.
    Async,
}

impl Mode {
    pub fn of(asynchronous: bool) -> Self {
        if asynchronous { Self::Async } else { Self::Blocking }
    }

    /// Runs `work` as this mode does.
    pub fn run(self, py: Python<'_>, work: Work) -> PyResult<Py<PyAny>> {
        match self {
            Self::Blocking => block(py, work),
            Self::Async => Ok(Py::new(py, Coroutine::new(work))?.into_any()),
        }
    }
}

/// What every call takes beside its request.
pub struct Options {
    timeout: Option<Duration>,
    app_id: Option<String>,
    token: Option<String>,
    cancel: Option<CancellationToken>,
    trace: Option<TraceContext>,
}

impl Options {
    pub fn new(
        py: Python<'_>,
        timeout: Option<In<pbjson_types::Duration>>,
        app_id: Option<String>,
        token: Option<String>,
        cancel: Option<&Bound<'_, CancelToken>>,
    ) -> PyResult<Self> {
        // A negative time is over already.
        let timeout = timeout.map(|In(timeout)| timeout.try_into().unwrap_or(Duration::ZERO));
        Ok(Self { timeout, app_id, token, cancel: cancel.map(|cancel| cancel.get().token()), trace: trace(py)? })
    }

    pub fn cancel(&self) -> Option<CancellationToken> {
        self.cancel.clone()
    }

    /// The context of a call that begins now. A stream has no deadline unless it is given one.
    pub fn cx(self, pillion: &Pillion, streams: bool) -> Cx {
        let mut cx = match self.timeout {
            Some(timeout) => pillion.clone().with_timeout(timeout).cx(),
            None => pillion.cx(),
        };
        if streams && self.timeout.is_none() {
            cx.deadline = None;
        }
        if let Some(app_id) = self.app_id {
            cx.app_id = Some(app_id.into());
        }
        if let Some(token) = self.token {
            cx.token = Some(token.into());
        }
        if self.trace.is_some() {
            cx.trace = self.trace;
        }
        cx
    }
}

/// The modules that the program has imported.
fn modules(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static MODULES: Once = Once::new();
    MODULES.get_or(py, || py.import("sys")?.getattr("modules").map(Bound::unbind))
}

/// The trace that the program is in, if it uses OpenTelemetry. It is never imported for that.
fn trace(py: Python<'_>) -> PyResult<Option<TraceContext>> {
    if !modules(py)?.contains(intern!(py, "opentelemetry.trace"))? {
        return Ok(None);
    }
    let found = py.import("pillion._trace")?.call_method0(intern!(py, "current"))?;
    let found: Option<(String, String)> = found.extract()?;
    Ok(found.map(|(parent, state)| TraceContext { parent: parent.into(), state: state.into() }))
}

/// What the first poll of `work` gives. It is polled here, on the calling thread: a call that needs
/// no waiting, as most of an embedded runtime, then costs no hand-off to another one.
pub fn poll(work: &mut Work) -> Poll<Result<Answer>> {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Poll::Ready(Err(error)),
    };
    let _entered = runtime.enter();
    let mut task = Context::from_waker(Waker::noop());
    let polled = std::panic::catch_unwind(AssertUnwindSafe(|| work.poll_unpin(&mut task)));
    polled.unwrap_or_else(|panic| Poll::Ready(Err(panicked(&*panic))))
}

fn block(py: Python<'_>, mut work: Work) -> PyResult<Py<PyAny>> {
    refuse_in_loop(py)?;
    let work = &mut work;
    let (mut polled, mut present) = detached(py, || poll(work));
    loop {
        match polled {
            Poll::Ready(result) => {
                crate::log::flush(py);
                let shown = into_python(py, result);
                drop(present);
                return shown;
            }
            // Waiting in slices, since signals reach Python only between them. Dropping the work
            // when one raises cancels the call.
            Poll::Pending => {
                drop(present);
                (polled, present) = detached(py, || wait(work));
                if polled.is_pending() {
                    py.check_signals()?;
                }
            }
        }
    }
}

fn wait(work: &mut Work) -> Poll<Result<Answer>> {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Poll::Ready(Err(error)),
    };
    let slice = async {
        #[allow(clippy::disallowed_methods, reason = "a person waits in real time")]
        let waited = tokio::time::timeout(SLICE, work).await;
        waited.map_or(Poll::Pending, Poll::Ready)
    };
    let waited = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(slice)));
    waited.unwrap_or_else(|panic| Poll::Ready(Err(panicked(&*panic))))
}

/// Refuses to block a running event loop.
fn refuse_in_loop(py: Python<'_>) -> PyResult<()> {
    static ASYNCIO: Loop = Loop::new("asyncio.events", "_get_running_loop");
    static TRIO: Loop = Loop::new("trio.lowlevel", "in_trio_run");
    let (running, thread) = if ASYNCIO.runs(py)? {
        (true, "asyncio.to_thread(…)")
    } else {
        (TRIO.runs(py)?, "trio.to_thread.run_sync(…)")
    };
    if !running {
        return Ok(());
    }
    let error =
        Error::new(Reason::RequestInvalid, "this call would block the event loop that is running in this thread")
            .advice(format!(
                "use `pillion.aio`, which has the same calls to await; or run this one with `await {thread}`"
            ));
    Err(raise(py, &error))
}

/// A kind of event loop, and the function by which it tells whether one runs in this thread.
struct Loop {
    module: Text,
    function: Text,
    found: Once,
}

impl Loop {
    const fn new(module: &'static str, function: &'static str) -> Self {
        Self { module: Text::new(module), function: Text::new(function), found: Once::new() }
    }

    fn runs(&self, py: Python<'_>) -> PyResult<bool> {
        // What has not been imported does not run; importing it would cost more than most programs' calls.
        let function = match self.found.get() {
            Some(function) => function.bind(py).clone(),
            None => {
                let Ok(module) = modules(py)?.get_item(self.module.get(py)) else { return Ok(false) };
                // A module that another thread is importing right now has no such function yet.
                let Ok(function) = module.getattr(self.function.get(py)) else { return Ok(false) };
                self.found.set(function.clone().unbind());
                function
            }
        };
        let answer = function.call0()?;
        Ok(!answer.is_none() && !answer.is(PyBool::new(py, false)))
    }
}
