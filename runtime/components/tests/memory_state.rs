//! `state.memory` through the interface of a component. What every store must do is in the
//! conformance suite; here is what only this one promises.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is how a test fails

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use pillion_components::memory::{State, StateConfig};
use pillion_spi::state::{
    Action, ApplyOptions, Condition, Entry, Expiry, Key, Op, OpOutcome, ReadOptions, StateStore, WatchEvent, WatchSpec,
    WatchStream,
};
use pillion_spi::{ByteSize, Component, Kind, OpenEnv, VirtualClock};

struct Fixture {
    state: State,
    clock: Arc<VirtualClock>,
    env: OpenEnv,
}

async fn open(max_bytes: ByteSize) -> Fixture {
    let clock = Arc::new(VirtualClock::default());
    let mut env = OpenEnv::new("state");
    env.clock = clock.clone();
    let config = StateConfig { max_bytes };
    Fixture { state: State::open(config, env.clone()).await.unwrap(), clock, env }
}

fn put(key: &str, value: &[u8], expiry: Expiry) -> Op {
    let action = Action::Put { value: Bytes::copy_from_slice(value), content_type: None, expiry };
    Op { key: Key::new(key), condition: Condition::None, action }
}

fn delete(key: &str) -> Op {
    Op { key: Key::new(key), condition: Condition::None, action: Action::Delete }
}

impl Fixture {
    async fn apply(&self, ops: Vec<Op>) -> Vec<OpOutcome> {
        self.state.apply(ops, ApplyOptions::default()).await.unwrap().outcomes
    }

    async fn get(&self, key: &str) -> Option<Entry> {
        self.state.read(&[Key::new(key)], ReadOptions::default()).await.unwrap().remove(0).unwrap()
    }

    async fn watch(&self, after: Option<u64>) -> WatchStream {
        let mut spec = WatchSpec::default();
        spec.after = after;
        self.state.watch(spec).await.unwrap()
    }
}

async fn next(stream: &mut WatchStream) -> WatchEvent {
    stream.next().await.expect("the watch ended").unwrap()
}

async fn synced(stream: &mut WatchStream) -> u64 {
    match next(stream).await {
        WatchEvent::Synced { revision } => revision,
        other => panic!("{other:?} instead of Synced"),
    }
}

fn is_exhausted(outcome: &OpOutcome) -> bool {
    matches!(outcome, OpOutcome::Failed(error) if error.kind() == Kind::Exhausted)
}

#[tokio::test]
async fn what_exceeds_the_byte_bound_is_rejected_until_a_delete_makes_room() {
    let f = open(ByteSize::kib(4)).await;
    let big = vec![7; 3000];
    f.apply(vec![put("a", &big, Expiry::Never)]).await;
    assert!(is_exhausted(&f.apply(vec![put("b", &big, Expiry::Never)]).await[0]));
    assert_eq!(f.get("b").await, None);
    assert_eq!(f.get("a").await.unwrap().value, big);
    f.apply(vec![delete("a")]).await;
    assert!(matches!(f.apply(vec![put("b", &big, Expiry::Never)]).await[0], OpOutcome::Applied { .. }));
}

#[tokio::test]
async fn an_atomic_group_that_does_not_fit_changes_nothing() {
    let f = open(ByteSize::kib(4)).await;
    let mut options = ApplyOptions::default();
    options.atomic = true;
    let ops = vec![put("a", b"small", Expiry::Never), put("b", &[0; 5000], Expiry::Never)];
    let error = f.state.apply(ops, options.clone()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Exhausted);
    assert_eq!(f.get("a").await, None);
    // One that frees what it needs does fit, in whatever order it says so.
    f.apply(vec![put("old", &[0; 3000], Expiry::Never)]).await;
    let outcomes = f.state.apply(vec![put("new", &[0; 3000], Expiry::Never), delete("old")], options).await.unwrap();
    assert!(outcomes.outcomes.iter().all(|outcome| matches!(outcome, OpOutcome::Applied { .. })));
}

#[tokio::test]
async fn expired_entries_free_their_memory_without_being_read() {
    let f = open(ByteSize::kib(4)).await;
    f.apply(vec![put("a", &[0; 3000], Expiry::After(Duration::from_secs(60)))]).await;
    let mut watch = f.watch(None).await;
    assert!(matches!(next(&mut watch).await, WatchEvent::Put { .. }));
    synced(&mut watch).await;
    f.clock.advance(Duration::from_secs(60));
    // Nobody reads or writes: the event comes from the store itself.
    assert!(matches!(next(&mut watch).await, WatchEvent::Delete { key, expired: true, .. } if key.as_str() == "a"));
    assert!(matches!(f.apply(vec![put("b", &[0; 3000], Expiry::Never)]).await[0], OpOutcome::Applied { .. }));
}

#[tokio::test]
async fn a_write_that_needs_the_room_of_expired_entries_gets_it_at_once() {
    let f = open(ByteSize::kib(4)).await;
    f.apply(vec![put("a", &[0; 3000], Expiry::After(Duration::from_secs(60)))]).await;
    f.clock.advance(Duration::from_secs(60));
    // No await in between in which the background could have removed it.
    assert!(matches!(f.apply(vec![put("b", &[0; 3000], Expiry::Never)]).await[0], OpOutcome::Applied { .. }));
}

#[tokio::test]
async fn a_write_that_needs_room_removes_no_more_than_it_takes() {
    let f = open(ByteSize::mib(1)).await;
    for number in 0..200 {
        f.apply(vec![put(&format!("old {number}"), &[0; 4000], Expiry::After(Duration::from_secs(60)))]).await;
    }
    let mut watch = f.watch(None).await;
    while !matches!(next(&mut watch).await, WatchEvent::Synced { .. }) {}
    f.clock.advance(Duration::from_secs(60));
    // No await in between in which the background could have removed them.
    assert!(matches!(f.apply(vec![put("new", &[0; 250_000], Expiry::Never)]).await[0], OpOutcome::Applied { .. }));
    let mut removed = 0;
    while matches!(next(&mut watch).await, WatchEvent::Delete { expired: true, .. }) {
        removed += 1;
    }
    assert!((1..100).contains(&removed), "{removed} of 200 were removed before the write");
}

#[tokio::test]
async fn a_watcher_that_reads_late_sees_the_latest_of_each_key_and_nothing_older_after_it() {
    let f = open(ByteSize::mib(64)).await;
    let mut slow = f.watch(None).await;
    synced(&mut slow).await;
    for round in 0..2000_u32 {
        let value = round.to_le_bytes();
        f.apply(vec![put("a", &value, Expiry::Never), put("b", &value, Expiry::Never)]).await;
    }
    f.apply(vec![delete("b")]).await;
    let (mut seen, mut last) = (0, 0);
    loop {
        seen += 1;
        match next(&mut slow).await {
            WatchEvent::Put { entry, revision } => {
                assert!(revision > last, "{revision} after {last}");
                assert_eq!(entry.key.as_str(), "a");
                assert_eq!(entry.value[..], 1999_u32.to_le_bytes());
                last = revision;
            }
            WatchEvent::Delete { key, expired: false, revision } if key.as_str() == "b" && revision > last => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, 2, "4,001 changes of two keys");
}

#[tokio::test]
async fn a_watch_resumes_after_its_revision_and_says_so_when_it_cannot() {
    let f = open(ByteSize::mib(64)).await;
    f.apply(vec![put("a", b"1", Expiry::Never), put("b", b"1", Expiry::Never)]).await;
    let mut watch = f.watch(None).await;
    next(&mut watch).await;
    next(&mut watch).await;
    let revision = synced(&mut watch).await;
    drop(watch);

    f.apply(vec![put("a", b"2", Expiry::Never), delete("b"), put("c", b"1", Expiry::Never)]).await;
    let mut resumed = f.watch(Some(revision)).await;
    assert!(matches!(next(&mut resumed).await, WatchEvent::Put { entry, .. } if entry.key.as_str() == "a"));
    assert!(matches!(next(&mut resumed).await, WatchEvent::Delete { key, .. } if key.as_str() == "b"));
    assert!(matches!(next(&mut resumed).await, WatchEvent::Put { entry, .. } if entry.key.as_str() == "c"));
    let latest = synced(&mut resumed).await;

    let mut nothing_new = f.watch(Some(latest)).await;
    assert_eq!(synced(&mut nothing_new).await, latest);

    // More deletes than the store remembers, and a revision it never had.
    let keys: Vec<_> = (0..10_001).map(|i| format!("k{i}")).collect();
    f.apply(keys.iter().map(|key| put(key, b"", Expiry::Never)).collect()).await;
    f.apply(keys.iter().map(|key| delete(key)).collect()).await;
    for lost in [revision, latest + 1_000_000, 0] {
        let mut watch = f.watch(Some(lost)).await;
        assert_eq!(next(&mut watch).await, WatchEvent::Resync, "{lost}");
        assert!(matches!(next(&mut watch).await, WatchEvent::Put { entry, .. } if entry.key.as_str() == "a"));
        assert!(matches!(next(&mut watch).await, WatchEvent::Put { entry, .. } if entry.key.as_str() == "c"));
        synced(&mut watch).await;
    }
}

#[tokio::test]
async fn a_repeated_call_is_recognised_for_ten_minutes() {
    let f = open(ByteSize::mib(1)).await;
    let mut options = ApplyOptions::default();
    options.idempotency_key = Some("call".into());
    let apply = async || {
        let applied = f.state.apply(vec![put("a", b"1", Expiry::Never)], options.clone()).await.unwrap();
        match applied.outcomes[0] {
            OpOutcome::Applied { version: Some(version), .. } => version.counter,
            ref other => panic!("{other:?}"),
        }
    };
    assert_eq!((apply().await, apply().await), (1, 1));
    f.clock.advance(Duration::from_secs(599));
    assert_eq!(apply().await, 1);
    f.clock.advance(Duration::from_secs(1));
    assert_eq!(apply().await, 2);
    let other = vec![put("a", b"1", Expiry::Never), delete("b")];
    assert_eq!(f.state.apply(other, options.clone()).await.unwrap_err().kind(), Kind::Reused);
}

#[tokio::test]
async fn remembered_calls_count_against_the_byte_bound_and_free_it_with_their_window() {
    let f = open(ByteSize::kib(4)).await;
    let repeatable = async |id: u32| {
        let mut options = ApplyOptions::default();
        options.idempotency_key = Some(format!("call {id}"));
        f.state.apply(vec![delete("a")], options).await
    };
    let mut accepted = 0;
    while let Ok(applied) = repeatable(accepted).await {
        assert_eq!(applied.outcomes.len(), 1);
        accepted += 1;
        assert!(accepted < 1000, "unbounded");
    }
    f.clock.advance(Duration::from_secs(600));
    repeatable(accepted).await.unwrap();
}

#[tokio::test]
async fn closing_ends_every_task_and_watch_and_refuses_calls() {
    let f = open(ByteSize::mib(1)).await;
    f.apply(vec![put("a", b"1", Expiry::After(Duration::from_secs(60)))]).await;
    let mut watch = f.watch(None).await;
    next(&mut watch).await;
    synced(&mut watch).await;
    let waiting = tokio::spawn(async move { watch.next().await });
    f.state.close().await;
    f.state.close().await;
    assert!(waiting.await.unwrap().is_none());
    assert_eq!(f.env.task_count(), 0);
    let error = f.state.read(&[Key::new("a")], ReadOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn a_store_that_is_dropped_leaves_no_task_either() {
    let f = open(ByteSize::mib(1)).await;
    assert_eq!(f.env.task_count(), 1);
    drop(f.state);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(f.env.task_count(), 0);
}
