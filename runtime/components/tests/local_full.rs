//! `state.local` on a full disk: writes are rejected, reads go on, and it heals by itself.
#![cfg(all(feature = "local", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is how a test fails

mod local_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use local_support::*;
use pillion_components::local::State;
use pillion_spi::error::Outcome;
use pillion_spi::state::{ApplyOptions, Expiry, StateStore};
use pillion_spi::{Component, Error, Kind, SystemClock, VirtualClock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

const VALUE: usize = 64 << 10;

async fn try_set(state: &State, key: &str, value: &[u8]) -> Result<(), Error> {
    state.apply(vec![put(key, value, Expiry::Never)], ApplyOptions::default()).await.map(drop)
}

/// Fills the store until it refuses; returns how many values it took.
async fn fill(state: &State) -> usize {
    for i in 0..10_000 {
        if let Err(error) = try_set(state, &format!("fill{i}"), &[7; VALUE]).await {
            assert!(matches!(error.kind(), Kind::Exhausted | Kind::Unavailable), "{error}");
            assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
            assert!(error.advice_text().is_some(), "{error}");
            return i;
        }
    }
    panic!("there is no end to the disk");
}

/// Runs in another process, whose folder has little room; `make_room` makes more.
async fn scenario(dir: &Path, make_room: impl FnOnce()) {
    let state = open_in(dir, env(Arc::new(SystemClock))).await.unwrap();
    set(&state, "before", b"1").await;
    let filled = fill(&state).await;
    assert!(filled > 2, "{filled}");
    let trouble = state.trouble().expect("the trouble is known");
    assert!(!trouble.cause.is_empty());

    // Several at once: each is answered, and what is refused has no effect.
    let keys: Vec<_> = (0..20).map(|i| format!("more{i}")).collect();
    let results = futures::future::join_all(keys.iter().map(|key| try_set(&state, key, &[7; VALUE]))).await;
    for (key, result) in keys.iter().zip(&results) {
        if let Err(error) = result {
            assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
        }
        assert_eq!(get(&state, key).await.is_some(), result.is_ok(), "{key}");
    }
    assert!(results.iter().any(Result::is_err));
    assert_eq!(get(&state, "before").await.unwrap().value, "1");
    assert_eq!(get(&state, &format!("fill{filled}")).await, None, "a rejected write took effect");

    // Also after a restart.
    state.close().await;
    let clock = Arc::new(VirtualClock::default());
    let state = open_in(dir, env(clock.clone())).await.unwrap();
    assert_eq!(get(&state, "before").await.unwrap().value, "1");
    assert_eq!(get(&state, "fill0").await.unwrap().value.len(), VALUE);
    let refilled = fill(&state).await;
    assert!(state.trouble().is_some());

    make_room();
    // It notices by itself, without a write from outside.
    let mut tries = 0;
    while state.trouble().is_some() {
        clock.advance(Duration::from_secs(5));
        tokio::task::yield_now().await;
        tries += 1;
        assert!(tries < 1_000_000, "still in trouble: {:?}", state.trouble());
    }
    set(&state, "after", &[8; VALUE]).await;
    state.close().await;
    let state = open_in(dir, env(Arc::new(SystemClock))).await.unwrap();
    for i in 0..filled {
        assert_eq!(get(&state, &format!("fill{i}")).await.unwrap().value.len(), VALUE, "{i}");
    }
    let refused = filled.max(refilled);
    assert_eq!(get(&state, &format!("fill{refused}")).await, None, "a rejected write took effect");
    assert_eq!(get(&state, "after").await.unwrap().value[..], [8; VALUE][..]);
    state.close().await;
    let verdict: String = rusqlite::Connection::open(file(dir))
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    println!("\nthe scenario has run");
}

/// Not a test by itself: the other process of those below.
#[tokio::test]
async fn in_a_small_folder() {
    let Some(dir) = std::env::var_os("PILLION_TEST_DIR").map(PathBuf::from) else { return };
    match std::env::var("PILLION_TEST_FULL").unwrap().as_str() {
        "filler" => {
            let filler = dir.join("filler");
            fs::write(&filler, vec![0; 4 << 20]).unwrap();
            scenario(&dir, || fs::remove_file(filler).unwrap()).await;
        }
        "limit" => {
            let hard = getrlimit(Resource::Fsize).maximum;
            setrlimit(Resource::Fsize, Rlimit { current: Some(1 << 20), maximum: hard }).unwrap();
            scenario(&dir, || setrlimit(Resource::Fsize, Rlimit { current: hard, maximum: hard }).unwrap()).await;
        }
        other => panic!("{other}"),
    }
}

/// Runs the scenario in another process, started by a shell that does `prepare` first.
fn run(dir: &Path, how: &str, prepare: &str, shell: &[&str]) {
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .args(["sh", "-c", &format!("{prepare} && exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_small_folder", "--nocapture"])
        .env("PILLION_TEST_DIR", dir)
        .env("PILLION_TEST_FULL", how)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("the scenario has run"), "{}\n{text}", output.status);
}

#[test]
fn past_the_file_size_limit() {
    // The binary of the runtime ignores the signal too; what a shell ignores, its child does.
    run(TempDir::new().unwrap().path(), "limit", "trap '' XFSZ", &["env"]);
}

#[test]
fn on_a_full_file_system() {
    let private = ["unshare", "--mount", "--map-root-user"];
    let allowed = Command::new(private[0]).args(&private[1..]).args(["mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this system does not let us mount a small file system");
        return;
    }
    let dir = TempDir::new().unwrap();
    run(dir.path(), "filler", "mount -t tmpfs -o size=8m none \"$PILLION_TEST_DIR\"", &private);
}
