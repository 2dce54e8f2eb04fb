//! What is known of a call: its description, which is static, and its context.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Who may call a method, in growing order of trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Anyone who reaches the socket.
    Public,
    /// Callers that may read.
    Read,
    /// Callers that may write.
    Write,
}

/// Which sides of a call are streams. There is no fifth shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One request, one answer.
    Unary,
    /// One request, many answers.
    ServerStream,
    /// Many requests, one answer.
    ClientStream,
    /// Many of both.
    Duplex,
}

/// The description of a method, made from its proto options.
#[derive(Debug)]
pub struct CallInfo {
    /// `pillion.state.v1.StateService`.
    pub service: &'static str,
    /// `Get`.
    pub method: &'static str,
    /// `/pillion.state.v1.StateService/Get`.
    pub path: &'static str,
    /// `state.get`: the name in policies, metrics and traces.
    pub operation: &'static str,
    /// `state`.
    pub block: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Whether repeating it is harmless.
    pub idempotent: bool,
    /// Which sides are streams.
    pub shape: Shape,
    /// Its place in [`METHODS`](crate::METHODS), for tables with one row per method; their number
    /// for what a server or door answers itself.
    pub index: usize,
}

impl CallInfo {
    /// A call of this method for a component and resource.
    pub fn call<'a>(&'static self, component: &'a str, resource: &'a str) -> Call<'a> {
        Call { info: self, component, resource }
    }
}

/// A call as hooks see it: never its typed messages.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The method.
    pub info: &'static CallInfo,
    /// The component it names; empty for the block's default one, and for uploads, which name
    /// theirs in the first message.
    pub component: &'a str,
    /// What it is about (a key), where the method is about one thing.
    pub resource: &'a str,
}

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Caller {
    /// Code in this process.
    #[default]
    InProcess,
    /// A client of the sidecar that has not shown who it is.
    Anonymous,
    /// A client that presented the runtime's token.
    Token,
}

/// W3C trace context, carried as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The `traceparent` header.
    pub parent: Arc<str>,
    /// The `tracestate` header; empty if there was none.
    pub state: Arc<str>,
}

/// The context of a call. Cheap to clone.
#[derive(Clone, Default)]
pub struct Cx {
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// Fires when the caller gives up, where dropping the future cannot say it.
    pub cancel: Option<CancellationToken>,
    /// The application on whose behalf the call is made; `None` for the runtime's own.
    pub app_id: Option<Arc<str>>,
    /// Who calls.
    pub caller: Caller,
    /// The token that came with the call, not yet checked.
    pub token: Option<Arc<str>>,
    /// The trace that the call belongs to.
    pub trace: Option<TraceContext>,
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx")
            .field("deadline", &self.deadline)
            .field("app_id", &self.app_id)
            .field("caller", &self.caller)
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("trace", &self.trace)
            .finish_non_exhaustive()
    }
}

impl Cx {
    /// The same context with a deadline at most `timeout` from now; an earlier one stays.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        // A timeout beyond what the clock can express is no deadline.
        if let Some(deadline) = now().checked_add(timeout) {
            self.deadline = Some(self.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        }
        self
    }

    /// The same context on behalf of an application.
    #[must_use]
    pub fn for_app(mut self, app_id: impl Into<Arc<str>>) -> Self {
        self.app_id = Some(app_id.into());
        self
    }

    /// How long the caller still waits; `None` if for ever.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(now()))
    }
}

/// Deadlines of calls are real time, whatever clock the components are given: a test that moves
/// the clock of a TTL must not time out the call that reads the result.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}
