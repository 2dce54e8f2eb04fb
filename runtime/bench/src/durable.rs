//! Writes that survive a loss of power: the bare loop on SQLite, and `state.local`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use rusqlite::{Connection, params};

use crate::clock::now;
use crate::wire::value;

/// Inserts per second of one connection with write-ahead log and full synchronisation, each insert
/// a transaction of its own.
pub fn bare(folder: &Path, window: Duration) -> Result<f64> {
    let connection = Connection::open(folder.join("bare.db"))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    ensure!(mode == "wal", "SQLite uses the journal mode {mode} here");
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    )?;
    let mut insert = connection.prepare("INSERT INTO entry (key, value) VALUES (?1, ?2)")?;
    let value = value();
    let began = now();
    let mut calls = 0_u32;
    while began.elapsed() < window {
        insert.execute(params![key(0, calls), value.as_ref()])?;
        calls += 1;
    }
    Ok(f64::from(calls) / began.elapsed().as_secs_f64())
}

/// Sets per second of so many writers on a runtime in this process.
pub async fn pillion(folder: &Path, writers: usize, window: Duration) -> Result<f64> {
    let p = pillion::embedded().data_dir(folder).await?;
    let state = p.state();
    let began = now();
    let each = (0..writers).map(|writer| {
        let state = state.clone();
        async move {
            let mut calls = 0_u32;
            while began.elapsed() < window {
                state.set(key(writer, calls), value()).await?;
                calls += 1;
            }
            Ok(calls)
        }
    });
    let calls = futures::future::try_join_all(each).await as pillion::Result<Vec<u32>>;
    let rate = f64::from(calls?.iter().sum::<u32>()) / began.elapsed().as_secs_f64();
    p.close().await;
    Ok(rate)
}

fn key(writer: usize, call: u32) -> String {
    format!("bench-{writer:02}-{call:08}")
}
