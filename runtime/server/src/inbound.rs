//! Request bodies.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::poll_fn;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pillion_proto::{Error, Reason, Result};

use crate::deadline::Stall;
use crate::options::too_large;

/// The body of a request, which fails when it breaks off or stalls. It never just ends then:
/// whoever reads it could not tell the part from the whole.
#[derive(Debug)]
pub(crate) struct Inbound {
    body: Incoming,
    /// Of HTTP/2, where hyper takes one kind of reset for an end.
    may_end_early: bool,
    stall: Stall,
    patience: Option<Duration>,
    ended: bool,
}

impl Inbound {
    /// `patience` is how long it may rest; `None`: for ever.
    pub(crate) fn new(body: Incoming, version: Version, patience: Option<Duration>) -> Self {
        let may_end_early = version == Version::HTTP_2;
        Self { body, may_end_early, stall: Stall::new(patience), patience, ended: false }
    }

    /// The whole body, at most `limit` bytes of it.
    ///
    /// # Errors
    /// `request.too_large` as soon as it is known, without reading on; `request.cancelled` if it
    /// broke off.
    pub(crate) async fn collect(mut self, limit: usize) -> Result<Bytes> {
        let announced = usize::try_from(self.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(too_large("body", announced, limit));
        }
        let Some(first) = self.data().await? else { return Ok(Bytes::new()) };
        check(first.len(), limit)?;
        let Some(second) = self.data().await? else { return Ok(first) };
        let mut whole = BytesMut::with_capacity(announced.max(first.len() + second.len()));
        whole.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(piece) = next {
            check(whole.len() + piece.len(), limit)?;
            whole.extend_from_slice(&piece);
            next = self.data().await?;
        }
        Ok(whole.freeze())
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn data(&mut self) -> Result<Option<Bytes>> {
        loop {
            match poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await.transpose()? {
                Some(frame) => {
                    // Trailers say nothing here.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                None => return Ok(None),
            }
        }
    }
}

fn check(size: usize, limit: usize) -> Result<()> {
    if size > limit { Err(too_large("body", size, limit)) } else { Ok(()) }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let item = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.stall.progress();
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(None) if self.may_end_early && !self.body.is_end_stream() => Err(broken_off("it was reset")),
            Poll::Ready(None) => Ok(()),
            Poll::Ready(Some(Err(error))) => Err(broken_off(error)),
            Poll::Pending => {
                std::task::ready!(self.stall.poll_rest(cx));
                Err(stalled(self.patience))
            }
        };
        self.ended = true;
        Poll::Ready(item.err().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn broken_off(cause: impl std::fmt::Display) -> Error {
    Error::new(Reason::RequestCancelled, format!("the request broke off before its end: {cause}"))
}

fn stalled(patience: Option<Duration>) -> Error {
    let message = format!("the request rested for {:?} before its end", patience.unwrap_or_default());
    Error::new(Reason::RequestInvalid, message)
}
