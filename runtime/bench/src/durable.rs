//! Writes that survive a loss of power: the bare loop on SQLite, and `state.local`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use pillion::State;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::clock::now;
use crate::stats::Series;
use crate::wire::value;

/// How many write at the same time.
pub const WRITERS: usize = 64;
/// How long one of the ways writes before it is the turn of the next: how fast a disk is changes
/// within a second where others use it too.
const TURN: Duration = Duration::from_millis(20);
const REST: Duration = Duration::from_millis(200);

/// Writes per second, and how they compare: medians of the turns.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Durable {
    /// One connection with write-ahead log and full synchronisation, each insert a transaction.
    pub bare: f64,
    /// `state.local` in this process, one set after the other.
    pub one: f64,
    /// The same with [`WRITERS`] at a time.
    pub many: f64,
    /// `one` by `bare`, of turns that followed each other.
    pub one_by_bare: f64,
    /// `many` by `bare`.
    pub many_by_bare: f64,
}

/// Measures the three ways, for three windows together; `folder` is empty before.
pub async fn measure(folder: &Path, window: Duration) -> Result<Durable> {
    let connection = open(folder)?;
    let mut insert = connection.prepare("INSERT INTO entry (key, value) VALUES (?1, ?2)")?;
    let p = pillion::embedded().data_dir(folder.join("local")).await?;
    let state = p.state();

    let (mut bare, mut one, mut many) = (Series::default(), Series::default(), Series::default());
    // First, so that the log has its full length when one write follows the other. To make a file
    // longer costs more than to write over it, the more so the busier the disk is, and happens only
    // once in the life of a store.
    let mut turns = 0..;
    let end = now() + window;
    while let Some(turn) = turns.next().filter(|_| now() < end) {
        let rate = take_turn(turn, async |keys: &mut Keys| {
            let writers = (0..WRITERS).map(|writer| {
                let (mut keys, state) = (keys.clone(), &state);
                async move { set(state, &mut keys, writer + 1).await.map(|()| keys.written) }
            });
            keys.written = try_join_all(writers).await?.into_iter().sum();
            Ok(())
        });
        many.push(rate.await?);
    }
    // What was written is moved from the log to the file for a while yet.
    std::thread::sleep(REST);
    let end = now() + window * 2;
    while let Some(turn) = turns.next().filter(|_| now() < end) {
        let rate = take_turn(turn, async |keys: &mut Keys| {
            while let Some(key) = keys.next(0) {
                insert.execute(params![key, value().as_ref()])?;
            }
            Ok(())
        });
        bare.push(rate.await?);
        one.push(take_turn(turn, async |keys: &mut Keys| set(&state, keys, 0).await).await?);
    }
    p.close().await;
    let median = |series: &Series| series.summary().map(|summary| summary.median).context("no turn was taken");
    let bare_rate = median(&bare)?;
    Ok(Durable {
        bare: bare_rate,
        one: median(&one)?,
        many: median(&many)?,
        one_by_bare: median(&one.with(&bare, |ours, bare| ours / bare))?,
        many_by_bare: median(&many)? / bare_rate,
    })
}

/// A connection whose log has its full length.
fn open(folder: &Path) -> Result<Connection> {
    let connection = Connection::open(folder.join("bare.db"))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    ensure!(mode == "wal", "SQLite uses the journal mode {mode} here");
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
         CREATE TABLE filler (data BLOB);
         INSERT INTO filler VALUES (zeroblob(8000000));
         PRAGMA wal_checkpoint(RESTART)",
    )?;
    Ok(connection)
}

async fn set(state: &State, keys: &mut Keys, writer: usize) -> Result<()> {
    while let Some(key) = keys.next(writer) {
        state.set(key, value()).await?;
    }
    Ok(())
}

/// The keys of one turn: new ones until it is over.
#[derive(Clone)]
struct Keys {
    turn: u32,
    written: u32,
    end: std::time::Instant,
}

impl Keys {
    fn next(&mut self, writer: usize) -> Option<String> {
        if now() >= self.end {
            return None;
        }
        self.written += 1;
        Some(format!("bench-{writer:02}-{:04}-{:06}", self.turn, self.written))
    }
}

/// Writes for one turn and gives the writes per second.
async fn take_turn(turn: u32, write: impl AsyncFnOnce(&mut Keys) -> Result<()>) -> Result<f64> {
    let began = now();
    let mut keys = Keys { turn, written: 0, end: began + TURN };
    write(&mut keys).await?;
    Ok(f64::from(keys.written) / began.elapsed().as_secs_f64())
}
