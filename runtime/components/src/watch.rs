//! Watching a store that lives in this process.
//!
//! A watcher is a position in the order of revisions, not a queue: it costs nothing while it
//! waits, it cannot hold up a writer, and one that falls behind sees the latest change of each key
//! because that is all the store still has. The last few changes are also kept one by one
//! ([`Hub`]), so that a watcher which keeps up sees each of them and the store is not asked.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use pillion_spi::error::Result;
use pillion_spi::state::{Entry, Key, WatchEvent, WatchSpec, WatchStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How many of the last changes are kept one by one.
const RECENT_CHANGES: usize = 1024;
/// How many bytes of keys and values they may hold.
const RECENT_BYTES: usize = 4 << 20;
/// How many changes a watcher takes at a time.
const PAGE: usize = 256;
/// It takes no further one when those it has taken are so many bytes. A reader that has stopped reading
/// holds no more than that and one entry.
const PAGE_BYTES: usize = 256 << 10;

/// What a watcher takes at a time. The first change always fits.
#[derive(Debug)]
pub(crate) struct Room {
    changes: usize,
    bytes: usize,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self { changes: PAGE, bytes: PAGE_BYTES }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.changes == 0 || self.bytes == 0
    }

    pub(crate) fn fill(&mut self, change: &Change) {
        self.changes -= 1;
        self.bytes = self.bytes.saturating_sub(change.bytes());
    }
}

/// Which keys are watched.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// How they begin, or the key itself.
    pub(crate) prefix: String,
    /// Whether only that key is meant.
    pub(crate) exact: bool,
}

impl Scope {
    pub(crate) fn contains(&self, key: &str) -> bool {
        if self.exact { key == self.prefix } else { key.starts_with(&self.prefix) }
    }
}

/// A change as the store knows it.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// An entry was written. Its `expires_in` is not set; `deadline` says it for good, as time on
    /// the clock of the [`Source`].
    Put { entry: Entry, deadline: Option<Duration>, revision: u64 },
    /// An entry is gone.
    Delete { key: Key, expired: bool, revision: u64 },
}

impl Change {
    fn key(&self) -> &Key {
        match self {
            Self::Put { entry, .. } => &entry.key,
            Self::Delete { key, .. } => key,
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        match self {
            Self::Put { revision, .. } | Self::Delete { revision, .. } => *revision,
        }
    }

    fn bytes(&self) -> usize {
        self.key().as_str().len()
            + match self {
                Self::Put { entry, .. } => entry.value.len(),
                Self::Delete { .. } => 0,
            }
    }
}

/// A page of the present entries, in key order.
pub(crate) struct Present {
    /// The last revision the page knows of.
    pub(crate) revision: u64,
    /// The entries.
    pub(crate) puts: Vec<Change>,
    /// Whether others follow the last one.
    pub(crate) more: bool,
}

/// The latest change of each key that changed after some revision.
pub(crate) enum Backlog {
    /// A page in the order of revisions. Nothing else happened up to and including `through`.
    Page { changes: Vec<Change>, through: u64 },
    /// Deletes in between are forgotten.
    Lost,
}

/// The store behind a watch.
pub(crate) trait Source: Send + Sync + 'static {
    /// Where it reports its changes.
    fn hub(&self) -> &Hub;

    /// Time on the clock that decides about expiry.
    fn now(&self) -> Duration;

    /// Present entries, beginning behind the key `after`: a [`Room`] full.
    fn present(&self, scope: &Scope, after: Option<&Key>) -> impl Future<Output = Result<Present>> + Send;

    /// Changes after the revision `after`: a [`Room`] full.
    fn changes(&self, scope: &Scope, after: u64) -> impl Future<Output = Result<Backlog>> + Send;
}

/// Where a store reports its changes.
#[derive(Debug)]
pub(crate) struct Hub {
    recent: Mutex<Recent>,
    latest: watch::Sender<u64>,
}

/// The last changes, without a gap up to the latest revision.
#[derive(Debug)]
struct Recent {
    changes: VecDeque<Change>,
    bytes: usize,
    /// The revision before the oldest of them.
    before: u64,
}

impl Hub {
    /// For a store whose last change was `revision`.
    pub(crate) fn new(revision: u64) -> Self {
        let recent = Recent { changes: VecDeque::new(), bytes: 0, before: revision };
        Self { recent: Mutex::new(recent), latest: watch::Sender::new(revision) }
    }

    /// Whether anybody wants changes; nobody need collect them otherwise.
    pub(crate) fn is_watched(&self) -> bool {
        self.latest.receiver_count() > 0
    }

    /// Reports changes that readers of the store can see by now. They may be left out
    /// when nobody watched before the first of them was made.
    pub(crate) fn publish(&self, changes: Vec<Change>, revision: u64) {
        if *self.latest.borrow() != revision {
            self.lock().extend(changes, revision);
            self.latest.send_replace(revision);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The changes after `after` that are kept, a [`Room`] full, and how far they reach; `None` if
    /// some are not kept.
    fn recent(&self, scope: &Scope, after: u64) -> Option<(Vec<Change>, u64)> {
        let recent = self.lock();
        let last = recent.before + recent.changes.len() as u64;
        // A watcher may be ahead: the store shows a change before it is reported here.
        let skip = usize::try_from(after.checked_sub(recent.before)?).ok()?;
        let mut through = last.max(after);
        let mut room = Room::new();
        let mut matching = Vec::new();
        for change in recent.changes.iter().skip(skip).filter(|change| scope.contains(change.key().as_str())) {
            if room.is_full() {
                through = change.revision() - 1;
                break;
            }
            room.fill(change);
            matching.push(change.clone());
        }
        Some((matching, through))
    }
}

impl Recent {
    fn extend(&mut self, changes: Vec<Change>, revision: u64) {
        let last = self.before + self.changes.len() as u64;
        if changes.len() as u64 != revision.saturating_sub(last) {
            *self = Self { changes: VecDeque::new(), bytes: 0, before: revision };
            return;
        }
        self.bytes += changes.iter().map(Change::bytes).sum::<usize>();
        self.changes.extend(changes);
        while self.changes.len() > RECENT_CHANGES || self.bytes > RECENT_BYTES {
            let Some(oldest) = self.changes.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.before = oldest.revision();
        }
    }
}

/// Watches `source` until `closing` is cancelled.
pub(crate) fn watch<S: Source>(source: Arc<S>, spec: WatchSpec, closing: CancellationToken) -> WatchStream {
    let phase = match spec.after {
        None => Phase::Present { after: None },
        Some(revision) => Phase::Resume { revision },
    };
    let watcher = Watcher {
        latest: source.hub().latest.subscribe(),
        source,
        scope: Scope { prefix: spec.prefix, exact: spec.exact },
        closing,
        phase,
        position: 0,
        ready: VecDeque::new(),
    };
    futures::stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await?, watcher)) }).boxed()
}

struct Watcher<S> {
    source: Arc<S>,
    scope: Scope,
    latest: watch::Receiver<u64>,
    closing: CancellationToken,
    phase: Phase,
    /// Every change up to this revision was taken.
    position: u64,
    /// Events taken but not handed out yet.
    ready: VecDeque<WatchEvent>,
}

enum Phase {
    /// Find out whether the changes after `revision` are still known.
    Resume { revision: u64 },
    /// Send the present entries behind the key `after`.
    Present { after: Option<Key> },
    /// Send the changes made meanwhile, at least up to `until`; then everything was sent.
    CatchUp { until: u64 },
    /// Send changes as they come.
    Live,
    /// It failed.
    Ended,
}

impl<S: Source> Watcher<S> {
    async fn next(&mut self) -> Option<Result<WatchEvent>> {
        loop {
            if self.closing.is_cancelled() || matches!(self.phase, Phase::Ended) {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if let Err(error) = self.advance().await {
                self.phase = Phase::Ended;
                if self.closing.is_cancelled() {
                    return None;
                }
                return Some(Err(error));
            }
        }
    }

    async fn advance(&mut self) -> Result<()> {
        match &self.phase {
            Phase::Resume { revision } => {
                let (revision, latest) = (*revision, *self.latest.borrow());
                // A revision of the future is one of another life of the store.
                if revision > latest {
                    self.resync();
                } else {
                    self.position = revision;
                    self.phase = Phase::CatchUp { until: latest };
                }
            }
            Phase::Present { after } => {
                let page = self.source.present(&self.scope, after.as_ref()).await?;
                if after.is_none() {
                    self.position = page.revision;
                }
                self.phase = match page.puts.last() {
                    Some(last) if page.more => Phase::Present { after: Some(last.key().clone()) },
                    _ => Phase::CatchUp { until: page.revision },
                };
                self.hand_out(page.puts);
            }
            // Not from the recent changes: they hold older ones of entries already sent.
            Phase::CatchUp { until } => {
                let until = *until;
                if self.position < until {
                    self.take_backlog().await?;
                }
                if self.position >= until && matches!(self.phase, Phase::CatchUp { .. }) {
                    self.ready.push_back(WatchEvent::Synced { revision: self.position });
                    self.phase = Phase::Live;
                }
            }
            Phase::Live => {
                self.latest.mark_unchanged();
                match self.source.hub().recent(&self.scope, self.position) {
                    None => self.take_backlog().await?,
                    Some((changes, through)) if through > self.position => {
                        self.position = through;
                        self.hand_out(changes);
                    }
                    Some(_) => {
                        tokio::select! {
                            () = self.closing.cancelled() => {}
                            // The sender lives in the source, which this watcher keeps alive.
                            _ = self.latest.changed() => {}
                        }
                    }
                }
            }
            Phase::Ended => {}
        }
        Ok(())
    }

    async fn take_backlog(&mut self) -> Result<()> {
        match self.source.changes(&self.scope, self.position).await? {
            Backlog::Lost => self.resync(),
            Backlog::Page { changes, through } => {
                self.position = through;
                self.hand_out(changes);
            }
        }
        Ok(())
    }

    fn resync(&mut self) {
        self.ready.push_back(WatchEvent::Resync);
        self.phase = Phase::Present { after: None };
    }

    fn hand_out(&mut self, changes: Vec<Change>) {
        let now = self.source.now();
        self.ready.extend(changes.into_iter().filter_map(|change| match change {
            Change::Put { mut entry, deadline, revision } => {
                entry.expires_in = match deadline {
                    None => None,
                    // Its delete follows; the value must not be seen any more.
                    Some(deadline) => Some(deadline.checked_sub(now).filter(|left| !left.is_zero())?),
                };
                Some(WatchEvent::Put { entry, revision })
            }
            Change::Delete { key, expired, revision } => Some(WatchEvent::Delete { key, expired, revision }),
        }));
    }
}
