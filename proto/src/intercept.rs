//! What wraps every call once, whoever makes it: hooks, the deadline, the panic boundary.
//!
//! The generated wrapper of each trait (`StateHooked` …) calls into this module, so these rules
//! hold in every mode:
//!
//! * a deadline means one thing: when it passes the call is dropped and the error is
//!   `request.deadline_exceeded`;
//! * a panic costs one call: the error is `runtime.panic`;
//! * every guard is told how its call ended, also when the call was dropped.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::FutureExt;
use futures::stream::Stream;
use tokio::time::Instant as TokioInstant;

use crate::call::{Access, Call, CallInfo, Cx};
use crate::error::{Error, Reason, Result};
use crate::stream::Events;

/// Told of every call before it is made.
///
/// Hooks never wait: a decision that needs I/O belongs into the core, behind a deadline.
pub trait CallHook: Send + Sync + 'static {
    /// A call begins. The hook may change its context; the guard, if it returns one, is told the end.
    ///
    /// # Errors
    /// The call is not made and ends with this error.
    fn begin(&self, call: &Call<'_>, cx: &mut Cx) -> Result<Option<Box<dyn CallGuard>>>;
}

/// Told how one call ended.
pub trait CallGuard: Send {
    /// The call ended. For a stream this is the end of the stream, not of its opening.
    fn end(self: Box<Self>, ending: Ending<'_>);
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub enum Ending<'a> {
    /// With an answer, or a stream that ran to its end.
    Ok,
    /// With an error.
    Failed(&'a Error),
    /// The caller went away before the end.
    Dropped,
}

/// The hooks of one runtime or client, in the order in which they are told.
#[derive(Clone, Default)]
pub struct Hooks(Arc<[Arc<dyn CallHook>]>);

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooks({})", self.0.len())
    }
}

impl FromIterator<Arc<dyn CallHook>> for Hooks {
    fn from_iter<I: IntoIterator<Item = Arc<dyn CallHook>>>(hooks: I) -> Self {
        Self(hooks.into_iter().collect())
    }
}

impl Hooks {
    /// Tells all hooks that a call begins.
    ///
    /// # Errors
    /// That of the first hook that refuses; the hooks before it are told that the call failed.
    pub fn begin(&self, call: Call<'_>, cx: &Cx) -> Result<(Cx, Running)> {
        let mut cx = cx.clone();
        let mut running = Running { info: call.info, guards: Vec::with_capacity(self.0.len()) };
        for hook in self.0.iter() {
            match hook.begin(&call, &mut cx) {
                Ok(guard) => running.guards.extend(guard),
                Err(error) => {
                    running.end(Ending::Failed(&error));
                    return Err(error);
                }
            }
        }
        Ok((cx, running))
    }
}

/// A call under way.
pub struct Running {
    info: &'static CallInfo,
    guards: Vec<Box<dyn CallGuard>>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({})", self.info.operation)
    }
}

impl Running {
    /// A call that no hook was told of: a client adapter, whose caller was wrapped already.
    #[cfg(feature = "grpc-client")]
    pub(crate) fn plain(info: &'static CallInfo) -> Self {
        Self { info, guards: Vec::new() }
    }

    /// Runs a call whose answer is one message.
    ///
    /// # Errors
    /// Those of the call, of its deadline, and `runtime.panic`.
    pub async fn unary<T>(mut self, cx: &Cx, call: impl Future<Output = Result<T>>) -> Result<T> {
        let result = bounded(self.info, cx, call).await;
        self.end(result.as_ref().map_or_else(Ending::Failed, |_| Ending::Ok));
        result
    }

    /// Runs a call whose answer is a stream; the guards travel with it.
    ///
    /// # Errors
    /// As [`unary`](Self::unary), for the opening.
    pub async fn stream<T: Send + 'static>(
        mut self,
        cx: &Cx,
        call: impl Future<Output = Result<Events<T>>>,
    ) -> Result<Events<T>> {
        match bounded(self.info, cx, call).await {
            Ok(events) => {
                let info = self.info;
                Ok(Events::new(Guarded { events, limit: Limit::of(cx), running: self, info }))
            }
            Err(error) => {
                self.end(Ending::Failed(&error));
                Err(error)
            }
        }
    }

    fn end(&mut self, ending: Ending<'_>) {
        // The last to be told of the beginning is the first to be told of the end.
        for guard in self.guards.drain(..).rev() {
            guard.end(ending);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Ending::Dropped);
    }
}

/// Runs a call up to the caller's deadline, and catches its panic.
async fn bounded<T>(info: &'static CallInfo, cx: &Cx, call: impl Future<Output = Result<T>>) -> Result<T> {
    let mut call = pin!(AssertUnwindSafe(call).catch_unwind());
    if cx.remaining().is_some_and(|remaining| remaining.is_zero()) {
        // Nothing was begun, so nothing can have happened.
        return Err(deadline_exceeded(info, false));
    }
    // Polled once before any timer exists: a call that need not wait pays nothing for its deadline.
    if let Poll::Ready(result) = futures::poll!(call.as_mut()) {
        return result.unwrap_or_else(|_panic| Err(panicked(info)));
    }
    let Some(mut limit) = Limit::of(cx) else {
        return call.await.unwrap_or_else(|_panic| Err(panicked(info)));
    };
    futures::future::poll_fn(|task| {
        if let Poll::Ready(result) = call.as_mut().poll(task) {
            return Poll::Ready(result.unwrap_or_else(|_panic| Err(panicked(info))));
        }
        limit.poll(task, info).map(Err)
    })
    .await
}

/// The end of the caller's patience.
struct Limit {
    deadline: Option<Pin<Box<tokio::time::Sleep>>>,
    cancelled: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Limit {
    #[allow(clippy::disallowed_methods)] // deadlines of calls are real time
    fn of(cx: &Cx) -> Option<Self> {
        let deadline = cx.deadline.map(|at| Box::pin(tokio::time::sleep_until(TokioInstant::from_std(at))));
        let cancelled = cx.cancel.clone().map(|token| Box::pin(token.cancelled_owned()) as Pin<Box<_>>);
        (deadline.is_some() || cancelled.is_some()).then_some(Self { deadline, cancelled })
    }

    fn poll(&mut self, task: &mut Context<'_>, info: &'static CallInfo) -> Poll<Error> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(task).is_ready()
        {
            return Poll::Ready(deadline_exceeded(info, true));
        }
        if let Some(cancelled) = &mut self.cancelled
            && cancelled.as_mut().poll(task).is_ready()
        {
            return Poll::Ready(cancelled_by_caller(info));
        }
        Poll::Pending
    }
}

struct Guarded<T> {
    events: Events<T>,
    limit: Option<Limit>,
    running: Running,
    info: &'static CallInfo,
}

impl<T> Stream for Guarded<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.events).poll_next(task)));
        let item = match polled {
            Ok(Poll::Ready(item)) => item,
            Ok(Poll::Pending) => match &mut this.limit {
                Some(limit) => Some(Err(std::task::ready!(limit.poll(task, this.info)))),
                None => return Poll::Pending,
            },
            Err(_panic) => Some(Err(panicked(this.info))),
        };
        match &item {
            Some(Ok(_)) => {}
            Some(Err(error)) => this.running.end(Ending::Failed(error)),
            None => this.running.end(Ending::Ok),
        }
        Poll::Ready(item)
    }
}

/// The error of a call whose deadline passed.
pub(crate) fn deadline_exceeded(info: &CallInfo, begun: bool) -> Error {
    let error = Error::new(
        Reason::RequestDeadlineExceeded,
        format!("{} was not answered before the deadline of the call", info.operation),
    );
    unknown_if(begun, info, error)
}

fn cancelled_by_caller(info: &CallInfo) -> Error {
    unknown_if(
        true,
        info,
        Error::new(Reason::RequestCancelled, format!("{} was cancelled by the caller", info.operation)),
    )
}

/// A write that was begun and not seen to end may have taken effect; a read changes nothing.
pub(crate) fn unknown_if(begun: bool, info: &CallInfo, error: Error) -> Error {
    if begun && info.access == Access::Write { error.outcome_unknown() } else { error }
}

/// The text of the panic may quote user data, so callers do not get it; the process's panic hook
/// has it.
fn panicked(info: &CallInfo) -> Error {
    unknown_if(true, info, Error::new(Reason::RuntimePanic, format!("{} ended by a panic", info.operation)))
}
