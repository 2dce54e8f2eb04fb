//! The one stream type of the traits.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, StreamExt};

use crate::error::{Error, Result};

/// A stream of messages that ends at its first error, as a gRPC stream does: whatever the
/// implementer goes on to yield, no caller sees it in any mode.
pub struct Events<T> {
    inner: Option<BoxStream<'static, Result<T>>>,
}

impl<T> fmt::Debug for Events<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("ended", &self.inner.is_none()).finish()
    }
}

impl<T> Events<T> {
    /// A stream of what `stream` yields up to its first error.
    pub fn new(stream: impl Stream<Item = Result<T>> + Send + 'static) -> Self {
        Self { inner: Some(stream.boxed()) }
    }

    /// A stream of these messages.
    pub fn from_vec(messages: Vec<T>) -> Self
    where
        T: Send + 'static,
    {
        Self::new(futures::stream::iter(messages.into_iter().map(Ok)))
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// The error that ended the stream.
    pub async fn next(&mut self) -> Result<Option<T>> {
        StreamExt::next(self).await.transpose()
    }

    /// Changes each message; an error of `map` ends the stream.
    pub fn try_map<U>(self, mut map: impl FnMut(T) -> Result<U> + Send + 'static) -> Events<U>
    where
        T: Send + 'static,
    {
        Events::new(self.map(move |item| item.and_then(&mut map)))
    }
}

impl<T> Stream for Events<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let item = std::task::ready!(inner.poll_next_unpin(cx));
        if !matches!(item, Some(Ok(_))) {
            // Dropping it here, not with `self`, lets the source end at once.
            self.inner = None;
        }
        Poll::Ready(item)
    }
}
