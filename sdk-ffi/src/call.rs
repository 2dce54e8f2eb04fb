//! What goes with a call, and how it is given up.

use std::sync::Arc;

use pillion::{Cx, Pillion, Result};
use tokio_util::sync::CancellationToken;

use crate::error::cancelled;
use crate::injection::entered;
use crate::time::Span;

/// How one call differs from the others of its handle.
#[derive(Clone, Default, uniffi::Record)]
pub struct FfiCall {
    /// How long it may take; for a stream, the whole stream.
    #[uniffi(default = None)]
    pub timeout: Option<Span>,
    /// The application on whose behalf it is made.
    #[uniffi(default = None)]
    pub app_id: Option<String>,
    /// The token of the sidecar.
    #[uniffi(default = None)]
    pub token: Option<String>,
    /// A W3C `traceparent`, for a call that is part of a trace.
    #[uniffi(default = None)]
    pub trace: Option<String>,
    /// What gives it up.
    #[uniffi(default = None)]
    pub cancel: Option<Arc<FfiCancel>>,
}

impl FfiCall {
    /// `p`, making its calls so.
    pub(crate) fn handle(&self, p: &Pillion) -> Pillion {
        let mut p = p.clone();
        if let Some(timeout) = self.timeout {
            p = p.with_timeout(timeout.into());
        }
        if let Some(app_id) = &self.app_id {
            p = p.with_app_id(app_id);
        }
        if let Some(trace) = &self.trace {
            p = p.with_trace(trace);
        }
        p
    }

    /// The context of a call that has one answer, or of a `stream`, which has no deadline unless it was
    /// given one.
    pub(crate) fn cx(&self, p: &Pillion, stream: bool) -> Cx {
        let mut cx = self.handle(p).cx();
        if stream && self.timeout.is_none() {
            cx.deadline = None;
        }
        if let Some(token) = &self.token {
            cx.token = Some(token.as_str().into());
        }
        cx
    }
}

/// Gives up the calls it was handed to. UniFFI does not pass on that a task of the language was
/// cancelled, so where dropping the future does not say it, this does.
#[derive(Debug, Default, uniffi::Object)]
pub struct FfiCancel(CancellationToken);

#[uniffi::export]
impl FfiCancel {
    /// One that was not used yet.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        entered("FfiCancel.new");
        Arc::default()
    }

    /// Drops every call that has it, now and later, where it runs.
    pub fn cancel(&self) {
        entered("FfiCancel.cancel");
        self.0.cancel();
    }

    /// Whether it was used.
    pub fn is_cancelled(&self) -> bool {
        entered("FfiCancel.is_cancelled");
        self.0.is_cancelled()
    }
}

/// Runs `future` until `cancel` is used.
pub(crate) async fn until<T>(cancel: Option<Arc<FfiCancel>>, future: impl Future<Output = Result<T>>) -> Result<T> {
    match cancel {
        Some(cancel) => cancel.0.run_until_cancelled(future).await.unwrap_or_else(|| Err(cancelled())),
        None => future.await,
    }
}
