//! Transactions of the one connection that writes, and what becomes of those that fail.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pillion_spi::error::{Error, Outcome};
use pillion_spi::state::Trouble;
use pillion_spi::{Clock, Random, chaos};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, MAIN_DB, OptionalExtension as _, ffi};

use super::checkpoint::Turn;
use super::op::{Applier, Progress};
use super::store::Shared;
use super::{fault, read, schema};

/// How many expired entries are removed in one transaction, and old deletes forgotten.
const CHUNK: i64 = 1000;
/// How many deletes are kept for watchers that resume.
const MAX_GRAVES: i64 = 10_000;
/// How often the clock is written down, in nanoseconds, and only along with other writes: a minute.
const SAVE_CLOCK: i64 = 60_000_000_000;

/// A transaction of which nothing was acknowledged.
pub(super) struct Failure {
    error: rusqlite::Error,
    outcome: Outcome,
}

impl Failure {
    fn rejected(error: rusqlite::Error) -> Self {
        Self { error, outcome: Outcome::Rejected }
    }

    pub(super) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The error for one of several callers.
    pub(super) fn to_error(&self) -> Error {
        let error = match &self.error {
            rusqlite::Error::SqliteFailure(code, text) => {
                fault::translate(rusqlite::Error::SqliteFailure(*code, text.clone()))
            }
            other => Error::internal("the state file cannot be written").source(other.to_string()),
        };
        match self.outcome {
            Outcome::Rejected => error,
            Outcome::Unknown => error.outcome_unknown(),
        }
    }
}

/// The connection that writes, and what is known of the file without asking it.
pub(super) struct Engine {
    pub(super) connection: Connection,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    turn: Turn,
    revision: u64,
    graves: i64,
    clock_saved: i64,
    /// The last transaction failed.
    troubled: bool,
    /// The log may hold a commit that failed, or cannot be moved: nothing is written before it was
    /// emptied.
    in_doubt: bool,
}

impl Engine {
    pub(super) fn new(
        connection: Connection,
        shared: Arc<Shared>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        turn: Turn,
    ) -> rusqlite::Result<Self> {
        let clock_saved = shared.clock.now();
        let mut engine = Self {
            connection,
            shared,
            clock,
            random,
            turn,
            revision: 0,
            graves: 0,
            clock_saved,
            troubled: false,
            in_doubt: false,
        };
        engine.count()?;
        Ok(engine)
    }

    fn count(&mut self) -> rusqlite::Result<()> {
        self.revision = read::last_revision(&self.connection)?;
        self.graves = self.connection.query_row("SELECT count(*) FROM state WHERE gone <> 0", [], |row| row.get(0))?;
        Ok(())
    }

    /// Runs `body` in a transaction. When this returns, the transaction is synced and the watchers
    /// know of it, or the failure says what is known.
    pub(super) fn transaction<T>(
        &mut self,
        body: impl FnOnce(&mut Applier<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Failure> {
        let result = self.try_transaction(body);
        if let Err(failure) = &result {
            self.report(&failure.error);
        }
        result
    }

    fn try_transaction<T>(&mut self, body: impl FnOnce(&mut Applier<'_>) -> rusqlite::Result<T>) -> Result<T, Failure> {
        if self.in_doubt {
            self.recover().map_err(Failure::rejected)?;
        }
        self.run("BEGIN IMMEDIATE").map_err(Failure::rejected)?;
        let mut progress = Progress {
            revision: self.revision,
            graves: self.graves,
            earliest: i64::MAX,
            changes: self.shared.hub.is_watched().then(Vec::new),
        };
        let now = self.shared.clock.now();
        let overdue = now - self.clock_saved >= SAVE_CLOCK;
        let before = self.revision;
        // In trouble every transaction writes: it is how the end of the trouble is noticed.
        let saves_clock = |revision| self.troubled || (overdue && revision > before);
        let mut applier = Applier {
            connection: &self.connection,
            clock: &self.shared.clock,
            random: &self.random,
            now,
            progress: &mut progress,
        };
        let done = body(&mut applier).and_then(|value| {
            let (graves, added) = (applier.progress.graves, applier.progress.graves - self.graves);
            if graves >= MAX_GRAVES + CHUNK {
                // In proportion to the transaction: it is not held up, and they cannot pile up.
                applier.forget((graves - MAX_GRAVES).min(CHUNK.max(2 * added)))?;
            }
            if saves_clock(applier.progress.revision) {
                self.shared.clock.save(&self.connection)?;
            }
            Ok(value)
        });
        let value = match done {
            Ok(value) => value,
            Err(error) => {
                self.roll_back();
                return Err(Failure::rejected(error));
            }
        };
        // Switched to `abort`, they end the process here.
        chaos::fires("local.before_commit");
        let saved_clock = saves_clock(progress.revision);
        let wrote = saved_clock || progress.revision > before;
        if let Err(error) = self.commit(wrote) {
            self.settle(error, progress.revision)?;
        }
        chaos::fires("local.after_commit");
        if wrote {
            self.troubled = false;
            *self.shared.trouble() = None;
            if saved_clock {
                self.clock_saved = now;
            }
        }
        self.revision = progress.revision;
        self.graves = progress.graves;
        self.shared.hub.publish(progress.changes.unwrap_or_default(), progress.revision);
        if self.shared.earliest.fetch_min(progress.earliest, Ordering::AcqRel) > progress.earliest {
            self.shared.earlier.notify_one();
        }
        Ok(value)
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    fn commit(&self, wrote: bool) -> rusqlite::Result<()> {
        if wrote && chaos::fires("local.sync_fails") {
            return Err(sync_failed());
        }
        self.run("COMMIT")?;
        if wrote && chaos::fires("local.sync_fails_late") {
            return Err(sync_failed());
        }
        Ok(())
    }

    fn roll_back(&mut self) {
        // Some errors have rolled back already.
        if !self.connection.is_autocommit() && self.run("ROLLBACK").is_err() {
            self.in_doubt = true;
        }
    }

    /// After a commit that failed: finds out whether the transaction that ends with `revision` took
    /// effect, and makes sure that it stays so. Even where readers do not see it, its pages may stand
    /// complete in the log, and the next process to open the file would take them for committed.
    fn settle(&mut self, error: rusqlite::Error, revision: u64) -> Result<(), Failure> {
        let before = self.revision;
        self.roll_back();
        if !fault::is_incomplete(&error) {
            self.in_doubt = true;
        }
        let last = match self.in_doubt {
            true => self.recover().map(|()| self.revision),
            false => read::last_revision(&self.connection),
        };
        match last {
            Ok(last) if last == revision && last > before => Ok(()),
            Ok(_) => Err(Failure::rejected(error)),
            Err(_) => {
                self.in_doubt = true;
                Err(Failure { error, outcome: Outcome::Unknown })
            }
        }
    }

    /// Empties the log: what was acknowledged moves to the file and is synced there; what was not is
    /// gone. A new connection, because the old one has seen a sync fail.
    fn recover(&mut self) -> rusqlite::Result<()> {
        if chaos::fires("local.recovery_fails") {
            return Err(sync_failed());
        }
        let turn = self.turn.clone();
        let _turn = turn.take();
        self.connection = schema::reopen(&self.shared.path)?;
        self.connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::TRUNCATE)?;
        self.count()?;
        self.in_doubt = false;
        Ok(())
    }

    /// Removes some of what has expired and finds out when the next is due.
    pub(super) fn expire(&mut self) -> Result<(), Failure> {
        self.transaction(|applier| {
            applier.expire(CHUNK)?;
            applier.forget_calls(CHUNK)
        })?;
        let first = |sql| {
            let first: Option<i64> = self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
            Ok(first.unwrap_or(i64::MAX))
        };
        let entry = first("SELECT expires FROM state WHERE expires IS NOT NULL ORDER BY expires LIMIT 1");
        let call = first("SELECT until FROM call ORDER BY until LIMIT 1");
        let next = entry.and_then(|entry| Ok(call?.min(entry))).map_err(Failure::rejected)?;
        self.shared.earliest.store(next, Ordering::Release);
        Ok(())
    }

    /// Writes nothing more before the file was recovered: because its log, which could not be moved,
    /// would grow without end, or because nobody knows how far the last transaction came.
    pub(super) fn distrust(&mut self, cause: &dyn fmt::Display) {
        self.in_doubt = true;
        self.report(cause);
    }

    /// Remembers why the file cannot be written, for those who ask.
    fn report(&mut self, cause: &dyn fmt::Display) {
        self.troubled = true;
        let mut trouble = self.shared.trouble();
        match &mut *trouble {
            Some(trouble) => trouble.cause = cause.to_string(),
            None => {
                tracing::warn!(path = %self.shared.path.display(), %cause, "the state file cannot be written");
                *trouble = Some(Trouble { cause: cause.to_string(), since: self.clock.wall() });
                self.shared.earlier.notify_one();
            }
        }
    }

    /// Writes down the clock and closes the file.
    pub(super) fn close(self) {
        let path: &Path = &self.shared.path;
        if let Err(error) = self.shared.clock.save(&self.connection) {
            tracing::warn!(path = %path.display(), %error, "the clock of the state file was not saved");
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(path = %path.display(), %error, "the state file was not closed cleanly");
        }
    }
}

fn sync_failed() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None)
}
