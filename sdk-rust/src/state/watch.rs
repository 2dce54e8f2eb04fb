//! Watching entries, across lost connections.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, Stream};
use pillion_proto::state::v1::{WatchRequest, WatchResponse, watch_response};
use pillion_proto::{Error, Events, Reason, Result, StateApi};

use super::State;
use super::types::Entry;
use crate::client::closed;
use crate::time::{Backoff, now, sleep, timeout};
use crate::value::FromValue;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl State {
    /// Watches the entries whose key begins with `prefix`; empty for all. Await the builder for the
    /// [`Watch`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> pillion::Result<()> {
    /// # let p = pillion::embedded().await?;
    /// use pillion::state::Change;
    ///
    /// p.state().set("cart:1", "apples").await?;
    /// let mut changes = p.state().watch::<String>("cart:").await?;
    /// assert!(matches!(changes.next().await?, Some(Change::Written(cart)) if cart.value == "apples"));
    /// assert!(matches!(changes.next().await?, Some(Change::Synced)));
    /// p.state().delete("cart:1").await?;
    /// assert!(matches!(changes.next().await?, Some(Change::Deleted { key, .. }) if key == "cart:1"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch<T: FromValue + 'static>(&self, prefix: impl Into<String>) -> OpenWatch<T> {
        OpenWatch::new(self, WatchRequest { prefix: prefix.into(), ..WatchRequest::default() })
    }

    /// Watches one entry. Await the builder for the [`Watch`].
    pub fn watch_key<T: FromValue + 'static>(&self, key: impl Into<String>) -> OpenWatch<T> {
        OpenWatch::new(self, WatchRequest { key: key.into(), ..WatchRequest::default() })
    }
}

/// What a [`Watch`] reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change<T> {
    /// An entry was written, or is there at the beginning.
    Written(Entry<T>),
    /// An entry is gone.
    Deleted {
        /// Its key.
        key: String,
        /// Its time was up; nobody deleted it.
        expired: bool,
    },
    /// Changes were missed: forget what you know. The present entries and [`Synced`](Self::Synced)
    /// follow.
    Resync,
    /// Everything up to here was reported: what you know is the store.
    Synced,
}

/// How to watch; await it.
#[must_use = "it watches nothing until it is awaited"]
pub struct OpenWatch<T> {
    session: Session,
    value: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for OpenWatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenWatch").field(&self.session.request).finish()
    }
}

impl<T> OpenWatch<T> {
    fn new(state: &State, request: WatchRequest) -> Self {
        let request = WatchRequest { store: state.store_name(), ..request };
        let session = Session {
            state: state.clone(),
            request,
            events: None,
            told: false,
            position: None,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            lost: None,
            patience: None,
        };
        Self { session, value: PhantomData }
    }

    /// Begins after this [`revision`](Watch::revision) of an earlier watch of the same store and
    /// keys, without the present entries. If the store no longer has the changes since, it begins
    /// with [`Change::Resync`].
    pub fn after(mut self, revision: u64) -> Self {
        self.session.position = Some(revision);
        self.session.told = true;
        self
    }

    /// How long a lost connection is tried to be made again before the stream ends with the error.
    /// Default: for as long as the stream is polled.
    pub fn give_up_after(mut self, patience: Duration) -> Self {
        self.session.patience = Some(patience);
        self
    }
}

impl<T: FromValue + 'static> IntoFuture for OpenWatch<T> {
    type Output = Result<Watch<T>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            let api = self.session.state.pillion.apis().state.clone();
            self.session.open(&*api).await?;
            Ok(Watch::new(self.session))
        })
    }
}

/// Changes; a [`Stream`].
///
/// It begins with the present entries and [`Change::Synced`]. From then on every key's changes come
/// in order; a slow reader may see only the latest change of a key.
///
/// A lost connection does not end it. It is made again, with growing waits of up to 5 s, and the watch resumes
/// after the last change it reported. Where that is impossible (the store does not resume, or the
/// connection was lost before [`Change::Synced`]) it reports [`Change::Resync`] and begins anew: so
/// whoever follows the changes never misses one without being told.
///
/// An entry that cannot be read as a `T` is an error that names its `key`; the watch goes on behind
/// it. Any other error ends it: one that no reconnecting heals, or `runtime.closed`.
#[must_use = "streams do nothing unless polled"]
pub struct Watch<T> {
    changes: BoxStream<'static, (Result<Change<T>>, u64)>,
    revision: u64,
}

impl<T> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("revision", &self.revision).finish_non_exhaustive()
    }
}

impl<T: FromValue + 'static> Watch<T> {
    fn new(session: Session) -> Self {
        let revision = session.revision();
        let changes = futures::stream::unfold(Some(session), |session| async {
            let mut session = session?;
            match session.next::<T>().await {
                Step::Change(change) => {
                    let revision = session.revision();
                    Some(((change, revision), Some(session)))
                }
                Step::End(error) => Some(((Err(error), session.revision()), None)),
            }
        });
        Self { changes: changes.boxed(), revision }
    }

    /// Where [`after`](OpenWatch::after) continues, in this program or another; 0 while that is impossible.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The next change; `None` after the error that ended the stream. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// As the stream.
    pub async fn next(&mut self) -> Result<Option<Change<T>>> {
        StreamExt::next(self).await.transpose()
    }
}

impl<T: FromValue + 'static> Stream for Watch<T> {
    type Item = Result<Change<T>>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some((change, revision)) = std::task::ready!(self.changes.poll_next_unpin(task)) else {
            return Poll::Ready(None);
        };
        self.revision = revision;
        Poll::Ready(Some(change))
    }
}

enum Step<T> {
    Change(Result<Change<T>>),
    End(Error),
}

/// A watch and its connection, if it has one.
struct Session {
    state: State,
    request: WatchRequest,
    events: Option<Events<WatchResponse>>,
    /// The reader knows something that a new beginning would contradict.
    told: bool,
    /// Everything up to this revision was reported. Unknown until `synced`: the present entries need
    /// not come in the order of their revisions.
    position: Option<u64>,
    backoff: Backoff,
    /// Since when there is no connection.
    lost: Option<Instant>,
    patience: Option<Duration>,
}

impl Session {
    fn revision(&self) -> u64 {
        self.position.unwrap_or_default()
    }

    async fn next<T: FromValue>(&mut self) -> Step<T> {
        loop {
            let lost = match &mut self.events {
                Some(events) => match events.next().await {
                    Ok(Some(event)) => {
                        if let Some(change) = self.take(event) {
                            return Step::Change(change);
                        }
                        continue;
                    }
                    // Stores end their streams only when they are closed, as when the sidecar drains.
                    Ok(None) => Error::new(Reason::RuntimeConnectionLost, "the watch was ended by the runtime"),
                    Err(error) => error,
                },
                None => match self.reopen().await {
                    Ok(true) => return Step::Change(Ok(Change::Resync)),
                    Ok(false) => continue,
                    Err(error) => error,
                },
            };
            self.events = None;
            if let Err(error) = self.pause(lost).await {
                return Step::End(error);
            }
        }
    }

    /// Waits before the next attempt, unless there should be none.
    async fn pause(&mut self, error: Error) -> Result<()> {
        if self.state.pillion.is_closed() {
            return Err(closed());
        }
        let since = *self.lost.get_or_insert_with(now);
        let wait = self.backoff.wait(error.wait());
        let given_up = self.patience.is_some_and(|patience| now() + wait > since + patience);
        if !error.retryable() || given_up {
            return Err(error);
        }
        tracing::debug!(%error, ?wait, "the watch lost its connection");
        sleep(wait).await;
        Ok(())
    }

    /// Connects again; says whether the reader must be told to forget what it knows.
    async fn reopen(&mut self) -> Result<bool> {
        let anew = self.revision() == 0;
        // Not through the retries: this is one.
        let api = self.state.pillion.direct().state.clone();
        self.open(&*api).await?;
        Ok(anew && std::mem::take(&mut self.told))
    }

    async fn open(&mut self, api: &dyn StateApi) -> Result<()> {
        let revision = self.revision();
        self.request.after_revision = (revision != 0).then_some(revision);
        if revision == 0 {
            self.position = None;
        }
        let context = &self.state.pillion.context;
        let cx = context.stream();
        let opened = timeout(context.timeout, api.watch(&cx, self.request.clone())).await;
        let late = || Error::new(Reason::RequestDeadlineExceeded, "the watch was not opened within the timeout");
        self.events = Some(opened.ok_or_else(late)??);
        Ok(())
    }

    fn take<T: FromValue>(&mut self, event: WatchResponse) -> Option<Result<Change<T>>> {
        self.lost = None;
        self.backoff.reset();
        let (change, revision) = match event.event? {
            watch_response::Event::Written(written) => {
                (Entry::read(written.entry.unwrap_or_default()).map(Change::Written), written.revision)
            }
            watch_response::Event::Deleted(deleted) => {
                (Ok(Change::Deleted { key: deleted.key, expired: deleted.expired }), deleted.revision)
            }
            watch_response::Event::Resync(_) => {
                self.position = None;
                self.told = false;
                return Some(Ok(Change::Resync));
            }
            watch_response::Event::Synced(synced) => {
                self.position = Some(synced.revision);
                self.told = true;
                return Some(Ok(Change::Synced));
            }
        };
        self.told = true;
        // Where nothing can be resumed `synced` says 0, and what the changes say means nothing.
        if let Some(position) = self.position.as_mut().filter(|position| **position != 0) {
            *position = revision;
        }
        Some(change)
    }
}
