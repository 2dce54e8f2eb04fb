//! A connection on which an upload can be broken off.
//!
//! A request body that merely ends looks complete to the server. hyper resets a stream whose caller
//! is gone only until the answer begins; after that, an upload that still waits for its next message
//! would keep the call alive for ever. So the body of an upload fails when its caller fails or goes
//! away, and a body that fails resets the stream at any time.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::transport::Channel;

/// In the extensions of a request: when it fires, the body fails.
#[derive(Clone, Debug)]
pub(super) struct Breaker(pub(super) CancellationToken);

/// A channel whose requests obey their [`Breaker`].
#[derive(Clone, Debug)]
pub struct Link(Channel);

impl Link {
    /// Requests go through `channel`.
    pub fn new(channel: Channel) -> Self {
        Self(channel)
    }
}

impl Service<http::Request<Body>> for Link {
    type Response = <Channel as Service<http::Request<Body>>>::Response;
    type Error = <Channel as Service<http::Request<Body>>>::Error;
    type Future = <Channel as Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let request = match request.extensions_mut().remove::<Breaker>() {
            Some(Breaker(broken)) => request
                .map(|body| Body::new(Breakable { body, waiting: Box::pin(broken.clone().cancelled_owned()), broken })),
            None => request,
        };
        self.0.call(request)
    }
}

struct Breakable {
    body: Body,
    broken: CancellationToken,
    waiting: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl http_body::Body for Breakable {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // Checked first: a body that is always ready would otherwise never be broken off.
        if !self.broken.is_cancelled() {
            if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
                return Poll::Ready(frame);
            }
            std::task::ready!(self.waiting.as_mut().poll(cx));
        }
        Poll::Ready(Some(Err(Status::cancelled("the upload was broken off"))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
