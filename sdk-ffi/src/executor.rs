//! Where calls run: the first poll on the thread of the caller, so that what is there at once costs no
//! change of threads, and what waits on threads of our own.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use pillion::{Error, Reason, Result};
use tokio::runtime::{Builder, Runtime};

use crate::error::{FfiError, panicked};

/// They carry timers, connections and the work of an embedded runtime; calls themselves run on the
/// threads that make them.
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
    ) -> tokio_util::task::AbortOnDropHandle<T> {
        tokio_util::task::AbortOnDropHandle::new(self.runtime.spawn(future))
    }

    /// `future`, wherever it is polled: with the threads known, and with an error instead of a panic.
    pub(crate) fn guard<'a, T>(&'static self, future: impl Future<Output = Result<T>> + Send + 'a) -> Guarded<'a, T> {
        Guarded { executor: self, future: Some(Box::pin(future)) }
    }
}

/// See [`Executor::guard`].
pub(crate) struct Guarded<'a, T> {
    executor: &'static Executor,
    future: Option<BoxFuture<'a, Result<T>>>,
}

impl<T> Future for Guarded<'_, T> {
    type Output = Result<T, FfiError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _entered = self.executor.runtime.enter();
        let Some(future) = &mut self.future else { return Poll::Ready(Err(panicked().into())) };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result.map_err(FfiError::from),
            Err(_) => Err(panicked().into()),
        };
        self.future = None;
        Poll::Ready(result)
    }
}

impl<T> Drop for Guarded<'_, T> {
    fn drop(&mut self) {
        if !self.executor.is_ours() {
            // Whatever it holds belongs to the parent, down to locks on files.
            std::mem::forget(self.future.take());
            return;
        }
        let _entered = self.executor.runtime.enter();
        self.future = None;
    }
}
