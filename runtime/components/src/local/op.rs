//! Writes as SQL, inside a transaction that the writer holds.

use std::sync::Arc;

use pillion_spi::state::{Action, Condition, Entry, Expiry, Generation, Key, Op, OpOutcome, Version};
use pillion_spi::{Random, chaos};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::clock::LogicalClock;
use super::fault;
use crate::condition;
use crate::watch::Change;

/// What `gone` says of a row.
const DELETED: i64 = 1;
const EXPIRED: i64 = 2;

const FIND: &str = "SELECT revision, gone, counter, generation, expires FROM state WHERE key = ?1";
const INSERT: &str = "INSERT INTO state (revision, key, counter, generation, expires, content_type, value)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const UPDATE: &str = "UPDATE state SET revision = ?1, gone = 0, counter = ?3, generation = ?4, expires = ?5,
    content_type = ?6, value = ?7 WHERE revision = ?2";
const BURY: &str = "UPDATE state SET revision = ?1, gone = ?3, expires = NULL, content_type = NULL, value = NULL
    WHERE revision = ?2";
const FIND_EXPIRED: &str = "SELECT revision, key FROM state WHERE expires <= ?1 ORDER BY expires LIMIT ?2";
const FIND_GONE: &str = "SELECT revision FROM state WHERE gone <> 0 ORDER BY revision LIMIT ?1";
const FORGET_CALLS: &str = "DELETE FROM call WHERE id IN (SELECT id FROM call WHERE until <= ?1 LIMIT ?2)";

/// What a transaction has done so far, beside the rows.
#[derive(Debug)]
pub(super) struct Progress {
    /// The last revision given out.
    pub(super) revision: u64,
    /// How many rows are gone but kept.
    pub(super) graves: i64,
    /// The earliest expiry among those written.
    pub(super) earliest: i64,
    /// The changes, if anybody watches.
    pub(super) changes: Option<Vec<Change>>,
}

impl Progress {
    /// Where it stands, to come back to.
    pub(super) fn mark(&self) -> Mark {
        Mark { revision: self.revision, graves: self.graves, changes: self.changes.as_ref().map_or(0, Vec::len) }
    }

    /// Forgets what was done since, after it was undone in the file.
    pub(super) fn reset(&mut self, mark: &Mark) {
        self.revision = mark.revision;
        self.graves = mark.graves;
        if let Some(changes) = &mut self.changes {
            changes.truncate(mark.changes);
        }
    }
}

/// See [`Progress::mark`].
#[derive(Debug)]
pub(super) struct Mark {
    revision: u64,
    graves: i64,
    changes: usize,
}

/// Applies writes on one connection.
pub(super) struct Applier<'a> {
    pub(super) connection: &'a Connection,
    pub(super) clock: &'a LogicalClock,
    pub(super) random: &'a Arc<dyn Random>,
    /// Logical time of the transaction.
    pub(super) now: i64,
    pub(super) progress: &'a mut Progress,
}

/// The row of a key.
struct Found {
    revision: i64,
    gone: i64,
    version: Version,
    expires: Option<i64>,
}

impl Found {
    fn is_there(&self, now: i64) -> bool {
        self.gone == 0 && self.expires.is_none_or(|expires| expires > now)
    }
}

impl Applier<'_> {
    /// Applies each write for itself.
    pub(super) fn each(&mut self, ops: &[Op]) -> rusqlite::Result<Vec<OpOutcome>> {
        ops.iter().map(|op| self.one(op)).collect()
    }

    /// Applies writes until one conflicts; the caller then undoes them.
    pub(super) fn all(&mut self, ops: &[Op]) -> rusqlite::Result<Vec<OpOutcome>> {
        let mut outcomes = Vec::with_capacity(ops.len());
        for op in ops {
            let outcome = self.one(op)?;
            if !matches!(outcome, OpOutcome::Applied { .. }) {
                let failed = outcomes.len();
                outcomes = ops.iter().map(|_| OpOutcome::Aborted).collect();
                outcomes[failed] = outcome;
                break;
            }
            outcomes.push(outcome);
            if chaos::fires("local.skip_transaction") {
                self.connection.execute_batch("COMMIT; BEGIN IMMEDIATE; SAVEPOINT call")?;
            }
        }
        Ok(outcomes)
    }

    pub(super) fn one(&mut self, op: &Op) -> rusqlite::Result<OpOutcome> {
        match self.write(op) {
            Err(error) if fault::is_harmless(&error) => Ok(OpOutcome::Failed(fault::translate(error))),
            result => result,
        }
    }

    fn write(&mut self, op: &Op) -> rusqlite::Result<OpOutcome> {
        let row = self.find(&op.key)?;
        let present = row.as_ref().filter(|row| row.is_there(self.now));
        let version = present.map(|row| row.version);
        let ignored = op.condition != Condition::None && chaos::fires("local.ignore_etag");
        if !ignored && !condition::holds(&op.condition, version.as_ref()) {
            return Ok(OpOutcome::Conflict { found: version });
        }
        let existed = present.is_some();
        match &op.action {
            Action::Delete => {
                if let Some(row) = row.filter(|row| row.gone == 0) {
                    self.bury(&op.key, row.revision, if existed { DELETED } else { EXPIRED })?;
                }
                Ok(OpOutcome::Applied { version: None, existed })
            }
            Action::Put { value, content_type, expiry } => {
                let expires = match expiry {
                    Expiry::Never => None,
                    Expiry::Keep => present.and_then(|row| row.expires),
                    Expiry::After(time) => Some(self.clock.after(*time)),
                };
                let version = match version {
                    Some(version) => Version { counter: version.counter + 1, ..version },
                    None => Version { counter: 1, generation: Some(Generation::from_random(self.random.u64())) },
                };
                let revision = self.progress.revision + 1;
                let (counter, generation) = (version.counter.cast_signed(), version.generation.map(Generation::get));
                match &row {
                    None => self.connection.prepare_cached(INSERT)?.execute(params![
                        revision.cast_signed(),
                        op.key.as_str(),
                        counter,
                        generation,
                        expires,
                        content_type,
                        &value[..],
                    ])?,
                    Some(row) => self.connection.prepare_cached(UPDATE)?.execute(params![
                        revision.cast_signed(),
                        row.revision,
                        counter,
                        generation,
                        expires,
                        content_type,
                        &value[..],
                    ])?,
                };
                self.progress.revision = revision;
                self.progress.earliest = self.progress.earliest.min(expires.unwrap_or(i64::MAX));
                if row.is_some_and(|row| row.gone != 0) {
                    self.progress.graves -= 1;
                }
                if let Some(changes) = &mut self.progress.changes {
                    let entry = Entry {
                        key: op.key.clone(),
                        value: value.clone(),
                        content_type: content_type.clone(),
                        version,
                        expires_in: None,
                    };
                    changes.push(Change::Put { entry, deadline: expires.map(deadline), revision });
                }
                Ok(OpOutcome::Applied { version: Some(version), existed })
            }
        }
    }

    fn find(&self, key: &Key) -> rusqlite::Result<Option<Found>> {
        self.connection
            .prepare_cached(FIND)?
            .query_row([key.as_str()], |row| {
                Ok(Found { revision: row.get(0)?, gone: row.get(1)?, version: version(row, 2)?, expires: row.get(4)? })
            })
            .optional()
    }

    /// Removes the entry of a row and keeps the row for watchers.
    fn bury(&mut self, key: &Key, row: i64, how: i64) -> rusqlite::Result<()> {
        let revision = self.progress.revision + 1;
        self.connection.prepare_cached(BURY)?.execute(params![revision.cast_signed(), row, how])?;
        self.progress.revision = revision;
        self.progress.graves += 1;
        if let Some(changes) = &mut self.progress.changes {
            changes.push(Change::Delete { key: key.clone(), expired: how == EXPIRED, revision });
        }
        Ok(())
    }

    /// Removes at most `limit` expired entries.
    pub(super) fn expire(&mut self, limit: i64) -> rusqlite::Result<()> {
        let rows = self
            .connection
            .prepare_cached(FIND_EXPIRED)?
            .query_map(params![self.now, limit], |row| Ok((row.get(0)?, Key::new(row.get::<_, String>(1)?))))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        rows.iter().try_for_each(|(row, key)| self.bury(key, *row, EXPIRED))
    }

    /// Forgets at most `limit` calls that need not be remembered any more.
    pub(super) fn forget_calls(&self, limit: i64) -> rusqlite::Result<()> {
        self.connection.prepare_cached(FORGET_CALLS)?.execute(params![self.now, limit]).map(drop)
    }

    /// Forgets the `count` oldest deletes.
    pub(super) fn forget(&mut self, count: i64) -> rusqlite::Result<()> {
        let oldest = self
            .connection
            .prepare_cached(FIND_GONE)?
            .query_map([count], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<i64>>>()?;
        let Some(last) = oldest.last() else { return Ok(()) };
        let mut delete = self.connection.prepare_cached("DELETE FROM state WHERE revision = ?1")?;
        for revision in &oldest {
            delete.execute([revision])?;
            self.progress.graves -= 1;
        }
        self.connection.prepare_cached("UPDATE meta SET forgotten = ?1")?.execute([last])?;
        Ok(())
    }
}

/// The version in the columns `index` and the one behind it.
pub(super) fn version(row: &Row<'_>, index: usize) -> rusqlite::Result<Version> {
    Ok(Version {
        counter: row.get::<_, i64>(index)?.cast_unsigned(),
        generation: row.get::<_, Option<u32>>(index + 1)?.map(Generation::from_stored),
    })
}

/// A logical time as a duration.
pub(super) fn deadline(expires: i64) -> std::time::Duration {
    std::time::Duration::from_nanos(u64::try_from(expires).unwrap_or(0))
}

/// Whether a delete is one by expiry.
pub(super) fn is_expiry(gone: i64) -> bool {
    gone == EXPIRED
}

#[cfg(test)]
mod tests {
    use pillion_spi::{SystemClock, SystemRandom};

    use super::super::schema;
    use super::*;

    #[test]
    fn no_statement_searches_the_table_from_end_to_end() {
        let dir = tempfile::TempDir::new().unwrap();
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let connection = schema::open(&dir.path().join(schema::FILE), &SystemClock, &random).unwrap();
        for (sql, index) in [
            (FIND, "sqlite_autoindex_state_1"),
            (FIND_EXPIRED, "state_expires"),
            (FIND_GONE, "state_gone"),
            (FORGET_CALLS, "call_until"),
            (UPDATE, "PRIMARY KEY"),
            (BURY, "PRIMARY KEY"),
        ] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let parameters = rusqlite::params_from_iter(std::iter::repeat_n(1, statement.parameter_count()));
            let plan: String =
                statement.query_map(parameters, |row| row.get::<_, String>(3)).unwrap().map(Result::unwrap).collect();
            assert!(plan.contains(index), "{sql}: {plan}");
        }
    }
}
