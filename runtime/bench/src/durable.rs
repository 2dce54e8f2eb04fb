//! Writes that survive a loss of power: the bare loop on SQLite, and `state.local`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use pillion::State;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::clock::now;
use crate::wire::value;

/// How many write at the same time.
pub const WRITERS: usize = 64;
/// How long one of the ways writes before it is the turn of the next: how fast a disk is changes
/// within a second where others use it too.
const TURN: Duration = Duration::from_millis(50);

/// Writes per second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Durable {
    /// One connection with write-ahead log and full synchronisation, each insert a transaction.
    pub bare: f64,
    /// `state.local` in this process, one set after the other.
    pub one: f64,
    /// The same with [`WRITERS`] at a time.
    pub many: f64,
}

/// Measures the three ways, in turns, for a window each; `folder` is empty before.
pub async fn measure(folder: &Path, window: Duration) -> Result<Durable> {
    let connection = open(folder)?;
    let mut insert = connection.prepare("INSERT INTO entry (key, value) VALUES (?1, ?2)")?;
    let p = pillion::embedded().data_dir(folder.join("local")).await?;
    let state = p.state();

    let (mut bare, mut one, mut many) = (Rate::default(), Rate::default(), Rate::default());
    for turn in 0.. {
        if bare.time >= window {
            break;
        }
        bare.turn(turn, async |keys: &mut Keys| {
            while let Some(key) = keys.next(0) {
                insert.execute(params![key, value().as_ref()])?;
            }
            Ok(())
        })
        .await?;
        one.turn(turn, async |keys: &mut Keys| set(&state, keys, 0).await).await?;
        many.turn(turn, async |keys: &mut Keys| {
            let writers = (0..WRITERS).map(|writer| {
                let (mut keys, state) = (keys.clone(), &state);
                async move { set(state, &mut keys, writer + 1).await.map(|()| keys.written) }
            });
            keys.written = try_join_all(writers).await?.into_iter().sum();
            Ok(())
        })
        .await?;
    }
    p.close().await;
    Ok(Durable { bare: bare.per_second(), one: one.per_second(), many: many.per_second() })
}

fn open(folder: &Path) -> Result<Connection> {
    let connection = Connection::open(folder.join("bare.db"))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    ensure!(mode == "wal", "SQLite uses the journal mode {mode} here");
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
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

#[derive(Default)]
struct Rate {
    written: u32,
    time: Duration,
}

impl Rate {
    async fn turn(&mut self, turn: u32, write: impl AsyncFnOnce(&mut Keys) -> Result<()>) -> Result<()> {
        let began = now();
        let mut keys = Keys { turn, written: 0, end: began + TURN };
        write(&mut keys).await?;
        self.time += began.elapsed();
        self.written += keys.written;
        Ok(())
    }

    fn per_second(&self) -> f64 {
        f64::from(self.written) / self.time.as_secs_f64()
    }
}
