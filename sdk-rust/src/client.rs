//! The handle on a runtime.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pillion_proto::actuator::v1::{CheckReadyRequest, GetStatusRequest, GetStatusResponse};
use pillion_proto::{Apis, Call, CallGuard, CallHook, Cx, Error, Hooks, Reason, Result, Shape};
use tokio_util::sync::CancellationToken;

use crate::context::{Context, call_options};
use crate::state::State;
use crate::time::{Backoff, now, sleep};

/// A runtime: in this process, or a sidecar.
///
/// Cheap to clone; all clones are the same connection or runtime. Calls are cancelled by dropping
/// their future. It is closed by [`close`](Self::close), or when the last handle is dropped.
///
/// `with_timeout`, `with_trace` and `with_app_id` make a handle whose calls differ from those of
/// the one it came from.
#[derive(Clone)]
pub struct Pillion {
    inner: Arc<Inner>,
    pub(crate) context: Context,
}

struct Inner {
    apis: Apis,
    /// The same without retries, for what has its own.
    direct: Apis,
    closed: CancellationToken,
    backend: Backend,
}

/// How long each component of an embedded runtime has to end its work.
#[cfg(feature = "embed")]
const CLOSE_GRACE: Duration = Duration::from_secs(10);

/// What stands behind the APIs and has to be closed.
pub(crate) enum Backend {
    /// Nothing that is ours.
    Apis,
    #[cfg(feature = "client")]
    Remote(Arc<crate::connect::Pool>),
    #[cfg(feature = "embed")]
    Embedded(pillion_runtime::Runtime),
}

impl fmt::Debug for Pillion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backend = match &self.inner.backend {
            Backend::Apis => "apis".to_owned(),
            #[cfg(feature = "client")]
            Backend::Remote(pool) => pool.url().to_owned(),
            #[cfg(feature = "embed")]
            Backend::Embedded(_) => "embedded".to_owned(),
        };
        f.debug_struct("Pillion").field("backend", &backend).field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl Pillion {
    pub(crate) fn new(apis: &Apis, direct: &Apis, backend: Backend, context: Context) -> Self {
        let closed = CancellationToken::new();
        let gate: Arc<dyn CallHook> = Arc::new(Gate(closed.clone()));
        let hooks = Hooks::from_iter([gate]);
        let inner = Inner { apis: apis.hooked(&hooks), direct: direct.hooked(&hooks), closed, backend };
        Self { inner: Arc::new(inner), context }
    }

    /// A handle on given APIs, such as mocks. There is no limit on how long calls may take.
    pub fn from_apis(apis: Apis) -> Self {
        Self::new(&apis, &apis, Backend::Apis, Context::new(Cx::default(), None))
    }

    call_options!(context);

    /// The default state store. [`State::store`] gives the others.
    pub fn state(&self) -> State {
        State::new(self.clone())
    }

    /// The APIs as they are in the contract, for what the handles do not offer.
    pub fn apis(&self) -> &Apis {
        &self.inner.apis
    }

    pub(crate) fn direct(&self) -> &Apis {
        &self.inner.direct
    }

    /// A context for calls through [`apis`](Self::apis): with the identity, trace and timeout of this
    /// handle, counted from now.
    pub fn cx(&self) -> Cx {
        self.context.call()
    }

    /// What runs there: version, addresses, and every component with its state.
    ///
    /// # Errors
    /// `runtime.unreachable` when there is nothing there.
    pub async fn status(&self) -> Result<GetStatusResponse> {
        self.inner.apis.actuator.get_status(&self.cx(), GetStatusRequest {}).await
    }

    /// Waits until the runtime answers and every component can be used.
    ///
    /// # Errors
    /// What was still in the way when the time was up: `runtime.unreachable`, or
    /// `actuator.not_ready`, which names the components. What waiting cannot heal, at once.
    pub async fn wait_ready(&self, timeout: Duration) -> Result<()> {
        let cx = self.context.clone().with_timeout(timeout).call();
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(500));
        let mut last = None;
        loop {
            // Not through the retries: they would use up the budget of calls that matter.
            let error = match self.inner.direct.actuator.check_ready(&cx, CheckReadyRequest {}).await {
                Ok(_) => return Ok(()),
                // That the time is up is known; what was in the way says more.
                Err(error) if error.is(Reason::RequestDeadlineExceeded) => last.unwrap_or(error),
                Err(error) => error,
            };
            let wait = backoff.wait(error.wait());
            if !error.retryable() || cx.deadline.is_some_and(|deadline| deadline <= now() + wait) {
                return Err(error);
            }
            last = Some(error);
            sleep(wait).await;
        }
    }

    /// Closes the connection, or stops the embedded runtime, for all clones. Calls that are under
    /// way end first; streams end with `runtime.closed`, and so does every later call.
    pub async fn close(&self) {
        self.inner.closed.cancel();
        match &self.inner.backend {
            Backend::Apis => {}
            #[cfg(feature = "client")]
            Backend::Remote(pool) => pool.disconnect(),
            #[cfg(feature = "embed")]
            Backend::Embedded(runtime) => runtime.close(CLOSE_GRACE).await,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inner.closed.is_cancelled()
    }
}

/// Refuses calls after the handle was closed, and ends the streams that are open then.
struct Gate(CancellationToken);

impl CallHook for Gate {
    fn begin(&self, call: &Call<'_>, cx: &mut Cx) -> Result<Option<Box<dyn CallGuard>>> {
        if self.0.is_cancelled() {
            return Err(closed());
        }
        if call.info.shape != Shape::Unary && cx.cancel.is_none() {
            cx.cancel = Some(self.0.clone());
        }
        Ok(None)
    }
}

/// The error of calls on a closed handle.
pub(crate) fn closed() -> Error {
    Error::new(Reason::RuntimeClosed, "the handle was closed")
}
