//! Listing entries, page after page.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::stream::{BoxStream, Stream};
use pillion_proto::Result;
use pillion_proto::state::v1::{self as state, ListRequest};

use super::State;
use super::types::Entry;
use crate::value::FromValue;

impl State {
    /// Lists the entries whose key begins with `prefix`; empty for all. The pages are fetched as they are
    /// needed, so the list is no snapshot: an entry that is written meanwhile may be in it or not.
    /// Whether it is in key order, the store's capabilities say.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> pillion::Result<()> {
    /// # let p = pillion::embedded().await?;
    /// p.state().set_many([("cart:1", "a"), ("cart:2", "b"), ("user:1", "c")]).await?;
    /// let mut carts = p.state().list::<String>("cart:");
    /// let mut found = Vec::new();
    /// while let Some(entry) = carts.next().await? {
    ///     found.push((entry.key, entry.value));
    /// }
    /// assert_eq!(found, [("cart:1".into(), "a".into()), ("cart:2".into(), "b".into())]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn list<T: FromValue + 'static>(&self, prefix: impl Into<String>) -> List<T> {
        List::new(self, prefix.into(), false)
    }

    /// As [`list`](Self::list), without the values.
    pub fn keys(&self, prefix: impl Into<String>) -> List<()> {
        List::new(self, prefix.into(), true)
    }
}

/// Entries; a [`Stream`].
///
/// An entry that cannot be read as a `T` is an error that names its `key`; the list goes on behind
/// it. Any other error ends it.
#[must_use = "it lists nothing until it is polled"]
pub struct List<T> {
    start: Option<Pages>,
    entries: Option<BoxStream<'static, Result<Entry<T>>>>,
}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("begun", &self.start.is_none()).finish_non_exhaustive()
    }
}

impl<T: FromValue + 'static> List<T> {
    fn new(state: &State, prefix: String, keys_only: bool) -> Self {
        let request = ListRequest { store: state.store_name(), prefix, keys_only, ..ListRequest::default() };
        let pages = Pages { state: state.clone(), request, ready: VecDeque::new(), more: true };
        Self { start: Some(pages), entries: None }
    }

    /// How many entries are fetched at once: 1 to 1,000. Default: 100.
    pub fn page_size(mut self, entries: i32) -> Self {
        if let Some(pages) = &mut self.start {
            pages.request.page_size = entries;
        }
        self
    }

    /// The next entry; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As the stream.
    pub async fn next(&mut self) -> Result<Option<Entry<T>>> {
        StreamExt::next(self).await.transpose()
    }
}

impl<T: FromValue + 'static> Stream for List<T> {
    type Item = Result<Entry<T>>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(pages) = this.start.take() {
            let entries = futures::stream::unfold(pages, |mut pages| async { Some((pages.next().await?, pages)) });
            this.entries = Some(entries.map(|entry| entry.and_then(Entry::read)).boxed());
        }
        match &mut this.entries {
            Some(entries) => entries.poll_next_unpin(task),
            None => Poll::Ready(None),
        }
    }
}

struct Pages {
    state: State,
    request: ListRequest,
    ready: VecDeque<state::Entry>,
    more: bool,
}

impl Pages {
    async fn next(&mut self) -> Option<Result<state::Entry>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Some(Ok(entry));
            }
            if !self.more {
                return None;
            }
            match self.state.api().list(&self.state.pillion.cx(), self.request.clone()).await {
                Ok(page) => {
                    self.more = !page.next_page_token.is_empty();
                    self.request.page_token = page.next_page_token;
                    self.ready = page.entries.into();
                }
                Err(error) => {
                    self.more = false;
                    return Some(Err(error));
                }
            }
        }
    }
}
