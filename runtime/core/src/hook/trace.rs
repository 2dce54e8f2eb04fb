//! W3C trace context: carried on, and one span per call for whoever collects them.

use std::sync::Arc;
use std::time::Instant;

use pillion_proto::{Call, CallGuard, CallHook, Cx, Ending, Result, TraceContext};
use pillion_spi::{Clock, Random};

/// The target under which calls are reported; enable it to see each call in the log.
const TARGET: &str = "pillion::call";

/// Gives each call that belongs to a trace a span of its own, and reports calls through `tracing`.
#[derive(Debug)]
pub struct Tracing {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Tracing {
    /// Ids come from `random`.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random }
    }
}

impl CallHook for Tracing {
    fn begin(&self, call: &Call<'_>, cx: &mut Cx) -> Result<Option<Box<dyn CallGuard>>> {
        let parent = cx.trace.take().and_then(|trace| Parent::read(&trace).map(|parent| (parent, trace.state)));
        if let Some((parent, state)) = &parent {
            let span = self.random.u64();
            cx.trace = Some(TraceContext { parent: parent.child(span).into(), state: state.clone() });
        }
        if !tracing::enabled!(target: TARGET, tracing::Level::DEBUG) {
            return Ok(None);
        }
        Ok(Some(Box::new(Span {
            operation: call.info.operation,
            component: call.component.to_owned(),
            trace_id: parent.map(|(parent, _)| parent.trace_id).unwrap_or_default(),
            clock: self.clock.clone(),
            began: self.clock.now(),
        })))
    }
}

/// A `traceparent` (W3C Trace Context, version 00).
struct Parent {
    trace_id: String,
    flags: String,
}

impl Parent {
    /// Reads it; a value that is not well formed is ignored, as the recommendation says.
    fn read(trace: &TraceContext) -> Option<Self> {
        let mut parts = trace.parent.split('-');
        let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let known = version != "00" || parts.next().is_none();
        let well_formed =
            known && hex(version, 2) && version != "ff" && hex(trace_id, 32) && hex(parent_id, 16) && hex(flags, 2);
        let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
        (well_formed && !zero(trace_id) && !zero(parent_id))
            .then(|| Self { trace_id: trace_id.to_owned(), flags: flags.to_owned() })
    }

    fn child(&self, span: u64) -> String {
        // An all-zero span id is invalid.
        format!("00-{}-{:016x}-{}", self.trace_id, span.max(1), self.flags)
    }
}

struct Span {
    operation: &'static str,
    component: String,
    trace_id: String,
    clock: Arc<dyn Clock>,
    began: Instant,
}

impl CallGuard for Span {
    fn end(self: Box<Self>, ending: Ending<'_>) {
        let micros = self.clock.now().duration_since(self.began).as_micros();
        let (outcome, reason) = match ending {
            Ending::Ok => ("ok", ""),
            Ending::Failed(error) => ("error", error.reason()),
            Ending::Dropped => ("dropped", ""),
        };
        let (operation, component, trace_id) = (self.operation, self.component, self.trace_id);
        tracing::debug!(target: TARGET, operation, component, trace_id, outcome, reason, micros, "call");
    }
}

#[cfg(test)]
mod tests {
    use pillion_spi::{SystemClock, SystemRandom};

    use super::*;

    fn pass(parent: &str) -> Option<String> {
        let hook = Tracing::new(Arc::new(SystemClock), Arc::new(SystemRandom));
        let trace = TraceContext { parent: parent.into(), state: "a=1".into() };
        let mut cx = Cx { trace: Some(trace), ..Cx::default() };
        hook.begin(&pillion_proto::state_method::GET.call("", ""), &mut cx).unwrap();
        cx.trace.map(|trace| {
            assert_eq!(&*trace.state, "a=1");
            trace.parent.to_string()
        })
    }

    #[test]
    fn a_call_gets_a_span_of_its_own_in_the_callers_trace() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let child = pass(parent).unwrap();
        assert!(child.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && child.ends_with("-01"), "{child}");
        assert_ne!(child, parent);
    }

    #[test]
    fn a_malformed_trace_context_is_dropped() {
        for parent in [
            "",
            "00-0-0-0",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert_eq!(pass(parent), None, "{parent}");
        }
    }
}
