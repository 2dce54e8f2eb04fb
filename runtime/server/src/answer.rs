//! What goes back to the peer, whatever it speaks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::stream::BoxStream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use pillion_proto::Access;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use crate::drain::{Entered, draining};
use crate::guard::guarded;

/// The body of an answer.
pub(crate) enum Body {
    /// Of a gRPC call with one answer, or of a refusal.
    Message(tonic::body::Body),
    /// Of a gRPC call with many; cut when the grace of a drain is over.
    Messages { body: tonic::body::Body, access: Access, cut: Cut, _call: Option<Entered> },
    /// All there is, or nothing.
    Whole(Option<Bytes>),
    /// Pieces that come with time.
    Pieces { pieces: BoxStream<'static, Bytes>, call: Option<Entered> },
}

impl Default for Body {
    fn default() -> Self {
        Self::Whole(None)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        match this {
            Self::Message(body) => Pin::new(body).poll_frame(cx),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces { pieces, .. } => pieces.as_mut().poll_next(cx).map(|piece| piece.map(Frame::data).map(Ok)),
            Self::Messages { body, access, cut, .. } => {
                let error = match guarded(*access, || Pin::new(body).poll_frame(cx)) {
                    Ok(Poll::Ready(frame)) => return Poll::Ready(frame),
                    Ok(Poll::Pending) => {
                        ready!(cut.poll(cx));
                        draining(Access::Read)
                    }
                    Err(panicked) => panicked,
                };
                *this = Self::default();
                let mut trailers = HeaderMap::new();
                let added = Status::from(error).add_header(&mut trailers);
                Poll::Ready(Some(added.map(|()| Frame::trailers(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Message(body) | Self::Messages { body, .. } => body.is_end_stream(),
            Self::Whole(bytes) => bytes.is_none(),
            Self::Pieces { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Message(body) | Self::Messages { body, .. } => body.size_hint(),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Pieces { .. } => SizeHint::default(),
        }
    }
}

/// The end of a drain's grace, waited for only by what does wait.
pub(crate) struct Cut {
    /// Shared by reference: cloning a token takes its lock.
    token: Arc<CancellationToken>,
    waiting: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Cut {
    pub(crate) fn new(token: Arc<CancellationToken>) -> Self {
        Self { token, waiting: None }
    }

    /// Another wait for the same end.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.token.clone())
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waiting =
            self.waiting.get_or_insert_with(|| Box::pin(CancellationToken::clone(&self.token).cancelled_owned()));
        waiting.as_mut().poll(cx)
    }
}
