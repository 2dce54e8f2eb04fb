//! What every object that makes calls holds.

#![cfg_attr(not(feature = "shapes"), allow(dead_code, reason = "only the test service uploads yet"))]

use std::future::Future;

use pillion::{Apis, Cx, Error, Events, Pillion, Reason, Result};

use crate::call::{FfiCall, until};
use crate::error::FfiError;
use crate::executor::{Executor, Guarded};
use crate::stream::{Output, Stream};

/// A handle on a runtime and the threads that it needs.
#[derive(Clone)]
pub(crate) struct Home {
    p: Pillion,
    executor: &'static Executor,
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.executor.is_ours() {
            // It belongs to the process that this one was forked from, down to locks on files: one
            // handle that is never dropped keeps it from being closed here.
            std::mem::forget(self.p.clone());
        }
    }
}

impl Home {
    pub(crate) fn new(p: Pillion, executor: &'static Executor) -> Self {
        Self { p, executor }
    }

    pub(crate) fn pillion(&self) -> &Pillion {
        &self.p
    }

    pub(crate) fn executor(&self) -> &'static Executor {
        self.executor
    }

    /// Refuses what is asked for in a child of a fork, where none of the parent's threads are.
    pub(crate) fn alive(&self) -> Result<()> {
        if self.executor.is_ours() {
            return Ok(());
        }
        let error = Error::new(Reason::RuntimeClosed, "this handle was opened before the process forked");
        Err(error.advice("open a handle in each process, after the fork"))
    }

    /// `future` as [`Executor::guard`] has it, where this is [`alive`](Self::alive).
    pub(crate) fn guard<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<Guarded<T>, FfiError> {
        self.alive()?;
        Ok(self.executor.guard(future))
    }

    /// Makes a call that has one answer.
    pub(crate) async fn call<T, R>(
        &self,
        call: FfiCall,
        run: impl FnOnce(Apis, Cx) -> R + Send + 'static,
    ) -> Result<T, FfiError>
    where
        T: Send + 'static,
        R: Future<Output = Result<T>> + Send + 'static,
    {
        let (cx, apis) = (call.cx(&self.p, false), self.p.apis().clone());
        self.guard(until(call.cancel, async move { run(apis, cx).await }))?.await
    }

    /// Opens a stream of answers.
    pub(crate) async fn download<D, R>(
        &self,
        call: FfiCall,
        run: impl FnOnce(Apis, Cx) -> R + Send + 'static,
    ) -> Result<Stream<(), D>, FfiError>
    where
        D: Send + 'static,
        R: Future<Output = Result<Events<D>>> + Send + 'static,
    {
        let (cx, apis) = (call.cx(&self.p, true), self.p.apis().clone());
        let events = self.guard(until(call.cancel, async move { run(apis, cx).await }))?.await?;
        Ok(Stream::download(self.clone(), events))
    }

    /// Opens a stream of requests that has one answer.
    pub(crate) async fn upload<U, D, R>(
        &self,
        call: FfiCall,
        run: impl FnOnce(Apis, Cx, Events<U>) -> R + Send + 'static,
    ) -> Result<Stream<U, D>, FfiError>
    where
        U: Send + 'static,
        D: Send + 'static,
        R: Future<Output = Result<D>> + Send + 'static,
    {
        let (cx, apis) = (call.cx(&self.p, true), self.p.apis().clone());
        // An upload answers when something was sent, so it cannot be awaited here.
        let open = |requests| async move { run(apis, cx, requests).await.map(Output::One) };
        self.alive()?;
        Ok(Stream::upload(self.clone(), open))
    }

    /// Opens a stream of requests that has a stream of answers.
    pub(crate) async fn converse<U, D, R>(
        &self,
        call: FfiCall,
        run: impl FnOnce(Apis, Cx, Events<U>) -> R + Send + 'static,
    ) -> Result<Stream<U, D>, FfiError>
    where
        U: Send + 'static,
        D: Send + 'static,
        R: Future<Output = Result<Events<D>>> + Send + 'static,
    {
        let (cx, apis) = (call.cx(&self.p, true), self.p.apis().clone());
        let open = |requests| async move { run(apis, cx, requests).await.map(Output::Many) };
        self.alive()?;
        Ok(Stream::upload(self.clone(), open))
    }
}

/// An API that not every runtime has.
#[cfg_attr(not(any(feature = "testing", feature = "shapes")), allow(dead_code))]
pub(crate) fn present<'a, T: ?Sized>(api: Option<&'a T>, block: &str) -> Result<&'a T> {
    api.ok_or_else(|| Error::new(Reason::RequestUnknownMethod, format!("this runtime has no `{block}`")))
}
