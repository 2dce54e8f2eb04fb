//! Moving the log into the file, off the way of callers.

use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};

use pillion_spi::error::{Error, Result};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, MAIN_DB};

use super::{fault, schema};

/// From so many pages of 4 KiB on, the log is moved.
const SOON: i32 = 1000;
/// With so many, the next write waits for it: the log starts over only when all of it was moved,
/// and under steady load that moment never comes by itself.
const NOW: i32 = 8000;

/// A thread that moves the log when asked to.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
    /// How many pages make the next write wait.
    retry: i32,
}

impl Checkpointer {
    /// Starts the thread.
    pub(super) fn start(path: &Path) -> Result<Self> {
        let connection = schema::reopen(path).map_err(fault::translate)?;
        let (wake, woken) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("pillion-checkpt".into())
            .spawn(move || {
                while let Ok(()) = woken.recv() {
                    if let Err(error) = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE) {
                        tracing::warn!(%error, "the log of the state file was not moved; it is tried again later");
                    }
                }
            })
            .map_err(|error| Error::unavailable("cannot start the thread of the state file").source(error))?;
        Ok(Self { wake, thread, retry: NOW })
    }

    /// Looks at the log after a commit on `connection` and does what is due.
    ///
    /// # Errors
    /// The log is long, and it cannot be moved.
    pub(super) fn look(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let (log, moved) = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::NOOP)?;
        if log >= self.retry {
            // A moment for readers that still need the log; none takes long.
            let (log, moved) =
                connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::RESTART).or_else(|error| {
                    match error.sqlite_error_code() {
                        Some(rusqlite::ErrorCode::DatabaseBusy) => Ok((log, moved)),
                        _ => Err(error),
                    }
                })?;
            self.retry = if moved == log { NOW } else { log + SOON };
        } else if log - moved >= SOON {
            self.retry = NOW;
            // Full means that it is awake already.
            let _ = self.wake.try_send(());
        }
        Ok(())
    }

    /// Ends the thread.
    pub(super) fn stop(self) {
        drop(self.wake);
        let _ = self.thread.join();
    }
}
