//! The file: how it is opened, checked and brought up to date.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use pillion_spi::error::{Error, Kind, Result};
use pillion_spi::{Clock, Random};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::fault;

/// The name of the file in its folder.
pub(super) const FILE: &str = "pillion.db";

/// `PILL`, the mark by which SQLite files say whose they are.
const APPLICATION_ID: i32 = 0x5049_4c4c;
/// Of all tables together.
const VERSION: i32 = 2;

/// How long a connection waits for a program that is not ours, such as a backup.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// The same for readers, which run on threads that others wait for. Writers never block them.
const READER_BUSY: Duration = Duration::from_millis(50);
/// Files up to this size are checked whole when they are opened; it takes a few milliseconds.
const CHECKED_BYTES: u64 = 16 << 20;
/// How many statements the writing connection keeps prepared: all there are.
const STATEMENTS: usize = 32;
/// The log is cut to this size whenever it starts over.
const LOG_BYTES: i64 = 64 << 20;

/// One row per key. Its number is the revision of the last change, so the table itself is the
/// order of changes. A row that is `gone` (1 deleted, 2 expired) is kept for a while for watchers
/// that resume. `value` stands last: what comes behind a large one is slow to reach.
const STATE: &str = "
CREATE TABLE state (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    gone INTEGER NOT NULL DEFAULT 0,
    counter INTEGER NOT NULL,
    generation INTEGER,
    expires INTEGER,
    content_type TEXT,
    value BLOB
) STRICT;
CREATE INDEX state_expires ON state (expires) WHERE expires IS NOT NULL;
CREATE INDEX state_gone ON state (revision) WHERE gone <> 0;
";

/// `call`: what calls with an idempotency key were answered, until the logical time `until`.
/// `meta`: one row. `forgotten` is the last revision whose delete may no longer be known; the rest
/// is the logical clock. Times are in nanoseconds.
const REST: &str = "
CREATE TABLE call (
    id TEXT PRIMARY KEY,
    until INTEGER NOT NULL,
    outcomes TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX call_until ON call (until);
CREATE TABLE meta (
    domain TEXT NOT NULL,
    forgotten INTEGER NOT NULL DEFAULT 0,
    logical INTEGER NOT NULL DEFAULT 0,
    boot_id TEXT,
    boottime INTEGER NOT NULL DEFAULT 0,
    wall INTEGER NOT NULL DEFAULT 0
) STRICT;
";

/// Opens the file for the one connection that writes, making it or bringing it up to date.
pub(super) fn open(path: &Path, clock: &dyn Clock, random: &Arc<dyn Random>) -> Result<Connection> {
    let describe = |error: rusqlite::Error| {
        let error = fault::translate(error);
        let mut described = Error::new(error.kind(), format!("cannot open `{}`", path.display()));
        if let Some(advice) = error.advice_text() {
            described = described.advice(advice);
        }
        described.source(error)
    };
    refuse_orphaned_log(path)?;
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(describe)?;
    connection.busy_timeout(BUSY).map_err(describe)?;
    // Before anything is written: it may be somebody else's.
    let version = inspect(path, &connection).map_err(describe)??;
    (|| {
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        configure(&connection)?;
        if version < VERSION {
            migrate(&mut connection, version, clock, random)?;
        }
        Ok(mode)
    })()
    .map_err(describe)
    .and_then(|mode| match mode.as_str() {
        "wal" => Ok(connection),
        _ => Err(Error::config(format!("the file system of `{}` has no shared memory", path.display()))
            .advice("put the folder on a local disk: network file systems cannot hold it")),
    })
}

/// The engine would throw away a log that belongs to no file; it may hold the only copy of entries.
fn refuse_orphaned_log(path: &Path) -> Result<()> {
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let log = path.with_extension("db-wal");
    if bytes(path) == 0 && bytes(&log) > 0 {
        return Err(Error::new(
            Kind::Corrupt,
            format!("`{}` is there, but the file `{}` that it belongs to is missing", log.display(), path.display()),
        )
        .advice("restore both from a backup, or move the log away to start empty; nothing was changed"));
    }
    Ok(())
}

/// Opens another connection for writing, or for moving the log, to a file that [`open`] has accepted.
pub(super) fn reopen(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    configure(&connection)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.busy_timeout(READER_BUSY)?;
    connection.execute_batch("PRAGMA query_only = 1; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;")?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Each connection belongs to one thread at a time.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1;
         PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;
         PRAGMA journal_size_limit = {LOG_BYTES}; PRAGMA wal_autocheckpoint = 0;"
    ))
}

/// The version of the file's tables, 0 if it has none; the inner error says that it is not ours.
fn inspect(path: &Path, connection: &Connection) -> rusqlite::Result<Result<i32>> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i32>(0));
    let (application, version) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(Ok(0));
    }
    if application != APPLICATION_ID {
        return Ok(Err(Error::config(format!("`{}` belongs to another program", path.display()))
            .advice("choose another folder; nothing was changed")));
    }
    if version > VERSION {
        return Ok(Err(Error::config(format!(
            "`{}` was written by a newer Pillion (version {version} of its tables; this one knows {VERSION})",
            path.display()
        ))
        .advice("use the newer Pillion, or restore the backup from before the update; nothing was changed")));
    }
    if std::fs::metadata(path).is_ok_and(|file| file.len() <= CHECKED_BYTES) {
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Ok(Err(Error::new(Kind::Corrupt, format!("`{}` is damaged: {verdict}", path.display()))
                .advice("restore the folder from a backup, or recover what can be read with `sqlite3 pillion.db .recover`; nothing was changed")));
        }
    }
    Ok(Ok(version))
}

/// Brings the tables from `version` to [`VERSION`], wholly or not at all.
fn migrate(
    connection: &mut Connection,
    version: i32,
    clock: &dyn Clock,
    random: &Arc<dyn Random>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match version {
        0 => transaction.execute_batch(&format!("{STATE}{REST}"))?,
        _ => from_version_1(&transaction, clock)?,
    }
    let domain = format!("{:016x}{:016x}", random.u64(), random.u64());
    transaction.execute("INSERT INTO meta (domain) VALUES (?1)", [domain])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Version 1 had one table, no order of changes, and wall-clock milliseconds in `expires`.
fn from_version_1(transaction: &Transaction<'_>, clock: &dyn Clock) -> rusqlite::Result<()> {
    let wall = clock.wall().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    transaction.execute_batch(&format!("ALTER TABLE state RENAME TO state_1;{STATE}{REST}"))?;
    // The logical clock begins at 0 and counts nanoseconds. What has expired becomes an entry that is removed at once.
    transaction.execute(
        "INSERT INTO state (revision, key, counter, generation, expires, content_type, value)
         SELECT row_number() OVER (ORDER BY key), key, counter, generation, max(expires - ?1, 0) * 1000000, content_type, value
         FROM state_1",
        params![i64::try_from(wall).unwrap_or(i64::MAX)],
    )?;
    transaction.execute_batch("DROP TABLE state_1;")
}
