//! The file of `state.local`: who may open it, what is refused, how it is brought up to date, how
//! its time goes on.
#![cfg(feature = "local")]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is how a test fails

mod local_support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use local_support::*;
use pillion_components::local::{State, StateConfig};
use pillion_spi::state::{Condition, Expiry, OpOutcome};
use pillion_spi::{Clock, Component, Error, Kind, SystemClock, VirtualClock};
use rusqlite::{Connection, params};
use tempfile::TempDir;

async fn refused(dir: &TempDir) -> Error {
    let before = fs::read(file(dir.path())).unwrap();
    let error = open_in(dir.path(), env(Arc::new(SystemClock))).await.unwrap_err();
    assert_eq!(fs::read(file(dir.path())).unwrap(), before, "a refused file must not be touched");
    assert!(error.to_string().contains("pillion.db"), "{error}");
    assert!(error.advice_text().is_some(), "{error}");
    // The lock was let go of: the next attempt says the same.
    assert_eq!(open_in(dir.path(), env(Arc::new(SystemClock))).await.unwrap_err().kind(), error.kind());
    error
}

#[tokio::test]
async fn a_second_store_in_the_same_process_is_told_who_has_the_file() {
    let f = open().await;
    let error = open_in(f.dir.path(), env(f.clock.clone())).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("this process"), "{error}");
    assert!(error.message().contains(&file(f.dir.path()).display().to_string()), "{error}");
    f.state.close().await;
    open_in(f.dir.path(), env(f.clock.clone())).await.unwrap();
}

/// Not a test by itself: the other process of the one below.
#[tokio::test]
async fn hold_a_folder() {
    let Some(dir) = std::env::var_os("PILLION_TEST_HOLD") else { return };
    let state = open_in(dir.as_ref(), env(Arc::new(SystemClock))).await.unwrap();
    set(&state, "held", b"1").await;
    println!("\nheld");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_second_process_is_told_the_pid_of_the_first_and_gets_the_file_when_that_is_killed() {
    let dir = TempDir::new().unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hold_a_folder", "--nocapture"])
        .env("PILLION_TEST_HOLD", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "held"), "the holder has failed");
    let error = open_in(dir.path(), env(Arc::new(SystemClock))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains(&format!("pid {}", holder.id())), "{error}");
    assert!(error.advice_text().is_some());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let state = open_in(dir.path(), env(Arc::new(SystemClock))).await.unwrap();
    assert_eq!(get(&state, "held").await.unwrap().value, "1");
}

#[tokio::test]
async fn what_is_not_a_database_is_refused() {
    let dir = TempDir::new().unwrap();
    fs::write(file(dir.path()), "The quick brown fox jumps over the lazy dog. ".repeat(100)).unwrap();
    assert_eq!(refused(&dir).await.kind(), Kind::Corrupt);
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let f = open().await;
    for i in 0..200 {
        set(&f.state, &format!("k{i}"), &[7; 200]).await;
    }
    f.state.close().await;
    let mut bytes = fs::read(file(f.dir.path())).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 2048].fill(0xa5);
    fs::write(file(f.dir.path()), &bytes).unwrap();
    assert_eq!(refused(&f.dir).await.kind(), Kind::Corrupt);
    bytes.truncate(middle);
    fs::write(file(f.dir.path()), &bytes).unwrap();
    assert_eq!(refused(&f.dir).await.kind(), Kind::Corrupt);
}

#[tokio::test]
async fn a_log_without_its_file_is_refused_because_it_may_hold_the_only_copy() {
    let f = open().await;
    set(&f.state, "a", b"1").await;
    let copy = TempDir::new().unwrap();
    let log = copy.path().join("pillion.db-wal");
    fs::copy(f.dir.path().join("pillion.db-wal"), &log).unwrap();
    let before = fs::read(&log).unwrap();
    let error = open_in(copy.path(), env(Arc::new(SystemClock))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.message().contains("pillion.db-wal") && error.advice_text().is_some(), "{error}");
    assert_eq!(fs::read(&log).unwrap(), before);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let f = open().await;
    f.state.close().await;
    Connection::open(file(f.dir.path())).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = refused(&f.dir).await;
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("newer"), "{error}");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let dir = TempDir::new().unwrap();
    Connection::open(file(dir.path()))
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); PRAGMA user_version = 1")
        .unwrap();
    let error = refused(&dir).await;
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("another program"), "{error}");
}

#[tokio::test]
async fn a_file_of_version_1_is_brought_up_to_date_with_its_entries() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(VirtualClock::default());
    let wall = i64::try_from(clock.wall().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let old = Connection::open(file(dir.path())).unwrap();
    old.execute_batch(
        "PRAGMA application_id = 0x50494c4c;
         PRAGMA user_version = 1;
         CREATE TABLE state (
             key TEXT PRIMARY KEY, value BLOB NOT NULL, content_type TEXT,
             counter INTEGER NOT NULL, generation INTEGER NOT NULL, expires INTEGER
         ) WITHOUT ROWID;",
    )
    .unwrap();
    old.execute(
        "INSERT INTO state VALUES
            ('lasting', x'00ff', 'text/plain', 7, 5, NULL),
            ('passing', x'01', NULL, 1, 5, ?1),
            ('past', x'02', NULL, 1, 5, ?2)",
        params![wall + 60_000, wall - 1],
    )
    .unwrap();
    drop(old);

    let state = open_in(dir.path(), env(clock.clone())).await.unwrap();
    let lasting = get(&state, "lasting").await.unwrap();
    assert_eq!(lasting.value[..], b"\x00\xff"[..]);
    assert_eq!(lasting.content_type.as_deref(), Some("text/plain"));
    assert_eq!(lasting.version.to_string(), "7-000005");
    let left = get(&state, "passing").await.unwrap().expires_in.unwrap();
    assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(30), "{left:?}");
    assert_eq!(get(&state, "past").await, None);
    // It is a store like any other now.
    let mut next = put("lasting", b"8", Expiry::Never);
    next.condition = Condition::IfMatch(lasting.version);
    assert!(
        matches!(apply(&state, vec![next]).await[0], OpOutcome::Applied { version: Some(v), .. } if v.counter == 8)
    );
    clock.advance(Duration::from_secs(60));
    assert_eq!(get(&state, "passing").await, None);
    state.close().await;
    let version: i32 =
        Connection::open(file(dir.path())).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
}

#[tokio::test]
async fn the_file_has_an_identity_of_its_own() {
    let domain = async |f: &Fixture| {
        f.state.close().await;
        let connection = Connection::open(file(f.dir.path())).unwrap();
        connection.query_row("SELECT domain FROM meta", [], |row| row.get::<_, String>(0)).unwrap()
    };
    let (mut one, other) = (open().await, open().await);
    let first = domain(&one).await;
    one.restart().await;
    assert_eq!(domain(&one).await, first);
    assert_ne!(domain(&other).await, first);
    assert_eq!(first.len(), 32);
}

#[tokio::test]
async fn an_empty_folder_name_and_a_folder_that_is_a_file_are_refused() {
    let config: StateConfig = serde_json::from_value(serde_json::json!({"dir": ""})).unwrap();
    assert_eq!(State::check(&config).unwrap_err().setting, "dir");
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "").unwrap();
    let error = open_in(&path, env(Arc::new(SystemClock))).await.unwrap_err();
    assert!(error.message().contains(&path.display().to_string()), "{error}");
}

/// A clock whose wall time is set by the test.
#[derive(Debug)]
struct WallClock {
    rest: Arc<VirtualClock>,
    wall: SystemTime,
}

impl Clock for WallClock {
    fn now(&self) -> Instant {
        self.rest.now()
    }

    fn boottime(&self) -> Duration {
        self.rest.boottime()
    }

    fn wall(&self) -> SystemTime {
        self.wall
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.rest.sleep(duration)
    }
}

#[tokio::test]
async fn expiry_survives_a_restart_with_the_wall_clock_a_day_off_in_either_direction() {
    let day = Duration::from_secs(86_400);
    for step in [1, 2] {
        let mut f = open().await;
        let op = put("a", b"1", Expiry::After(Duration::from_secs(3600)));
        apply(&f.state, vec![op]).await;
        let now = SystemClock.wall();
        let wall = if step == 1 { now + day } else { now - day };
        f.clock.advance(Duration::from_secs(1800));
        f.restart_with(Arc::new(WallClock { rest: f.clock.clone(), wall })).await;
        let left = get(&f.state, "a").await.expect("gone early").expires_in.unwrap();
        assert!(left <= Duration::from_secs(1800) && left > Duration::from_secs(1700), "{left:?}");
        // Time goes on while nobody has the file open.
        f.state.close().await;
        f.clock.advance(left);
        f.restart_with(Arc::new(WallClock { rest: f.clock.clone(), wall })).await;
        assert_eq!(get(&f.state, "a").await, None, "readable late");
    }
}

#[tokio::test]
async fn an_entry_is_readable_until_its_time_has_come_and_no_longer() {
    let f = open().await;
    let ttl = Duration::from_secs(100);
    apply(&f.state, vec![put("a", b"1", Expiry::After(ttl))]).await;
    // The machine's own time goes on beside the virtual one, so go nearer and nearer.
    let mut least = ttl;
    while let Some(entry) = get(&f.state, "a").await {
        let left = entry.expires_in.unwrap();
        assert!(left > Duration::ZERO && left <= least, "{left:?} after {least:?}");
        least = left;
        f.clock.advance(left / 2 + Duration::from_nanos(1));
    }
    assert!(least < Duration::from_secs(2), "gone {least:?} early");
}
