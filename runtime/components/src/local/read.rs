//! Reading: single entries on the calling thread, lists on the blocking pool.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pillion_spi::error::{Error, Result};
use pillion_spi::state::{Entry, Key, Page, Scan};
use pillion_spi::worker::PerWorker;
use rusqlite::{Connection, InterruptHandle, OptionalExtension as _, Row, params};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{fault, op, schema};
use crate::watch::{Backlog, Change, Present, Room, Scope};
use crate::{PAGE_BYTES, cursor};

const GET: &str = "SELECT key, counter, generation, expires, content_type, value FROM state
    WHERE key = ?1 AND gone = 0 AND (expires IS NULL OR expires > ?2)";
const LIST: &str = "SELECT key, counter, generation, expires, content_type, value, revision FROM state
    WHERE key >= ?1 AND gone = 0 AND (expires IS NULL OR expires > ?2) ORDER BY key";
const LIST_KEYS: &str = "SELECT key, counter, generation, expires, content_type, NULL, revision FROM state
    WHERE key >= ?1 AND gone = 0 AND (expires IS NULL OR expires > ?2) ORDER BY key";
const CHANGES: &str = "SELECT key, counter, generation, expires, content_type, value, revision, gone FROM state
    WHERE revision > ?1 ORDER BY revision";

/// How many lists run at once; each has a connection of its own.
const LISTS: usize = 4;

/// The connections that only read.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    points: PerWorker<Mutex<Option<Connection>>>,
    idle: Mutex<Vec<Connection>>,
    lists: Arc<Semaphore>,
    running: TaskTracker,
    closing: CancellationToken,
    closed: AtomicBool,
}

impl Readers {
    /// For the file at `path`; `closing` ends what runs.
    pub(super) fn new(path: PathBuf, workers: usize, closing: CancellationToken) -> Self {
        Self {
            path,
            points: PerWorker::new(workers),
            idle: Mutex::default(),
            lists: Arc::new(Semaphore::new(LISTS)),
            running: TaskTracker::new(),
            closing,
            closed: AtomicBool::new(false),
        }
    }

    /// Reads entries on the calling thread, with the connection of its worker.
    pub(super) fn get(&self, keys: &[Key], now: i64) -> Result<Vec<Result<Option<Entry>>>> {
        let mut slot = self.points.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let connection = match &mut *slot {
            Some(connection) => connection,
            empty => empty.insert(schema::open_reader(&self.path).map_err(fault::translate)?),
        };
        get(connection, keys, now).map_err(fault::translate)
    }

    /// Runs `query` on the blocking pool. Dropping the future interrupts it.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.lists.clone().acquire_owned().await.map_err(|_| closed())?;
        let stop = Arc::new(Stop::default());
        let _interrupt = Interrupt(stop.clone());
        let readers = self.clone();
        let query = self.running.spawn_blocking(move || {
            // Kept until the query is over, which may be after this future is gone.
            let _permit = permit;
            readers.query(&stop, query)
        });
        tokio::select! {
            biased;
            result = query => result.map_err(|error| Error::internal("a query panicked").source(error))?,
            () = self.closing.cancelled() => Err(closed()),
        }
    }

    fn query<T>(&self, stop: &Stop, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.path).map_err(fault::translate)?,
        };
        if !stop.arm(connection.get_interrupt_handle()) {
            return Err(closed());
        }
        let result = query(&connection);
        stop.disarm();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        result.map_err(fault::translate)
    }

    /// Refuses further reads, waits for those that run, and closes the connections.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.lists.close();
        self.running.close();
        self.running.wait().await;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for slot in self.points.iter() {
            slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

fn closed() -> Error {
    Error::unavailable("the store is closed")
}

/// Stops a query, whether it has begun or not.
#[derive(Debug, Default)]
struct Stop(Mutex<Run>);

#[derive(Default)]
enum Run {
    #[default]
    NotBegun,
    Running(InterruptHandle),
    Over,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Run")
    }
}

impl Stop {
    fn set(&self, run: Run) -> Run {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), run)
    }

    /// Begins; `false` if it was stopped before.
    fn arm(&self, handle: InterruptHandle) -> bool {
        let mut run = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*run, Run::Over) {
            return false;
        }
        *run = Run::Running(handle);
        true
    }

    /// After this nothing interrupts the connection any more: another query may use it.
    fn disarm(&self) {
        self.set(Run::Over);
    }
}

/// Stops a query when it is dropped.
struct Interrupt(Arc<Stop>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        let mut run = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that the connection cannot pass to another query meanwhile.
        if let Run::Running(handle) = &*run {
            handle.interrupt();
        }
        *run = Run::Over;
    }
}

fn get(connection: &Connection, keys: &[Key], now: i64) -> rusqlite::Result<Vec<Result<Option<Entry>>>> {
    let one = |connection: &Connection, key: &Key| {
        connection.prepare_cached(GET)?.query_row(params![key.as_str(), now], |row| entry(row, now)).optional()
    };
    if let [key] = keys {
        return Ok(vec![Ok(one(connection, key)?)]);
    }
    // One transaction: one view of the store, and less work.
    let transaction = connection.unchecked_transaction()?;
    keys.iter().map(|key| Ok(one(&transaction, key).map_err(fault::translate))).collect()
}

/// Reads many entries on the blocking pool.
pub(super) async fn get_many(readers: &Arc<Readers>, keys: Vec<Key>, now: i64) -> Result<Vec<Result<Option<Entry>>>> {
    readers.run(move |connection| get(connection, &keys, now)).await
}

/// A page of a list.
///
/// # Errors
/// [`Kind::Invalid`](pillion_spi::Kind::Invalid) for a cursor that is not one.
pub(super) async fn scan(readers: &Arc<Readers>, scan: Scan, now: i64) -> Result<Page> {
    let start = start(&scan.prefix, cursor::begin(&scan)?);
    readers
        .run(move |connection| {
            let mut page = Page::default();
            let mut bytes = 0;
            let mut statement = connection.prepare_cached(if scan.keys_only { LIST_KEYS } else { LIST })?;
            let mut rows = statement.query(params![start, now])?;
            while let Some(row) = rows.next()? {
                if !row.get_ref(0)?.as_str()?.starts_with(&scan.prefix) {
                    break;
                }
                if page.entries.len() == scan.limit.max(1) || bytes >= PAGE_BYTES {
                    page.next = page.entries.last().map(|entry: &Entry| cursor::after(&entry.key));
                    break;
                }
                let entry = entry(row, now)?;
                bytes += entry.key.as_str().len() + entry.value.len();
                page.entries.push(entry);
            }
            Ok(page)
        })
        .await
}

/// A page of the present entries for a watcher.
pub(super) async fn present(readers: &Arc<Readers>, scope: &Scope, after: Option<&Key>, now: i64) -> Result<Present> {
    let scope = scope.clone();
    let start = start(&scope.prefix, after.map(Key::as_str));
    readers
        .run(move |connection| {
            let transaction = connection.unchecked_transaction()?;
            let mut present = Present { revision: last_revision(&transaction)?, puts: Vec::new(), more: false };
            let mut room = Room::new();
            let mut statement = transaction.prepare_cached(LIST)?;
            let mut rows = statement.query(params![start, now])?;
            while let Some(row) = rows.next()? {
                if !scope.contains(row.get_ref(0)?.as_str()?) {
                    break;
                }
                if room.is_full() {
                    present.more = true;
                    break;
                }
                let change = put(row)?;
                room.fill(&change);
                present.puts.push(change);
            }
            Ok(present)
        })
        .await
}

/// A page of the changes after a revision, for a watcher.
pub(super) async fn changes(readers: &Arc<Readers>, scope: &Scope, after: u64) -> Result<Backlog> {
    let scope = scope.clone();
    readers
        .run(move |connection| {
            let transaction = connection.unchecked_transaction()?;
            let forgotten: i64 = transaction.query_row("SELECT forgotten FROM meta", [], |row| row.get(0))?;
            if after < forgotten.cast_unsigned() {
                return Ok(Backlog::Lost);
            }
            let mut changes = Vec::new();
            let mut room = Room::new();
            let mut statement = transaction.prepare_cached(CHANGES)?;
            let mut rows = statement.query([after.cast_signed()])?;
            while let Some(row) = rows.next()? {
                if !scope.contains(row.get_ref(0)?.as_str()?) {
                    continue;
                }
                if room.is_full() {
                    let through = changes.last().map_or(after, Change::revision);
                    return Ok(Backlog::Page { changes, through });
                }
                let change = match row.get(7)? {
                    0 => put(row)?,
                    gone => Change::Delete { key: key(row)?, expired: op::is_expiry(gone), revision: revision(row)? },
                };
                room.fill(&change);
                changes.push(change);
            }
            Ok(Backlog::Page { changes, through: last_revision(&transaction)?.max(after) })
        })
        .await
}

/// Where a list begins: with the first key that has the prefix, or the first one behind `after`.
fn start(prefix: &str, after: Option<&str>) -> String {
    after.map_or_else(|| prefix.to_owned(), |key| format!("{key}\0"))
}

/// The revision of the last change.
pub(super) fn last_revision(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT max(revision) FROM state")?
        .query_row([], |row| Ok(row.get::<_, Option<i64>>(0)?.unwrap_or(0).cast_unsigned()))
}

fn key(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key::new(row.get_ref(0)?.as_str()?))
}

fn revision(row: &Row<'_>) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(6)?.cast_unsigned())
}

fn put(row: &Row<'_>) -> rusqlite::Result<Change> {
    let expires: Option<i64> = row.get(3)?;
    let entry = Entry { expires_in: None, ..entry(row, 0)? };
    Ok(Change::Put { entry, deadline: expires.map(op::deadline), revision: revision(row)? })
}

/// The entry of a row that begins with the columns of [`GET`].
fn entry(row: &Row<'_>, now: i64) -> rusqlite::Result<Entry> {
    Ok(Entry {
        key: key(row)?,
        version: op::version(row, 1)?,
        expires_in: row
            .get::<_, Option<i64>>(3)?
            .map(|expires| Duration::from_nanos(u64::try_from(expires - now).unwrap_or(0))),
        content_type: row.get(4)?,
        value: row.get_ref(5)?.as_bytes_or_null()?.map_or_else(Bytes::new, Bytes::copy_from_slice),
    })
}

#[cfg(test)]
mod tests {
    use pillion_spi::{Kind, Random, SystemClock, SystemRandom};

    use super::*;

    const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

    fn readers(dir: &tempfile::TempDir) -> Arc<Readers> {
        let path = dir.path().join(schema::FILE);
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        schema::open(&path, &SystemClock, &random).unwrap();
        Arc::new(Readers::new(path, 1, CancellationToken::new()))
    }

    fn endless(readers: &Arc<Readers>) -> tokio::task::JoinHandle<Result<i64>> {
        let readers = readers.clone();
        tokio::spawn(async move { readers.run(|connection| connection.query_row(ENDLESS, [], |row| row.get(0))).await })
    }

    #[tokio::test]
    async fn dropping_a_query_interrupts_it_and_spares_those_after_it() {
        let dir = tempfile::TempDir::new().unwrap();
        let readers = readers(&dir);
        for _ in 0..3 {
            // As many as there may be: if one of them went on, those after it would wait for ever.
            let queries: Vec<_> = (0..LISTS).map(|_| endless(&readers)).collect();
            while readers.lists.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            queries.iter().for_each(tokio::task::JoinHandle::abort);
            assert_eq!(readers.run(last_revision).await.unwrap(), 0);
        }
        readers.close().await;
    }

    #[tokio::test]
    async fn closing_ends_what_runs() {
        let dir = tempfile::TempDir::new().unwrap();
        let readers = readers(&dir);
        let query = endless(&readers);
        while readers.lists.available_permits() == LISTS {
            tokio::task::yield_now().await;
        }
        readers.closing.cancel();
        readers.close().await;
        assert_eq!(query.await.unwrap().unwrap_err().kind(), Kind::Unavailable);
    }
}
