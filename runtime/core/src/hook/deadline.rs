//! A deadline for calls whose caller set none.

use std::time::Duration;

use pillion_proto::{Call, CallGuard, CallHook, Cx, Result, Shape};

/// Gives every call with one answer a deadline. Streams may live as long as their caller listens.
#[derive(Clone, Copy, Debug)]
pub struct DefaultDeadline(pub Duration);

impl CallHook for DefaultDeadline {
    fn begin(&self, call: &Call<'_>, cx: &mut Cx) -> Result<Option<Box<dyn CallGuard>>> {
        if cx.deadline.is_none() && matches!(call.info.shape, Shape::Unary | Shape::ClientStream) {
            *cx = std::mem::take(cx).within(self.0);
        }
        Ok(None)
    }
}
