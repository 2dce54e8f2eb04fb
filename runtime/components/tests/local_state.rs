//! `state.local` through the interface of a component. What every store must do is in the
//! conformance suite; here is what only this one promises.
#![cfg(feature = "local")]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is how a test fails

mod local_support;

use std::time::Duration;

use local_support::*;
use pillion_spi::state::{ApplyOptions, Condition, Expiry, Key, OpOutcome, ReadOptions, Scan, StateStore, WatchEvent};
use pillion_spi::{Component, Kind};

#[tokio::test]
async fn entries_survive_a_restart_with_their_version_and_content_type() {
    let mut f = open().await;
    let version = set(&f.state, "a", b"1").await;
    let mut op = put("b", b"{}", Expiry::Never);
    if let pillion_spi::state::Action::Put { content_type, .. } = &mut op.action {
        *content_type = Some("application/json".into());
    }
    apply(&f.state, vec![op]).await;
    f.restart().await;
    let entry = get(&f.state, "a").await.unwrap();
    assert_eq!((entry.value.as_ref(), entry.version), (&b"1"[..], version));
    assert_eq!(get(&f.state, "b").await.unwrap().content_type.as_deref(), Some("application/json"));
}

#[tokio::test]
async fn a_deleted_key_created_again_never_matches_its_old_version_even_after_a_restart() {
    let mut f = open().await;
    let first = set(&f.state, "a", b"1").await;
    apply(&f.state, vec![delete("a")]).await;
    f.restart().await;
    let second = set(&f.state, "a", b"1").await;
    assert_eq!(first.counter, second.counter);
    let mut stale = put("a", b"2", Expiry::Never);
    stale.condition = Condition::IfMatch(first);
    assert!(
        matches!(apply(&f.state, vec![stale]).await[0], OpOutcome::Conflict { found: Some(found) } if found == second)
    );
}

#[tokio::test]
async fn an_atomic_group_that_conflicts_changes_nothing_and_spares_the_calls_beside_it() {
    let f = open().await;
    set(&f.state, "there", b"1").await;
    let mut conflicting = put("there", b"2", Expiry::Never);
    conflicting.condition = Condition::IfAbsent;
    let mut options = ApplyOptions::default();
    options.atomic = true;
    let group = f.state.apply(vec![put("a", b"1", Expiry::Never), conflicting, delete("there")], options);
    let (group, beside) = tokio::join!(group, apply(&f.state, vec![put("beside", b"1", Expiry::Never)]));
    let outcomes = group.unwrap().outcomes;
    assert!(
        matches!(outcomes[..], [OpOutcome::Aborted, OpOutcome::Conflict { .. }, OpOutcome::Aborted]),
        "{outcomes:?}"
    );
    assert!(matches!(beside[0], OpOutcome::Applied { .. }));
    assert_eq!(get(&f.state, "a").await, None);
    assert_eq!(get(&f.state, "there").await.unwrap().value, "1");
    assert_eq!(get(&f.state, "beside").await.unwrap().value, "1");
}

#[tokio::test]
async fn many_callers_at_once_are_all_answered_and_all_there_after_a_restart() {
    let mut f = open().await;
    let calls = (0..2000).map(|i| {
        let key = format!("k{i}");
        let f = &f;
        async move { set(&f.state, &key, key.as_bytes()).await }
    });
    futures::future::join_all(calls).await;
    f.restart().await;
    for i in 0..2000 {
        let key = format!("k{i}");
        assert_eq!(get(&f.state, &key).await.unwrap().value, key);
    }
}

#[tokio::test]
async fn reading_many_keys_gives_one_view_in_the_order_asked() {
    let f = open().await;
    for i in 0..200 {
        set(&f.state, &format!("k{i}"), format!("{i}").as_bytes()).await;
    }
    for count in [2, 63, 64, 200] {
        let keys: Vec<_> = (0..count).rev().map(|i| Key::new(format!("k{i}"))).chain([Key::new("none")]).collect();
        let entries = f.state.read(&keys, ReadOptions::default()).await.unwrap();
        assert_eq!(entries.len(), keys.len());
        for (key, entry) in keys.iter().zip(entries) {
            assert_eq!(entry.unwrap().map(|entry| entry.key), Some(key.clone()).filter(|key| key.as_str() != "none"));
        }
    }
}

#[tokio::test]
async fn lists_are_paged_in_key_order_and_a_foreign_cursor_is_refused() {
    let f = open().await;
    for key in ["b/2", "a", "b", "b/1", "b/\u{10ffff}", "b0", "c"] {
        set(&f.state, key, b"v").await;
    }
    let mut scan = Scan::default();
    scan.prefix = "b/".into();
    scan.limit = 2;
    let page = f.state.scan(scan.clone()).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["b/1", "b/2"]);
    scan.cursor = page.next;
    let page = f.state.scan(scan.clone()).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["b/\u{10ffff}"]);
    assert_eq!(page.next, None);
    for foreign in ["b/1", ">c", ""] {
        scan.cursor = Some(foreign.into());
        assert_eq!(f.state.scan(scan.clone()).await.unwrap_err().kind(), Kind::Invalid, "{foreign:?}");
    }
}

#[tokio::test]
async fn expired_entries_leave_the_file_without_being_read_in_chunks() {
    let f = open().await;
    let ops = (0..2500).map(|i| put(&format!("k{i}"), &[0; 100], Expiry::After(Duration::from_secs(60)))).collect();
    apply(&f.state, ops).await;
    let mut watch = f.watch(None).await;
    for _ in 0..2500 {
        assert!(matches!(next(&mut watch).await, WatchEvent::Put { .. }));
    }
    synced(&mut watch).await;
    f.clock.advance(Duration::from_secs(60));
    assert_eq!(get(&f.state, "k0").await, None);
    for _ in 0..2500 {
        assert!(matches!(next(&mut watch).await, WatchEvent::Delete { expired: true, .. }));
    }
}

#[tokio::test]
async fn a_watch_resumes_after_a_restart() {
    let mut f = open().await;
    apply(&f.state, vec![put("a", b"1", Expiry::Never), put("b", b"1", Expiry::Never)]).await;
    let mut watch = f.watch(None).await;
    next(&mut watch).await;
    next(&mut watch).await;
    let revision = synced(&mut watch).await;
    apply(&f.state, vec![put("a", b"2", Expiry::Never), put("a", b"3", Expiry::Never), delete("b")]).await;
    f.restart().await;
    let mut resumed = f.watch(Some(revision)).await;
    assert!(matches!(next(&mut resumed).await, WatchEvent::Put { entry, .. } if entry.value == "3"));
    assert!(matches!(next(&mut resumed).await, WatchEvent::Delete { key, expired: false, .. } if key.as_str() == "b"));
    let latest = synced(&mut resumed).await;
    set(&f.state, "c", b"live").await;
    assert!(
        matches!(next(&mut resumed).await, WatchEvent::Put { entry, revision } if entry.value == "live" && revision > latest)
    );
}

#[tokio::test]
async fn a_watch_that_resumes_behind_forgotten_deletes_is_told_to_start_over() {
    let f = open().await;
    set(&f.state, "a", b"1").await;
    let mut watch = f.watch(None).await;
    next(&mut watch).await;
    let revision = synced(&mut watch).await;
    drop(watch);
    // More deletes than are kept, in more than one transaction: some are forgotten.
    for round in 0..6 {
        let keys: Vec<_> = (0..2000).map(|i| format!("k{round}-{i}")).collect();
        apply(&f.state, keys.iter().map(|key| put(key, b"", Expiry::Never)).collect()).await;
        apply(&f.state, keys.iter().map(|key| delete(key)).collect()).await;
    }
    for lost in [revision, 1 << 40] {
        let mut watch = f.watch(Some(lost)).await;
        assert_eq!(next(&mut watch).await, WatchEvent::Resync);
        assert!(matches!(next(&mut watch).await, WatchEvent::Put { entry, .. } if entry.key.as_str() == "a"));
        synced(&mut watch).await;
    }
}

#[tokio::test]
async fn a_watcher_that_reads_late_sees_the_latest_of_each_key() {
    let f = open().await;
    let mut slow = f.watch(None).await;
    synced(&mut slow).await;
    for round in 0..30_u32 {
        let ops = (0..100).map(|i| put(&format!("k{}", i % 2), &(round * 100 + i).to_le_bytes(), Expiry::Never));
        apply(&f.state, ops.collect()).await;
    }
    for latest in [2998_u32, 2999] {
        assert!(
            matches!(next(&mut slow).await, WatchEvent::Put { entry, .. } if entry.value[..] == latest.to_le_bytes())
        );
    }
    set(&f.state, "done", b"").await;
    assert!(matches!(next(&mut slow).await, WatchEvent::Put { entry, .. } if entry.key.as_str() == "done"));
}

#[tokio::test]
async fn a_repeated_call_is_recognised_for_ten_minutes_even_after_a_restart() {
    let mut f = open().await;
    let mut options = ApplyOptions::default();
    options.idempotency_key = Some("call".into());
    let call = async |f: &Fixture| {
        let applied = f.state.apply(vec![put("a", b"1", Expiry::Never)], options.clone()).await.unwrap();
        match applied.outcomes[0] {
            OpOutcome::Applied { version: Some(version), .. } => version.counter,
            ref other => panic!("{other:?}"),
        }
    };
    assert_eq!((call(&f).await, call(&f).await), (1, 1));
    f.restart().await;
    f.clock.advance(Duration::from_secs(598));
    assert_eq!(call(&f).await, 1);
    f.clock.advance(Duration::from_secs(3));
    assert_eq!(call(&f).await, 2);
    let other = vec![put("a", b"1", Expiry::Never), delete("b")];
    assert_eq!(f.state.apply(other, options.clone()).await.unwrap_err().kind(), Kind::Reused);
}

#[tokio::test]
async fn the_log_stays_bounded_under_steady_writing_and_reading() {
    let f = open().await;
    let log = f.dir.path().join("pillion.db-wal");
    let mut longest = 0;
    for i in 0..120 {
        set(&f.state, &format!("k{}", i % 3), &[7; 1 << 20]).await;
        assert!(get(&f.state, "k0").await.is_some());
        longest = longest.max(std::fs::metadata(&log).unwrap().len());
    }
    assert!(longest > 1 << 20, "the test looks at the wrong file: {longest}");
    assert!(longest < 64 << 20, "{longest} bytes");
    f.state.close().await;
    assert!(!log.exists(), "it is moved to the file when the store closes");
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_any_more_is_whole_or_not_there() {
    let f = open().await;
    let mut options = ApplyOptions::default();
    options.atomic = true;
    for polls in 0..3 {
        for round in 0..50 {
            let (a, b) = (format!("a{polls}-{round}"), format!("b{polls}-{round}"));
            let ops = vec![put(&a, b"1", Expiry::Never), put(&b, b"1", Expiry::Never)];
            let mut write = f.state.apply(ops, options.clone());
            for _ in 0..polls {
                if futures::poll!(&mut write).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(write);
            // Behind it in the queue, so it is settled.
            set(&f.state, "after", b"").await;
            assert_eq!(get(&f.state, &a).await.is_some(), get(&f.state, &b).await.is_some());
        }
    }
}

#[tokio::test]
async fn a_closed_store_refuses_calls_and_ends_its_watches() {
    let f = open().await;
    set(&f.state, "a", b"1").await;
    let mut watch = f.watch(None).await;
    next(&mut watch).await;
    synced(&mut watch).await;
    let waiting = tokio::spawn(async move { futures::StreamExt::next(&mut watch).await });
    f.state.close().await;
    f.state.close().await;
    assert!(waiting.await.unwrap().is_none());
    assert_eq!(f.env.task_count(), 0);
    let read = f.state.read(&[Key::new("a")], ReadOptions::default()).await;
    assert_eq!(read.unwrap_err().kind(), Kind::Unavailable);
    let write = f.state.apply(vec![delete("a")], ApplyOptions::default()).await;
    assert_eq!(write.unwrap_err().kind(), Kind::Unavailable);
    let scan = f.state.scan(Scan::default()).await;
    assert_eq!(scan.unwrap_err().kind(), Kind::Unavailable);
}
