//! Where calls run.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;
use pillion::{Error, Reason, Result};
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

use crate::error::{FfiError, panicked};

/// They carry timers, connections, the work of an embedded runtime, and calls that have to wait.
const THREADS: usize = 2;

/// The threads of one process.
pub(crate) struct Executor {
    runtime: Runtime,
    process: u32,
}

static CURRENT: Mutex<Option<&'static Executor>> = Mutex::new(None);

impl Executor {
    /// That of this process, started when it is first needed. It lives as long as the process; a child
    /// of a fork has none of its parent's threads and gets a new one.
    pub(crate) fn current() -> Result<&'static Self> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        match *current {
            Some(executor) if executor.is_ours() => Ok(executor),
            _ => {
                let runtime = Builder::new_multi_thread()
                    .worker_threads(THREADS)
                    .thread_name("pillion")
                    .enable_all()
                    .build()
                    .map_err(|error| Error::new(Reason::Unspecified, "no threads can be started").source(error))?;
                let executor: &'static Self = Box::leak(Box::new(Self { runtime, process: std::process::id() }));
                *current = Some(executor);
                Ok(executor)
            }
        }
    }

    /// Whether it was started in this process, not in the one that this one was forked from.
    pub(crate) fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    /// Runs something that needs the threads to be known, such as dropping a connection.
    pub(crate) fn within<T>(&self, run: impl FnOnce() -> T) -> T {
        let _entered = self.runtime.enter();
        run()
    }

    /// Runs `future` to its end beside everything else; dropping the handle drops it.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        AbortOnDropHandle::new(self.runtime.spawn(future))
    }

    /// Runs `future` with an error instead of a panic: at first where the call is made, so that what is
    /// there at once costs no change of threads, and then on our own.
    ///
    /// Only its end wakes the caller. A waker of a language takes locks of that language, such as that of
    /// Ruby's interpreter, and what a future waits for wakes it with locks of its own held: polled
    /// there, with both, a call could wait for itself.
    pub(crate) fn guard<T: Send + 'static>(
        &'static self,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Guarded<T> {
        Guarded { executor: self, state: State::Begun(Box::pin(future)) }
    }
}

/// See [`Executor::guard`].
pub(crate) struct Guarded<T> {
    executor: &'static Executor,
    state: State<T>,
}

enum State<T> {
    Begun(BoxFuture<'static, Result<T>>),
    Spawned(AbortOnDropHandle<Result<T>>),
    Ended,
}

impl<T: Send + 'static> Future for Guarded<T> {
    type Output = Result<T, FfiError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let executor = self.executor;
        let _entered = executor.runtime.enter();
        if let State::Begun(future) = &mut self.state {
            // Whom it would wake does not matter: it is polled again at once where it is spawned.
            let mut nobody = Context::from_waker(Waker::noop());
            let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut nobody)));
            let begun = std::mem::replace(&mut self.state, State::Ended);
            match (polled, begun) {
                (Ok(Poll::Pending), State::Begun(future)) => self.state = State::Spawned(executor.spawn(future)),
                (Ok(Poll::Ready(result)), _) => return Poll::Ready(result.map_err(FfiError::from)),
                _ => return Poll::Ready(Err(panicked().into())),
            }
        }
        let State::Spawned(task) = &mut self.state else { return Poll::Ready(Err(panicked().into())) };
        let joined = std::task::ready!(Pin::new(task).poll(cx));
        self.state = State::Ended;
        Poll::Ready(match joined {
            Ok(result) => result.map_err(FfiError::from),
            Err(_) => Err(panicked().into()),
        })
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Ended);
        if self.executor.is_ours() {
            self.executor.within(|| drop(state));
        } else {
            // Whatever it holds belongs to the parent, down to locks on files.
            std::mem::forget(state);
        }
    }
}
