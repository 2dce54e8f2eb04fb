//! Moving the log into the file, off the way of callers.

use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pillion_spi::error::{Error, Result};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, MAIN_DB};

use super::{fault, schema};

/// From so many pages of 4 KiB on, the log is moved.
const SOON: i32 = 1000;
/// With so many, the next write waits for it: the log starts over only when all of it was moved,
/// and under steady load that moment never comes by itself.
const NOW: i32 = 8000;
/// How long that write then waits for readers, none of which takes long.
const PATIENCE: Duration = Duration::from_millis(100);

/// A thread that moves the log when asked to.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
    turn: Turn,
    /// How many pages make the next write wait.
    limit: i32,
}

/// The right to move the log: SQLite refuses a second connection at the same time, and does not
/// wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn(Arc<Mutex<()>>);

impl Turn {
    /// Waits for it.
    pub(super) fn take(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Checkpointer {
    /// Starts the thread.
    pub(super) fn start(path: &Path, turn: Turn) -> Result<Self> {
        let connection = schema::reopen(path).map_err(fault::translate)?;
        let (wake, woken) = mpsc::sync_channel(1);
        let turns = turn.clone();
        let thread = thread::Builder::new()
            .name("pillion-checkpt".into())
            .spawn(move || {
                while let Ok(()) = woken.recv() {
                    let _turn = turns.take();
                    if let Err(error) = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE) {
                        tracing::warn!(%error, "the log of the state file was not moved; it is tried again later");
                    }
                }
            })
            .map_err(|error| Error::unavailable("cannot start the thread of the state file").source(error))?;
        Ok(Self { wake, thread, turn, limit: NOW })
    }

    /// Looks at the log after a commit on `connection` and does what is due.
    ///
    /// # Errors
    /// The log is long, and it cannot be moved.
    pub(super) fn look(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let (log, moved) = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::NOOP)?;
        if log < NOW {
            self.limit = NOW;
        }
        if log >= self.limit {
            self.limit = match self.restart(connection)? {
                true => NOW,
                // A reader needs it, one of another program perhaps. Not at every write.
                false => log + SOON,
            };
        } else if log - moved >= SOON {
            // Full means that it is awake already.
            let _ = self.wake.try_send(());
        }
        Ok(())
    }

    /// Moves all of the log, so that it starts over; `false` if a reader prevents that.
    fn restart(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let _turn = self.turn.take();
        connection.busy_timeout(PATIENCE)?;
        let result = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::RESTART);
        connection.busy_timeout(schema::BUSY)?;
        match result {
            Ok(_) => Ok(true),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends the thread.
    pub(super) fn stop(self) {
        drop(self.wake);
        let _ = self.thread.join();
    }
}
