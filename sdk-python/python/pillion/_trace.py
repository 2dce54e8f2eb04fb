"""The trace that a call belongs to, for programs that use OpenTelemetry."""

from __future__ import annotations

from opentelemetry import trace


def current() -> tuple[str, str] | None:
    """The W3C headers `traceparent` and `tracestate` of the present span."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    return parent, context.trace_state.to_header()
