//! What goes with every call of a handle.

use std::sync::Arc;
use std::time::Duration;

use pillion_proto::{Cx, TraceContext};

/// The part of the call context that handles carry.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Never has a deadline: calls get theirs when they are made.
    cx: Cx,
    pub(crate) timeout: Option<Duration>,
}

impl Context {
    pub(crate) fn new(cx: Cx, timeout: Option<Duration>) -> Self {
        Self { cx, timeout }
    }

    /// The context of a call that begins now.
    pub(crate) fn call(&self) -> Cx {
        let cx = self.cx.clone();
        match self.timeout {
            Some(timeout) => cx.within(timeout),
            None => cx,
        }
    }

    /// The context of a stream, which may last.
    pub(crate) fn stream(&self) -> Cx {
        self.cx.clone()
    }

    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) fn with_trace(mut self, parent: &str) -> Self {
        self.cx.trace = Some(TraceContext { parent: parent.into(), state: Arc::default() });
        self
    }

    pub(crate) fn with_tracestate(mut self, state: &str) -> Self {
        if let Some(trace) = &mut self.cx.trace {
            trace.state = state.into();
        }
        self
    }

    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.cx.token = Some(token.into());
        self
    }

    pub(crate) fn with_app_id(mut self, app_id: &str) -> Self {
        self.cx.app_id = Some(app_id.into());
        self
    }
}

/// A setting from the environment; empty means unset.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The options that every handle has.
macro_rules! call_options {
    ($($context:ident).+) => {
        /// The same handle with another limit on how long each call may take; for a stream, its
        /// opening and each page.
        #[must_use]
        pub fn with_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.$($context).+ = self.$($context).+.with_timeout(timeout);
            self
        }

        /// The same handle making its calls part of a trace: `parent` is a W3C `traceparent`.
        #[must_use]
        pub fn with_trace(mut self, parent: &str) -> Self {
            self.$($context).+ = self.$($context).+.with_trace(parent);
            self
        }

        /// The same handle with the W3C `tracestate` that came with the `traceparent` of
        /// [`with_trace`](Self::with_trace).
        #[must_use]
        pub fn with_tracestate(mut self, state: &str) -> Self {
            self.$($context).+ = self.$($context).+.with_tracestate(state);
            self
        }

        /// The same handle showing another token to the sidecar.
        #[must_use]
        pub fn with_token(mut self, token: &str) -> Self {
            self.$($context).+ = self.$($context).+.with_token(token);
            self
        }

        /// The same handle making its calls on behalf of an application.
        #[must_use]
        pub fn with_app_id(mut self, app_id: &str) -> Self {
            self.$($context).+ = self.$($context).+.with_app_id(app_id);
            self
        }
    };
}
pub(crate) use call_options;
