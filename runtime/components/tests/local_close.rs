//! What a closed `state.local` leaves behind: nothing. One test, because it counts for the process.
#![cfg(all(feature = "local", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is how a test fails

mod local_support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use local_support::*;
use pillion_spi::state::{Expiry, Scan, StateStore};
use pillion_spi::{Component, SystemClock};
use tempfile::TempDir;

/// The threads of the store; those of the test's own runtime have other names.
fn threads() -> usize {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("pillion"))
        .count()
}

/// The handles of files in `dir`.
fn handles(dir: &Path) -> usize {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok())
        .filter(|target| target.starts_with(dir))
        .count()
}

async fn used(dir: &Path) -> (pillion_components::local::State, pillion_spi::OpenEnv) {
    let env = env(Arc::new(SystemClock));
    let state = open_in(dir, env.clone()).await.unwrap();
    apply(&state, vec![put("a", b"1", Expiry::After(std::time::Duration::from_secs(60)))]).await;
    assert!(get(&state, "a").await.is_some());
    assert_eq!(state.scan(Scan::default()).await.unwrap().entries.len(), 1);
    assert!(threads() > 0 && handles(dir) > 0 && env.task_count() > 0);
    (state, env)
}

/// A thread is seen for a moment after it was joined.
fn assert_nothing_left(dir: &Path) {
    for _ in 0..1_000_000 {
        if threads() == 0 && handles(dir) == 0 {
            return;
        }
        thread::yield_now();
    }
    panic!("{} threads and {} handles are left", threads(), handles(dir));
}

#[tokio::test]
async fn a_store_that_is_closed_or_dropped_leaves_no_thread_handle_or_task() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    for _ in 0..3 {
        let (state, env) = used(&dir).await;
        // A watch that nobody reads any more holds nothing.
        let mut watch = state.watch(Default::default()).await.unwrap();
        next(&mut watch).await;
        state.close().await;
        assert_eq!(env.task_count(), 0);
        assert_nothing_left(&dir);
        drop(state);
    }

    let (state, env) = used(&dir).await;
    drop(state);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(env.task_count(), 0);
    assert_nothing_left(&dir);

    // Opening that is given up leaves nothing either, wherever it was.
    for polls in 0..4 {
        let mut opening = Box::pin(open_in(&dir, pillion_spi::OpenEnv::new("state")));
        for _ in 0..polls {
            if futures::poll!(&mut opening).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(opening);
        // What still runs on the blocking pool ends by itself, and is waited for.
        let state = open_in(&dir, pillion_spi::OpenEnv::new("state")).await.unwrap();
        state.close().await;
        assert_nothing_left(&dir);
    }
}
