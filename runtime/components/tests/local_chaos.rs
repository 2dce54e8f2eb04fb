//! `state.local` made to misbehave. The failure points are switched by the environment, so each
//! scenario runs in a process of its own.
#![cfg(all(feature = "local", feature = "chaos"))]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is how a test fails

mod local_support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use local_support::*;
use pillion_components::local::State;
use pillion_spi::error::Outcome;
use pillion_spi::state::{ApplyOptions, Condition, Expiry, OpOutcome, StateStore, Version};
use pillion_spi::{Component, Error, Kind, SystemClock};
use tempfile::TempDir;

async fn try_set(state: &State, key: &str) -> Result<(), Error> {
    state.apply(vec![put(key, b"1", Expiry::Never)], ApplyOptions::default()).await.map(drop)
}

async fn reopen(dir: &Path) -> State {
    open_in(dir, env(Arc::new(SystemClock))).await.unwrap()
}

/// Not a test by itself: the other process of those below.
#[tokio::test]
async fn misbehave() {
    let Some(dir) = std::env::var_os("PILLION_TEST_DIR").map(PathBuf::from) else { return };
    let state = reopen(&dir).await;
    match std::env::var("PILLION_TEST_SCENARIO").unwrap().as_str() {
        "sync_fails" => {
            set(&state, "a").await;
            let error = try_set(&state, "b").await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
            assert_eq!(get(&state, "b").await, None);
            set(&state, "c").await;
            // As `kill -9` would: nothing is tidied up.
            std::process::abort();
        }
        "in_doubt" => {
            set(&state, "a").await;
            let error = try_set(&state, "b").await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            assert!(state.trouble().is_some());
            set(&state, "d").await;
            assert_eq!(state.trouble(), None);
            std::process::abort();
        }
        "in_doubt_for_good" => {
            let error = try_set(&state, "a").await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            // Nothing is accepted before the log was emptied; reading goes on.
            let error = try_set(&state, "b").await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
            assert_eq!(get(&state, "b").await, None);
            std::process::abort();
        }
        "panic" => {
            set(&state, "a").await;
            let error = try_set(&state, "b").await.unwrap_err();
            assert_eq!((error.kind(), error.outcome()), (Kind::Internal, Outcome::Unknown), "{error}");
            assert!(state.trouble().is_some());
            assert_eq!(get(&state, "b").await, None);
            set(&state, "c").await;
            assert_eq!(state.trouble(), None);
        }
        "committed_after_all" => {
            set(&state, "a").await;
            set(&state, "b").await;
            std::process::abort();
        }
        "set" => {
            let _ = try_set(&state, "a").await;
        }
        "conflict" => {
            set(&state, "a").await;
            let mut stale = put("a", b"2", Expiry::Never);
            stale.condition = Condition::IfMatch(Version::bare(77));
            let outcome = apply(&state, vec![stale]).await.remove(0);
            println!("\nconflict: {}", matches!(outcome, OpOutcome::Conflict { .. }));
        }
        "transaction" => {
            set(&state, "there").await;
            let mut conflicting = put("there", b"2", Expiry::Never);
            conflicting.condition = Condition::IfAbsent;
            let mut options = ApplyOptions::default();
            options.atomic = true;
            let ops = vec![put("first", b"1", Expiry::Never), conflicting];
            state.apply(ops, options).await.unwrap();
            println!("\nhalf applied: {}", get(&state, "first").await.is_some());
        }
        "acknowledged" => {
            let acknowledged = try_set(&state, "a").await.is_ok();
            println!("\nacknowledged: {acknowledged}, there: {}", get(&state, "a").await.is_some());
        }
        other => panic!("{other}"),
    }
    state.close().await;
}

async fn set(state: &State, key: &str) {
    local_support::set(state, key, b"1").await;
}

fn run(dir: &Path, scenario: &str, chaos: &str) -> (Output, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "misbehave", "--nocapture"])
        .env("PILLION_TEST_DIR", dir)
        .env("PILLION_TEST_SCENARIO", scenario)
        .env("PILLION_CHAOS", chaos)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, text)
}

fn was_aborted(output: &Output) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    output.status.signal() == Some(6)
}

async fn there(dir: &Path) -> String {
    let state = reopen(dir).await;
    let mut there = String::new();
    for key in ["a", "b", "c", "d"] {
        if get(&state, key).await.is_some() {
            there += key;
        }
    }
    state.close().await;
    there
}

#[tokio::test]
async fn a_sync_that_fails_is_settled_and_the_write_surely_rejected() {
    let dir = TempDir::new().unwrap();
    let (output, text) = run(dir.path(), "sync_fails", "local.sync_fails=2");
    assert!(was_aborted(&output), "{text}");
    assert_eq!(there(dir.path()).await, "ac");
}

#[tokio::test]
async fn a_sync_that_fails_and_cannot_be_settled_is_unknown_and_heals() {
    let dir = TempDir::new().unwrap();
    let (output, text) = run(dir.path(), "in_doubt", "local.sync_fails=2,local.recovery_fails=1");
    assert!(was_aborted(&output), "{text}");
    assert_eq!(there(dir.path()).await, "ad");
}

#[tokio::test]
async fn nothing_is_written_while_the_log_is_in_doubt() {
    let dir = TempDir::new().unwrap();
    let (output, text) = run(dir.path(), "in_doubt_for_good", "local.sync_fails=1,local.recovery_fails");
    assert!(was_aborted(&output), "{text}");
    assert_eq!(there(dir.path()).await, "");
}

#[tokio::test]
async fn a_commit_that_took_effect_although_it_failed_is_acknowledged() {
    let dir = TempDir::new().unwrap();
    let (output, text) = run(dir.path(), "committed_after_all", "local.sync_fails_late=1");
    assert!(was_aborted(&output), "{text}");
    assert_eq!(there(dir.path()).await, "ab");
}

#[tokio::test]
async fn a_panic_costs_the_writes_it_happens_over_and_the_store_heals() {
    let dir = TempDir::new().unwrap();
    let (output, text) = run(dir.path(), "panic", "local.panic=2");
    assert!(output.status.success(), "{text}");
    assert_eq!(there(dir.path()).await, "ac");
}

#[tokio::test]
async fn a_process_that_ends_before_the_commit_leaves_nothing_and_after_it_everything() {
    for (point, left) in [("local.before_commit=abort", ""), ("local.after_commit=abort", "a")] {
        let dir = TempDir::new().unwrap();
        let (output, text) = run(dir.path(), "set", point);
        assert!(was_aborted(&output), "{point}: {text}");
        assert_eq!(there(dir.path()).await, left, "{point}");
    }
}

#[tokio::test]
async fn the_planted_violations_show() {
    for (scenario, chaos, shows) in [
        ("conflict", "", "conflict: true"),
        ("conflict", "local.ignore_etag", "conflict: false"),
        ("transaction", "", "half applied: false"),
        ("transaction", "local.skip_transaction", "half applied: true"),
        ("acknowledged", "local.sync_fails", "acknowledged: false, there: false"),
        ("acknowledged", "local.sync_fails,local.ack_before_commit", "acknowledged: true, there: false"),
    ] {
        let (_, text) = run(TempDir::new().unwrap().path(), scenario, chaos);
        assert!(text.contains(shows), "{scenario} with {chaos:?}: {text}");
    }
}
