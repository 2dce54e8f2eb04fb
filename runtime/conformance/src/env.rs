//! What a case is given.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures::StreamExt;
use pillion_spi::caps::{StateCaps, Ttl};
use pillion_spi::state::{
    Applied, ApplyOptions, Entry, Key, Op, OpOutcome, Page, ReadOptions, Scan, StateStore, Version, WatchEvent,
    WatchSpec, WatchStream,
};
use pillion_spi::{Clock, Error, Kind, SystemClock, VirtualClock};

use crate::fixture::{Opened, Place, Subject};
use crate::op;

/// How long a case waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The surroundings of one case: a store that it shares with others, and room to open its own.
pub struct Env {
    subject: Subject,
    shared: Arc<dyn StateStore>,
    prefix: String,
}

impl Env {
    /// For the case called `case`, on a store shared with others.
    pub fn new(subject: Subject, shared: Arc<dyn StateStore>, case: &str) -> Self {
        // The braces keep all keys of a case together where a backend is sharded by hash tags.
        let prefix = format!("{{{case}-{:016x}}}/", crate::seed::random());
        Self { subject, shared, prefix }
    }

    /// What the store can do.
    pub fn caps(&self) -> StateCaps {
        self.shared.caps()
    }

    /// The type under test and its fixture.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What all keys of this case begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A key of this case.
    pub fn key(&self, name: &str) -> Key {
        Key::new(format!("{}{name}", self.prefix))
    }

    /// The shared store.
    pub fn store(&self) -> Store {
        Store(self.shared.clone())
    }

    /// A store of this case's own, at a place of its own.
    ///
    /// # Errors
    /// Those of opening it.
    pub async fn open(&self) -> Result<Timed> {
        self.open_at(&self.subject.fixture.place().await?).await
    }

    /// A store at a place where one was open before; meanwhile the backend was killed and started
    /// again, where it is a process of its own.
    ///
    /// # Errors
    /// Those of starting the backend and of opening the store.
    pub async fn reopen(&self, place: &Place) -> Result<Timed> {
        place.crash().await?;
        self.open_at(place).await
    }

    /// A store of this case's own, at a given place.
    ///
    /// # Errors
    /// Those of opening it.
    pub async fn open_at(&self, place: &Place) -> Result<Timed> {
        let virtual_clock = Arc::new(VirtualClock::default());
        let injected = self.subject.fixture.injected_time();
        let clock: Arc<dyn Clock> = if injected { virtual_clock.clone() } else { Arc::new(SystemClock) };
        let opened = self.subject.open(place, clock).await?;
        let store = Store(opened.state.store.clone());
        Ok(Timed { store, opened, clock: injected.then_some(virtual_clock) })
    }
}

/// A store with helpers that turn every surprise into an error.
#[derive(Clone)]
pub struct Store(Arc<dyn StateStore>);

impl Store {
    /// Wraps a store.
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        Self(store)
    }

    /// The store itself.
    pub fn raw(&self) -> &dyn StateStore {
        &*self.0
    }

    /// The entry at `key`.
    ///
    /// # Errors
    /// Those of the store, and any number of results but one.
    pub async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        let mut results = self.0.read(std::slice::from_ref(key), ReadOptions::default()).await?;
        ensure!(results.len() == 1, "{} results for one key", results.len());
        let entry = results.remove(0)?;
        if let Some(entry) = &entry {
            ensure!(entry.key == *key, "asked for `{key}`, got `{}`", entry.key);
        }
        Ok(entry)
    }

    /// The entry at `key`, which must be there.
    ///
    /// # Errors
    /// Those of [`get`](Self::get), and that it is not there.
    pub async fn entry(&self, key: &Key) -> Result<Entry> {
        self.get(key).await?.with_context(|| format!("there is nothing at `{key}`"))
    }

    /// The value at `key`.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub async fn value(&self, key: &Key) -> Result<Option<Bytes>> {
        Ok(self.get(key).await?.map(|entry| entry.value))
    }

    /// Applies writes one by one or as one.
    ///
    /// # Errors
    /// Those of the store, and any number of outcomes but that of the writes.
    pub async fn apply(&self, ops: Vec<Op>, atomic: bool) -> Result<Vec<OpOutcome>> {
        let wanted = ops.len();
        let mut options = ApplyOptions::default();
        options.atomic = atomic;
        let Applied { outcomes, .. } = self.0.apply(ops, options).await?;
        ensure!(outcomes.len() == wanted, "{} outcomes for {wanted} writes", outcomes.len());
        Ok(outcomes)
    }

    /// Applies one write.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply).
    pub async fn one(&self, op: Op) -> Result<OpOutcome> {
        Ok(self.apply(vec![op], false).await?.remove(0))
    }

    /// Applies one write that must take effect and leave an entry.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply), and any other outcome.
    pub async fn write(&self, op: Op) -> Result<Version> {
        match self.one(op).await? {
            OpOutcome::Applied { version: Some(version), .. } => Ok(version),
            other => bail!("expected the write to take effect, got {other:?}"),
        }
    }

    /// Stores a value.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub async fn put(&self, key: &Key, value: impl Into<Bytes>) -> Result<Version> {
        self.write(op::put(key, value)).await
    }

    /// Removes an entry and says whether there was one.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply), and any outcome but success.
    pub async fn delete(&self, key: &Key) -> Result<bool> {
        match self.one(op::delete(key)).await? {
            OpOutcome::Applied { version: None, existed } => Ok(existed),
            other => bail!("expected the delete to take effect, got {other:?}"),
        }
    }

    /// Applies one write whose condition must not hold, and returns the version found.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply), and any outcome but a conflict.
    pub async fn conflict(&self, op: Op) -> Result<Option<Version>> {
        match self.one(op).await? {
            OpOutcome::Conflict { found } => Ok(found),
            other => bail!("expected a conflict, got {other:?}"),
        }
    }

    /// All entries under `prefix`, page by page.
    ///
    /// # Errors
    /// Those of the store, a cursor that does not move, and pages without end.
    pub async fn list(&self, prefix: &str, limit: usize, keys_only: bool) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut cursor = None;
        for _ in 0..10_000 {
            let page = self.page(prefix, cursor.clone(), limit, keys_only).await?;
            entries.extend(page.entries);
            if page.next.is_none() {
                return Ok(entries);
            }
            cursor = page.next;
        }
        bail!("the list of `{prefix}` has no end")
    }

    /// One page of entries.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn page(&self, prefix: &str, cursor: Option<String>, limit: usize, keys_only: bool) -> Result<Page> {
        let mut scan = Scan::default();
        scan.prefix = prefix.to_owned();
        scan.cursor = cursor;
        scan.limit = limit;
        scan.keys_only = keys_only;
        Ok(self.0.scan(scan).await?)
    }

    /// Starts a watch.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn watch(&self, prefix: &str, exact: bool, after: Option<u64>) -> Result<Watcher> {
        let mut spec = WatchSpec::default();
        spec.prefix = prefix.to_owned();
        spec.exact = exact;
        spec.after = after;
        Ok(Watcher { events: self.0.watch(spec).await? })
    }
}

/// A running watch.
pub struct Watcher {
    events: WatchStream,
}

impl Watcher {
    /// The next event.
    ///
    /// # Errors
    /// That of the stream, its end, and none within [`PATIENCE`].
    pub async fn next(&mut self) -> Result<WatchEvent> {
        let event = within("an event of the watch", self.events.next()).await?;
        Ok(event.context("the watch ended")??)
    }

    /// The entries that come before [`WatchEvent::Synced`] and are not taken back before it, and
    /// its revision.
    ///
    /// # Errors
    /// Those of [`next`](Self::next), any other event, and a key taken back that was not sent.
    pub async fn snapshot(&mut self) -> Result<(Vec<Entry>, u64)> {
        let mut entries = Vec::<Entry>::new();
        loop {
            match self.next().await? {
                WatchEvent::Put { entry, .. } => entries.push(entry),
                WatchEvent::Delete { key, .. } if entries.iter().any(|entry| entry.key == key) => {
                    entries.retain(|entry| entry.key != key);
                }
                WatchEvent::Synced { revision } => return Ok((entries, revision)),
                other => bail!("expected the present entries, got {other:?}"),
            }
        }
    }

    /// The next change, past marks that everything was sent.
    ///
    /// # Errors
    /// Those of [`next`](Self::next).
    pub async fn change(&mut self) -> Result<WatchEvent> {
        loop {
            match self.next().await? {
                WatchEvent::Synced { .. } => {}
                event => return Ok(event),
            }
        }
    }

    /// Waits for the end of the stream.
    ///
    /// # Errors
    /// That it does not end within [`PATIENCE`].
    pub async fn ended(mut self) -> Result<()> {
        within(
            "the end of the watch",
            async move { while self.events.next().await.is_some_and(|event| event.is_ok()) {} },
        )
        .await
    }
}

/// A store opened by a case, with the clock it takes its time from.
pub struct Timed {
    /// The store.
    pub store: Store,
    /// It and what it was given.
    pub opened: Opened,
    clock: Option<Arc<VirtualClock>>,
}

impl Timed {
    /// A time to live that a case can outwait: long where the clock is ours, short where it is the
    /// backend's.
    pub fn life(&self) -> Duration {
        if self.clock.is_some() { Duration::from_secs(3600) } else { Duration::from_millis(400) }
    }

    /// Moves the clock, where it is ours.
    pub fn advance(&self, duration: Duration) -> bool {
        self.clock.as_ref().map(|clock| clock.advance(duration)).is_some()
    }

    /// Lets time pass: by moving our clock, or by waiting for that of the backend.
    pub async fn pass(&self, duration: Duration) {
        if !self.advance(duration) {
            SystemClock.sleep(duration).await;
        }
    }

    /// Waits until the entry at `key`, written with [`life`](Self::life), is gone. On our clock it
    /// must be gone when its time and the declared tolerance are over; on that of the backend, soon.
    ///
    /// # Errors
    /// That it is still there.
    pub async fn outlive(&self, key: &Key) -> Result<()> {
        let coarse = self.store.raw().caps().ttl == Ttl::Coarse;
        let tolerance = Duration::from_secs(if coarse { 60 } else { 1 });
        if self.advance(self.life() + tolerance) {
            ensure!(self.store.get(key).await?.is_none(), "`{key}` is still readable {tolerance:?} after its time");
            return Ok(());
        }
        eventually("the entry expires", || async { Ok(self.store.get(key).await?.is_none()) }).await
    }

    /// Closes the store.
    pub async fn close(&self) {
        self.opened.state.close().await;
    }
}

/// Runs `future` for at most [`PATIENCE`].
///
/// # Errors
/// That it took longer.
pub async fn within<F: Future>(what: &str, future: F) -> Result<F::Output> {
    let clock: &dyn Clock = &SystemClock;
    clock.timeout(PATIENCE, future).await.with_context(|| format!("{what}: nothing within {PATIENCE:?}"))
}

/// Asks until the answer is yes, for at most [`PATIENCE`].
///
/// # Errors
/// That of the question, and that the answer stays no.
pub async fn eventually<F: Future<Output = Result<bool>>>(what: &str, mut ask: impl FnMut() -> F) -> Result<()> {
    within(what, async {
        while !ask().await? {
            SystemClock.sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    })
    .await?
}

/// Asserts that two values are equal.
///
/// # Errors
/// That they are not, with both, shortened.
pub fn equal<T: PartialEq + Debug>(what: &str, found: T, wanted: T) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    bail!("{what}: expected {}, got {}", shortened(&wanted), shortened(&found))
}

fn shortened(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}… ({} bytes in all)", &text[..end], text.len()),
        None => text,
    }
}

/// Asserts that a call was refused as `kind`.
///
/// # Errors
/// That it succeeded, or failed otherwise.
pub fn refused<T>(what: &str, result: Result<T, Error>, kind: Kind) -> Result<Error> {
    match result {
        Ok(_) => bail!("{what}: expected {kind:?}, but it succeeded"),
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => bail!("{what}: expected {kind:?}, got {:?}: {error}", error.kind()),
    }
}
