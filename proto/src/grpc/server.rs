//! What the generated server adapters share.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::Stream;
use tonic::{Request, Status, Streaming};

use crate::call::Cx;
use crate::error::{Error, Reason};
use crate::stream::Events;

pub use crate::r#gen::grpc_server::*;

/// Limits of the messages that a server takes and gives.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// The largest request message, in bytes.
    pub request: usize,
    /// The largest answer message, in bytes.
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

/// The messages of an answer.
#[derive(Debug)]
pub struct Outgoing<T>(Events<T>);

impl<T> From<Events<T>> for Outgoing<T> {
    fn from(events: Events<T>) -> Self {
        Self(events)
    }
}

impl<T> Stream for Outgoing<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx).map(|item| item.map(|message| message.map_err(Status::from)))
    }
}
