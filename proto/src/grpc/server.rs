//! What the generated server adapters share.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::Stream;
use prost::Message;
use tonic::{Request, Status, Streaming};

use crate::answer::within;
use crate::call::Cx;
use crate::error::{Error, Reason};
use crate::stream::Events;

pub use crate::r#gen::grpc_server::*;

/// Limits of the messages that a server takes and gives.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// The largest request message, in bytes.
    pub request: usize,
    /// The largest answer message, in bytes. Answers to writes are not held to it: they are as long as
    /// their requests.
    pub response: usize,
}

/// The context and the message of a request.
///
/// # Errors
/// As [`crate::http::context`].
pub fn split<T>(request: Request<T>) -> Result<(Cx, T), Status> {
    let cx = context(&request)?;
    Ok((cx, request.into_inner()))
}

/// The context of a request.
///
/// # Errors
/// As [`crate::http::context`].
pub fn context<T>(request: &Request<T>) -> Result<Cx, Status> {
    Ok(crate::http::context(request.metadata().as_ref())?)
}

/// The messages of an upload. A connection that breaks is an error, not an end.
pub fn incoming<T: Send + 'static>(messages: Streaming<T>) -> Events<T> {
    use futures::StreamExt as _;

    Events::new(messages.map(|message| {
        message.map_err(|status| {
            super::details(&status).unwrap_or_else(|| {
                let message = format!("the upload broke off before its end: {}", status.message());
                Error::new(Reason::RequestCancelled, message)
            })
        })
    }))
}

/// The messages of an answer, of which none is larger than the limit.
#[derive(Debug)]
pub struct Outgoing<T> {
    events: Events<T>,
    limit: usize,
}

impl<T> Outgoing<T> {
    pub(crate) fn new(events: Events<T>, limit: usize) -> Self {
        Self { events, limit }
    }
}

impl<T: Message> Stream for Outgoing<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let limit = self.limit;
        Pin::new(&mut self.events).poll_next(cx).map(|item| {
            // tonic ends the call at the first error.
            item.map(|message| message.and_then(|message| within(message, limit)).map_err(Status::from))
        })
    }
}
